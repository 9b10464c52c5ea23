"""What a transfer says: Refer-To (RFC 3515), Replaces (RFC 3891) and the fragments of a NOTIFY (RFC 3420)."""

from dataclasses import dataclass, replace
from urllib.parse import unquote

from sidestream.sip import grammar
from sidestream.sip.errors import MessageError, malformed
from sidestream.sip.message import Request
from sidestream.sip.reasons import reason_phrase
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr

SIPFRAG_TYPE = "message/sipfrag;version=2.0"


@dataclass(frozen=True, slots=True)
class Replaces:
    """A dialog as its other end names it: `to_tag` is the local tag of whoever receives this, `from_tag` the remote."""

    call_id: str
    to_tag: str
    from_tag: str
    early_only: bool = False

    @staticmethod
    def parse(text: str) -> "Replaces":
        """Raises MessageError 400."""
        call_id, semicolon, rest = text.partition(";")
        params = grammar.parse_params(semicolon + rest, "Replaces")
        to_tag, from_tag = grammar.find_param(params, "to-tag"), grammar.find_param(params, "from-tag")
        if not call_id.strip() or to_tag is None or from_tag is None:
            raise malformed("Replaces")
        return Replaces(call_id.strip(), to_tag, from_tag, grammar.find_param(params, "early-only") is not None)

    def __str__(self) -> str:
        early = ";early-only" if self.early_only else ""
        return f"{self.call_id};to-tag={self.to_tag};from-tag={self.from_tag}{early}"


@dataclass(frozen=True, slots=True)
class ReferTo:
    """Whom to call, and which of their calls to take over."""

    uri: Uri
    replaces: Replaces | None = None


def refer_to(request: Request) -> ReferTo:
    """What a REFER asks for. Raises MessageError: 400, or 603 for anything but a call."""
    values = request.headers.get_all("Refer-To")
    # RFC 3515 §2.4.2
    if len(values) != 1:
        raise MessageError(400, "Exactly One Refer-To Is Needed")
    uri = NameAddr.parse(values[0], "Refer-To").uri
    if (uri.param("method") or "INVITE").upper() != "INVITE" or not (uri.is_sip or uri.scheme == "tel"):
        raise MessageError(603, reason_phrase(603))
    named = [value for name, value in uri.headers if name.lower() == "replaces"]
    replaces = Replaces.parse(unquote(named[0])) if named else None
    params = tuple(param for param in uri.params if param[0].lower() != "method")
    return ReferTo(replace(uri, params=params, headers=()), replaces)


def replaced(request: Request) -> Replaces | None:
    """The dialog that an INVITE is to replace (RFC 3891 §3). Raises MessageError 400."""
    values = request.headers.get_all("Replaces")
    if not values:
        return None
    if len(values) > 1:
        raise MessageError(400, "More than one Replaces")
    return Replaces.parse(values[0])


def sipfrag(status: int) -> bytes:
    """How far the transfer is (RFC 3515 §2.4.5)."""
    return f"SIP/2.0 {status} {reason_phrase(status)}\r\n".encode()
