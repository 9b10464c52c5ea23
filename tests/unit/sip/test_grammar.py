import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream.sip import grammar
from sidestream.sip.errors import LocalError, MessageError


@pytest.mark.parametrize(
    ("text", "elements"),
    [
        ("", [""]),
        (" a ", ["a"]),
        ("a, b ,c", ["a", "b", "c"]),
        ("a,,b,", ["a", "", "b", ""]),
        ('"x, y" <sip:a@b>, <sip:c,d@e>;q=1', ['"x, y" <sip:a@b>', "<sip:c,d@e>;q=1"]),
        ('"quote \\" comma ,", b', ['"quote \\" comma ,"', "b"]),
        ('"open, <sip:a@b>, c', ['"open, <sip:a@b>, c']),
        ("<sip:open, c", ["<sip:open, c"]),
        (',"a"', ["", '"a"']),
        ('"a",', ['"a"', ""]),
        (";;,,;;,;", [";;", "", ";;", ";"]),
    ],
)
def test_a_list_splits_at_bare_commas_only(text, elements):
    assert grammar.split_list(text) == elements


PARAMS = [
    ("", ()),
    (";lr", (("lr", None),)),
    (";tag=1;Q=0.5", (("tag", "1"), ("Q", "0.5"))),
    (';a="x;y=\\"z"', (("a", '"x;y=\\"z"'),)),
    (';+sip.instance="<urn:uuid:0>"', (("+sip.instance", '"<urn:uuid:0>"'),)),
    (";received=[2001:db8::1]", (("received", "[2001:db8::1]"),)),
]


@pytest.mark.parametrize(("text", "params"), PARAMS)
def test_params_go_both_ways(text, params):
    assert grammar.parse_params(text, "X") == params
    assert grammar.format_params(params) == text


def test_params_may_have_blanks_around_every_sign():
    assert grammar.parse_params(" ; tag\t=  98 ;x ", "X") == (("tag", "98"), ("x", None))


@pytest.mark.parametrize("text", [";", ";;a", ";a=", "a", ";a b", ';a="open', ";a=b c", ";ä=1", ";a=1,b", ";=1"])
def test_other_text_is_no_params(text):
    with pytest.raises(MessageError, match="400 Malformed X"):
        grammar.parse_params(text, "X")


def test_find_replace_and_drop_params():
    params = (("Tag", '"a b"'), ("lr", None))
    assert grammar.find_param(params, "tag") == "a b"
    assert grammar.find_param(params, "lr") == ""
    assert grammar.find_param(params, "x") is None
    assert grammar.replace_param(params, "tag", "2") == (("Tag", "2"), ("lr", None))
    assert grammar.replace_param(params, "x", None) == (*params, ("x", None))
    assert grammar.without_param(params, "tag") == (("lr", None),)


@given(st.text(st.characters(exclude_characters="\r\n")))
def test_quoting_goes_both_ways(text):
    quoted = grammar.quote(text)
    assert grammar.unquote(quoted) == text
    assert grammar.split_list(f"{quoted},x") == [quoted, "x"]


@pytest.mark.parametrize("text", ["", '"', "token", '"open', 'a"b"'])
def test_unquote_leaves_other_text_alone(text):
    assert grammar.unquote(text) == text


@pytest.mark.parametrize("text", ["a\rb", "a\nb"])
def test_quote_refuses_line_breaks(text):
    with pytest.raises(LocalError):
        grammar.quote(text)


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("00", 0), ("0068", 68), ("4294967295", 2**32 - 1)])
def test_decimals(text, number):
    assert grammar.parse_decimal(text, 2**32 - 1, "X") == number


@pytest.mark.parametrize("text", ["", "-1", "+1", "1_0", "٣", "1 ", "4294967296", "1" + "0" * 5000])
def test_other_text_is_no_decimal(text):
    with pytest.raises(MessageError, match="Malformed X"):
        grammar.parse_decimal(text, 2**32 - 1, "X")


def test_tokens():
    assert grammar.is_token("INVITE")
    assert not grammar.is_token("")
    assert not grammar.is_token("a b")


@pytest.mark.parametrize(
    "hostile", ['"' + '\\"' * 20000, "<" * 40000, ";a=" * 15000, '"a",' * 10000 + '"', "a<" * 20000]
)
def test_hostile_text_costs_linear_time(hostile):
    started = time.process_time()
    grammar.split_list("," + hostile)
    with pytest.raises(MessageError):
        grammar.parse_params(hostile, "X")
    assert time.process_time() - started < 1.0
