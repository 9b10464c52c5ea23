"""The trunks of the configuration."""

from dataclasses import replace
from ipaddress import ip_network

from sidestream.app.config_checks import check_account, read_sip_uri, refuse_twins
from sidestream.app.config_reader import Problems, Table
from sidestream.media.engine import Latch
from sidestream.sdp.security import MediaSecurity
from sidestream.sip.uri import Uri
from sidestream.trunks.trunk_book import Network, Trunk, TrunkCredentials, TrunkRegistration


def build_trunks(tables: list[Table], sids: tuple[str, ...], problems: Problems) -> tuple[Trunk, ...]:
    """Every trunk; worthless if problems were found."""
    refuse_twins(tables, "name", problems)
    refuse_twins(tables, "inbound_username", problems)
    trunks: list[Trunk] = []
    for table in tables:
        check_account(table, sids, problems)
        trunk = Trunk(
            table.word("name"),
            table.text("account"),
            _sources(table, problems),
            _outbound(table, problems),
            _credentials(table, "username", "password", problems),
            _credentials(table, "inbound_username", "inbound_password", problems),
            follow_redirects=table.integer("follow_redirects"),
            accepts_refer=table.word("refer") == "accept",
            media_security=MediaSecurity(table.word("media_security")),
            media_latch=Latch(table.word("media_latch")),
            media_interface=table.text("media_interface"),
        )
        trunks.append(replace(trunk, registration=_registration(table, trunk, problems)))
    return tuple(trunks)


def _credentials(table: Table, name_key: str, password_key: str, problems: Problems) -> TrunkCredentials | None:
    username, password = table.text(name_key), table.secret(password_key)
    if (username is None) != (password is None):
        problems.add((*table.path, name_key), f"{name_key} and {password_key} belong together")
    return TrunkCredentials(username, password) if username is not None and password is not None else None


def _sources(table: Table, problems: Problems) -> tuple[Network, ...]:
    networks: list[Network] = []
    for text in table.texts("sources"):
        try:
            networks.append(ip_network(text, strict=False))
        except ValueError:
            problems.add((*table.path, "sources"), f"{text!r} is neither an IP address nor a network")
    return tuple(networks)


def _outbound(table: Table, problems: Problems) -> Uri | None:
    uri = read_sip_uri(table, "outbound", problems)
    if uri is not None and (uri.user is not None or uri.headers):
        problems.add((*table.path, "outbound"), "must have neither user nor headers: the number becomes its user")
    return uri


def _registration(table: Table, trunk: Trunk, problems: Problems) -> TrunkRegistration | None:
    # RFC 3261 §10.2: the Request-URI of a REGISTER has no user
    registrar = read_sip_uri(table, "registrar", problems) or trunk.outbound
    address = read_sip_uri(table, "register_as", problems)
    if not table.flag("register"):
        return None
    if not table.given & {"registrar", "outbound"}:
        problems.add((*table.path, "register"), "needs registrar or outbound: where to register")
    if trunk.credentials is None:
        problems.add((*table.path, "register"), "needs username and password")
    if registrar is None or trunk.credentials is None:
        return None
    if registrar.user is not None or registrar.headers:
        problems.add((*table.path, "registrar"), "must have neither user nor headers")
    elif address is not None and address.user is None:
        problems.add((*table.path, "register_as"), "needs a user")
    else:
        address = address or Uri.sip(trunk.credentials.username, registrar.address)
        return TrunkRegistration(registrar, address, table.integer("register_expires"))
    return None
