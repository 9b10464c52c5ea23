"""Payload types of one leg said in those of another: each leg keeps the numbers that it was told first.

RFC 3264 §8.3.2: within a session a number must not come to mean another codec. RFC 3264 §6.1: an answer should have the
numbers of its offer.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from sidestream.sdp.content import MediaContent
from sidestream.sdp.formats import PCMA, PCMU, STATIC_FORMATS, Format
from sidestream.sdp.lines import Line

_DYNAMIC = range(96, 128)  # RFC 3551 §3
_LAWS = (PCMU, PCMA)
_NUMBERED = ("rtpmap", "fmtp")


def numbered_as_offered(answer: MediaContent, offered: MediaContent) -> MediaContent:
    """An answer of one leg for the offer of another: of its formats those that were offered, numbered as there.

    A law of G.711 that was not offered becomes the other, which the media engine converts to. An answer that has no
    codec of the offer at all stays as it is.
    """
    offers = offered.rtpmaps
    numbers: dict[int, Format | None] = {}
    formats = answer.rtpmaps
    for format_ in formats:
        numbers[format_.payload_type] = _counterpart(format_, offers, numbers.values())
    for format_ in formats:
        if numbers[format_.payload_type] is None and (law := other_law(format_)) is not None:
            numbers[format_.payload_type] = _counterpart(law, offers, numbers.values())
    if not any(format_ is not None and format_.is_audio_codec for format_ in numbers.values()):
        return answer
    return _renumbered(answer, numbers)


def numbered_as_known(offer: MediaContent, known: Sequence[Format]) -> MediaContent:
    """An offer of one leg for another that knows `known` from before: a codec keeps the number that it has there."""
    numbers: dict[int, Format | None] = {}
    for format_ in offer.rtpmaps:
        same = _counterpart(format_, known, numbers.values())
        if same is None:
            taken = {one.payload_type for one in (*known, *numbers.values()) if one is not None}
            same = _free(format_, taken)
        else:
            same = same.with_fmtp(format_.fmtp)
        numbers[format_.payload_type] = same
    return _renumbered(offer, numbers)


def with_both_laws(offer: MediaContent) -> MediaContent:
    """An offer with one law of G.711 and the other one as its last codec: the media engine converts between them."""
    added = _missing_law(offer.rtpmaps)
    if added is None or str(added.payload_type) in offer.formats:
        return offer
    codecs = {str(format_.payload_type) for format_ in offer.rtpmaps if format_.is_audio_codec}
    last = max(index for index, token in enumerate(offer.formats) if token in codecs)
    formats = (*offer.formats[: last + 1], str(added.payload_type), *offer.formats[last + 1 :])
    return replace(offer, formats=formats)


def both_laws(formats: Sequence[Format]) -> tuple[Format, ...]:
    """The same for a list of formats."""
    added = _missing_law(formats)
    if added is None or added.payload_type in {format_.payload_type for format_ in formats}:
        return tuple(formats)
    codecs = [format_ for format_ in formats if format_.is_audio_codec]
    return (*codecs, added, *(format_ for format_ in formats if not format_.is_audio_codec))


def other_law(format_: Format) -> Format | None:
    """PCMA for PCMU and the other way round; None for any other codec."""
    for one, other in (_LAWS, _LAWS[::-1]):
        if format_.is_same_codec(one):
            return other
    return None


def pairs(remote: Iterable[Format], local: Sequence[Format]) -> tuple[tuple[Format, Format], ...]:
    """The codecs that two descriptions have in common, as (ours, theirs), in the order of theirs."""
    found: list[tuple[Format, Format]] = []
    left = list(local)
    for theirs in remote:
        ours = _counterpart(theirs, left, ())
        if ours is not None:
            left = [one for one in left if one.payload_type != ours.payload_type]
            found.append((ours, theirs))
    return tuple(found)


def _counterpart(format_: Format, there: Sequence[Format], taken: Iterable[Format | None]) -> Format | None:
    """The same codec there: by the same number, else with the same parameters, else at all; None if it is taken."""
    used = {one.payload_type for one in taken if one is not None}
    same = [one for one in there if one.payload_type not in used and one.is_same_codec(format_)]
    for one in same:
        if one.payload_type == format_.payload_type:
            return one
    for one in same:
        if one.fmtp == format_.fmtp:
            return one
    return same[0] if same else None


def _free(format_: Format, taken: set[int]) -> Format | None:
    """The format with a number that is not taken; None if all are."""
    number = next((n for n in (format_.payload_type, *_DYNAMIC) if n not in taken), None)
    return None if number is None else format_.with_payload_type(number)


def _missing_law(formats: Sequence[Format]) -> Format | None:
    """The law that is not in the list, if the other is."""
    there = [law for law in _LAWS if any(law.is_same_codec(format_) for format_ in formats)]
    return other_law(there[0]) if len(there) == 1 else None


def _renumbered(media: MediaContent, numbers: Mapping[int, Format | None]) -> MediaContent:
    """The m-line with other payload types; formats without one are left out. Lines keep their order."""
    before = {str(format_.payload_type): format_ for format_ in media.rtpmaps}
    if all(f is not None and f.payload_type == n and f.is_same_codec(before[str(n)]) for n, f in numbers.items()):
        return media
    formats: list[str] = []
    added: list[Line] = []
    for token in media.formats:
        if token not in before:
            formats.append(token)
            continue
        after = numbers[int(token)]
        if after is None:
            continue
        formats.append(str(after.payload_type))
        has_map = any(value.split(" ", 1)[0] == token for value in media.attribute_values("rtpmap"))
        if not (has_map and after.is_same_codec(before[token])) and STATIC_FORMATS.get(after.payload_type) != after:
            added.append(Line("a", f"rtpmap:{after.rtpmap}"))
    lines = [line for line in (_line(line, before, numbers) for line in media.lines) if line is not None]
    return replace(media, formats=tuple(formats), lines=(*added, *lines))


def _line(line: Line, before: Mapping[str, Format], numbers: Mapping[int, Format | None]) -> Line | None:
    """A line in the new numbers; None if it was of a format that is gone."""
    name, _, value = line.value.partition(":")
    number, space, rest = value.partition(" ")
    if line.kind != "a" or name not in _NUMBERED or number not in before:
        return line
    after = numbers[int(number)]
    if after is None or not after.is_same_codec(before[number]):
        return None
    return Line("a", f"{name}:{after.payload_type}{space}{rest}")
