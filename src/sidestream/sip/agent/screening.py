"""What every request must pass before anybody is woken (RFC 3261 §8.2)."""

from dataclasses import dataclass

from sidestream.sip.agent.compose import TARGET_METHODS
from sidestream.sip.agent.config import AgentConfig
from sidestream.sip.errors import MessageError
from sidestream.sip.message import Request
from sidestream.sip.session_timer import is_too_short

_SDP_RANGES = frozenset({"application/sdp", "application/*", "*/*"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer to a request that did not pass."""

    status: int
    reason: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


class Screening:
    """The inspection of RFC 3261 §8.2.1–§8.2.3, in its order."""

    def __init__(self, config: AgentConfig) -> None:
        self._allow = frozenset(config.allow)
        self._supported = frozenset(config.option_tags)
        self._timer = config.session_timer
        self._accept = frozenset(config.accept)

    def inspect(self, request: Request) -> Refusal | None:
        """The refusal of a request that is neither ACK nor CANCEL; None if it may come in."""
        # RFC 3261 §8.2.1
        if request.method not in self._allow:
            return Refusal(405)
        try:
            request.check()
        except MessageError as error:
            return Refusal(error.status, error.reason)
        return self._headers(request) or self._body(request)

    def _headers(self, request: Request) -> Refusal | None:
        # RFC 3261 §8.2.2.1: a tel URI is one whose number we may know; any other scheme is strange to us.
        if not request.uri.is_sip and request.uri.scheme != "tel":
            return Refusal(416)
        # RFC 7332 §4: for calls we are a B2BUA, so a loop through us has to end here. Others we answer ourselves.
        if request.method == "INVITE" and request.to.tag is None and request.max_forwards == 0:
            return Refusal(483)
        # RFC 3261 §8.2.2.3. A BYE is exempt: refusing it would keep a call alive that one side has left.
        if request.method != "BYE":
            unknown = [tag for tag in request.require if tag not in self._supported]
            if unknown:
                return Refusal(420, headers=(("Unsupported", ", ".join(unknown)),))
        # RFC 3261 §21.4.7: our answer could only be SDP. An empty Accept is what careless devices send to say nothing.
        if request.method in TARGET_METHODS and request.accept and not _SDP_RANGES.intersection(request.accept):
            return Refusal(406)
        # RFC 4028 §9
        if self._timer is not None and request.method in TARGET_METHODS and is_too_short(request, self._timer):
            return Refusal(422, headers=(("Min-SE", str(self._timer.least)),))
        return None

    def _body(self, request: Request) -> Refusal | None:
        # RFC 3261 §8.2.3. INFO and the like carry what their packages say, for the application to judge.
        if request.method not in ("INVITE", "UPDATE") or not request.body:
            return None
        disposition = request.content_disposition
        if disposition is not None and disposition.is_optional:
            return None
        encodings = [encoding for encoding in request.headers.values("Content-Encoding") if encoding != "identity"]
        content_type = request.content_type
        if encodings or content_type is None or content_type.media_type not in self._accept:
            return Refusal(415)
        return None
