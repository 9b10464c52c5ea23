"""The messages of RFC 4475 and RFC 5118, byte for byte, each with the treatment that torture/index.toml gives it."""

import tomllib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream.sip.errors import MessageError
from sidestream.sip.framing import StreamFramer
from sidestream.sip.message import Request, Response, parse_message
from sidestream.sip.multipart import parse_multipart

FOLDER = Path(__file__).parent / "torture"
INDEX = tomllib.loads((FOLDER / "index.toml").read_text("utf-8"))["message"]


def read(name):
    return (FOLDER / f"{name}.dat").read_bytes()


def parsed(name):
    message = parse_message(read(name))
    message.check()
    return message


def test_the_index_is_complete():
    names = [entry["name"] for entry in INDEX]
    assert sorted(names) == sorted(path.stem for path in FOLDER.glob("*.dat"))
    assert sum(entry["source"].startswith("RFC 4475") for entry in INDEX) == 49
    assert sum(entry.get("valid", False) for entry in INDEX) == 13
    assert all(entry["outcome"] == "accept" for entry in INDEX if entry.get("valid"))


@pytest.mark.parametrize("entry", INDEX, ids=[entry["name"] for entry in INDEX])
def test_each_message_is_treated_as_the_index_says(entry):
    outcome, problem = treatment(read(entry["name"]))
    assert outcome == entry["outcome"]
    if problem is not None:
        assert (problem.status, problem.reason) == (entry["status"], entry["reason"])
    if outcome == "refuse":
        assert (problem.answer.status, problem.answer.reason) == (entry["status"], entry["reason"])
        assert problem.answer.to_bytes()


def treatment(data):
    try:
        message = parse_message(data)
    except MessageError as error:
        return "discard" if error.answer is None else "refuse", error
    try:
        message.check()
    except MessageError as error:
        return "check", error
    return "accept", None


@pytest.mark.parametrize(
    "name", [entry["name"] for entry in INDEX if entry["outcome"] == "accept" and entry["name"] != "inv2543"]
)
def test_accepted_messages_survive_rewriting_and_a_stream(name):
    message = parsed(name)
    wire = message.to_bytes()
    again = parse_message(wire)
    assert (again.body, again.call_id, again.vias, again.from_, again.to) == (
        message.body,
        message.call_id,
        message.vias,
        message.from_,
        message.to,
    )
    framer = StreamFramer()
    data = read(name)
    frames = (frame for start in range(0, len(data), 7) for frame in framer.feed(data[start : start + 7]))
    assert parse_message(next(frames)) == message


@given(
    st.sampled_from([read(entry["name"]) for entry in INDEX]),
    st.integers(0, 1500),
    st.integers(0, 30),
    st.binary(max_size=30),
)
def test_a_mutilated_message_is_treated_somehow(data, start, length, insertion):
    mutilated = data[:start] + insertion + data[start + length :]
    outcome, problem = treatment(mutilated)
    assert (outcome == "accept") == (problem is None)
    with suppress(MessageError):
        for _ in StreamFramer().feed(mutilated):
            pass


def test_wsinv():
    message = parsed("wsinv")
    assert isinstance(message, Request)
    assert str(message.uri) == "sip:vivekg@chair-dnrc.example.com;unknownparam"
    assert (str(message.to.uri), message.to.tag) == ("sip:vivekg@chair-dnrc.example.com", "1918181833n")
    assert (message.from_.display_name, message.from_.tag) == ('J Rosenberg \\"', "98asjd8")
    assert message.max_forwards == 68
    assert (message.cseq.number, message.cseq.method) == (9, "INVITE")
    assert [(via.transport, via.host, via.branch) for via in message.vias] == [
        ("UDP", "192.0.2.2", "390skdjuw"),
        ("TCP", "spindle.example.com", "z9hG4bK9ikj8"),
        ("UDP", "192.168.255.111", "z9hG4bK30239"),
    ]
    assert message.headers.get("Subject") == ""
    assert message.headers.get("NewFangledHeader") == "newfangled value continued newfangled value"
    assert message.headers.get("UnknownHeaderWithUnusualValue") == ";;,,;;,;"
    assert message.routes[0].uri.params == (("lr", None), ("unknownwith", "value"), ("unknown-no-value", None))
    contact = message.contacts[0]
    assert contact.display_name == 'Quoted string ""'
    assert contact.params == (("newparam", "newvalue"), ("secondparam", None), ("q", "0.33"))
    assert len(message.body) == 150


def test_intmeth():
    message = parsed("intmeth")
    assert message.method == message.cseq.method == "!interesting-Method0123456789_*+`.%indeed'~"
    assert message.uri.user == "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
    assert message.uri.password == "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"
    assert message.via.branch == "z9hG4bK-.!%66*_+`'~"
    assert message.to.display_name == "BEL:\x07 NUL:\x00 DEL:\x7f"
    assert message.from_.display_name == "token1~` token2'+_ token3*%!.-"
    assert message.from_.param("fromparam''~+*_!.-%") == "работающий"
    assert message.from_.tag == "_token~1'+`*%!-."
    assert message.call_id == "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{"
    assert message.headers.get("extensionHeader-!.%*+_`'~") == "\ufeff大停電"
    assert message.max_forwards == 255


def test_esc01():
    message = parsed("esc01")
    assert (message.uri.username, message.uri.host) == ("sips:user@example.com", "example.net")
    assert message.to.uri.username == "user"
    assert message.from_.uri.username == "I have spaces"
    contact = message.contacts[0].uri
    assert contact.username == "caller"
    assert contact.params == (("%6C%72", None), ("n%61me", "v%61lue%25%34%31"))


def test_escnull():
    message = parsed("escnull")
    assert message.to.uri.username == "null-\0-null"
    assert [contact.uri.username for contact in message.contacts] == ["\0", "\0\0"]
    assert not message.contacts[0].uri.equivalent(message.contacts[1].uri)


def test_esc02():
    message = parsed("esc02")
    assert message.method == "RE%47IST%45R"
    assert message.to.display_name == message.from_.display_name == "%Z%45"
    assert [contact.uri.user for contact in message.contacts] == ["alias1", "alias3"]


def test_lwsdisp():
    assert parsed("lwsdisp").from_.display_name == "caller"


def test_longreq():
    message = parsed("longreq")
    assert len(message.vias) == 34
    assert message.vias[-1].received == "192.0.2.5"
    assert message.from_.tag == "12" + "982" * 50 + "424"
    assert message.to.uri.port == 6000
    assert message.to.uri.param("very" + "long" * 25 + "parameternamewithnovalue") == ""
    assert message.call_id == "longreq.one" + "really" * 20 + "longcallid"


def test_dblreq():
    message = parsed("dblreq")
    assert (message.method, message.body) == ("REGISTER", b"")
    assert len(message.headers) == 8


def test_semiuri():
    message = parsed("semiuri")
    assert message.uri.username == "user;par=u@example.net"
    assert message.accept[-1] == "message/sipfrag"


def test_transports():
    assert [via.transport for via in parsed("transports").vias] == ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]


def test_mpart01():
    message = parsed("mpart01")
    text, binary = parse_multipart(message.content_type, message.body)
    assert (text.content_type.media_type, text.body) == ("text/plain", b"Hello")
    assert binary.headers.get("Content-Transfer-Encoding") == "binary"
    assert (len(binary.body), binary.body[:4]) == (342, b"\x30\x82\x01\x52")


def test_unreason():
    message = parsed("unreason")
    assert isinstance(message, Response)
    assert message.reason == "= 2**3 * 5**2 но сто девяносто девять - простое"
    assert message.status == 200


def test_noreason():
    message = parsed("noreason")
    assert (message.status, message.reason) == (100, "")


def test_addresses_of_rfc_5118():
    assert parsed("ipv6-good").uri.address == "2001:db8::10"
    ambiguous = parsed("port-ambiguous").uri
    assert (ambiguous.address, ambiguous.port) == ("2001:db8::10:5070", None)
    assert parsed("port-unambiguous").uri.port == 5070
    for name in ("via-received-param-with-delim", "via-received-param-no-delim"):
        assert parsed(name).via.received == "2001:db8::9:255"
    assert [via.port for via in parsed("mult-ip-in-header").vias] == [6050, None, None]
    assert parsed("ipv4-mapped-ipv6").contacts[0].uri.address == "::ffff:192.0.2.2"
