"""Which m-line is which: in an answer and in every later offer a stream is known by its slot (RFC 3264 §6, §8)."""

from dataclasses import replace

from sidestream.sdp.media import MediaDescription
from sidestream.sdp.session import SessionDescription


def answering(description: SessionDescription, offered: SessionDescription) -> SessionDescription:
    """`description`, which comes from somewhere else, with its audio line in the slot that `offered` has for it.

    The other slots are refused. Without a line on either side that can be carried nothing is changed.
    """
    index, slot = _carried(description), _carried(offered)
    if index is None or slot is None:
        return description
    if index < len(offered.media) and offered.media[index].is_rtp_audio:
        slot = index
    return _laid_out(description, description.media[index], offered, slot)


def following(description: SessionDescription, before: SessionDescription) -> SessionDescription:
    """`description` as an offer after `before`, which we sent last in the same dialog; other streams stay refused."""
    index = _carried(description)
    if index is None:
        return description
    slot = _carried(before)
    if slot is None:
        # RFC 3264 §8.1: a slot with port 0 may be used again, for any stream; a new one comes behind the others.
        audio = (i for i, media in enumerate(before.media) if media.media == "audio")
        slot = next(audio, len(before.media))
    return _laid_out(description, description.media[index], before, slot)


def _carried(description: SessionDescription) -> int | None:
    return next((index for index, media in enumerate(description.media) if media.is_rtp_audio), None)


def _laid_out(
    description: SessionDescription, line: MediaDescription, slots: SessionDescription, slot: int
) -> SessionDescription:
    media = [line if index == slot else other.refused() for index, other in enumerate(slots.media)]
    if slot == len(media):
        media.append(line)
    return replace(description, media=tuple(media))
