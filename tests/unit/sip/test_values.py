import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream.sip.errors import LocalError, MessageError
from sidestream.sip.uri import Uri
from sidestream.sip.values import STAR, ContentType, CSeq, Disposition, NameAddr, Via

BOB = Uri("sip", "bob", host="h")
TABLE = [
    (
        "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport",
        Via("UDP", "192.0.2.1", 5060, (("branch", "z9hG4bK1"), ("rport", None))),
    ),
    ("SIP/2.0/TCP [2001:db8::9:1]", Via("TCP", "[2001:db8::9:1]")),
    ("SIP/2.0/TLS-SCTP host_1.example.com:65535", Via("TLS-SCTP", "host_1.example.com", 65535)),
    ("<sip:bob@h>", NameAddr(None, BOB)),
    ('"" <sip:bob@h>', NameAddr("", BOB)),
    ('"Bob, \\"B\\" \\\\ <x>" <sip:bob@h>;tag=1;x', NameAddr('Bob, "B" \\ <x>', BOB, (("tag", "1"), ("x", None)))),
    (
        "<sip:bob@h;lr?a=b>;q=0.5",
        NameAddr(None, Uri("sip", "bob", host="h", params=(("lr", None),), headers=(("a", "b"),)), (("q", "0.5"),)),
    ),
    ("*", NameAddr(None, STAR)),
    ("1 INVITE", CSeq(1, "INVITE")),
    ("4294967295 RE%47IST%45R", CSeq(2**32 - 1, "RE%47IST%45R")),
    ("application/sdp", ContentType("application", "sdp")),
    ('multipart/mixed;boundary="a b"', ContentType("multipart", "mixed", (("boundary", '"a b"'),))),
    ("recording-session", Disposition("recording-session")),
    ("session;handling=optional", Disposition("session", (("handling", "optional"),))),
]


@pytest.mark.parametrize(("text", "value"), TABLE)
def test_the_table_reads_and_writes(text, value):
    assert type(value).parse(text) == value
    assert str(value) == text


LOOSE = [
    (Via, "SIP / 2.0 /\tudp   h : 5060 ; branch = z9hG4bK1 ", "SIP/2.0/UDP h:5060;branch=z9hG4bK1"),
    (Via, "sip/2.0/UDP h ;hidden", "SIP/2.0/UDP h;hidden"),
    (NameAddr, "sip:bob@h;tag=1", "<sip:bob@h>;tag=1"),
    (NameAddr, "sip:bob@h ; tag = 1", "<sip:bob@h>;tag=1"),
    (NameAddr, "caller<sip:bob@h>", '"caller" <sip:bob@h>'),
    (NameAddr, "token1~` token2'+_ token3*%!.- <sip:bob@h>", '"token1~` token2\'+_ token3*%!.-" <sip:bob@h>'),
    (NameAddr, "Jürgen (home) <sip:bob@h>", '"Jürgen (home)" <sip:bob@h>'),
    (NameAddr, '"Bob"<sip:bob@h>\t;+sip.src', '"Bob" <sip:bob@h>;+sip.src'),
    (NameAddr, "isbn:2983792873", "<isbn:2983792873>"),
    (CSeq, "0009   INVITE", "9 INVITE"),
    (ContentType, "Application / SDP ;charset=utf-8", "application/sdp;charset=utf-8"),
    (ContentType, "multipart/mixed; boundary=----=_Part_1", "multipart/mixed;boundary=----=_Part_1"),
    (Disposition, "Session ; handling=required", "session;handling=required"),
]


@pytest.mark.parametrize(("kind", "text", "tidy"), LOOSE)
def test_loose_forms_are_read_and_written_tidily(kind, text, tidy):
    value = kind.parse(text)
    assert str(value) == tidy
    assert kind.parse(tidy) == value


BAD = [
    (Via, ""), (Via, "SIP/2.0/UDP"), (Via, "SIP/7.0/UDP h"), (Via, "HTTP/2.0/UDP h"), (Via, "SIP/2.0/UDP h:70000"),
    (Via, "SIP/2.0/UDP h:port"), (Via, "SIP/2.0/UDP h;;"), (Via, "SIP/2.0/UDP ::1"), (Via, "SIP/2.0/UDPh"),
    (NameAddr, ""), (NameAddr, '"open <sip:bob@h>'), (NameAddr, "< sip:bob@h >"), (NameAddr, "<sip:bob@h"),
    (NameAddr, "sip:bob@h?a=b"), (NameAddr, "sip:a,b@h"), (NameAddr, "Bell, Alexander <sip:bob@h>"), (NameAddr, "<>"),
    (NameAddr, "<sip:bob@h>;;"), (NameAddr, "<sip:bob@h> x"), (NameAddr, "sip:bob@h;"), (NameAddr, '"a" sip:bob@h'),
    (NameAddr, "<sip:a@h> <sip:b@h>"),
    (CSeq, ""), (CSeq, "1"), (CSeq, "INVITE"), (CSeq, "-1 INVITE"), (CSeq, "4294967296 INVITE"), (CSeq, "1 A B"),
    (ContentType, ""), (ContentType, "application"), (ContentType, "a/b/c"), (ContentType, "a/b;"),
    (Disposition, ""), (Disposition, "a b"), (Disposition, "session;handling="),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text"), BAD)
def test_other_text_is_refused(kind, text):
    with pytest.raises(MessageError, match="400 Malformed"):
        kind.parse(text)


def test_a_param_of_a_bare_address_belongs_to_the_field():
    contact = NameAddr.parse("sip:+19725552222@gw1.example.net;unknownparam")
    assert contact.uri.params == ()
    assert contact.param("unknownparam") == ""
    inside = NameAddr.parse("<sip:+19725552222@gw1.example.net;unknownparam>")
    assert inside.param("unknownparam") is None
    assert inside.uri.param("unknownparam") == ""


@pytest.mark.parametrize(
    "text", ["<sip:s@h>;+sip.src", '<sip:s@h>;+sip.src="true"', "<sip:s@h;+sip.src>", "sip:s@h;+sip.src"]
)
def test_the_feature_tag_is_found_wherever_products_put_it(text):
    contact = NameAddr.parse(text)
    assert contact.param("+sip.src") is not None or contact.uri.param("+sip.src") is not None


def test_addresses_change_by_copy():
    address = NameAddr.parse("<sip:bob@h>")
    tagged = address.with_tag("1")
    assert (address.tag, tagged.tag) == (None, "1")
    assert str(tagged.with_param("x", None).with_tag("2").without_param("x")) == "<sip:bob@h>;tag=2"


def test_a_display_name_cannot_break_the_line():
    with pytest.raises(LocalError):
        str(NameAddr("a\r\nb", BOB))


@given(st.text(st.characters(exclude_characters="\r\n")))
def test_any_display_name_survives(name):
    address = NameAddr(name, BOB)
    assert NameAddr.parse(str(address)) == address


@given(st.sampled_from([Via, NameAddr, CSeq, ContentType, Disposition]), st.text())
def test_any_text_parses_or_raises_a_message_error(kind, text):
    try:
        value = kind.parse(text)
    except MessageError:
        return
    assert kind.parse(str(value)) == value


def test_branches():
    assert Via.parse("SIP/2.0/UDP h;branch=z9hG4bK1").is_transaction_id
    assert not Via.parse("SIP/2.0/UDP h;branch=z9hG4bK").is_transaction_id
    assert not Via.parse("SIP/2.0/UDP h;branch=1").is_transaction_id
    assert not Via.parse("SIP/2.0/UDP h").is_transaction_id
    assert Via.parse("SIP/2.0/UDP h;branch=x").branch == "x"


@pytest.mark.parametrize(
    ("via", "host", "noted"),
    [
        ("SIP/2.0/UDP 192.0.2.1;rport", "192.0.2.1", "SIP/2.0/UDP 192.0.2.1;rport=6000;received=192.0.2.1"),
        ("SIP/2.0/UDP 192.0.2.1", "192.0.2.1", "SIP/2.0/UDP 192.0.2.1"),
        ("SIP/2.0/UDP phone.example.com", "192.0.2.1", "SIP/2.0/UDP phone.example.com;received=192.0.2.1"),
        ("SIP/2.0/UDP [2001:DB8::1]", "2001:db8::1", "SIP/2.0/UDP [2001:DB8::1]"),
        ("SIP/2.0/UDP h;received=10.0.0.1", "192.0.2.1", "SIP/2.0/UDP h;received=192.0.2.1"),
        ("SIP/2.0/UDP 192.0.2.1;received=10.0.0.1", "192.0.2.1", "SIP/2.0/UDP 192.0.2.1;received=192.0.2.1"),
    ],
)
def test_a_server_notes_where_a_request_came_from(via, host, noted):
    assert str(Via.parse(via).with_source(host, 6000)) == noted


def test_what_a_server_noted_can_be_read():
    via = Via.parse("SIP/2.0/UDP [2001:db8::1];received=[2001:db8::2];rport=6000")
    assert (via.address, via.received, via.rport, via.wants_rport) == ("2001:db8::1", "2001:db8::2", 6000, True)
    assert Via.parse("SIP/2.0/UDP h;received=2001:db8::2").received == "2001:db8::2"
    bare = Via.parse("SIP/2.0/UDP h;rport;ttl=1")
    assert (bare.received, bare.rport, bare.param("ttl")) == (None, None, "1")
    assert Via.parse("SIP/2.0/UDP h;rport=123456").rport is None
    assert Via.parse("SIP/2.0/UDP h;rport=x").rport is None
    assert not Via.parse("SIP/2.0/UDP h").wants_rport


def test_media_types_and_dispositions():
    content_type = ContentType.parse('Multipart/Mixed; Boundary="a b"')
    assert content_type.media_type == "multipart/mixed"
    assert content_type.param("boundary") == "a b"
    assert Disposition.parse("session;handling=Optional").is_optional
    assert not Disposition.parse("session").is_optional
    assert Disposition.parse("session;x=1").param("x") == "1"
