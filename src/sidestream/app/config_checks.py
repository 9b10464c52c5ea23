"""Checks that several sections of the configuration share."""

from sidestream.accounts.account import VoiceSettings
from sidestream.app.config_reader import Problems, Table
from sidestream.calls.requests import TWIML_INLINE_LIMIT
from sidestream.debugger.alert import Level
from sidestream.sip.errors import MessageError
from sidestream.sip.uri import Uri
from sidestream.twiml.parser import parse_twiml


def check_account(table: Table, sids: tuple[str, ...], problems: Problems) -> None:
    account = table.text("account")
    if account is not None and account not in sids:
        problems.add((*table.path, "account"), f"there is no account {account}")


def check_interface(table: Table, interfaces: list[Table], problems: Problems) -> None:
    name = table.text("media_interface")
    if name is not None and name not in (interface.word("name") for interface in interfaces):
        problems.add((*table.path, "media_interface"), f"there is no interface {name} in [[media.interfaces]]")


def read_owner(table: Table, sids: tuple[str, ...], problems: Problems) -> str:
    """The account of what needs one; empty while there is none to choose from."""
    account = table.text("account")
    if account is None and len(sids) > 1:
        problems.add((*table.path, "account"), "is missing, and there is more than one account")
    check_account(table, sids, problems)
    return account or (sids[0] if len(sids) == 1 else "")


def refuse_twins(tables: list[Table], key: str, problems: Problems) -> None:
    seen: set[str] = set()
    for table in tables:
        value = table.text(key)
        if value is not None and value in seen:
            problems.add((*table.path, key), f"{value!r} is there already")
        seen.add(value or "")


def read_voice(table: Table) -> VoiceSettings:
    return VoiceSettings(
        url=table.text("voice_url"),
        method=table.word("voice_method"),
        fallback_url=table.text("fallback_url"),
        fallback_method=table.word("fallback_method"),
        twiml=table.text("twiml"),
        status_callback=table.text("status_callback"),
        status_callback_method=table.word("status_callback_method"),
        status_callback_events=table.texts("status_callback_events"),
    )


def check_voice(table: Table, twiml: str | None, problems: Problems) -> None:
    """`twiml`: what the parser is to see, if it is not the text as it stands."""
    if table.given >= {"voice_url", "twiml"}:
        problems.add((*table.path, "twiml"), "clashes with voice_url: give one of the two")
    if twiml is None:
        return
    if len(table.word("twiml")) > TWIML_INLINE_LIMIT:
        problems.add((*table.path, "twiml"), f"is longer than {TWIML_INLINE_LIMIT} characters (32018)")
    for problem in parse_twiml(twiml.encode())[1]:
        if problem.level is Level.ERROR:
            problems.add((*table.path, "twiml"), f"{problem.message} ({problem.code})")


def read_sip_uri(table: Table, key: str, problems: Problems) -> Uri | None:
    """The SIP URI of a key; None if there is none. One that asks for SRTP is a problem."""
    text = table.text(key)
    if text is None:
        return None
    try:
        uri = Uri.parse(text)
    except MessageError:
        uri = Uri("")
    if not uri.is_sip:
        problems.add((*table.path, key), f"{text!r} is not a SIP URI (32110)")
        return None
    if uri.param("secure") == "true":
        problems.add(
            (*table.path, key), "secure=true does not stand here: say media_security and transport=tls (32209)"
        )
    return uri
