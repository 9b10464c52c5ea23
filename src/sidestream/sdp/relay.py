"""One leg's description, made over for the other leg of a B2BUA whose media path lies in between."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from sidestream.sdp.content import REMEMBERED_CONTENTS, RTP_PROTOCOL, SRTP_PROTOCOL, MediaContent
from sidestream.sdp.crypto import Crypto
from sidestream.sdp.direction import Direction
from sidestream.sdp.formats import Format
from sidestream.sdp.lines import DIRECTION_NAMES, Line, Origin, connection_line, without_attributes
from sidestream.sdp.media import MediaDescription
from sidestream.sdp.numbering import numbered_as_known, numbered_as_offered, with_both_laws
from sidestream.sdp.offer import RTCP_MUX
from sidestream.sdp.session import SessionDescription

# Attributes that speak of one hop: its addresses, keys, transport, recording state or m-line bundles. The next hop has
# its own. RFC 7866 §7.3.1 forbids a blind copy of record; RFC 4574 labels are valid within one message.
HOP_ATTRIBUTES = frozenset(
    {
        "bundle-only",
        "candidate",
        "connection",
        "crypto",
        "end-of-candidates",
        "fingerprint",
        "group",
        "ice-lite",
        "ice-mismatch",
        "ice-options",
        "ice-pacing",
        "ice-pwd",
        "ice-ufrag",
        "key-mgmt",
        "label",
        "mid",
        "record",
        "recordpref",
        "remote-candidates",
        "rtcp",
        "rtcp-fb",  # RFC 4585 §4.2: of the profiles with early feedback, which we do not offer
        "rtcp-mux",
        "rtcp-mux-only",
        "rtcp-rsize",  # RFC 5506 §5: what our own RTCP is, nobody has asked
        "rtcp-xr",  # RFC 3611 §5: reports that we do not make
        "setup",
        "ssrc",  # RFC 5576: the numbers of the other leg's streams, which need not be ours
        "ssrc-group",
        "tls-id",
    }
)
_NO_CRYPTOS: Mapping[int, tuple[Crypto, ...]] = MappingProxyType({})
_HOP_LINES = frozenset({"o", "c", "k"})  # k: a key in clear text, obsolete since RFC 8866 §5.12


def relayed(
    description: SessionDescription,
    host: str,
    ports: Mapping[int, int],
    origin: Origin,
    *,
    offered: SessionDescription | None = None,
    known: Sequence[Format] = (),
    cryptos: Mapping[int, tuple[Crypto, ...]] = _NO_CRYPTOS,
    muxed: Collection[int] = (),
) -> SessionDescription:
    """`description` of one leg for the other: same codecs, order and unknown lines; our o=, c=, ports.

    `ports`: m-line index → our RTP port toward the receiver of the result. Lines without one, and those that are no
    audio by RTP, get port 0. For an answer pass the offer it goes back to as `offered`: m-lines that the answer
    lacks are added refused and those that it has too many are dropped, so that RFC 3264 §6 holds, and payload types
    are those of the offer. In an offer they stay, but for codecs that the receiver has heard of under other numbers in
    this session: those are `known`. With one law of G.711 it offers the other too.
    `cryptos`: m-line index → our keys toward the receiver. Such a line goes by SRTP, the others by plain RTP, whatever
    the description says: each leg has its own security. `muxed`: the m-lines whose port RTCP shares on this hop.
    """
    media = []
    for index, line in enumerate(description.media if offered is None else offered.media):
        port = ports.get(index)
        if not port or index >= len(description.media) or not description.media[index].is_rtp_audio:
            media.append(line.refused())
            continue
        content = description.media[index].content
        hop = _Hop(_hold(description, index), index in muxed, cryptos.get(index, ()))
        is_lasting = content.is_lasting and not hop.cryptos
        if offered is None:
            made: MediaContent | None = (_offering if is_lasting else _offering.__wrapped__)(content, hop, tuple(known))
        else:
            is_lasting = is_lasting and line.content.is_lasting
            made = (_answering if is_lasting else _answering.__wrapped__)(content, hop, line.content)
        media.append(line.refused() if made is None else MediaDescription.of(made, port))
    return SessionDescription(_session_lines(description, host, origin), tuple(media))


def _session_lines(description: SessionDescription, host: str, origin: Origin) -> tuple[Line, ...]:
    kept = [line for line in without_attributes(description.lines, HOP_ATTRIBUTES) if line[0] not in _HOP_LINES]
    kinds = [kind for kind, _ in kept]
    ours, connection = Line("o", str(origin)), connection_line(host)
    if kinds == ["v", "s", "t"]:
        return (kept[0], ours, kept[1], connection, kept[2])  # as nearly everybody writes it
    head = [line for line in kept if line[0] in "vs"]
    if "s" not in kinds:
        head.append(Line("s", "-"))  # RFC 8866 §5.3: s= is mandatory; the peer left it out
    # RFC 8866 §5: v o s i u e p c b t … a. Everything of the session before c= in that order is i, u, e, p.
    before = [line for line in kept if line[0] in "iuep"]
    after = [line for line in kept if line[0] not in "vsiuep"]
    if "t" not in kinds:
        position = sum(line[0] == "b" for line in after)
        after.insert(position, Line("t", "0 0"))
    return (head[0], ours, *head[1:], *before, connection, *after)


class _Hop(NamedTuple):
    """What one hop adds to a medium. `hold`: the direction that was said by an address, which goes."""

    hold: Direction | None
    is_muxed: bool
    cryptos: tuple[Crypto, ...]


def _hold(description: SessionDescription, index: int) -> Direction | None:
    connection = description.connection(index)
    return description.direction(index) if connection is not None and connection.is_hold else None


# What one phone says becomes the same for the other in every call, but for keys.
@lru_cache(REMEMBERED_CONTENTS)
def _offering(content: MediaContent, hop: _Hop, known: tuple[Format, ...]) -> MediaContent:
    return with_both_laws(numbered_as_known(_relayed(content, hop), known))


@lru_cache(REMEMBERED_CONTENTS)
def _answering(content: MediaContent, hop: _Hop, offered: MediaContent) -> MediaContent | None:
    """`content` for the m-line that it answers, with its profile; None if it is of the other kind."""
    made = _relayed(content, hop)
    if offered.is_secure is not made.is_secure:
        return None
    # RFC 5124 §3.3.1: the answer has the profile of the offer.
    return replace(numbered_as_offered(made, offered), protocol=offered.protocol)


def _relayed(content: MediaContent, hop: _Hop) -> MediaContent:
    lines = [line for line in without_attributes(content.lines, HOP_ATTRIBUTES) if line[0] not in _HOP_LINES]
    if hop.hold is not None:
        # Our own address stands in its place, so the hold that it meant has to be said by direction.
        lines = [line for line in lines if line.value.strip() not in DIRECTION_NAMES]
        lines.append(Line("a", hop.hold.value))
    lines += [crypto.to_line() for crypto in hop.cryptos]
    lines += [RTCP_MUX] if hop.is_muxed else []
    protocol = SRTP_PROTOCOL if hop.cryptos else RTP_PROTOCOL
    return MediaContent(content.media, protocol, content.formats, tuple(lines))
