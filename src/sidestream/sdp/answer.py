"""Answers that we give ourselves (RFC 3264 §6), and what an offer or answer means for us."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from sidestream.sdp.crypto import Crypto
from sidestream.sdp.direction import Direction
from sidestream.sdp.formats import Format
from sidestream.sdp.lines import Origin
from sidestream.sdp.media import MediaDescription
from sidestream.sdp.offer import AudioLine, media_of, session_lines
from sidestream.sdp.session import SessionDescription

NO_CRYPTOS: Mapping[int, Crypto] = MappingProxyType({})


def usable_lines(description: SessionDescription) -> tuple[int, ...]:
    """The indices of the m-lines that this platform can carry: audio with a port, by RTP/AVP or with keys."""
    return description.usable_lines


def answer(
    offered: SessionDescription,
    *,
    host: str,
    ports: Mapping[int, int],
    formats: Sequence[Format],
    direction: Direction,
    origin: Origin,
    name: str = "Sidestream",
    cryptos: Mapping[int, Crypto] = NO_CRYPTOS,
    rtcp_mux: bool = False,
) -> SessionDescription | None:
    """Our answer, or None when no line can be accepted (the caller refuses with 488).

    `ports`: m-line index → our RTP port; a line without one is refused, and so is one of SRTP without one of `cryptos`
    (see `keying.answering_crypto`). `direction` is what we want; each line gets as
    much of it as its offer allows. Codecs keep the offer's order and payload types. Labels are echoed. `rtcp_mux`: a
    port that is offered to be shared with RTCP is accepted as that.
    """
    accepted = [
        _line(offered, index, ports, formats, direction, cryptos.get(index), rtcp_mux=rtcp_mux)
        for index in range(len(offered.media))
    ]
    if all(media.is_refused for media in accepted):
        return None
    return SessionDescription(session_lines(host, origin, name), tuple(accepted))


def agreed_formats(offered: MediaDescription, supported: Sequence[Format]) -> tuple[Format, ...]:
    """Those formats of an m-line that we support, in its order and with its payload types; () without a real codec.

    RFC 3264 §6.1: payload types of the offer are kept, so that both directions use one number.
    """
    agreed = []
    for format_ in offered.rtpmaps():
        for ours in supported:
            if format_.is_same_codec(ours):
                agreed.append(format_ if format_.fmtp == ours.fmtp else format_.with_fmtp(ours.fmtp))
                break
    return tuple(agreed) if any(format_.is_audio_codec for format_ in agreed) else ()


def is_held(description: SessionDescription, index: int) -> bool:
    """Whether its describer asks us to send nothing on this line, by direction or by the address 0.0.0.0."""
    return not description.direction(index).receives


def _line(
    offered: SessionDescription,
    index: int,
    ports: Mapping[int, int],
    formats: Sequence[Format],
    direction: Direction,
    crypto: Crypto | None,
    *,
    rtcp_mux: bool,
) -> MediaDescription:
    media = offered.media[index]
    has_keys = not media.is_secure or crypto is not None
    agreed = agreed_formats(media, formats) if media.is_rtp_audio and has_keys and index in ports else ()
    # RFC 3264 §6: the answer has every m-line of the offer, in order; port 0 refuses.
    if not agreed:
        return media.refused()
    # RFC 3264 §6.1: sendonly is answered recvonly or inactive, recvonly by sendonly or inactive.
    allowed = direction.within(offered.direction(index).reversed)
    keys = answered_with(media, crypto)
    mux = rtcp_mux and media.can_mux
    return media_of(AudioLine(ports[index], agreed, allowed, media.label, media.protocol, keys, mux))


def answered_with(offered: MediaDescription, crypto: Crypto | None) -> tuple[Crypto, ...]:
    """The keys of the answer to an m-line: one line for SRTP (RFC 4568 §5.1.2), none for plain RTP."""
    return (crypto,) if offered.is_secure and crypto is not None else ()
