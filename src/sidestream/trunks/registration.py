"""Registering with a carrier, as a machine: when to send which REGISTER, and what its answer means (RFC 3261 §10.2)."""

from dataclasses import dataclass
from enum import StrEnum

from sidestream.base.ids import Ids
from sidestream.sip.message import Response
from sidestream.sip.uri import Uri

# RFC 5626 §4.5: waits between attempts, doubled with each failure, then drawn from their upper half.
BACK_OFF_BASE = 30.0
BACK_OFF_LIMIT = 1800.0
# A refusal that says "wrong password" or "no such user" is not worth asking again soon.
REFUSED_BACK_OFF = 600.0
# Of the granted time, after which we refresh: early enough for a few lost attempts, spread so that many do not meet.
REFRESH_SHARE = (0.7, 0.9)
LONGEST_INTERVAL = 86_400 * 7  # seconds; a Min-Expires above is nonsense
LONGEST_RETRY_AFTER = 3600.0  # seconds of a Retry-After that we heed
MAX_STEPS = 3  # answers in a row that ask for another request at once: 423, redirections

_TOO_BRIEF = 423
_MOVED = frozenset({301, 302})
_USE_PROXY = 305
_REFUSALS = frozenset({401, 403, 404, 405, 407, 420, 501})  # of a client that had its chance to answer a challenge


class RegistrationState(StrEnum):
    """How the registration stands."""

    REGISTERING = "registering"  # the first answer is awaited
    REGISTERED = "registered"
    FAILED = "failed"  # waits for the next attempt
    UNREGISTERED = "unregistered"  # stopped


@dataclass(frozen=True, slots=True)
class RegisterRequest:
    """A REGISTER to send: to `registrar`, for `expires` seconds (0 removes our contact), with this CSeq number.

    `proxy` has to be passed on the way (RFC 3261 §21.3.4); None: the registrar is asked directly.
    """

    registrar: Uri
    expires: int
    seq: int
    proxy: Uri | None = None


@dataclass(frozen=True, slots=True)
class RegistrationFailed:
    """Calls to our address do not reach us (any more). `status` None: no answer. `retry_in` seconds."""

    status: int | None
    reason: str
    retry_in: float


@dataclass(frozen=True, slots=True)
class Registered:
    """Calls to our address reach us for `expires` seconds. `again`: this follows a failure, or is the first."""

    expires: int
    again: bool


RegistrationEvent = RegistrationFailed | Registered


class Registration:
    """One address at one registrar. Drain `poll_request` and `poll_event` after each input, then heed `poll_timeout`.

    One request is out at a time: give its final response, or None for none, to `receive_response`.
    """

    def __init__(self, registrar: Uri, expires: int, ids: Ids, now: float) -> None:
        self.state = RegistrationState.REGISTERING
        self.status: int | None = None  # of the last answer
        self.reason = ""
        self.expires_at: float | None = None  # while it holds
        self._home = self._registrar = registrar
        self._proxy: Uri | None = None
        self._wanted = expires
        self._ids = ids
        self._seq = 0
        self._failures = 0
        self._steps = 0
        self._is_out = False
        self._is_stopping = self._is_removing = False
        self._next_at: float | None = now
        self._request: RegisterRequest | None = None
        self._event: RegistrationEvent | None = None

    def poll_request(self) -> RegisterRequest | None:
        request, self._request = self._request, None
        return request

    def poll_event(self) -> RegistrationEvent | None:
        event, self._event = self._event, None
        return event

    def poll_timeout(self) -> float | None:
        """When `handle_timeout` wants to be called, or None."""
        return None if self._is_out else self._next_at

    def handle_timeout(self, now: float) -> None:
        if not self._is_out and self._next_at is not None and self._next_at <= now:
            self._send(self._wanted)

    def stop(self) -> None:
        """Take our contact back, if it may be known; `state` is UNREGISTERED when that is settled."""
        self._is_stopping, self._next_at = True, None
        if self._is_out:
            return  # its answer says whether there is anything to take back
        if self.expires_at is None:
            self.state = RegistrationState.UNREGISTERED
        else:
            self._remove()

    def receive_response(self, response: Response | None, contact: Uri | None, last_seq: int, now: float) -> None:
        """The final response; None if none came. `contact` is what we registered, `last_seq` the number it was last
        sent with, which is higher than that of the request when challenges were answered on the way."""
        self._is_out = False
        self._seq = max(self._seq, last_seq)
        self.status = None if response is None else response.status
        self.reason = "No answer" if response is None else response.reason
        if self._is_stopping:
            self._stopped(response)
        elif response is not None and 200 <= response.status < 300:
            self._accepted(response, contact, now)
        elif response is not None and self._steps < MAX_STEPS and self._may_step(response):
            self._steps += 1
            self._send(self._wanted)
        else:
            self._failed(response, now)

    def _send(self, expires: int) -> None:
        # RFC 3261 §10.2: one higher with each REGISTER of the same Call-ID
        self._seq += 1
        self._is_out, self._next_at = True, None
        self._request = RegisterRequest(self._registrar, expires, self._seq, self._proxy)

    def _remove(self) -> None:
        self._is_removing = True
        self._send(0)

    def _accepted(self, response: Response, contact: Uri | None, now: float) -> None:
        granted = _granted(response, contact, self._wanted)
        again = self.state is not RegistrationState.REGISTERED
        self.state, self.expires_at = RegistrationState.REGISTERED, now + granted
        self._failures = self._steps = 0
        self._next_at = now + granted * self._ids.fraction(*REFRESH_SHARE)
        self._event = Registered(granted, again)

    def _may_step(self, response: Response) -> bool:
        """Whether the answer tells how to do better at once."""
        if response.status == _TOO_BRIEF:
            # RFC 3261 §10.2.8
            least = _number(response.headers.get("Min-Expires"))
            if least is None or not self._wanted < least <= LONGEST_INTERVAL:
                return False
            self._wanted = least
            return True
        if response.status not in _MOVED and response.status != _USE_PROXY:
            return False
        target = next((contact.uri.as_target() for contact in response.contacts if contact.uri.is_sip), None)
        # Never from TLS to something in the clear.
        if target is None or (_is_secure(self._home) and not _is_secure(target)):
            return False
        if response.status == _USE_PROXY:
            self._proxy = target
        else:
            self._registrar, self._proxy = target, None
        return True

    def _failed(self, response: Response | None, now: float) -> None:
        self._steps = 0
        self._registrar, self._proxy = self._home, None
        if self.expires_at is not None and self.expires_at <= now:
            self.expires_at = None
        wait = self._back_off(response)
        if self.expires_at is not None:
            # It still holds: better to ask twice more while it does than to be lost by a long wait.
            wait = min(wait, max((self.expires_at - now) / 2, BACK_OFF_BASE / 2))
        self._failures += 1
        self._next_at = now + wait
        self.state = RegistrationState.FAILED
        self._event = RegistrationFailed(self.status, self.reason, wait)

    def _back_off(self, response: Response | None) -> float:
        if response is not None and response.status in _REFUSALS:
            return self._ids.fraction(REFUSED_BACK_OFF, 2 * REFUSED_BACK_OFF)
        longest = min(BACK_OFF_LIMIT, BACK_OFF_BASE * 2 ** min(self._failures, 10))
        wait = self._ids.fraction(longest / 2, longest)
        if response is not None and response.retry_after is not None:
            return max(wait, min(float(response.retry_after), LONGEST_RETRY_AFTER))
        return wait

    def _stopped(self, response: Response | None) -> None:
        was_accepted = response is not None and 200 <= response.status < 300
        if not self._is_removing and (was_accepted or self.expires_at is not None):
            self._remove()
        else:
            self.state, self.expires_at = RegistrationState.UNREGISTERED, None


def _granted(response: Response, contact: Uri | None, wanted: int) -> int:
    """Seconds that the registrar grants our contact (RFC 3261 §10.2.4)."""
    for listed in response.contacts:
        if contact is not None and listed.uri.equivalent(contact):
            granted = _number(listed.param("expires"))
            if granted:
                return granted
    return _number(response.headers.get("Expires")) or wanted


def _is_secure(uri: Uri) -> bool:
    return uri.scheme == "sips" or (uri.param("transport") or "").lower() in ("tls", "wss")


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdecimal() and len(text) <= 10 else None
