"""Checked tables as the configuration's values: what concerns more than one key is judged here."""

import re
from pathlib import Path

from sidestream.accounts.account import Account, Number
from sidestream.accounts.account_book import ANY_ADDRESS, dialled_digits
from sidestream.app.config_checks import (
    check_account,
    check_interface,
    check_voice,
    read_owner,
    read_voice,
    refuse_twins,
)
from sidestream.app.config_domains import build_domains, build_limits
from sidestream.app.config_network import (
    build_dns,
    build_listeners,
    build_session_timer,
    build_srs,
    build_tls,
    check_tls_targets,
    check_wildcard,
)
from sidestream.app.config_reader import Problems, Table, Tables
from sidestream.app.config_trunks import build_trunks
from sidestream.app.config_values import (
    Config,
    HttpConfig,
    InterfaceConfig,
    Limits,
    LogConfig,
    MediaConfig,
    RestartConfig,
)
from sidestream.connectors.connector import DEFAULT_CONNECTOR, Connector, ConnectorOptions, make_connector
from sidestream.connectors.srs_uri import ConnectorError
from sidestream.media.address import TlsAddress, split_tls_url
from sidestream.media.options import KernelPath
from sidestream.sdp.crypto import CryptoSuite
from sidestream.sdp.security import MediaSecurity
from sidestream.sip.uri import Uri

SOCKET_PATH_LIMIT = 107  # octets: sun_path of Linux's sockaddr_un less its final zero

_ACCOUNT_SID = re.compile(r"AC[0-9a-fA-F]{32}")
_AUTH_TOKEN = re.compile(r"[A-Za-z0-9]{32}")  # the go client library refuses any other character
_CONNECTOR_KEYS = {
    "name": "name",
    "targets": "srs",
    "header": "header_name",
    "extension_namespace": "extension_namespace",
    "answer_timeout_s": "answer_timeout",
    "srtp_suites": "srtp_suites",
}  # by the part that a ConnectorError names


def build_config(tables: Tables, problems: Problems) -> Config:
    """The configuration; worthless if problems were found."""
    top, media, http, srs, log, limits = (tables[name][0] for name in ("", "media", "http", "srs", "log", "limits"))
    restart = tables["restart"][0]
    data_dir = top.file("data_dir") or Path()
    accounts = _accounts(tables["accounts"], problems)
    sids = tuple(account.sid for account in accounts)
    srs_config = build_srs(srs, tables["tls"][0], problems)
    connectors = _connectors(tables["connectors"], sids, problems)
    named_default = any(c.unique_name == DEFAULT_CONNECTOR and c.account_sid is None for c in connectors)
    if srs_config.enabled and srs_config.port and not named_default:
        connectors = (*connectors, bundled_connector(srs_config.host, srs_config.port))
    trunks = build_trunks(tables["trunks"], sids, problems)
    listeners = build_listeners(tables["listeners"], problems)
    for name in ("trunks", "domains", "connectors"):
        for table in tables[name]:
            check_interface(table, tables["media.interfaces"], problems)
    check_tls_targets(listeners, trunks, connectors, problems)
    return Config(
        accounts=accounts,
        numbers=_numbers(tables["numbers"], sids, problems),
        domains=build_domains(tables["domains"], tables["users"], sids, problems),
        registrar=build_limits(tables["registrar"][0], problems),
        digest=tables["registrar"][0].texts("digest"),
        trunks=trunks,
        connectors=connectors,
        listeners=listeners,
        tls=build_tls(tables["tls"][0], tables["certificates"], listeners, problems),
        dns=build_dns(tables["dns"][0], problems),
        session_timer=build_session_timer(tables["session_timer"][0], problems),
        media=_media(media, tables["media.interfaces"], problems),
        restart=RestartConfig(restart.word("calls") == "adopt", restart.number("grace")),
        http=HttpConfig(http.word("host"), http.integer("port"), _base_url(http)),
        srs=srs_config,
        storage_url=_storage_url(tables["storage"][0], data_dir, problems),
        data_dir=data_dir,
        log=LogConfig(log.word("level"), log.flag("json")),
        limits=Limits(
            limits.integer("calls"),
            limits.integer("siprec_forks_per_call"),
            limits.integer("sip_sessions"),
            limits.integer("requests_per_second"),
        ),
    )


def bundled_connector(host: str, port: int) -> Connector:
    """The connector `Default` of every account, for the bundled recording server that listens there."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return make_connector(DEFAULT_CONNECTOR, None, (str(Uri.sip("srs", reachable, port)),))


def _accounts(tables: list[Table], problems: Problems) -> tuple[Account, ...]:
    for table in tables:
        if table.text("sid") and not _ACCOUNT_SID.fullmatch(table.word("sid")):
            problems.add((*table.path, "sid"), "must be AC and 32 hexadecimal digits")
        if table.text("auth_token") and not _AUTH_TOKEN.fullmatch(table.word("auth_token")):
            problems.add((*table.path, "auth_token"), "must be 32 letters and digits")
    refuse_twins(tables, "sid", problems)
    return tuple(Account(t.word("sid"), t.word("auth_token"), t.word("name")) for t in tables)


def _numbers(tables: list[Table], sids: tuple[str, ...], problems: Problems) -> tuple[Number, ...]:
    numbers: list[Number] = []
    seen: set[tuple[str, str]] = set()
    for table in tables:
        address, owner = table.word("number"), read_owner(table, sids, problems)
        # A star takes what is left over of one account's calls; any other number has one owner.
        twin = (owner if address == ANY_ADDRESS else "", dialled_digits(address) or address)
        if address and twin in seen:
            problems.add((*table.path, "number"), f"{address} is there already")
        seen.add(twin)
        if not table.given & {"voice_url", "twiml"}:
            problems.add(table.path, "needs voice_url or twiml")
        check_voice(table, table.text("twiml"), problems)
        security = table.text("media_security")
        media_security = None if security is None else MediaSecurity(security)
        numbers.append(Number(address, owner, read_voice(table), media_security))
    return tuple(numbers)


def _connectors(tables: list[Table], sids: tuple[str, ...], problems: Problems) -> tuple[Connector, ...]:
    connectors: list[Connector] = []
    seen: set[tuple[str, str | None]] = set()
    for table in tables:
        check_account(table, sids, problems)
        name, account = table.word("name"), table.text("account")
        if name and (name, account) in seen:
            problems.add((*table.path, "name"), f"{name!r} is there already")
        seen.add((name, account))
        header_name, header_value = table.text("header_name"), table.secret("header_value")
        if (header_name is None) != (header_value is None):
            problems.add((*table.path, "header_name"), "header_name and header_value belong together")
        header = (header_name, header_value) if header_name is not None and header_value is not None else None
        options = ConnectorOptions(
            parameters_as_headers=table.flag("parameters_as_headers"),
            extension_namespace=table.word("extension_namespace"),
            answer_timeout_s=table.number("answer_timeout"),
            legacy_media_type=table.flag("legacy_media_type"),
            final_metadata_in_bye=table.flag("final_metadata_in_bye"),
            fork_batch_ms=table.integer("fork_batch_ms"),
            media_interface=table.text("media_interface"),
            own_fork_ports=table.flag("own_fork_ports"),
            dtmf=table.flag("dtmf"),
            srtp_suites=tuple(CryptoSuite(suite) for suite in table.texts("srtp_suites")),
            keys_without_tls=table.flag("keys_without_tls"),
            plain_copy_of_secure_calls=table.flag("plain_copy_of_secure_calls"),
        )
        if not name or not table.texts("srs"):
            continue  # the reader has said so
        try:
            connector = make_connector(name, account, table.texts("srs"), header, options)
        except ConnectorError as error:
            problems.add((*table.path, _CONNECTOR_KEYS[error.part]), f"{error.message} ({error.code})")
            continue
        connectors.append(connector)
        for target in connector.targets:
            for code, message in target.warnings:
                problems.add((*table.path, "srs"), f"{message} ({code})")
    return tuple(connectors)


def _media(table: Table, interfaces: list[Table], problems: Problems) -> MediaConfig:
    low, high, socket = table.integer("port_low"), table.integer("port_high"), table.file("socket")
    if low >= high:
        problems.add((*table.path, "port_high"), "must be above port_low")
    address = _engine_address(table, problems)
    if table.flag("external") and socket is None and table.text("address") is None:
        problems.add((*table.path, "external"), "needs socket or address: where the engine listens")
    if socket is not None and len(bytes(socket)) > SOCKET_PATH_LIMIT:
        problems.add((*table.path, "socket"), f"is longer than {SOCKET_PATH_LIMIT} octets")
    refuse_twins(interfaces, "name", problems)
    for interface in interfaces:
        check_wildcard(interface, "address", problems)
    listed = tuple(InterfaceConfig(i.word("name"), i.word("address"), i.text("advertised")) for i in interfaces)
    return MediaConfig(
        port_low=low,
        port_high=high,
        interfaces=listed,
        workers=table.integer("workers"),
        kernel_path=KernelPath(table.word("kernel_path")),
        socket=socket,
        address=address,
        external=table.flag("external"),
        max_sessions=table.integer("max_sessions"),
        max_mbit=table.number("max_mbit"),
        dscp=table.integer("dscp"),
        pacing=table.flag("pacing"),
    )


def _engine_address(table: Table, problems: Problems) -> TlsAddress | None:
    """The engine on another machine, if there is one."""
    url, files = table.text("address"), [table.file(name) for name in ("ca", "certificate", "private_key")]
    if url is None:
        if files != [None, None, None]:
            problems.add((*table.path, "address"), "is missing: the certificates are for an engine on another machine")
        return None
    ca, certificate, private_key = files
    place = split_tls_url(url)
    if place is None:
        problems.add((*table.path, "address"), "must be tls://HOST:PORT")
    elif not table.flag("external"):
        problems.add((*table.path, "address"), "needs external = true: who runs an engine there is not us")
    elif table.file("socket") is not None:
        problems.add((*table.path, "address"), "stands beside socket: the engine is at one of them")
    elif ca is None or certificate is None or private_key is None:
        problems.add((*table.path, "address"), "needs ca, certificate and private_key")
    else:
        return TlsAddress(*place, ca, certificate, private_key)
    return None


def _base_url(table: Table) -> str | None:
    url = table.text("public_url")
    return None if url is None else url.rstrip("/")


def _storage_url(table: Table, data_dir: Path, problems: Problems) -> str:
    url = table.text("url")
    if url is None:
        return f"sqlite:///{data_dir / 'sidestream.db'}"
    if not url.startswith("sqlite:///") or url == "sqlite:///":
        problems.add(
            (*table.path, "url"), "must be sqlite:/// and the path of a file; no other database is supported yet"
        )
    return url
