"""A live call written down as plain values, so that the next process can go on with it.

The call's record and its Siprecs are not in it: they are stored whenever they change. A call has an image as soon as
its leg is established and nothing is under way in it; from then on the last such moment is what a restart goes back to.
Before that its image is the INVITE alone, so that the next process can end it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from sidestream.base.secret import Secret
from sidestream.calls.bridge import LegPhase
from sidestream.calls.party import Party
from sidestream.calls.requests import Instructions
from sidestream.media.engine import Latch, LocalPorts
from sidestream.recording.image import RecordingImage
from sidestream.sdp.remote import RemoteAddress
from sidestream.sdp.security import MediaSecurity
from sidestream.sip.agent.image import SessionImage
from sidestream.sip.agent.unanswered import UnansweredImage
from sidestream.webhooks.parameters import Parameters, SipParameters

if TYPE_CHECKING:
    from sidestream.calls.call import Call

VERSION = 2  # of the layout; an image of another one is not read


class ImageError(Exception):
    """Octets that are no image of this version."""


@dataclass(frozen=True, slots=True)
class MediaImage:
    """What offer and answer agreed on. Descriptions are as sent and received; they may hold keys."""

    session: str
    endpoint: str
    interface: str | None
    origin_id: int
    security: MediaSecurity
    ports: LocalPorts
    local: bytes
    remote: bytes
    address: RemoteAddress | None
    latch: Latch = Latch.EACH


@dataclass(frozen=True, slots=True)
class LegImage:
    """An established leg. `max_forwards`: what was left of it in the INVITE, if that was the peer's."""

    session: SessionImage
    media: MediaImage
    max_forwards: int | None


@dataclass(frozen=True, slots=True)
class ProgressImage:
    """Who is told of the call's progress, and the number of the next callback."""

    url: str | None
    method: str
    events: tuple[str, ...]
    sequence: int


@dataclass(frozen=True, slots=True)
class SourceImage:
    """A document as it came; reading it again gives the same verbs."""

    url: str | None
    method: str
    body: bytes
    content_type: str | None


@dataclass(frozen=True, slots=True)
class Heading:
    """Where a document is being fetched from."""

    url: str | None
    method: str
    parameters: Parameters | None


@dataclass(frozen=True, slots=True)
class ScriptImage:
    """Where the call's instructions are: at the verb `index` of `source`, which began at `began_at`.

    `source` None: at their very beginning. `heading`: on the way from that document to another one. `dialled`: the call
    that a running Dial has connected.
    """

    instructions: Instructions
    source: SourceImage | None = None
    index: int = 0
    began_at: datetime | None = None
    heading: Heading | None = None
    dialled: str | None = None
    cookies: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class SessionMark:
    """The communication session as metadata names it (`streams.RecordedSession`)."""

    session_id: str
    started_at: datetime
    group_id: str | None
    joined_at: datetime | None


@dataclass(frozen=True, slots=True)
class CallImage:
    """`is_resumable` False: the call is in the midst of something that cannot be taken up, such as dialling; all that
    can be done for it is to end it in order."""

    sid: str
    account_sid: str
    leg: LegImage
    party: Party
    recorded: SessionMark
    callbacks: ProgressImage
    is_resumable: bool
    sip_parameters: SipParameters | None = None
    talk_limit_s: float | None = None
    farewell: str | None = None
    script: ScriptImage | None = None
    recordings: tuple[RecordingImage, ...] = ()
    version: int = VERSION


@dataclass(frozen=True, slots=True)
class UnansweredCall:
    """A call that nobody has answered yet, with which all that can be done is to end it in order."""

    sid: str
    invite: UnansweredImage
    is_unanswered: bool = True
    version: int = VERSION


def unanswered_image_of(call: "Call") -> UnansweredCall | None:
    """None while its peer has not heard of it, and once it is answered."""
    invite = call.leg.unanswered()
    return None if invite is None or call.over.is_set() else UnansweredCall(call.record.sid, invite)


def image_of(call: "Call") -> CallImage | None:
    """The image of `call`; None while its leg is not established, or while anything is under way in it."""
    if call.leg.phase is not LegPhase.ESTABLISHED or call.over.is_set():
        return None
    leg = call.leg.image()
    if leg is None:
        return None
    recorded, script = call.recorded, call.script.image()
    return CallImage(
        sid=call.record.sid,
        account_sid=call.account.sid,
        leg=leg,
        party=call.party,
        recorded=SessionMark(recorded.session_id, recorded.started_at, recorded.group_id, recorded.joined_at),
        callbacks=call.callbacks.image(),
        is_resumable=script is not None or not call.script.is_running,
        sip_parameters=call.sip_parameters,
        talk_limit_s=call.talk_limit_s,
        farewell=call.farewell,
        script=script,
        recordings=call.streams.images(),
    )


def encode(image: CallImage | UnansweredCall) -> bytes:
    """The image as octets; its secrets stand in them in clear."""
    return _ENCODER.encode(image)


def decode(octets: bytes) -> CallImage | UnansweredCall:
    """Raises ImageError."""
    try:
        kind = _KIND.decode(octets)
        if kind.version != VERSION:
            raise ImageError("an image of another version")
        return _UNANSWERED.decode(octets) if kind.is_unanswered else _DECODER.decode(octets)
    except (msgspec.MsgspecError, ValueError) as error:  # UnicodeDecodeError, of a text that is none
        raise ImageError(str(error)) from error


class _Kind(msgspec.Struct):
    version: int
    is_unanswered: bool = False


def _reveal(value: Any) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    raise NotImplementedError(f"no octets for {type(value).__name__}")


def _conceal(kind: type, value: Any) -> Any:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise TypeError(f"no {kind.__name__} from {type(value).__name__}")


_ENCODER = msgspec.msgpack.Encoder(enc_hook=_reveal)
_DECODER = msgspec.msgpack.Decoder(CallImage, dec_hook=_conceal)
_UNANSWERED = msgspec.msgpack.Decoder(UnansweredCall)
_KIND = msgspec.msgpack.Decoder(_Kind)
