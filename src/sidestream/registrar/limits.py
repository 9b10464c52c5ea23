"""What a registrar allows."""

from dataclasses import dataclass

HOUR = 3600  # RFC 3261 §10.3 item 7: nobody may be refused for an interval of an hour or more


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds a binding may last, and how many there may be. `min_expires` is at most an hour.

    A user who has `contacts` bindings and adds one loses the one that was refreshed longest ago: a phone that comes
    back on another port after each restart must not lock its user out.
    """

    min_expires: int = 60
    max_expires: int = HOUR
    default_expires: int = HOUR
    contacts: int = 10  # of one address-of-record: what a call is forked to at most
    addresses: int = 100_000  # addresses-of-record with bindings
