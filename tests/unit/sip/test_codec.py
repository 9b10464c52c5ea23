"""The native codec and the Python one, which is the reference, side by side."""

import importlib
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream.sip import codec
from sidestream.sip import fields as fields_module
from sidestream.sip import message as message_module
from sidestream.sip.errors import LocalError, SipError
from sidestream.sip.fields import PARSERS
from sidestream.sip.headers import Headers, PythonHeaders
from sidestream.sip.message import Request, parse_in_python, parse_message
from sidestream.testing.sip_reading import readings

TORTURE = sorted((Path(__file__).parent / "torture").glob("*.dat"))
native = pytest.mark.skipif(codec.native is None, reason="the native module is not built, or is not wanted")

VIA = b"Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK48;rport\r\n"
INVITE = (
    b"INVITE sip:+14155550100@sip.example.com:5060;transport=udp;user=phone SIP/2.0\r\n" + VIA + b"v: SIP / 2.0 / tcp "
    b"[2001:db8::9]:5070 ;branch=z9hG4bK-5d;received=192.0.2.4 , SIP/2.0/WSS df7.invalid;branch=z9hG4bK9;keep\r\n"
    b"Record-Route: <sip:192.0.2.10;lr;ftag=7347>,<sips:p2.example.com:5061;lr=on>\r\n"
    b"Max-Forwards: 69\r\n"
    b'From: "Ada \\"Countess\\" Field, \xc3\x89" <sip:+1415;ext=2:pw%20d@carrier.example.net>;tag=7347b9e6\r\n'
    b"To: Bob B. <sip:+14155550100@sip.example.com?subject=a%20b&x=>\r\n"
    b"Call-ID: 079b93cc30@192.0.2.11\r\n"
    b"CSeq: 0102 INVITE\r\n"
    b'Contact: <sip:a@192.0.2.11:5060;transport=udp>;expires=60;q=0.5;+sip.instance="<urn:uuid:00>", sip:b@c;x=1\r\n'
    b"Route: <tel:+1-415-555-0100;phone-context=example.com>, <urn:service:sos>\r\n"
    b"Allow: INVITE, ACK, , CANCEL\r\nallow: X-Custom\r\n"
    b"Supported: Timer,100REL\r\nRequire: siprec\r\nProxy-Require: a\r\nUnsupported: b\r\n"
    b"Session-Expires: 1800;Refresher=UAC\r\nMin-SE: 0090;x\r\nExpires: 99999999999\r\n"
    b"RSeq: 7\r\nRAck: 7 102 INVITE\r\nRetry-After: 5 (soon)\r\n"
    b"Accept: application/SDP;level=1, text/*\r\n"
    b"Content-Type: Multipart/Mixed ; boundary=a=b\r\nContent-Disposition: Session;handling=optional\r\n"
    b"X-Own: some thing\r\nSubject:\r\n"
    b"Content-Length: 4\r\n\r\nbodyand more"
)
SHORT = VIA + b"From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 %b\r\nContent-Length: 0\r\n\r\n"
ORDINARY = {
    "INVITE": INVITE,
    "100": b"SIP/2.0 100 Trying\r\n" + SHORT % b"INVITE",
    "180": b"\r\n\r\nSIP/2.0 180 \r\n" + SHORT % b"INVITE",
    "200": b"SIP/2.0 200\r\n" + SHORT % b"INVITE",
    "603": b"SIP/2.0 603 Declined, \xc3\x89\r\n" + SHORT % b"INVITE",
    "ACK": b"ACK sip:c@d SIP/2.0\r\n" + SHORT % b"ACK",
    "BYE": b"BYE sips:[2001:db8::1]:5061;lr SIP/2.0\r\n" + SHORT % b"BYE",
    "CANCEL": b"CANCEL tel:+1415 SIP/2.0\r\n" + SHORT % b"CANCEL",
    "OPTIONS": b"OPTIONS sip:d SIP/2.0\r\n" + SHORT % b"OPTIONS",
}


def agree(data):
    ours, reference = readings(data)
    # One by one, so that a difference is named.
    assert ours.keys() == reference.keys()
    for name in reference:
        assert ours[name] == reference[name], name
    return ours


@native
@pytest.mark.parametrize("data", ORDINARY.values(), ids=ORDINARY)
def test_the_ordinary_is_read_natively_and_alike(data):
    message = codec.native.parse_message(data)
    assert type(message.headers) is codec.native.Headers
    assert message == parse_in_python(data)
    assert parse_in_python(data) == message
    agree(data)


@native
def test_what_is_unusual_is_left_to_the_reference():
    left = [path.stem for path in TORTURE if codec.native.parse_message(path.read_bytes()) is None]
    assert {"wsinv", "badinv01", "ncl"} <= set(left)
    assert len(left) < len(TORTURE) / 2


@pytest.mark.parametrize("path", TORTURE, ids=[path.stem for path in TORTURE])
def test_torture_is_read_alike(path):
    data = path.read_bytes()
    agree(data)
    agree(data.replace(b"\r\n", b"\n"))
    for length in range(0, len(data), 41):
        agree(data[:length])


_WORDS = [
    *(name.encode() for name in ("Via", "From", "To", "Call-ID", "CSeq", *PARSERS, "X-Own", "Content-Length")),
    *(b"v", b"f", b"t", b"i", b"m", b"l", b"c", b"k", b"x", b"o", b"MAX-FORWARDS", b"cSeQ"),
    *(b"sip:", b"sips:", b"SIP:", b"tel:", b"Urn:", b"sip:a@b", b"<sip:a@b>", b"<sip:a@b;lr>", b"*", b"a:b@c:1"),
    *(b";tag=x", b";TAG=x", b";branch=z9hG4bK1", b";lr", b";x=", b";x=1", b';x="a;b"', b';x="\\"', b";refresher=UAS"),
    *(
        b'"a b"',
        b'"a\\"b"',
        b'"',
        b"<",
        b">",
        b",",
        b";",
        b":",
        b"@",
        b"?",
        b"=",
        b"&",
        b"%",
        b"%41",
        b"%4",
        b"/",
        b"\\",
    ),
    *(
        b" ",
        b"\t",
        b"\r\n",
        b"\r\n ",
        b"\r",
        b"\n",
        b"\r\n\r\n",
        b"\0",
        b"\x7f",
        b"\xc3\x89",
        b"\xff",
        b"\xc5\xbf",
        b"\xe2\x84\xaa",
    ),
    *(
        b"0",
        b"00",
        b"70",
        b"255",
        b"256",
        b"65535",
        b"65536",
        b"4294967295",
        b"4294967296",
        b"00000000000001",
        b"\xd9\xa1",
    ),
    *(
        b"INVITE",
        b"1 INVITE",
        b"ACK",
        b"SIP/2.0",
        b"sip/2.0",
        b"SIP/3.0",
        b"SIP/2.0 200 OK",
        b"SIP/2.0/UDP b",
        b"[::1]",
        b"[",
        b"]",
    ),
    *(
        b"text/plain",
        b"Text / Plain ;a=b",
        b"session",
        b"1800;refresher=uac",
        b"7 1 INVITE",
        b"100rel",
        b"a_b",
        b"a+b",
        b"(c)",
    ),
]


@st.composite
def mutilated(draw):
    data = draw(st.sampled_from([*ORDINARY.values(), *(path.read_bytes() for path in TORTURE)]))
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(data)))
        length = draw(st.sampled_from([0, 0, 1, 2, 5, 20]))
        data = data[:start] + draw(st.sampled_from(_WORDS) | st.binary(max_size=4)) + data[start + length :]
    return data[: draw(st.integers(0, len(data)))] if draw(st.integers(0, 9)) == 0 else data


_TEXT = st.lists(st.sampled_from(_WORDS), max_size=6).map(b"".join)


@st.composite
def composed(draw):
    """A whole message with one or a few fields made of words."""
    start = draw(st.sampled_from([b"INVITE sip:c@d SIP/2.0", b"SIP/2.0 200 OK", b"SIP/2.0 %b" % draw(_TEXT)]))
    if draw(st.booleans()):
        start = b"INVITE %b SIP/2.0" % draw(_TEXT)
    fields = [b"Via: SIP/2.0/UDP b", b"From: <sip:a@b>", b"To: sip:c@d", b"Call-ID: 1", b"CSeq: 1 INVITE"]
    for _ in range(draw(st.integers(1, 3))):
        name = draw(
            st.sampled_from([*(name.encode() for name in PARSERS), b"Content-Length", b"m", b"k", b"Retry-After"])
        )
        field = name + draw(st.sampled_from([b":", b": ", b" :"])) + draw(_TEXT)
        position = draw(st.integers(0, len(fields)))
        if draw(st.booleans()):
            fields = [other for other in fields if not other.startswith(name + b":")]
        fields.insert(position, field)
    return b"\r\n".join([start, *fields, b"", draw(st.binary(max_size=3))])


@given(mutilated())
def test_a_mutilated_message_is_read_alike(data):
    agree(data)


@given(composed())
def test_any_field_is_read_alike(data):
    agree(data)


@given(st.binary(max_size=200))
def test_noise_is_read_alike(data):
    agree(data)


_NAMES = st.sampled_from(
    ["Via", "v", "VIA", "To", "t", "Subject", "X-Own", "x-OWN", "Content-Length", "Contact", "CSeq"]
)
_ANY_NAME = _NAMES | st.sampled_from(["", "no token", "a:b", "é"])
_VALUES = st.sampled_from(
    [
        "",
        "1",
        " 1\t",
        "a, b,,c",
        '"a,b"',
        '"a,b',
        "<sip:a@b>;tag=1",
        "SIP/2.0/UDP b;x",
        "7 BYE",
        "é",
        "\udcff",
        "\ud800",
        "a\rb",
        "\n",
    ]
)
_OPERATIONS = st.one_of(
    st.tuples(st.sampled_from(["add", "insert_first"]), _ANY_NAME, _VALUES),
    st.builds(lambda name, values: ("replace", name, *values), _ANY_NAME, st.lists(_VALUES, max_size=3)),
    st.tuples(st.just("remove"), _ANY_NAME),
    st.tuples(st.sampled_from(["get", "get_all", "values", "__contains__"]), _ANY_NAME),
    st.tuples(st.sampled_from(["items", "copy", "repeated", "__len__", "__repr__"])),
    st.tuples(st.just("to_bytes"), st.sampled_from(["SIP/2.0 200 OK\r\n", "\udc80", "é"]), st.binary(max_size=3)),
    st.builds(
        lambda name: ("parsed", name, PARSERS[name]), st.sampled_from(["Via", "To", "CSeq", "Contact", "Expires"])
    ),
    st.builds(lambda name: ("parsed", name, len), st.sampled_from(["Subject", "X-Own"])),
    st.tuples(st.just("parse_all"), st.just(PARSERS)),
)


@native
@given(st.lists(st.tuples(_ANY_NAME, _VALUES), max_size=4), st.lists(_OPERATIONS, max_size=8))
def test_headers_do_the_same(items, operations):
    pairs = [_made(Headers, items), _made(PythonHeaders, items)]
    if not isinstance(pairs[0], Headers):
        assert pairs[0] == pairs[1]
        return
    for operation, *arguments in operations:
        results = [_done(headers, operation, arguments) for headers in pairs]
        assert results[0] == results[1], operation
        assert pairs[0] == pairs[1]
        assert pairs[1] == pairs[0]
        assert list(pairs[0]) == list(pairs[1])


def _made(headers, items):
    try:
        return headers(items)
    except SipError as error:
        return repr(error)


def _done(headers, operation, arguments):
    try:
        result = getattr(headers, operation)(*arguments)
    except SipError as error:
        return repr(error)
    return result.items() if isinstance(result, Headers | PythonHeaders) else result


@native
def test_both_kinds_of_headers_have_the_same_members():
    theirs = {name for name in vars(PythonHeaders) if not name.startswith("_")}
    assert theirs == {name for name in vars(codec.native.Headers) if not name.startswith("_")}
    for kind in (Headers, PythonHeaders):
        assert kind([("To", "a")]) != [("To", "a")]
        with pytest.raises(TypeError):
            hash(kind())
        with pytest.raises(TypeError):
            kind([("To", 1)])
    for items in ([("Via", "1"), ("X-Own", "\udcff")], []):
        assert Headers.from_wire(items) == PythonHeaders.from_wire(items)


@native
def test_typed_fields_are_attributes_that_cannot_be_set():
    message = parse_message(INVITE)
    assert message.vias is message.vias
    with pytest.raises(AttributeError):
        message.vias = ()
    assert type(message).vias is type(message).__mro__[1].__dict__["vias"]


@native
def test_objects_of_both_makes_are_equal_have_the_same_hash_and_stay_frozen():
    ours, reference = parse_message(INVITE), parse_in_python(INVITE)
    for one, other in zip(ours.contacts + ours.vias, reference.contacts + reference.vias, strict=True):
        assert (one, hash(one), repr(one), type(one)) == (other, hash(other), repr(other), type(other))
        with pytest.raises(AttributeError):
            one.params = ()
        assert one.with_param("x", "1") == other.with_param("x", "1")


def test_without_the_native_module_everything_is_python():
    program = "from sidestream.sip import codec, headers; assert codec.native is None; print(headers.Headers.__name__)"
    environment = os.environ | {"SIDESTREAM_SIP_CODEC": "python"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "PythonHeaders\n"


def test_a_missing_native_module_is_no_error(monkeypatch):
    try:
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "sidestream._native", None)
            patch.delattr("sidestream._native", raising=False)
            patch.delenv("SIDESTREAM_SIP_CODEC", raising=False)
            assert importlib.reload(codec).native is None
    finally:
        importlib.reload(codec)


def test_messages_and_fields_are_read_without_it(monkeypatch):
    monkeypatch.setattr(message_module, "native", None)
    monkeypatch.setattr(fields_module, "native", None)

    class WithSubject(Request):
        subject = fields_module.field("Subject", len)

    message = parse_message(ORDINARY["ACK"])
    assert (message.method, message.cseq.number) == ("ACK", 1)
    message.headers.add("Subject", "a")
    assert WithSubject(message.method, message.uri, message.headers).subject == 1


def test_the_reference_forgets_what_it_read_of_a_field_that_changes():
    headers = PythonHeaders([("x-own", "a"), ("To", "b")])
    assert (headers.parsed("X-Own", len), headers.parsed("x-own", len)) == (1, 1)
    headers.insert_first("X-OWN", "c")
    assert (headers.parsed("X-Own", len), headers.parsed("x-own", len)) == (2, 2)
    assert repr(headers) == "Headers([('X-OWN', 'c'), ('x-own', 'a'), ('To', 'b')])"
    untouched = PythonHeaders([("To", "b")])
    untouched.insert_first("Via", "a")
    assert untouched.items() == [("Via", "a"), ("To", "b")]


def test_a_field_that_cannot_be_written_is_a_bug_of_ours():
    message = parse_message(ORDINARY["ACK"])
    message.headers.add("Subject", "\ud800")
    with pytest.raises(LocalError, match="surrogate"):
        message.to_bytes()
    with suppress(SipError):
        message.check()
