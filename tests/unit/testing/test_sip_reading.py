import pytest

from sidestream.sip.errors import MessageError
from sidestream.sip.fields import TypedFields
from sidestream.sip.message import parse_in_python
from sidestream.testing.sip_reading import ATTRIBUTES, reading, readings

BYE = (
    b"BYE sip:c@d SIP/2.0\r\nVia: SIP/2.0/UDP b;rport\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\n"
    b"Call-ID: 1\r\nCSeq: 1 BYE\r\nMax-Forwards: many\r\nContent-Length: 0\r\n\r\n"
)


def test_every_typed_field_is_read():
    accessors = {name for name in vars(TypedFields) if not name.startswith("_")} - {"headers", "check"}
    assert set(ATTRIBUTES) == accessors


def test_both_readings_are_told():
    ours, reference = readings(BYE)
    assert ours == reference
    assert ours["max_forwards"] == (400, "Malformed Max-Forwards", None)
    assert b"received=192.0.2.1" not in ours["written"][0]
    assert "192.0.2.1" in ours["noted"][1]


@pytest.mark.parametrize(("old", "new"), [(b"b;rport", b"b;RPORT"), (b"many", b"70"), (b": 0", b": 1")])
def test_a_difference_is_seen(old, new):
    assert reading(parse_in_python, BYE) != reading(parse_in_python, BYE.replace(old, new))


def test_a_refusal_and_what_cannot_be_written_are_told():
    seen = reading(parse_in_python, BYE.replace(b"CSeq: 1 BYE", b"CSeq: 1 ACK"))
    assert seen["refused"][:2] == (400, "CSeq Method Mismatch")
    assert seen["refused"][2].startswith(b"SIP/2.0 400 ")

    def silent(data):
        raise MessageError(400, "no")

    assert reading(silent, b"") == {"refused": (400, "no", None)}

    def unsendable(data):
        message = parse_in_python(data)
        message.method = "no token"
        return message

    assert "LocalError" in reading(unsendable, BYE)["written"]
    answer = parse_in_python(b"SIP/2.0 200 OK\r\n" + BYE.partition(b"\r\n")[2])
    assert reading(lambda data: answer, b"")["start"] == (200, "OK")
