"""Documents in, values and problems out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream.debugger.alert import Level
from sidestream.twiml.document import (
    Dial,
    DialNumber,
    Document,
    Hangup,
    Pause,
    Play,
    Redirect,
    Reject,
    Say,
    SiprecNoun,
    Start,
    Stop,
)
from sidestream.twiml.parser import SIZE_LIMIT, parse_twiml


def verbs_of(inner: str) -> tuple[object, ...]:
    document, problems = parse_twiml(f"<Response>{inner}</Response>".encode())
    assert problems == ()
    assert document is not None
    return document.verbs


def fatal_code(data: bytes, content_type: str | None = None) -> int:
    document, problems = parse_twiml(data, content_type)
    assert document is None
    assert [p.level for p in problems] == [Level.ERROR]
    return problems[0].code


CORPUS = [
    ("<Say>Hello  there\n you</Say>", Say("Hello there you")),
    ('<Say voice="alice" language="en-GB" loop="0">Hi</Say>', Say("Hi", "alice", "en-GB", 0)),
    ("<Say><![CDATA[1 < 2]]></Say>", Say("1 < 2")),
    ("<Say>Hel<!-- quietly -->lo</Say>", Say("Hello")),
    ("<Play> https://a.example/x.wav\n</Play>", Play("https://a.example/x.wav")),
    ('<Play digits="12w#" loop="2"/>', Play("", 2, "12w#")),
    ("<Pause/>", Pause(1)),
    ('<Pause length=" 5 "/>', Pause(5)),
    ("<Redirect>/next</Redirect>", Redirect("/next")),
    ('<Redirect method="get"/>', Redirect("", "GET")),
    ("<Hangup/>", Hangup()),
    ("<Reject/>", Reject("rejected")),
    ('<Reject reason="busy"/>', Reject("busy")),
    ("<Dial>+15551234567</Dial>", Dial(targets=(DialNumber("+15551234567"),))),
    (
        '<Dial action=" /done " method="GET" timeout="10" timeLimit="60" callerId="+1555" answerOnBridge="TRUE"'
        ' hangupOnStar="true"><Number>100</Number></Dial>',
        Dial("/done", "GET", 10, 60, "+1555", True, True, (DialNumber("100"),)),
    ),
    ("<Start><Siprec/></Start>", Start(siprecs=(SiprecNoun(),))),
    (
        '<Start action="/a" method="GET"><Siprec name="n" connectorName="c" track="weird" statusCallback="no url"'
        ' statusCallbackMethod="PUT"><Parameter name="Role" value="in"/><Parameter name="empty"/></Siprec></Start>',
        Start("/a", "GET", (SiprecNoun("n", "c", "weird", "no url", "PUT", (("Role", "in"), ("empty", ""))),)),
    ),
    ('<Stop><Siprec name="n"/><Siprec/></Stop>', Stop((SiprecNoun("n"), SiprecNoun()))),
    ('<Stop><Siprec name="n" track="both_tracks"/></Stop>', Stop((SiprecNoun("n", track="both_tracks"),))),
]


@pytest.mark.parametrize(("inner", "verb"), CORPUS)
def test_every_verb_is_read_with_its_attributes(inner: str, verb: object) -> None:
    assert verbs_of(inner) == (verb,)


def test_verbs_keep_their_order() -> None:
    assert verbs_of("<Pause/><Say>a</Say><Hangup/>") == (Pause(), Say("a"), Hangup())


def test_a_response_without_verbs_is_a_document() -> None:
    assert parse_twiml(b"<Response/>") == (Document(), ())


@pytest.mark.parametrize(
    ("inner", "code", "verb"),
    [
        ('<Pause length="-1"/>', 13910, Pause(1)),
        ('<Pause length="86401"/>', 13910, Pause(1)),
        ('<Pause length="²"/>', 13910, Pause(1)),
        ('<Redirect method="PUT">/x</Redirect>', 13710, Redirect("/x")),
        ('<Reject reason="tired"/>', 13810, Reject("rejected")),
        ('<Say loop="often">a</Say>', 12200, Say("a")),
        ('<Say>a<break time="1s"/> b</Say>', 12200, Say("a b")),
        ('<Play digits="12x">u</Play>', 12200, Play("u")),
        ("<Dial/>", 12200, Dial()),
        ('<Dial hangupOnStar="yes">1</Dial>', 12200, Dial(targets=(DialNumber("1"),))),
        ('<Dial record="record-from-answer">1</Dial>', 12200, Dial(targets=(DialNumber("1"),))),
        ("<Dial><Client>joe</Client></Dial>", 12200, Dial()),
        ("<Dial><Say>x</Say><Number>1</Number></Dial>", 12200, Dial(targets=(DialNumber("1"),))),
        ('<Start><Stream url="wss://x"/></Start>', 12200, Start()),
        ("<Start>text<Siprec/></Start>", 12200, Start(siprecs=(SiprecNoun(),))),
        ('<Start><Siprec color="red"/></Start>', 12200, Start(siprecs=(SiprecNoun(),))),
        ("<Start><Siprec>mixed <b>content</b></Siprec></Start>", 12200, Start(siprecs=(SiprecNoun(),))),
        ('<Start><Siprec><Parameter value="v"/></Siprec></Start>', 12200, Start(siprecs=(SiprecNoun(),))),
    ],
)
def test_what_is_wrong_is_a_warning_and_the_rest_runs(inner: str, code: int, verb: object) -> None:
    document, problems = parse_twiml(f"<Response>\n{inner}</Response>".encode())
    assert document is not None
    assert document.verbs == (verb,)
    assert problems
    assert {(p.level, p.line) for p in problems} == {(Level.WARNING, 2)}
    assert code in {p.code for p in problems}


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        ("<Gather/>", "<Gather> is not supported in <Response>"),
        ("<say>x</say>", "Unknown element 'say' in <Response>; did you mean Say?"),
        ("<Siprec/>", "<Siprec> cannot stand in <Response>"),
        ("<Whistle/>", "Unknown element 'Whistle' in <Response>"),
        ("<Say/>", "<Say> has no text"),
        ("<Play> </Play>", "<Play> has neither a URL nor digits"),
        ("loose text", "Text in <Response> has no meaning: 'loose text'"),
    ],
)
def test_what_cannot_run_is_left_out_with_a_clear_text(inner: str, message: str) -> None:
    document, problems = parse_twiml(f"<Response>{inner}<Hangup/></Response>".encode())
    assert document == Document((Hangup(),))
    assert [(p.code, p.message, p.line) for p in problems] == [(12200, message, 1)]


def test_a_misspelt_attribute_is_answered_with_a_guess() -> None:
    _, problems = parse_twiml(b'<Response><Start><Siprec connectorname="x"/></Start></Response>')
    assert [p.message for p in problems] == ["<Siprec> has no attribute 'connectorname'; did you mean connectorName?"]


def test_attributes_of_other_namespaces_are_not_judged() -> None:
    data = b'<Response xmlns:xsi="urn:x" xsi:schemaLocation="y"><Hangup/></Response>'
    assert parse_twiml(data) == (Document((Hangup(),)), ())


def test_the_number_of_problems_is_bounded() -> None:
    document, problems = parse_twiml(b"<Response>" + b"<A/>" * 500 + b"<Hangup/></Response>")
    assert document == Document((Hangup(),))
    assert len(problems) == 51
    assert problems[-1].message == "There are more problems, not listed here"


def test_messages_repeat_little_of_the_document() -> None:
    _, problems = parse_twiml(b"<Response><" + b"A" * 5000 + b"/></Response>")
    assert len(problems[0].message) < 150


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", 11770),
        (b" \r\n\t", 11770),
        (b"<Response>" + b" " * SIZE_LIMIT + b"</Response>", 11750),
        (b"<Response>", 12100),
        (b"not xml", 12100),
        (b"<Response><Say>\xff\xfe</Say></Response>", 12100),
        (b"<Response>&nbsp;</Response>", 12100),
        (b"<!DOCTYPE Response><Response/>", 12100),
        (b'<!DOCTYPE r SYSTEM "file:///etc/passwd"><Response/>', 12100),
        (b'<!DOCTYPE r [<!ENTITY e "x">]><Response><Say>&e;</Say></Response>', 12100),
        (b"<Response>" * 300 + b"</Response>" * 300, 12100),
        (b'<?xml version="1.1"?><Response/>', 12101),
        (b'<?xml version="2.0"?><Response/>', 12101),
        (b"<response/>", 12102),
        (b"<Dial/>", 12102),
        (b'<Response xmlns="urn:x"/>', 12102),
    ],
)
def test_bytes_that_hold_no_document(data: bytes, code: int) -> None:
    assert fatal_code(data) == code


def test_a_syntax_error_names_its_line() -> None:
    _, problems = parse_twiml(b"<Response>\n<Say>\n</Response>")
    assert problems[0].line == 3


def test_an_entity_bomb_is_refused_without_being_expanded() -> None:
    entities = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 9}">' for i in range(1, 12))
    bomb = f'<!DOCTYPE r [<!ENTITY e0 "boom">{entities}]><Response x="&e11;"><Say>&e11;</Say></Response>'
    assert fatal_code(bomb.encode()) == 12100


@pytest.mark.parametrize(
    "content_type",
    [None, "", "text/xml", "application/xml; charset=utf-8", "TEXT/HTML", "application/twiml+xml", " text/xml "],
)
def test_content_types_that_are_twiml(content_type: str | None) -> None:
    assert parse_twiml(b"<Response><Hangup/></Response>", content_type) == (Document((Hangup(),)), ())


@pytest.mark.parametrize("content_type", ["application/json", "image/png", "garbage", "; charset=utf-8"])
def test_other_content_types_are_refused(content_type: str) -> None:
    assert fatal_code(b"<Response/>", content_type) == 12300


def test_audio_plays_the_url_it_came_from_whatever_its_size() -> None:
    document, problems = parse_twiml(b"\0" * (SIZE_LIMIT + 1), "audio/wav", url="https://a.example/x")
    assert (document, problems) == (Document((Play("https://a.example/x"),)), ())


@pytest.mark.parametrize(
    ("data", "content_type", "text"),
    [
        ("Grüße\n an alle".encode(), "text/plain", "Grüße an alle"),
        ("Grüße".encode("latin-1"), 'text/plain; charset="ISO-8859-1"', "Grüße"),
        ("Grüße".encode(), "text/plain; charset=klingon", "Grüße"),
        (b"68656c6c6f", "text/plain; charset=hex", "68656c6c6f"),
        (b"a\xffb", "text/plain", "a\N{REPLACEMENT CHARACTER}b"),
    ],
)
def test_plain_text_is_spoken(data: bytes, content_type: str, text: str) -> None:
    assert parse_twiml(data, content_type) == (Document((Say(text),)), ())


def test_empty_plain_text_is_an_empty_document() -> None:
    assert fatal_code(b"\n", "text/plain") == 11770


def test_the_encoding_that_the_document_declares_is_used() -> None:
    data = '<?xml version="1.0" encoding="ISO-8859-1"?><Response><Say>é</Say></Response>'.encode("latin-1")
    assert parse_twiml(data) == (Document((Say("é"),)), ())


@given(st.binary(max_size=400), st.sampled_from([None, "text/xml", "text/plain", "text/plain; charset=utf-16"]))
def test_arbitrary_bytes_raise_nothing(data: bytes, content_type: str | None) -> None:
    document, problems = parse_twiml(data, content_type)
    assert (document is None) == any(p.level is Level.ERROR for p in problems)


_NAMES = st.sampled_from(
    ["Say", "Play", "Dial", "Number", "Sip", "Start", "Stop", "Siprec", "Parameter", "Gather", "X"]
)
_ATTRIBUTES = st.dictionaries(
    st.sampled_from(["loop", "digits", "name", "value", "timeout", "statusCallback", "statusCallbackEvent", "length"]),
    st.text(alphabet="aé0-9*# ./:;=?&@%wtrue", max_size=12),
    max_size=3,
)


def _xml(name: str, attributes: dict[str, str], text: str, children: list[str]) -> str:
    def escape(raw: str) -> str:
        return raw.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")

    written = "".join(f' {key}="{escape(value)}"' for key, value in attributes.items())
    return f"<{name}{written}>{escape(text)}{''.join(children)}</{name}>"


_TEXT = st.text(alphabet="sip:+1a@b.c;?x-=&% \n", max_size=20)
_TREES = st.recursive(
    st.builds(_xml, _NAMES, _ATTRIBUTES, _TEXT, st.just([])),
    lambda inner: st.builds(_xml, _NAMES, _ATTRIBUTES, _TEXT, st.lists(inner, max_size=4)),
    max_leaves=12,
)


@given(_TREES)
def test_well_formed_responses_always_yield_a_document(tree: str) -> None:
    document, problems = parse_twiml(f"<Response>{tree}</Response>".encode())
    assert document is not None
    assert all(p.level is Level.WARNING for p in problems)
