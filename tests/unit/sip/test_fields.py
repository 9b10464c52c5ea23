import pytest

from sidestream.sip.errors import MessageError
from sidestream.sip.headers import Headers
from sidestream.sip.message import Response
from sidestream.sip.values import STAR, ContentType, CSeq, Disposition

FULL = [
    ("Via", "SIP/2.0/UDP a, SIP/2.0/TCP b"),
    ("Via", "SIP/2.0/TLS c"),
    ("From", "sip:a@b;tag=1"),
    ("To", '"C, D" <sip:c@d>'),
    ("Call-ID", "x@y"),
    ("CSeq", "7 INVITE"),
    ("Max-Forwards", "0068"),
    ("Contact", '"A, B" <sip:a,b@c>;q=1, sip:c@d'),
    ("Route", "<sip:r1;lr>,<sip:r2;lr>"),
    ("Record-Route", "<sip:rr;lr>"),
    ("Require", "SIPREC, 100rel"),
    ("Require", "timer"),
    ("Proxy-Require", "x"),
    ("Supported", ""),
    ("Unsupported", "Foo"),
    ("Allow", "INVITE, ack"),
    ("Accept", "Application/SDP;q=1, text/*"),
    ("Content-Type", "application/sdp"),
    ("Content-Disposition", "session"),
    ("Expires", "3600"),
    ("Retry-After", "18000 (meeting);duration=3600"),
    ("Session-Expires", "1800 ; refresher=UAC"),
    ("Min-SE", "90"),
]


def message(*items):
    return Response(200, "OK", Headers(items))


def test_every_field_is_read():
    full = message(*FULL)
    full.check()
    assert [via.host for via in full.vias] == ["a", "b", "c"]
    assert full.via.transport == "UDP"
    assert full.from_.tag == "1"
    assert full.to.display_name == "C, D"
    assert full.call_id == "x@y"
    assert full.cseq == CSeq(7, "INVITE")
    assert full.max_forwards == 68
    assert [str(contact) for contact in full.contacts] == ['"A, B" <sip:a,b@c>;q=1', "<sip:c@d>"]
    assert [str(route.uri) for route in full.routes] == ["sip:r1;lr", "sip:r2;lr"]
    assert [str(route.uri) for route in full.record_routes] == ["sip:rr;lr"]
    assert full.require == ("siprec", "100rel", "timer")
    assert full.proxy_require == ("x",)
    assert full.supported == ()
    assert full.unsupported == ("foo",)
    assert full.allow == ("INVITE", "ack")
    assert full.accept == ("application/sdp", "text/*")
    assert full.content_type == ContentType("application", "sdp")
    assert full.content_disposition == Disposition("session")
    assert full.expires == 3600
    assert full.retry_after == 18000
    assert full.session_expires == (1800, "uac")
    assert full.min_se == 90


def test_what_is_missing():
    empty = message()
    empty.check()
    assert empty.max_forwards is None
    assert empty.contacts == empty.routes == empty.record_routes == ()
    assert empty.require == empty.supported == empty.allow == ()
    assert empty.accept is None
    assert message(("Accept", "")).accept == ()
    assert empty.content_type is None
    assert empty.content_disposition is None
    assert empty.expires is None
    assert empty.retry_after is None
    assert empty.session_expires is None
    assert empty.min_se is None
    for name in ("vias", "via", "from_", "to", "call_id", "cseq"):
        with pytest.raises(MessageError, match="400 Missing"):
            getattr(empty, name)


@pytest.mark.parametrize(
    "name",
    ["From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Type", "Content-Disposition", "Expires", "Min-SE"],
)
def test_what_may_be_there_only_once(name):
    value = dict(FULL)[name]
    with pytest.raises(MessageError, match=f"400 More than one {name}"):
        message((name, value), (name, value)).check()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Via", ""),
        ("Via", "SIP/2.0/UDP a,"),
        ("Via", "SIP/2.0/UDP a;;,;,,"),
        ("Call-ID", ""),
        ("Call-ID", "a b"),
        ("Call-ID", "a\tb"),
        ("Call-ID", "x" * 1025),
        ("Max-Forwards", "256"),
        ("Max-Forwards", "many"),
        ("Contact", '"Joe" <sip:joe@example.org>;;;;'),
        ("Contact", "<sip:a@b>,"),
        ("Contact", ""),
        ("Route", "r"),
        ("Record-Route", "<sip:a@b>;="),
        ("Content-Type", "sdp"),
        ("Content-Disposition", ";"),
        ("Expires", "soon"),
        ("Expires", "٣"),
        ("Session-Expires", "x;refresher=uac"),
        ("Session-Expires", "1800;;"),
        ("Min-SE", ""),
        ("RSeq", "x"),
        ("RAck", "1"),
        ("RAck", "x 1 INVITE"),
        ("RAck", "1 x INVITE"),
    ],
)
def test_check_finds_a_malformed_field(name, value):
    with pytest.raises(MessageError, match="400 Malformed"):
        message((name, value)).check()


def test_a_wildcard_contact():
    assert message(("Contact", "*")).contacts[0].uri == STAR


def test_overlarge_or_unreadable_times():
    assert message(("Expires", "1" + "0" * 5000)).expires == 2**32 - 1
    assert message(("Expires", "0000")).expires == 0
    assert message(("Retry-After", "949302838503028349304023988")).retry_after is None
    assert message(("Retry-After", "5")).retry_after == 5
    assert message(("Session-Expires", "90")).session_expires == (90, None)
    assert message(("Min-SE", "90;x=y")).min_se == 90


def test_reliable_provisional_responses():
    assert message(("RSeq", "4294967295")).rseq == 2**32 - 1
    assert message(("RAck", "776656 1  INVITE")).rack == (776656, CSeq(1, "INVITE"))
    assert (message().rseq, message().rack) == (None, None)
