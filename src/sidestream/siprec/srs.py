"""The recording server's rules: what is a recording session, and how to answer it (RFC 7866 §6.2, §7.2, §8.4)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from sidestream.sdp.answer import NO_CRYPTOS, agreed_formats, answered_with
from sidestream.sdp.crypto import Crypto
from sidestream.sdp.direction import Direction
from sidestream.sdp.formats import PCMA, PCMU, TELEPHONE_EVENT, Format
from sidestream.sdp.lines import Origin
from sidestream.sdp.media import MediaDescription
from sidestream.sdp.offer import AudioLine, media_of, session_lines
from sidestream.sdp.session import SessionDescription
from sidestream.sip.errors import MessageError
from sidestream.sip.message import Request
from sidestream.siprec.body import RecordingBody, parse_body

# S2, RFC 7866 §6.2: the feature tag in each Contact of the server.
CONTACT_PARAMS: tuple[tuple[str, str | None], ...] = (("+sip.srs", None),)
OPTION_TAG = "siprec"
# What the reference recorder can write to a file.
RECORDED_FORMATS: tuple[Format, ...] = (PCMU, PCMA, Format(101, TELEPHONE_EVENT, 8000, fmtp="0-16"))

_SRC_TAGS = ("+sip.src", "src")  # I4: some products leave the prefix out


class Kind(Enum):
    RECORDING = auto()  # answer it as a recorder
    ORDINARY = auto()  # no recording session: refuse or handle it by policy (S28)


@dataclass(frozen=True, slots=True)
class Classification:
    """What an INVITE is. `missing`: the signs of a recording session that it lacks; `body`: what it carries."""

    kind: Kind
    missing: tuple[str, ...]
    body: RecordingBody


def classify(request: Request, *, strict: bool = False) -> Classification:
    """Whether an INVITE begins a recording session.

    S1, RFC 7866 §6.2: the Contact has `+sip.src` and the option tag `siprec` is there. Unless `strict`, one of the two
    with a recording body is enough, for several products miss the other.
    """
    body = parse_body(request)
    missing = []
    if not _has_source_tag(request):
        missing.append("+sip.src")
    if OPTION_TAG not in _option_tags(request):
        missing.append(OPTION_TAG)
    has_recording_body = body.sdp is not None and body.metadata is not None
    is_recording = not missing or (not strict and len(missing) == 1 and has_recording_body)
    return Classification(Kind.RECORDING if is_recording else Kind.ORDINARY, tuple(missing), body)


def answer(
    offered: SessionDescription,
    *,
    host: str,
    ports: Mapping[int, int],
    origin: Origin,
    ready: bool = True,
    formats: Sequence[Format] = RECORDED_FORMATS,
    name: str = "Sidestream",
    cryptos: Mapping[int, Crypto] = NO_CRYPTOS,
) -> SessionDescription | None:
    """The recorder's answer, to be sent as plain `application/sdp` (S26); None when no line can be recorded (488).

    `ports`: m-line index (see `sdp.answer.usable_lines`) → our RTP port. `origin` is our own (S31). `ready` False
    answers `inactive` for now (S5). One codec a line is chosen, so that the client cannot switch, and events with it.
    `cryptos`: m-line index → our key of an SRTP line (S13); such a line without one is refused.
    """
    # S6, RFC 7866 §8.3.1: every m-line in order, refused ones with port 0. S7: any number of audio lines.
    media = []
    for index, line in enumerate(offered.media):
        has_keys = not line.is_secure or index in cryptos
        chosen = chosen_formats(line, formats) if index in ports and has_keys and line.is_rtp_audio else ()
        # S14, S15: the label is repeated; its absence is no reason to refuse.
        if chosen:
            media.append(_recorded(offered, index, ports[index], chosen, cryptos.get(index), ready=ready))
        else:
            media.append(line.refused())
    if all(line.is_refused for line in media):
        return None
    # S31: an o= line of our own and one c= line that covers each m-line.
    return SessionDescription(session_lines(host, origin, name), tuple(media))


def chosen_formats(offered: MediaDescription, supported: Sequence[Format] = RECORDED_FORMATS) -> tuple[Format, ...]:
    """The offer's first codec that we support, with the events of its clock rate; () when there is none."""
    agreed = agreed_formats(offered, supported)
    codec = next((format_ for format_ in agreed if format_.is_audio_codec), None)
    if codec is None:
        return ()
    events = (f for f in agreed if f.encoding == TELEPHONE_EVENT and f.clock_rate == codec.clock_rate)
    return (codec, *list(events)[:1])


def _recorded(
    offered: SessionDescription,
    index: int,
    port: int,
    formats: tuple[Format, ...],
    crypto: Crypto | None,
    *,
    ready: bool,
) -> MediaDescription:
    line = offered.media[index]
    # S5, RFC 7866 §7.2: recvonly whether sendonly or nothing was offered; inactive when either side is not sending yet.
    wanted = Direction.RECVONLY if ready and offered.direction(index).sends else Direction.INACTIVE
    return media_of(AudioLine(port, formats, wanted, line.label, line.protocol, answered_with(line, crypto)))


def _has_source_tag(request: Request) -> bool:
    try:
        contacts = request.contacts
    except MessageError:
        # I4: what cannot be read as an address may still show the tag.
        return any("+sip.src" in value.lower() for value in request.headers.get_all("Contact"))
    # I4: as a parameter of the header field, or inside the brackets as one of the URI.
    return any(
        contact.param(tag) is not None or contact.uri.param(tag) is not None
        for contact in contacts
        for tag in _SRC_TAGS
    )


def _option_tags(request: Request) -> tuple[str, ...]:
    # I5: some clients list siprec in Supported only.
    return request.require + request.supported
