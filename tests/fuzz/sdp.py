"""Any session description: read or refused. What is read reads back, and an answer and a relayed offer can be made.

The short way of reading and the one by lines have to agree in all of it, whatever was read and remembered before.
"""

from contextlib import suppress

from fuzzing import fuzz, instrumented

with instrumented():
    from sidestream.sdp.answer import answer, usable_lines
    from sidestream.sdp.direction import Direction
    from sidestream.sdp.error import SdpError
    from sidestream.sdp.lines import Origin
    from sidestream.sdp.relay import relayed
    from sidestream.sdp.remote import remote_address
    from sidestream.sdp.session import SessionDescription
    from sidestream.testing.sdp_reading import readings

HOST, ORIGIN = "192.0.2.1", Origin.parse("- 1 1 IN IP4 192.0.2.1")


def take(data: bytes) -> None:
    ours, reference = readings(data)
    assert ours == reference
    try:
        description = SessionDescription.parse(data)
    except SdpError:
        return
    assert SessionDescription.parse(description.to_bytes()) == description
    ports = {index: 4000 + 2 * index for index in usable_lines(description)}
    formats = [format_ for index in ports for format_ in description.media[index].rtpmaps()]
    for index in ports:
        with suppress(SdpError):
            remote_address(description, index)
    made = [relayed(description, HOST, ports, ORIGIN, offered=description)]
    made.append(
        answer(description, host=HOST, ports=ports, formats=formats, direction=Direction.SENDRECV, origin=ORIGIN)
    )
    for one in filter(None, made):
        assert len(SessionDescription.parse(one.to_bytes()).media) == len(description.media)


if __name__ == "__main__":
    fuzz(take)
