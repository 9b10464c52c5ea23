"""The rules of the session timer (RFC 4028): who refreshes a session, how often, and when it counts as dead."""

from dataclasses import dataclass
from enum import StrEnum

from sidestream.sip.errors import MessageError
from sidestream.sip.message import Request, Response

OPTION_TAG = "timer"
LEAST_INTERVAL = 90  # seconds; RFC 4028 §4: no one may ask for less
LONGEST_MARGIN = 32.0  # seconds before the end of an interval; RFC 4028 §10

Fields = tuple[tuple[str, str], ...]


class Refresher(StrEnum):
    """Who we ask to refresh, where the choice is ours (RFC 4028 §7.1, §9 table 2)."""

    EITHER = "either"  # as the peer wishes; whoever made the request, if it wishes nothing
    US = "us"
    PEER = "peer"


@dataclass(frozen=True, slots=True)
class SessionTimerPolicy:
    """What we ask for. `interval`: seconds between refreshes at most. `least`: a shorter one is answered 422."""

    interval: int = 1800
    least: int = LEAST_INTERVAL
    refresher: Refresher = Refresher.EITHER


@dataclass(frozen=True, slots=True)
class SessionInterval:
    """What the last 2xx agreed on: without a refresh within `seconds` the session is over."""

    seconds: int
    we_refresh: bool

    @property
    def refresh_after(self) -> float:
        """Seconds after which the refresher refreshes."""
        # RFC 4028 §7.2: once half the interval has passed.
        return self.seconds / 2

    @property
    def give_up_after(self) -> float:
        """Seconds after which BYE is sent if no refresh came."""
        # RFC 4028 §10: before the end, by the lesser of 32 s and a third of the interval.
        return self.seconds - min(LONGEST_MARGIN, self.seconds / 3)


def request_fields(policy: SessionTimerPolicy, current: SessionInterval | None, least: int) -> Fields:
    """The fields of an INVITE or UPDATE of ours. `least`: the largest Min-SE that was heard in the session, or 0."""
    least = max(least, policy.least)
    interval = max(least, policy.interval if current is None else current.seconds)
    # RFC 4028 §7.4: the refresher named, so that the roles stay. §7.1: in the first INVITE it may be left open.
    we_refresh = current.we_refresh if current is not None else policy.refresher is Refresher.US
    is_open = current is None and policy.refresher is Refresher.EITHER
    refresher = "" if is_open else f";refresher={'uac' if we_refresh else 'uas'}"
    return ("Session-Expires", f"{interval}{refresher}"), ("Min-SE", str(least))


def is_too_short(request: Request, policy: SessionTimerPolicy) -> bool:
    """Whether the request is to be refused with 422 and our Min-SE (RFC 4028 §9)."""
    asked = request.session_expires
    return asked is not None and asked[0] < policy.least and OPTION_TAG in request.supported


def answer(request: Request, policy: SessionTimerPolicy) -> tuple[SessionInterval | None, Fields]:
    """What our 2xx to an INVITE or UPDATE agrees on, and the fields that say so (RFC 4028 §9)."""
    asked = request.session_expires
    peer_knows = OPTION_TAG in request.supported
    if asked is None:
        if not peer_knows:
            return None, ()
        # RFC 4028 §9: the peer knows timers but wants none; we do, so we refresh, unless we rather would not.
        seconds = max(policy.interval, request.min_se or 0, policy.least)
        refresher = "uac" if policy.refresher is Refresher.PEER else "uas"
    else:
        seconds, wanted = asked
        if seconds < LEAST_INTERVAL:
            return None, ()  # neither may it be raised nor may a peer that does not know timers be told 422
        # RFC 4028 §9: it may be lowered, but not below the Min-SE of the request.
        seconds = min(seconds, max(policy.interval, request.min_se or 0, policy.least))
        # RFC 4028 §9, table 2
        ours = "uas" if policy.refresher is Refresher.US else "uac"
        refresher = "uas" if not peer_knows else wanted if wanted in ("uac", "uas") else ours
    fields: Fields = (("Session-Expires", f"{seconds};refresher={refresher}"),)
    if peer_knows:
        fields = (*fields, ("Require", OPTION_TAG))
    return SessionInterval(seconds, refresher == "uas"), fields


def agreed(request: Request, response: Response) -> SessionInterval | None:
    """What the peer's 2xx to our `request` agrees on (RFC 4028 §7.2)."""
    try:
        granted = response.session_expires
    except MessageError:
        granted = None  # the call stands all the same
    if granted is not None:
        # A refresher that is not named can only be the one who knows of the timer for sure.
        return SessionInterval(max(granted[0], LEAST_INTERVAL), granted[1] != "uas")
    asked = request.session_expires
    # RFC 4028 §7.2: whoever still wants the timer that the peer does not know refreshes the session alone.
    return None if asked is None else SessionInterval(asked[0], we_refresh=True)
