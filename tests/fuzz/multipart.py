"""A Content-Type value on the first line and a body behind it: its parts, or a refusal."""

from contextlib import suppress

from fuzzing import fuzz, instrumented

with instrumented():
    from sidestream.sip.errors import LocalError, MessageError
    from sidestream.sip.multipart import build_multipart, leaves, parse_multipart
    from sidestream.sip.values import ContentType


def take(data: bytes) -> None:
    first, _, body = data.partition(b"\n")
    with suppress(MessageError):
        content_type = ContentType.parse(first.decode("utf-8", "surrogateescape"))
        for leaf in leaves(content_type, body):
            _ = leaf.disposition
        parts = parse_multipart(content_type, body)
        with suppress(LocalError):  # our boundary in a part
            value, built = build_multipart(parts, "a-boundary")
            again = parse_multipart(ContentType.parse(value), built)
            assert [part.body for part in again] == [part.body for part in parts]


if __name__ == "__main__":
    fuzz(take)
