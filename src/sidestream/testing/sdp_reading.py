"""What a session description reads as and is made into: the short way of reading and the reference have to agree."""

from collections.abc import Callable

from sidestream.sdp.answer import answer
from sidestream.sdp.direction import Direction
from sidestream.sdp.error import SdpError
from sidestream.sdp.lines import Origin, attribute_values, connection_in, direction_in
from sidestream.sdp.relay import relayed
from sidestream.sdp.remote import remote_address
from sidestream.sdp.session import SIZE_LIMIT, SessionDescription

HOST, ORIGIN = "192.0.2.1", Origin("-", 1, 1, "192.0.2.1")
Reading = dict[str, object]


def readings(data: bytes) -> tuple[Reading, Reading]:
    """What `parse`, and what it remembers, makes of `data`; and the same read line by line, with nothing remembered."""
    return reading(SessionDescription.parse, data), reading(_by_line, data)


def reading(parse: Callable[[bytes], SessionDescription], data: bytes) -> Reading:
    """Everything that can be seen of the description, or that calls make of it."""
    try:
        description = parse(data)
    except SdpError as error:
        return {"refused": (str(error), error.line, error.status)}
    count = range(len(description.media))
    usable = description.usable_lines
    seen: Reading = {
        "lines": description.lines,
        "media": description.media,
        "usable": usable,
        "written": description.to_bytes(),
        "directions": [description.direction(index) for index in count],
        "remotes": [_attempt(lambda index=index: remote_address(description, index)) for index in count],  # type: ignore[misc]
        "formats": [media.rtpmaps() for media in description.media],
        "keys": [media.cryptos for media in description.media],
    }
    for media in description.media:
        assert (media.direction, media.connection) == (direction_in(media.lines), connection_in(media.lines))
        for name in ("rtcp", "rtcp-mux", "label", "rtpmap", "fmtp", "crypto", "ptime"):
            assert media.attribute_values(name) == attribute_values(media.lines, name)
    ports = {index: 4000 + 2 * index for index in usable}
    supported = [format_ for index in ports for format_ in description.media[index].rtpmaps()]
    seen["offered on"] = relayed(description, HOST, ports, ORIGIN, muxed=usable).to_bytes()
    seen["offered again"] = relayed(description, HOST, ports, ORIGIN, known=supported).to_bytes()
    seen["answered with"] = relayed(description, HOST, ports, ORIGIN, offered=description).to_bytes()
    answered = answer(
        description, host=HOST, ports=ports, formats=supported, direction=Direction.SENDRECV, origin=ORIGIN
    )
    seen["answer"] = answered and answered.to_bytes()
    return seen


def _by_line(data: bytes) -> SessionDescription:
    if len(data) > SIZE_LIMIT:
        return SessionDescription.parse(data)  # which says that it is too long
    return SessionDescription.parse_by_line(data.decode("utf-8", "surrogateescape"))


def _attempt(read: Callable[[], object]) -> object:
    try:
        return read()
    except SdpError as error:
        return str(error)
