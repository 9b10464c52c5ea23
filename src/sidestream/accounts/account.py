"""An account and the numbers it owns."""

from dataclasses import dataclass, field

from sidestream.sdp.security import MediaSecurity


@dataclass(frozen=True, slots=True)
class VoiceSettings:
    """What a number does with an incoming call: a voice URL or inline TwiML, and where its progress is reported."""

    url: str | None = None
    method: str = "POST"
    fallback_url: str | None = None
    fallback_method: str = "POST"
    twiml: str | None = None
    status_callback: str | None = None
    status_callback_method: str = "POST"
    status_callback_events: tuple[str, ...] = ("completed",)


@dataclass(frozen=True, slots=True)
class Number:
    """A phone number or SIP user that callers dial; `address` is compared with the user part of the Request-URI.

    The address `*` takes every call that no other number of the account takes. `media_security` goes before that of the
    trunk that calls.
    """

    address: str
    account_sid: str
    voice: VoiceSettings
    media_security: MediaSecurity | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """An account: `sid` is AC + 32 hex digits, `auth_token` 32 alphanumeric characters."""

    sid: str
    auth_token: str = field(repr=False)
    friendly_name: str = ""
