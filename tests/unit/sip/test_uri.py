import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream.sip.errors import LocalError, MessageError
from sidestream.sip.uri import Uri

TABLE = [
    ("sip:example.com", Uri("sip", host="example.com")),
    ("sip:alice@example.com", Uri("sip", "alice", host="example.com")),
    ("sips:alice:secret@example.com:5061", Uri("sips", "alice", "secret", "example.com", 5061)),
    ("sip:alice:@h", Uri("sip", "alice", "", "h")),
    (
        "sip:+14155550100@192.0.2.1:5060;transport=tcp;lr",
        Uri("sip", "+14155550100", None, "192.0.2.1", 5060, (("transport", "tcp"), ("lr", None))),
    ),
    ("sip:[2001:db8::1]:5070", Uri("sip", host="[2001:db8::1]", port=5070)),
    (
        "sip:u@h?Subject=a%20b&Route=%3Csip:x%3E",
        Uri("sip", "u", host="h", headers=(("Subject", "a%20b"), ("Route", "%3Csip:x%3E"))),
    ),
    ("sip:h;a=1?b=", Uri("sip", host="h", params=(("a", "1"),), headers=(("b", ""),))),
    ("sip:user;par=u%40example.net@example.com", Uri("sip", "user;par=u%40example.net", host="example.com")),
    ("sip:*21#@pbx_1.local", Uri("sip", "*21#", host="pbx_1.local")),
    (
        "tel:+1-415-555-0100;phone-context=example.com",
        Uri("tel", "+1-415-555-0100", params=(("phone-context", "example.com"),)),
    ),
    ("urn:service:sos", Uri("urn", opaque="service:sos")),
    ("soap.beep://192.0.2.103:3002", Uri("soap.beep", opaque="//192.0.2.103:3002")),
]


@pytest.mark.parametrize(("text", "uri"), TABLE)
def test_the_table_reads_and_writes(text, uri):
    assert Uri.parse(text) == uri
    assert str(uri) == text


@pytest.mark.parametrize(
    "text",
    [
        "", "sip:", "sip", "alice@example.com", "<sip:a@b>", "sip:a b@c", "sip:a@b; lr", "sip:@h", "sip:a@",
        "sip:a@b:65536", "sip:a@b:", "sip:a@b:123456", "sip:2001:db8::1", "sip:a%4@b", "sip:a@b;x=%zz", "sip:a@b;;lr",
        "sip:a@b;", "sip:a@b;=1", "sip:a@b;x=", "sip:a@b?", "sip:a@b?x", "sip:a@b?=1", "sip:a@b@c", "sip:ä@b", "tel:",
        "tel:alice", "tel:+1;", "1x:y", "urn:", "urn:a b", "sip:[::1", "sip:a\r\n@b",
    ],
)  # fmt: skip
def test_other_text_is_no_uri(text):
    with pytest.raises(MessageError, match="400 Malformed URI"):
        Uri.parse(text)


def test_scheme_is_lower_cased():
    assert Uri.parse("SIP:a@b").scheme == "sip"
    assert Uri.parse("SiPs:a@b").is_sip
    assert Uri.parse("TEL:+1").scheme == "tel"
    assert not Uri.parse("URN:x").is_sip


def test_escapes_are_kept_and_resolved_on_demand():
    uri = Uri.parse("sip:sips%3Auser%40example.com@example.net;n%61me=v%61lue%25%34%31")
    assert uri.username == "sips:user@example.com"
    assert uri.params == (("n%61me", "v%61lue%25%34%31"),)
    assert Uri.parse("sip:h;x=v%61lue%25%34%31").param("x") == "value%41"
    assert Uri.parse("sip:null-%00-null@h").username == "null-\0-null"
    assert Uri.parse("sip:h").username is None
    assert Uri.parse("sip:h;lr").param("lr") == ""
    assert Uri.parse("sip:h").param("lr") is None


def test_building_from_plain_text_escapes():
    uri = Uri.sip("a b@c", "2001:db8::1", 5060, [("x y", "1;2"), ("lr", None)])
    assert str(uri) == "sip:a%20b%40c@[2001:db8::1]:5060;x%20y=1%3B2;lr"
    assert Uri.parse(str(uri)) == uri
    assert uri.username == "a b@c"
    assert uri.address == "2001:db8::1"
    assert str(Uri.sip(None, "h", secure=True)) == "sips:h"
    assert str(Uri.sip("", "[::1]")) == "sip:[::1]"


@pytest.mark.parametrize("host", ["", "a b", "h;x", "h\r\nX: y"])
def test_building_refuses_what_is_no_host(host):
    with pytest.raises(LocalError):
        Uri.sip("a", host)


def test_changing_params():
    uri = Uri.parse("sip:a@h;transport=udp;lr")
    assert str(uri.with_params(("transport", "tcp"), ("x", "a b"))) == "sip:a@h;transport=tcp;lr;x=a%20b"
    assert str(uri.without_param("transport")) == "sip:a@h;lr"


def test_a_target_has_no_headers_and_no_method():
    assert str(Uri.parse("sip:a@h;method=INVITE;lr?Subject=x").as_target()) == "sip:a@h;lr"
    plain = Uri.parse("sip:a@h")
    assert plain.as_target() is plain


# RFC 3261 §19.1.4 lists these pairs.
EQUIVALENT = [
    ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
    (
        "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
        "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
    ),
    (
        "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
        "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
    ),
    ("tel:+1-415-555-0100", "tel:+14155550100"),
    ("tel:7042;phone-context=example.com", "tel:7042;PHONE-CONTEXT=example.com"),
    ("urn:service:sos", "URN:service:sos"),
    ("sip:a%3bb@h", "sip:a%3Bb@h"),
]
DIFFERENT = [
    ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
    ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
    ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
    ("sip:a@h", "sips:a@h"),
    ("sip:a:x@h", "sip:a:y@h"),
    ("sip:a;b@h", "sip:a%3Bb@h"),
    ("sip:a%2541@h", "sip:a%41@h"),
    ("sip:%00@h", "sip:%00%00@h"),
    ("tel:+1", "tel:+2"),
    ("urn:a", "urn:b"),
]  # fmt: skip


@pytest.mark.parametrize(("left", "right"), EQUIVALENT)
def test_equivalent(left, right):
    assert Uri.parse(left).equivalent(Uri.parse(right))
    assert Uri.parse(right).equivalent(Uri.parse(left))


@pytest.mark.parametrize(("left", "right"), DIFFERENT)
def test_different(left, right):
    assert not Uri.parse(left).equivalent(Uri.parse(right))
    assert not Uri.parse(right).equivalent(Uri.parse(left))


HOSTS = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
    st.text(string.ascii_lowercase + string.digits + "-", min_size=1),
)
PLAIN = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(PLAIN, HOSTS, st.none() | st.integers(0, 65535), st.lists(st.tuples(PLAIN, st.none() | PLAIN), max_size=4))
def test_any_plain_text_survives_the_wire(user, host, port, params):
    uri = Uri.sip(user, host, port, params)
    read = Uri.parse(str(uri))
    assert read == uri
    assert read.username == user
    assert read.equivalent(uri)


@given(st.text())
def test_any_text_parses_or_raises_a_message_error(text):
    try:
        uri = Uri.parse(text)
    except MessageError:
        return
    assert Uri.parse(str(uri)) == uri
