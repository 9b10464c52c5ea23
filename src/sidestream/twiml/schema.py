"""The language as one table: which elements there are, where they may stand, their attributes, defaults and ranges."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

ROOT = "Response"
SECONDS_A_DAY = 86400


class Kind(StrEnum):
    """What the value of an attribute has to look like."""

    TEXT = "text"  # taken as it is; what it means is checked when the verb runs
    URL = "URL"  # without white space around it; relative or absolute
    METHOD = "HTTP method"
    INTEGER = "whole number"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    CHOICES = "list of choices"  # separated by white space
    DIGITS = "DTMF digits"


class TextRule(StrEnum):
    """What text between the tags of an element means."""

    NONE = "none"
    WORDS = "words"  # also the words inside unknown elements, so that mark-up for speech loses no word
    VALUE = "value"


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute. A value that does not fit raises the warning `code` and leaves `default` in place."""

    name: str
    meaning: str
    kind: Kind = Kind.TEXT
    default: str | int | bool | tuple[str, ...] | None = None
    low: int = 0
    high: int = 0
    choices: tuple[str, ...] = ()
    code: int = 12200


@dataclass(frozen=True, slots=True)
class Element:
    """One element. What Twilio knows here and this platform does not support is named, to say so in the warning."""

    name: str
    meaning: str
    attributes: tuple[Attribute, ...] = ()
    children: tuple[str, ...] = ()
    text: TextRule = TextRule.NONE
    unsupported_attributes: tuple[str, ...] = ()
    unsupported_children: tuple[str, ...] = ()


def _method(meaning: str, code: int = 12200) -> Attribute:
    return Attribute("method", meaning, Kind.METHOD, "POST", code=code)


def _loop(what: str) -> Attribute:
    return Attribute("loop", f"how often to {what}; 0: until the call ends", Kind.INTEGER, 1, low=0, high=1000)


_LEG_CALLBACKS = (
    Attribute("statusCallback", "URL told of the leg's progress", Kind.URL),
    Attribute("statusCallbackMethod", "HTTP method of these callbacks", Kind.METHOD, "POST"),
    Attribute(
        "statusCallbackEvent",
        "which progress is told",
        Kind.CHOICES,
        ("completed",),
        choices=("initiated", "ringing", "answered", "completed"),
    ),
)

_DETECTION = (
    *("machineDetection", "machineDetectionTimeout", "machineDetectionSpeechThreshold"),
    *("machineDetectionSpeechEndThreshold", "machineDetectionSilenceTimeout"),
    *("amdStatusCallback", "amdStatusCallbackMethod"),
)

_ELEMENTS = (
    Element(
        ROOT,
        "the document: its verbs run one after the other, and the call ends after the last",
        children=("Dial", "Hangup", "Pause", "Play", "Redirect", "Reject", "Say", "Start", "Stop"),
        unsupported_children=(
            *("Connect", "Echo", "Enqueue", "Gather", "Leave", "Message", "Pay", "Prompt", "Queue", "Record", "Refer"),
            "Sms",
        ),
    ),
    Element(
        "Say",
        "speaks its text",
        (
            Attribute("voice", "voice; one the platform does not know means its default"),
            Attribute("language", "language tag, such as en-GB"),
            _loop("speak it"),
        ),
        text=TextRule.WORDS,
    ),
    Element(
        "Play",
        "plays the audio file at the URL between its tags",
        (
            _loop("play it"),
            Attribute("digits", "digits to dial instead of audio; w waits half a second, W a second", Kind.DIGITS),
        ),
        text=TextRule.VALUE,
    ),
    Element(
        "Pause",
        "waits",
        (Attribute("length", "seconds", Kind.INTEGER, 1, low=0, high=SECONDS_A_DAY, code=13910),),
    ),
    Element(
        "Redirect",
        "goes on with the document at the URL between its tags; empty: the same document again",
        (_method("HTTP method of the request", code=13710),),
        text=TextRule.VALUE,
    ),
    Element("Hangup", "ends the call"),
    Element(
        "Reject",
        "refuses a call that is not answered yet",
        (
            Attribute(
                "reason", "what the caller is told", Kind.CHOICE, "rejected", choices=("rejected", "busy"), code=13810
            ),
        ),
    ),
    Element(
        "Dial",
        "calls somebody and connects the call: a number as text, or nouns, called all at once until one answers",
        (
            Attribute("action", "URL asked for TwiML when the dialled call is over", Kind.URL),
            _method("HTTP method of that request"),
            Attribute("timeout", "seconds to let it ring", Kind.INTEGER, 30, low=1, high=600),
            Attribute("timeLimit", "longest duration in seconds", Kind.INTEGER, 14400, low=1, high=SECONDS_A_DAY),
            Attribute("callerId", "who the called party sees; without it the caller"),
            Attribute("answerOnBridge", "answer the caller only when the called party does", Kind.BOOLEAN, False),
            Attribute("hangupOnStar", "the caller can end the dialled call with *", Kind.BOOLEAN, False),
        ),
        children=("Number", "Sip"),
        text=TextRule.VALUE,
        unsupported_attributes=(
            *("events", "passports", "record", "recordingConfigurationId", "recordingStatusCallback"),
            *("recordingStatusCallbackEvent", "recordingStatusCallbackMethod", "recordingTrack", "referMethod"),
            *("referUrl", "ringTone", "sequential", "trim"),
        ),
        unsupported_children=("Application", "Client", "Conference", "Queue", "Sim", "WhatsApp"),
    ),
    Element(
        "Number",
        "a phone number to dial",
        (
            Attribute(
                "sendDigits", "digits to dial when it has answered; w waits half a second, W a second", Kind.DIGITS
            ),
            *_LEG_CALLBACKS,
        ),
        text=TextRule.VALUE,
        unsupported_attributes=("byoc", "method", "url", *_DETECTION),
    ),
    Element(
        "Sip",
        "a SIP address to dial; headers for the INVITE stand behind its ?, such as `sip:a@b?x-customer=12`",
        (
            Attribute("username", "user name, if the peer asks for credentials"),
            Attribute("password", "its password"),
            *_LEG_CALLBACKS,
        ),
        text=TextRule.VALUE,
        unsupported_attributes=("codecs", "method", "url", *_DETECTION),
    ),
    Element(
        "Start",
        "starts what stands in it and goes on at once",
        (
            Attribute("action", "kept, without effect for `<Siprec>`", Kind.URL),
            _method("HTTP method for `action`"),
        ),
        children=("Siprec",),
        unsupported_children=("Recording", "Stream", "Transcription"),
    ),
    Element(
        "Stop",
        "stops what stands in it",
        children=("Siprec",),
        unsupported_children=("Recording", "Stream", "Transcription"),
    ),
    Element(
        "Siprec",
        "a stream of the call's audio to a recording server; inside `<Stop>` only `name` counts, and without it the "
        "most recent one is stopped",
        (
            Attribute("name", "name by which it can be stopped, unique within the call"),
            Attribute("connectorName", "connector that holds the recording server; without it `Default`"),
            Attribute("track", "`inbound_track`, `outbound_track` or `both_tracks`; without it both"),
            Attribute("statusCallback", "absolute URL told when it starts, stops or fails"),
            Attribute("statusCallbackMethod", "GET or POST; without it POST"),
        ),
        children=("Parameter",),
    ),
    Element(
        "Parameter",
        "a value that goes to the recording server with the metadata",
        (
            Attribute("name", "what the recording server knows it by"),
            Attribute("value", "its value; empty if missing"),
        ),
    ),
)

SCHEMA: Mapping[str, Element] = MappingProxyType({element.name: element for element in _ELEMENTS})
