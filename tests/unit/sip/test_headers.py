import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream.sip.errors import LocalError
from sidestream.sip.headers import MAX_FIELD_LENGTH, MAX_FIELDS, Headers, canonical_name, parse_fields


def test_names_match_in_any_case_and_in_compact_form():
    headers = Headers([("v", "1"), ("VIA", "2"), ("x-Custom", "3"), ("l", "0"), ("mAx-fOrWaRdS", "70")])
    assert headers.items() == [
        ("Via", "1"),
        ("Via", "2"),
        ("x-Custom", "3"),
        ("Content-Length", "0"),
        ("Max-Forwards", "70"),
    ]
    assert headers.get("V") == "1"
    assert headers.get_all("vIa") == ["1", "2"]
    assert headers.get("X-CUSTOM") == "3"
    assert "max-forwards" in headers
    assert "From" not in headers
    assert headers.get("From") is None
    assert headers.get_all("From") == []


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("i", "Call-ID"),
        ("call-id", "Call-ID"),
        ("cSeQ", "CSeq"),
        ("www-authenticate", "WWW-Authenticate"),
        ("X-a", "X-a"),
    ],
)
def test_known_names_are_written_in_the_usual_case(name, canonical):
    assert canonical_name(name) == canonical


def test_values_are_taken_apart_at_commas():
    headers = Headers([("Allow", "INVITE, ACK,,"), ("Allow", "BYE")])
    assert headers.values("allow") == ["INVITE", "ACK", "BYE"]


def test_fields_are_added_put_first_replaced_and_removed():
    headers = Headers([("Via", "1"), ("To", "t"), ("Via", "2")])
    headers.insert_first("v", "0")
    headers.add("Subject", " s ")
    assert headers.items() == [("Via", "0"), ("Via", "1"), ("To", "t"), ("Via", "2"), ("Subject", "s")]
    headers.replace("via", "a", "b")
    assert headers.items() == [("Via", "a"), ("Via", "b"), ("To", "t"), ("Subject", "s")]
    headers.replace("X-B", "new")
    headers.remove("To")
    headers.remove("To")
    assert list(headers) == [("Via", "a"), ("Via", "b"), ("Subject", "s"), ("X-B", "new")]
    assert len(headers) == 4


def test_a_copy_is_independent():
    headers = Headers([("To", "t")])
    copy = headers.copy()
    assert copy == headers
    copy.add("X", "1")
    assert copy != headers
    assert headers != [("To", "t")]
    assert repr(headers) == "Headers([('To', 't')])"


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\rb", "a\nb", "\r\n"])
@pytest.mark.parametrize("change", [Headers.add, Headers.insert_first, Headers.replace])
def test_a_value_cannot_make_a_field_of_its_own(change, value):
    headers = Headers()
    with pytest.raises(LocalError, match="line break"):
        change(headers, "Subject", value)
    with pytest.raises(LocalError):
        Headers([("Subject", value)])
    assert headers.items() == []


@pytest.mark.parametrize("name", ["", "a b", "a:b", "X\r\n", "ä"])
def test_a_name_has_to_be_a_token(name):
    with pytest.raises(LocalError, match="not a header field name"):
        Headers([(name, "x")])


def test_a_parsed_value_is_kept_until_its_own_field_changes():
    headers = Headers([("Contact", "1")])
    calls = []

    def parse(values):
        calls.append(list(values))
        return len(values)

    assert [headers.parsed("Contact", parse), headers.parsed("Contact", parse)] == [1, 1]
    headers.add("To", "x")
    headers.replace("X-Y", "z")
    assert headers.parsed("Contact", parse) == 1
    headers.add("m", "2")
    assert headers.parsed("Contact", parse) == 2
    headers.insert_first("CONTACT", "0")
    assert headers.parsed("Contact", parse) == 3
    headers.replace("contact", "9")
    assert headers.parsed("Contact", parse) == 1
    headers.remove("Contact")
    assert headers.parsed("Contact", parse) == 0
    assert calls == [["1"], ["1", "2"], ["0", "1", "2"], ["9"], []]
    assert headers.parsed("Via", list) == []
    assert headers.parsed("X-Own", len) == 0
    headers.add("x-oWN", "1")
    assert headers.parsed("X-Own", len) == 1


def test_header_lines_are_read():
    headers, problem = parse_fields(
        "s :\r\nTO :\r\n sip:a@b ;\t \r\n\t tag = 1\r\nX-a:;;,,;;,;\r\nVia\t: 1\r\nC%6Fntact: x\r\nsubject:a:b"
    )
    assert problem is None
    assert headers.items() == [
        ("Subject", ""),
        ("To", "sip:a@b ; tag = 1"),
        ("X-a", ";;,,;;,;"),
        ("Via", "1"),
        ("C%6Fntact", "x"),
        ("Subject", "a:b"),
    ]
    assert parse_fields("")[0].items() == []


@pytest.mark.parametrize(
    "line", ["no colon", ": x", "a b: x", "Subject: a\nX: b", "Subject: a\rb", "", " folded: first"]
)
def test_a_bad_line_is_reported_and_the_rest_is_read(line):
    headers, problem = parse_fields(f"{line}\r\nVia: 1\r\nbad\r\nTo: 2")
    assert str(problem) == "400 Malformed header field"
    assert headers.items() == [("Via", "1"), ("To", "2")]


def test_limits():
    headers, problem = parse_fields("\r\n".join(["X: y"] * (MAX_FIELDS + 1)))
    assert str(problem) == "400 Too Many Header Fields"
    assert len(headers) == MAX_FIELDS
    headers, problem = parse_fields("Via: 1\r\nX: " + "y" * MAX_FIELD_LENGTH)
    assert str(problem) == "400 Header Field Too Long"
    assert headers.items() == [("Via", "1")]
    many, problem = parse_fields("\r\n".join(["X: " + "y" * 5000] * 3))
    assert problem is None
    assert len(many) == 3


TOKENS = st.from_regex(r"[A-Za-z0-9\-.!%*_+`'~]+", fullmatch=True)
VALUES = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])).map(
    lambda text: text.strip(" \t")
)


@given(st.lists(st.tuples(TOKENS, VALUES), max_size=20))
def test_any_fields_survive_the_wire(items):
    headers = Headers(items)
    read, problem = parse_fields("\r\n".join([f"{name}: {value}" for name, value in headers]))
    assert problem is None
    assert read == headers
