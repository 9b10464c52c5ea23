"""What a refused or lost recording session is called in the error dictionary."""

from dataclasses import dataclass

UNKNOWN = 31900
UNREACHABLE = 31904  # its name leads to no server, or no route to it
TLS_FAILED = 31910
TIMEOUT = 31901
REFUSED = 31902  # the transport could not reach the server
BROKEN = 31903  # the server accepted the session and no longer knows it
SIP_ERROR = 32011
BAD_SDP = 32102
AUTHENTICATION = 32106
SECURE_MEDIA_REQUIRED = 32208

# SIP status → code; any other final status is SIP_ERROR. 488 and 606 speak of our offer, not of a bad answer.
_CODE_OF_STATUS = {
    401: AUTHENTICATION,
    407: AUTHENTICATION,
    408: TIMEOUT,  # RFC 3261 §8.1.3.1: what a timed-out transaction counts as
    504: TIMEOUT,
}


# How the wire's reasons begin (`wire.tls.reason_of`, `wire.resolver.Located`); any other is REFUSED.
_CODE_OF_REASON = {"TLS": TLS_FAILED, "DNS": UNREACHABLE}


@dataclass(frozen=True, slots=True)
class SrsFailure:
    """Why one recording server did not record. `message` is fit for the status callback; `status` is its SIP answer."""

    code: int
    message: str
    status: int | None = None


def failure_of_status(status: int, reason: str) -> SrsFailure:
    """The failure that a final response above 299 to our INVITE means."""
    words = "".join(character for character in reason if character.isprintable())[:80]
    message = f"The recording server answered {status} {words}".rstrip()
    return SrsFailure(_CODE_OF_STATUS.get(status, SIP_ERROR), message, status)


def failure_to_reach(reason: str) -> SrsFailure:
    """The failure that the wire's `reason` means, which may be empty."""
    code = _CODE_OF_REASON.get(reason.partition(":")[0].partition(" ")[0], REFUSED)
    return SrsFailure(code, f"The recording server cannot be reached{': ' if reason else ''}{reason}")
