"""What a recording session wants done (actions, in order) and what its owner should know (events)."""

from dataclasses import dataclass

from sidestream.sdp.formats import Format
from sidestream.sdp.keying import Keying
from sidestream.sdp.remote import RemoteAddress
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr
from sidestream.siprec.failure import SrsFailure

HeaderList = tuple[tuple[str, str], ...]
Params = tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class SendInvite:
    """Start the SIP session; its agent events belong to this machine from then on."""

    target: Uri
    from_: NameAddr
    to: NameAddr
    headers: HeaderList
    content_type: str | None
    body: bytes
    contact_params: Params


@dataclass(frozen=True, slots=True)
class SendAck:
    """Acknowledge the last 2xx. There is no body: our INVITEs carry the offer."""


@dataclass(frozen=True, slots=True)
class SendReinvite:
    headers: HeaderList
    content_type: str | None
    body: bytes
    contact_params: Params


@dataclass(frozen=True, slots=True)
class SendCancel:
    """Give up the unanswered INVITE; a 2xx that crosses is acknowledged and ended by BYE."""


@dataclass(frozen=True, slots=True)
class SendBye:
    headers: HeaderList = ()
    content_type: str | None = None
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Respond:
    """Answer the peer's re-INVITE."""

    status: int
    headers: HeaderList = ()
    content_type: str | None = None
    body: bytes = b""
    contact_params: Params = ()


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """Answer another request of the peer inside the session; its Contact is that of the session (C1)."""

    request_id: str
    status: int
    headers: HeaderList = ()
    content_type: str | None = None
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class ConfigureFork:
    """Point the fork of this label at `remote` and let it send `formats`, or keep it silent. `keying`: None is RTP."""

    label: str
    remote: RemoteAddress | None
    active: bool
    formats: tuple[Format, ...]
    keying: Keying | None = None


Action = SendInvite | SendAck | SendReinvite | SendCancel | SendBye | Respond | AnswerRequest | ConfigureFork


@dataclass(frozen=True, slots=True)
class Started:
    """The recording server accepted. `refused`: labels of the streams that it did not take (B39)."""

    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """This server does not record, or does no longer. Do next: try another one. Final."""

    failure: SrsFailure


@dataclass(frozen=True, slots=True)
class Stopped:
    """The session ended as somebody wanted. Final."""

    by_server: bool


@dataclass(frozen=True, slots=True)
class UpdateRefused:
    """The server refused a re-INVITE; the session goes on as before and the newest state is sent later (B17)."""

    status: int | None


SrcEvent = Started | Failed | Stopped | UpdateRefused
