"""From a host name to the addresses and transports of its servers (RFC 3263), without asking DNS itself.

`locate` is a generator: it yields each `Ask` and is sent the records; what it returns is the list of targets. Whoever
drives it has the socket, the cache and the patience.
"""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate

from sidestream.base.ids import Ids
from sidestream.sip.transport import Destination, Transport

MAX_TARGETS = 16  # of one question: each costs the caller a failure before the next is tried
MAX_RECORDS = 16  # of one answer: bounds the questions that one name can bring about


class RecordType(StrEnum):
    NAPTR = "NAPTR"
    SRV = "SRV"
    A = "A"
    AAAA = "AAAA"


@dataclass(frozen=True, slots=True)
class Naptr:
    """RFC 3403 §4.1; the regular expression is not used by SIP."""

    order: int
    preference: int
    flags: str
    service: str
    replacement: str


@dataclass(frozen=True, slots=True)
class Srv:
    """RFC 2782; `target` is "." where the service is decidedly not offered."""

    priority: int
    weight: int
    port: int
    target: str


Record = Naptr | Srv | str  # a str is an address


@dataclass(frozen=True, slots=True)
class Ask:
    """A question to DNS."""

    name: str
    kind: RecordType


@dataclass(frozen=True, slots=True)
class Question:
    """Where is `host`? `port` and `transport` as the URI names them, None where it does not; `secure`: it is sips."""

    host: str
    port: int | None = None
    transport: Transport | None = None
    secure: bool = False


Offer = tuple[Transport, bool]  # a transport that we speak; whether over IPv6
Search = Generator[Ask, tuple[Record, ...], tuple[Destination, ...]]

# RFC 3263 §4.1, §4.2 and the labels of RFC 2782.
_SERVICES = {"SIP+D2U": Transport.UDP, "SIP+D2T": Transport.TCP, "SIPS+D2T": Transport.TLS}
_PREFIXES = {Transport.UDP: "_sip._udp.", Transport.TCP: "_sip._tcp.", Transport.TLS: "_sips._tcp."}


def locate(question: Question, offers: Sequence[Offer], ids: Ids) -> Search:
    """The targets of `question` in the order to try them; empty if there is none that we can speak to."""
    spoken = tuple(transport for transport in Transport if any(offer[0] is transport for offer in offers))
    transport = question.transport
    if question.secure:
        # RFC 3261 §26.2.2: sips is TLS all the way; transport=tcp says what the TLS runs on.
        spoken = tuple(t for t in spoken if t is Transport.TLS)
        transport = Transport.TLS if transport is Transport.TCP else transport
    if not spoken or (transport is not None and transport not in spoken):
        return ()
    # RFC 3263 §4.1, §4.2: a port in the URI leaves nothing to NAPTR and SRV.
    if question.port is not None:
        return (yield from _addresses(question, transport or spoken[0], question.host, question.port, offers))
    if transport is not None:
        services = [(transport, _PREFIXES[transport] + question.host)]
    else:
        services = (yield from _advertised(question, spoken)) or [(t, _PREFIXES[t] + question.host) for t in spoken]
    exists = False
    found: list[Destination] = []
    for transport, name in services:
        records = [record for record in (yield Ask(name, RecordType.SRV)) if isinstance(record, Srv)]
        exists = exists or bool(records)
        for srv in in_order(records[:MAX_RECORDS], ids):
            if srv.target != "." and len(found) < MAX_TARGETS:
                found += yield from _addresses(question, transport, srv.target, srv.port, offers)
        if found:
            break
    # RFC 3263 §4.2: only where there is no SRV record at all does the name itself count.
    if not exists:
        transport = services[0][0] if question.transport else spoken[0]
        found = list((yield from _addresses(question, transport, question.host, transport.default_port, offers)))
    return tuple(found[:MAX_TARGETS])


def _advertised(
    question: Question, spoken: Sequence[Transport]
) -> Generator[Ask, tuple[Record, ...], list[tuple[Transport, str]]]:
    """What the domain's NAPTR records offer and we speak: transport and name of the SRV records, best first."""
    records = [r for r in (yield Ask(question.host, RecordType.NAPTR)) if isinstance(r, Naptr)]
    usable: list[tuple[Transport, str]] = []
    for naptr in sorted(records, key=lambda r: (r.order, r.preference))[:MAX_RECORDS]:
        transport = _SERVICES.get(naptr.service.upper())
        if transport is None or transport not in spoken:
            continue
        if naptr.flags.lower() == "s" and naptr.replacement not in ("", "."):
            usable.append((transport, naptr.replacement))
    return usable


def _addresses(
    question: Question, transport: Transport, host: str, port: int, offers: Sequence[Offer]
) -> Generator[Ask, tuple[Record, ...], tuple[Destination, ...]]:
    found: list[Destination] = []
    for spoken, ipv6 in dict.fromkeys(offers):
        if spoken is transport:
            records = yield Ask(host, RecordType.AAAA if ipv6 else RecordType.A)
            found += [Destination(transport, r, port, question.host) for r in records if isinstance(r, str)]
    return tuple(found[:MAX_TARGETS])


def in_order(records: Iterable[Srv], ids: Ids) -> list[Srv]:
    """By priority, and among equals drawn by weight (RFC 2782, "Weight")."""
    ordered: list[Srv] = []
    # Those of weight 0 come first, so that they are drawn only by a 0.
    left = sorted(records, key=lambda record: (record.priority, record.weight))
    while left:
        equals = [record for record in left if record.priority == left[0].priority]
        drawn = ids.integer(0, sum(record.weight for record in equals))
        sums = accumulate(record.weight for record in equals)
        record = next(record for record, total in zip(equals, sums, strict=True) if drawn <= total)
        ordered.append(record)
        left.remove(record)
    return ordered
