"""Whom a `<Dial>` calls: numbers and SIP addresses out of the text between the tags."""

import re
from dataclasses import replace
from urllib.parse import unquote

from sidestream.sip.errors import MessageError
from sidestream.sip.uri import Uri
from sidestream.twiml.document import DialNumber, DialSip, DialTarget, LegCallbacks
from sidestream.twiml.node import Node, Problems, quoted

URI_LIMIT = 254  # characters; Twilio documents URIs under 255
HEADERS_LIMIT = 1023  # characters; Twilio documents headers under 1024

_SEPARATORS = str.maketrans("", "", "-.() \t\r\n")  # what people write into phone numbers
_NUMBER = re.compile(r"\+?[0-9*#]{1,32}")
_TOKEN = re.compile(r"[A-Za-z0-9.!%*_+`'~-]+")  # RFC 3261 §25.1 token
_ALLOWED_HEADERS = frozenset(
    ("user-to-user", "remote-party-id", "p-preferred-identity", "p-called-party-id")
)  # besides X-…
_TRANSPORTS = ("udp", "tcp", "tls")


def read_targets(dial: Node, problems: Problems) -> tuple[DialTarget, ...]:
    """The targets that can be dialled; the others are problems. Text counts only where there is no noun."""
    if not dial.children:
        if not dial.text:
            problems.add(12200, "<Dial> names nobody to call", dial.line)
            return ()
        target = _number(dial.text, None, dial.line, problems)
        return () if target is None else (target,)
    if dial.text:
        problems.add(12200, f"Text beside the nouns of <Dial> is not dialled: {quoted(dial.text)}", dial.line)
    targets = [_number_noun(c, problems) if c.name == "Number" else _sip(c, problems) for c in dial.children]
    return tuple(target for target in targets if target is not None)


def _number_noun(node: Node, problems: Problems) -> DialNumber | None:
    target = _number(node.text, _callbacks(node), node.line, problems)
    return None if target is None else replace(target, send_digits=node.word("sendDigits"))


def _number(text: str, callbacks: LegCallbacks | None, line: int | None, problems: Problems) -> DialNumber | None:
    number = text.translate(_SEPARATORS)
    if not _NUMBER.fullmatch(number):
        problems.add(13223, f"Not a phone number: {quoted(text)}", line)
        return None
    return DialNumber(number, callbacks)


def _sip(node: Node, problems: Problems) -> DialSip | None:
    address, headers = _split_headers(node.text)
    try:
        uri = Uri.parse(address)
    except MessageError:
        uri = None
    if uri is None or not uri.is_sip or len(address) > URI_LIMIT:
        problems.add(13243, f"Not a SIP address: {quoted(node.text)}", node.line)
        return None

    secure = (uri.param("secure") or "false").lower()
    if secure not in ("true", "false"):
        problems.add(32114, f"secure={quoted(secure)} counts as false", node.line)
    transport = (uri.param("transport") or "udp").lower()
    if transport not in _TRANSPORTS:
        problems.add(32114, f"transport={quoted(transport)} is not known and left out", node.line)
        uri = uri.without_param("transport")
    # These speak to the platform and not to the peer; a self-hosted platform has neither edges nor regions.
    for name in ("secure", "edge", "region"):
        uri = uri.without_param(name)
    return DialSip(
        uri=uri,
        headers=_headers(headers, node.line, problems),
        username=node.word("username"),
        password=node.secret("password"),
        secure=secure == "true",
        callbacks=_callbacks(node),
    )


def _split_headers(text: str) -> tuple[str, str]:
    """The address and what stands behind its `?`; a `?` in the user part is part of the address."""
    user, at, rest = text.partition("@") if "?" not in text.partition("@")[0] else text.rpartition("@")
    host, _, headers = rest.partition("?")
    return user + at + host, headers


def _headers(text: str, line: int | None, problems: Problems) -> tuple[tuple[str, str], ...]:
    headers: list[tuple[str, str]] = []
    length = 0
    for piece in filter(None, text.split("&")):
        name, _, value = map(unquote, piece.partition("="))
        if not may_be_sent(name, value):
            problems.add(13252, f"The header {quoted(name)} is not allowed and left out", line)
            continue
        length += len(name) + 2 + len(value)
        if length > HEADERS_LIMIT:
            problems.add(13253, f"The headers are longer than {HEADERS_LIMIT} characters, from {name} on", line)
            break
        headers.append((name, value))
    return tuple(headers)


def may_be_sent(name: str, value: str) -> bool:
    """Whether an application may add this header field to an INVITE of ours."""
    folded = name.lower()
    custom = folded.startswith("x-") and len(folded) > 2 and not folded.startswith("x-twilio")
    is_allowed = _TOKEN.fullmatch(name) is not None and (custom or folded in _ALLOWED_HEADERS)
    return is_allowed and value.isprintable()


def _callbacks(node: Node) -> LegCallbacks | None:
    url = node.word("statusCallback")
    if url is None:
        return None
    return LegCallbacks(url, node.choice("statusCallbackMethod"), node.words("statusCallbackEvent"))
