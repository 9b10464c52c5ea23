"""The SIP domains of the configuration, their users, and what the registrar allows."""

import re
from dataclasses import replace

from sidestream.accounts.domain import Domain, DomainRoute, SipUser
from sidestream.app.config_checks import check_voice, read_owner, read_voice
from sidestream.app.config_reader import Problems, Table
from sidestream.calls.reception import fill
from sidestream.media.engine import Latch
from sidestream.registrar.limits import Limits
from sidestream.sdp.security import MediaSecurity
from sidestream.sip.uri import Uri

# RFC 3261 §25.1, without what would have to be escaped in an address or quoted in a challenge's answer.
_USER = re.compile(r"[A-Za-z0-9\-_.!~*'+]{1,64}")
_SAMPLE = Uri.sip("user", "example.com")  # stands for the called and the calling address where TwiML is checked


def build_domains(
    tables: list[Table], users: list[Table], sids: tuple[str, ...], problems: Problems
) -> tuple[Domain, ...]:
    """Every domain with its users; worthless if problems were found."""
    domains: list[Domain] = []
    seen: set[str] = set()
    for table in tables:
        for key, host in (("name", table.word("name")), *(("aliases", alias) for alias in table.texts("aliases"))):
            folded = host.strip("[]").lower().rstrip(".")
            if folded and folded in seen:
                problems.add((*table.path, key), f"{host} is there already")
            seen.add(folded)
        domains.append(_domain(table, sids, problems))
    for table in users:
        _add_user(table, domains, problems)
    return tuple(domains)


def build_limits(table: Table, problems: Problems) -> Limits:
    low, high = table.integer("min_expires"), table.integer("max_expires")
    if low > high:
        problems.add((*table.path, "max_expires"), "must not be below min_expires")
    if not table.texts("digest"):
        problems.add((*table.path, "digest"), "must not be empty")
    return Limits(low, high, high, table.integer("contacts"))


def _domain(table: Table, sids: tuple[str, ...], problems: Problems) -> Domain:
    route = DomainRoute(table.word("route"))
    has_voice = bool(table.given & {"voice_url", "twiml"})
    if route is DomainRoute.VOICE and not has_voice:
        problems.add(table.path, 'needs voice_url or twiml, or route = "users"')
    twiml = table.text("twiml")
    check_voice(table, None if twiml is None else fill(twiml, _SAMPLE, _SAMPLE), problems)
    return Domain(
        name=table.word("name").rstrip("."),
        account_sid=read_owner(table, sids, problems),
        aliases=table.texts("aliases"),
        route=route,
        voice=read_voice(table) if has_voice else None,
        media_security=MediaSecurity(table.word("media_security")),
        media_latch=Latch(table.word("media_latch")),
        media_interface=table.text("media_interface"),
    )


def _add_user(table: Table, domains: list[Domain], problems: Problems) -> None:
    host, name, password = table.word("domain"), table.word("name"), table.secret("password")
    index = next((number for number, domain in enumerate(domains) if domain.name == host), None)
    if host and index is None:
        problems.add((*table.path, "domain"), f"there is no domain {host}")
    if name and not _USER.fullmatch(name):
        problems.add((*table.path, "name"), f"{name!r} must be 1 to 64 letters, digits and -_.!~*'+")
    if index is None or password is None:
        return
    if domains[index].user(name) is not None:
        problems.add((*table.path, "name"), f"{name!r} is there already")
    domains[index] = replace(domains[index], users=(*domains[index].users, SipUser(name, password)))
