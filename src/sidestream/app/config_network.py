"""Listeners, TLS and DNS of the configuration: what the SIP wire is started with."""

from ipaddress import ip_address

from sidestream.app.config_reader import Problems, Table
from sidestream.app.config_values import ListenerConfig, SrsConfig
from sidestream.connectors.connector import Connector
from sidestream.sip.session_timer import Refresher, SessionTimerPolicy
from sidestream.sip.transport import Transport
from sidestream.sip.uri import Uri
from sidestream.trunks.trunk_book import Trunk
from sidestream.wire.resolver import DnsSettings
from sidestream.wire.tls import CertificateFiles, ClientAuth, TlsError, TlsSettings, make_contexts

DNS_PORT = 53
MAX_PORT = 65535


def build_listeners(tables: list[Table], problems: Problems) -> tuple[ListenerConfig, ...]:
    listeners: list[ListenerConfig] = []
    for table in tables:
        transport, host = table.word("transport"), table.word("host")
        port = table.integer("port")
        if "port" not in table.given:
            port = Transport(transport.upper()).default_port
        advertised = table.text("advertised")
        check_wildcard(table, "host", problems)
        name = table.text("name") or f"{transport}-{port}"
        if any(listener.name == name for listener in listeners):
            problems.add((*table.path, "name"), f"two listeners have the name {name!r}")
        if port and any((x.transport, x.host, x.port) == (transport, host, port) for x in listeners):
            problems.add((*table.path, "port"), f"two listeners share {transport} {host}:{port}")
        origins = table.texts("origins")
        if origins and transport not in ("ws", "wss"):
            problems.add((*table.path, "origins"), f"are for ws and wss, not for {transport}")
        listeners.append(ListenerConfig(name, transport, host, port, advertised, table.flag("nat"), origins))
    return tuple(listeners)


def build_tls(
    table: Table, certificates: list[Table], listeners: tuple[ListenerConfig, ...], problems: Problems
) -> TlsSettings:
    """The TLS settings, whose files have been tried."""
    auth = ClientAuth(table.word("client_auth"))
    pairs = ((named.file("certificate"), named.file("key")) for named in certificates)
    named = tuple(CertificateFiles(certificate, key) for certificate, key in pairs if certificate is not None)
    settings = TlsSettings(table.file("certificate"), table.file("key"), table.file("ca"), auth, named)
    if named and settings.certificate is None:
        problems.add((*table.path, "certificate"), "is needed for clients that ask for no name of [[certificates]]")
    if settings.certificate is None:
        if settings.key is not None:
            problems.add((*table.path, "key"), "belongs to a certificate")
        secure = next((listener.transport for listener in listeners if listener.transport in ("tls", "wss")), None)
        if secure is not None:
            problems.add((*table.path, "certificate"), f"is needed by the listener with transport {secure}")
    if auth is not ClientAuth.NONE and settings.ca is None:
        # The system's authorities vouch for web sites: every owner of one would pass for a peer.
        problems.add((*table.path, "ca"), "is needed to judge the certificates of clients")
    if settings.files:
        try:
            make_contexts(settings)
        except TlsError as error:
            path = table.path if error.place is None else certificates[error.place].path
            problems.add((*path, error.part), str(error))
    return settings


def build_srs(table: Table, tls: Table, problems: Problems) -> SrsConfig:
    """The bundled recording server; the files of its TLS have been tried."""
    files = TlsSettings(table.file("certificate"), table.file("key"))
    own = files.certificate is not None
    if files.key is not None and not own:
        problems.add((*table.path, "key"), "belongs to a certificate")
    port = table.integer("tls_port") if "tls_port" in table.given else None
    if port is None and own:
        problems.add((*table.path, "tls_port"), "is missing: the certificate is for nothing")
    if port is not None and not own:
        files = TlsSettings(tls.file("certificate"), tls.file("key"))
        if files.certificate is None:
            problems.add((*table.path, "certificate"), "is needed for tls_port, here or in [tls]")
    if port and port == table.integer("port"):
        problems.add((*table.path, "tls_port"), "must not be the port for TCP")
    if own:
        try:
            make_contexts(files)
        except TlsError as error:
            problems.add((*table.path, error.part), str(error))
    return SrsConfig(
        table.flag("enabled"), table.word("host"), table.integer("port"), table.file("directory"), port, files
    )


def build_session_timer(table: Table, problems: Problems) -> SessionTimerPolicy | None:
    interval, least = table.integer("interval"), table.integer("min_interval")
    if interval < least:
        problems.add((*table.path, "min_interval"), "must not be above interval")
    policy = SessionTimerPolicy(interval, least, Refresher(table.word("refresher")))
    return policy if table.flag("enabled") else None


def build_dns(table: Table, problems: Problems) -> DnsSettings:
    servers: list[tuple[str, int]] = []
    for text in table.texts("servers"):
        server = _server(text)
        if server is None:
            problems.add((*table.path, "servers"), f"{text!r} is not an IP address, with or without a port")
        else:
            servers.append(server)
    return DnsSettings(tuple(servers))


def check_tls_targets(
    listeners: tuple[ListenerConfig, ...],
    trunks: tuple[Trunk, ...],
    connectors: tuple[Connector, ...],
    problems: Problems,
) -> None:
    """Whoever is to be reached by TLS needs a listener: its address is what our Via and Contact name."""
    if any(listener.transport == "tls" for listener in listeners):
        return
    for index, trunk in enumerate(trunks):
        if trunk.outbound is not None and _asks_for_tls(trunk.outbound):
            problems.add(("trunks", index, "outbound"), "needs a listener with transport tls")
    for connector in connectors:
        for target in connector.targets:
            if target.uses_tls:
                problems.add(("connectors",), f"{connector.unique_name!r} needs a listener with transport tls")


def check_wildcard(table: Table, key: str, problems: Problems) -> None:
    """A socket bound to every address needs an address that peers can be told."""
    try:
        is_wildcard = ip_address(table.word(key)).is_unspecified
    except ValueError:
        return
    if is_wildcard and table.text("advertised") is None:
        problems.add((*table.path, "advertised"), f"is needed, since peers cannot be told {table.word(key)}")


def _asks_for_tls(uri: Uri) -> bool:
    return uri.scheme == "sips" or (uri.param("transport") or "").lower() == "tls"


def _server(text: str) -> tuple[str, int] | None:
    """`192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1` or `[2001:db8::1]:5353`."""
    host, port = text, ""
    if text.startswith("["):
        host, bracket, port = text[1:].partition("]")
        if not bracket or (port and not port.startswith(":")):
            return None
        port = port.removeprefix(":")
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    try:
        address = str(ip_address(host))
    except ValueError:
        return None
    if not port:
        return address, DNS_PORT
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) <= MAX_PORT):
        return None
    return address, int(port)
