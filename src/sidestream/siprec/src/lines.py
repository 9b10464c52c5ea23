"""The m-lines of a recording session, as the client offers them and as the server wants them (C10-C14, C42, C43)."""

from collections.abc import Sequence
from dataclasses import dataclass

from sidestream.base.ids import Ids
from sidestream.sdp.answer import agreed_formats
from sidestream.sdp.content import RTP_PROTOCOL, SRTP_PROTOCOL
from sidestream.sdp.crypto import Crypto
from sidestream.sdp.direction import Direction
from sidestream.sdp.error import SdpError
from sidestream.sdp.formats import Format
from sidestream.sdp.keying import Keying, answering_crypto, keying
from sidestream.sdp.lines import Origin
from sidestream.sdp.media import MediaDescription
from sidestream.sdp.offer import AudioLine, media_of, offer, session_lines
from sidestream.sdp.remote import RemoteAddress, remote_address
from sidestream.sdp.session import SessionDescription

SESSION_NAME = "Sidestream"


@dataclass(frozen=True, slots=True)
class OfferedFork:
    """One forked stream: its label, the stream id of its metadata, our RTP port and what it can send."""

    label: str
    stream_id: str
    port: int
    formats: tuple[Format, ...]


# M2: the keys that are offered on one line, best suite first; none on a line of plain RTP.
Cryptos = tuple[Crypto, ...]


@dataclass(frozen=True, slots=True)
class LineState:
    """What the server wants on one line. A refused line is one with port 0, or with nothing in common.

    `keying`: what an SRTP line is protected with; None on a line of plain RTP.
    """

    remote: RemoteAddress | None = None
    active: bool = False
    formats: tuple[Format, ...] = ()
    refused: bool = False
    keying: Keying | None = None


REFUSED = LineState(refused=True)


def offer_of(
    forks: Sequence[OfferedFork],
    host: str,
    origin: Origin,
    states: Sequence[LineState] = (),
    cryptos: Sequence[Cryptos] = (),
) -> SessionDescription:
    """Our offer. `states`: what is agreed so far; a line that the server refused or removed stays at port 0.

    `cryptos`: the keys of each line; without any the offer is of plain RTP. M1: there is no mixture.
    """
    # C15, RFC 7866 §8.3: an m-line for each direction of the call. C10, RFC 7866 §7.1.1: a label on each.
    # C12, RFC 7866 §7.1.1: sendonly. C14, RFC 3264 §8.2: m-lines stay where they are, removed ones with port 0.
    protocol = SRTP_PROTOCOL if cryptos else RTP_PROTOCOL
    lines = [
        AudioLine(fork.port, fork.formats, Direction.SENDONLY, fork.label, protocol, keys)
        for fork, keys in zip(forks, cryptos or [()] * len(forks), strict=True)
    ]
    description = offer(host, lines, origin, name=SESSION_NAME)
    if not any(state.refused for state in states):
        return description
    media = tuple(
        line.refused() if state.refused else line for line, state in zip(description.media, states, strict=True)
    )
    return SessionDescription(description.lines, media)


def states_of_answer(
    forks: Sequence[OfferedFork], offered: SessionDescription, answer: SessionDescription
) -> tuple[LineState, ...]:
    """What the server's answer to our offer means for each fork. Lines that it left out count as refused."""
    return tuple(
        _state(fork, offered.media[index], answer, index) if index < len(answer.media) else REFUSED
        for index, fork in enumerate(forks)
    )


def answer_of(
    forks: Sequence[OfferedFork],
    offered: SessionDescription,
    host: str,
    origin: Origin,
    *,
    states: Sequence[LineState] = (),
    cryptos: Sequence[Cryptos] = (),
    ids: Ids,
) -> tuple[SessionDescription, tuple[LineState, ...]]:
    """Our answer to an offer of the server, and what it means. Raises SdpError (488) when it drops lines of ours.

    `states` and `cryptos`: as in `offer_of`. `ids`: for new keys.
    """
    # RFC 3264 §8: an offer has all m-lines of the description before it.
    if len(offered.media) < len(forks):
        raise SdpError("the offer lacks m-lines of the session", status=488)
    # C42, RFC 7866 §7.2: the server must not add streams; added m-lines are refused.
    media: list[MediaDescription] = [line.refused() for line in offered.media]
    answered = []
    for index, fork in enumerate(forks):
        old = states[index] if states else LineState()
        line = _answering(fork, offered, index, old, cryptos[index] if cryptos else (), ids)
        state = _state(fork, line, offered, index)
        if not state.refused:
            media[index] = line
        answered.append(state)
    return SessionDescription(session_lines(host, origin, SESSION_NAME), tuple(media)), tuple(answered)


def kept_cryptos(local: MediaDescription, state: LineState, before: Cryptos) -> Cryptos:
    """What the next offer of a line holds: the agreed key alone (M4), or what was offered while nothing is agreed."""
    if state.keying is None:
        return before
    return tuple(crypto for crypto in local.cryptos if crypto.key == state.keying.send)


def _answering(
    fork: OfferedFork, offered: SessionDescription, index: int, old: LineState, cryptos: Cryptos, ids: Ids
) -> MediaDescription:
    """Our half of one m-line of the server's offer, should it be taken."""
    media = offered.media[index]
    keys: Cryptos = ()
    protocol = RTP_PROTOCOL
    if cryptos:
        # B35: an offer of plain RTP does not make us fall back to it.
        protocol = SRTP_PROTOCOL
        # M4, RFC 4568 §7.1.4: who has moved may be another, which knows nothing of our packets so far: a new key.
        moved = _remote(offered, index) != old.remote
        crypto = answering_crypto(
            media, ids, mine=() if moved else cryptos, suites=tuple(crypto.key.suite for crypto in cryptos)
        )
        if crypto is not None:
            keys, protocol = (crypto,), media.protocol
    # C42, RFC 3264 §6.1: recvonly (or sendrecv) → sendonly, inactive (or sendonly) → inactive.
    direction = Direction.SENDONLY.within(offered.direction(index).reversed)
    return media_of(AudioLine(fork.port, _common(fork, media), direction, fork.label, protocol, keys))


def _state(fork: OfferedFork, ours: MediaDescription, theirs: SessionDescription, index: int) -> LineState:
    media = theirs.media[index]
    formats = _common(fork, media)
    if not any(format_.is_audio_codec for format_ in formats):
        return REFUSED
    # M3, RFC 4568 §5.1.3: without a key that fits, and in the other profile, the line cannot be used.
    agreed = keying(ours, media)
    if ours.is_secure is not media.is_secure or (ours.is_secure and agreed is None):
        return REFUSED
    try:
        remote = remote_address(theirs, index)
    except SdpError:
        return REFUSED
    # C43, RFC 7866 §8.3.1: nothing on a line that the server holds.
    active = remote is not None and theirs.direction(index).receives
    return LineState(remote, active, formats, keying=agreed)


def _common(fork: OfferedFork, theirs: MediaDescription) -> tuple[Format, ...]:
    # C43, M12: only payload types that both sides gave the same meaning; the forks do not renumber.
    common = agreed_formats(theirs, fork.formats) if theirs.is_rtp_audio else ()
    return tuple(
        ours
        for ours in fork.formats
        if any(ours.payload_type == f.payload_type and ours.is_same_codec(f) for f in common)
    )


def _remote(description: SessionDescription, index: int) -> RemoteAddress | None:
    try:
        return remote_address(description, index)
    except SdpError:
        return None
