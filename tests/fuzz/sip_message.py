"""Any datagram, and the same octets as a stream: read or refused; an answer can be sent; what was read reads back.

The native codec and the Python one have to read the same.
"""

from contextlib import suppress

from fuzzing import TORTURE, fuzz, instrumented

with instrumented():
    from sidestream.sip.errors import MessageError
    from sidestream.sip.framing import StreamFramer
    from sidestream.sip.message import Request, parse_message
    from sidestream.testing.sip_reading import readings


def take(data: bytes) -> None:
    ours, reference = readings(data)
    assert ours == reference
    with suppress(MessageError):
        framer = StreamFramer()
        list(framer.feed(data[: len(data) // 2]))
        list(framer.feed(data[len(data) // 2 :]))
    try:
        message = parse_message(data)
    except MessageError as error:
        if error.answer is not None:
            error.answer.to_bytes()
        return
    with suppress(MessageError):
        message.check()
    if isinstance(message, Request):
        message.response(200, to_tag="t").to_bytes()
    again = parse_message(message.to_bytes())
    assert (again.to_bytes(), again.call_id, again.vias) == (message.to_bytes(), message.call_id, message.vias)


if __name__ == "__main__":
    fuzz(take, seeds=TORTURE)
