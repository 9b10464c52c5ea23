"""A TwiML document as values: what the parser yields and `calls` runs, verb by verb.

Every attribute has a value of its own type; what a document leaves out or gets wrong has the default of `twiml.schema`.
URLs are as written: a relative one is to be resolved against the URL of the document.
"""

from dataclasses import dataclass

from sidestream.base.secret import Secret
from sidestream.debugger.alert import Level
from sidestream.sip.uri import Uri


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a document. ERROR: there is no document; WARNING: it runs without the wrong part."""

    code: int  # of debugger.catalog
    level: Level
    message: str
    line: int | None = None  # in the document, from 1


@dataclass(frozen=True, slots=True)
class Say:
    """Speak `text` (white space collapsed, never empty) `loop` times; 0 means until the call ends."""

    text: str
    voice: str | None = None
    language: str | None = None
    loop: int = 1


@dataclass(frozen=True, slots=True)
class Play:
    """Play the audio at `url`, or the DTMF `digits` (`0-9*#A-Dw`) if there are any; `loop` as in Say."""

    url: str
    loop: int = 1
    digits: str | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait `length` seconds."""

    length: int = 1


@dataclass(frozen=True, slots=True)
class Redirect:
    """Go on with the document at `url`; empty means the current document once more."""

    url: str
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Hangup:
    """End the call."""


@dataclass(frozen=True, slots=True)
class Reject:
    """Refuse a call that is not answered yet; `reason` is `rejected` or `busy`."""

    reason: str = "rejected"


@dataclass(frozen=True, slots=True)
class LegCallbacks:
    """Where the progress of a dialled leg is reported, and which of initiated, ringing, answered, completed."""

    url: str
    method: str = "POST"
    events: tuple[str, ...] = ("completed",)


@dataclass(frozen=True, slots=True)
class DialNumber:
    """A phone number without visual separators. It was checked for form only, not that it exists.

    `send_digits` are dialled when it has answered.
    """

    number: str
    callbacks: LegCallbacks | None = None
    send_digits: str | None = None


@dataclass(frozen=True, slots=True)
class DialSip:
    """A SIP address. `uri` has no URI headers and none of Twilio's own parameters; these are in the other fields.

    `headers` are for the INVITE: names allowed, values decoded and free of control characters. `secure`: it
    asks for SRTP (`secure=true`). Whoever cannot do that must refuse, not dial in the clear.
    """

    uri: Uri
    headers: tuple[tuple[str, str], ...] = ()
    username: str | None = None
    password: Secret | None = None
    secure: bool = False
    callbacks: LegCallbacks | None = None


DialTarget = DialNumber | DialSip


@dataclass(frozen=True, slots=True)
class Dial:
    """Call all `targets` and connect the first that answers. `timeout` and `time_limit` in seconds."""

    action: str | None = None
    method: str = "POST"
    timeout: int = 30
    time_limit: int = 14400
    caller_id: str | None = None
    answer_on_bridge: bool = False
    hangup_on_star: bool = False
    targets: tuple[DialTarget, ...] = ()


@dataclass(frozen=True, slots=True)
class SiprecNoun:
    """A `<Siprec>` as written: None where the attribute is missing. The call checks the values, for REST as well."""

    name: str | None = None
    connector_name: str | None = None
    track: str | None = None
    status_callback: str | None = None
    status_callback_method: str | None = None
    parameters: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Start:
    """Start these Siprecs and go on at once."""

    action: str | None = None
    method: str = "POST"
    siprecs: tuple[SiprecNoun, ...] = ()


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop these Siprecs; only `name` counts, and one without a name means the most recent one of the call."""

    siprecs: tuple[SiprecNoun, ...] = ()


Verb = Say | Play | Pause | Redirect | Hangup | Reject | Dial | Start | Stop


@dataclass(frozen=True, slots=True)
class Document:
    """The verbs of a `<Response>`, top to bottom."""

    verbs: tuple[Verb, ...] = ()
