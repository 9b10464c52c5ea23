"""The m-lines of a recording session, as the client offers them and as the server wants them (C10-C14, C42, C43)."""

from collections.abc import Sequence
from dataclasses import dataclass

from sidestream.sdp.answer import agreed_formats
from sidestream.sdp.direction import Direction
from sidestream.sdp.error import SdpError
from sidestream.sdp.formats import Format
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


@dataclass(frozen=True, slots=True)
class LineState:
    """What the server wants on one line. A refused line is one with port 0, or with nothing in common."""

    remote: RemoteAddress | None = None
    active: bool = False
    formats: tuple[Format, ...] = ()
    refused: bool = False


REFUSED = LineState(refused=True)


def offer_of(
    forks: Sequence[OfferedFork], host: str, origin: Origin, states: Sequence[LineState] = ()
) -> SessionDescription:
    """Our offer. `states`: what is agreed so far; a line that the server refused or removed stays at port 0."""
    # C15, RFC 7866 §8.3: an m-line for each direction of the call. C10, RFC 7866 §7.1.1: a label on each.
    # C12, RFC 7866 §7.1.1: sendonly. C14, RFC 3264 §8.2: m-lines stay where they are, removed ones with port 0.
    lines = [AudioLine(fork.port, fork.formats, Direction.SENDONLY, fork.label) for fork in forks]
    description = offer(host, lines, origin, name=SESSION_NAME)
    if not any(state.refused for state in states):
        return description
    media = tuple(
        line.refused() if state.refused else line for line, state in zip(description.media, states, strict=True)
    )
    return SessionDescription(description.lines, media)


def states_of_answer(forks: Sequence[OfferedFork], answer: SessionDescription) -> tuple[LineState, ...]:
    """What the server's answer to our offer means for each fork. Lines that it left out count as refused."""
    return tuple(
        _state(fork, answer, index) if index < len(answer.media) else REFUSED for index, fork in enumerate(forks)
    )


def answer_of(
    forks: Sequence[OfferedFork], offered: SessionDescription, host: str, origin: Origin
) -> tuple[SessionDescription, tuple[LineState, ...]]:
    """Our answer to an offer of the server, and what it means. Raises SdpError (488) when it drops lines of ours."""
    # RFC 3264 §8: an offer has all m-lines of the description before it.
    if len(offered.media) < len(forks):
        raise SdpError("the offer lacks m-lines of the session", status=488)
    states = states_of_answer(forks, offered)
    # C42, RFC 7866 §7.2: the server must not add streams; added m-lines are refused.
    media: list[MediaDescription] = [line.refused() for line in offered.media]
    for index, (fork, state) in enumerate(zip(forks, states, strict=True)):
        if not state.refused:
            # C42, RFC 3264 §6.1: recvonly (or sendrecv) → sendonly, inactive (or sendonly) → inactive.
            direction = Direction.SENDONLY.within(offered.direction(index).reversed)
            media[index] = media_of(AudioLine(fork.port, state.formats, direction, fork.label))
    return SessionDescription(session_lines(host, origin, SESSION_NAME), tuple(media)), states


def _state(fork: OfferedFork, theirs: SessionDescription, index: int) -> LineState:
    media = theirs.media[index]
    # C43, M12: only payload types that both sides gave the same meaning; the forks do not renumber.
    common = agreed_formats(media, fork.formats) if media.is_rtp_audio else ()
    formats = tuple(
        ours
        for ours in fork.formats
        if any(ours.payload_type == f.payload_type and ours.is_same_codec(f) for f in common)
    )
    if not any(format_.is_audio_codec for format_ in formats):
        return REFUSED
    try:
        remote = remote_address(theirs, index)
    except SdpError:
        return REFUSED
    # C43, RFC 7866 §8.3.1: nothing on a line that the server holds.
    return LineState(remote, remote is not None and theirs.direction(index).receives, formats)
