import pytest

from sidestream.siprec.document import (
    DEPTH_LIMIT,
    ELEMENT_LIMIT,
    SIZE_LIMIT,
    local_name,
    namespace_of,
    parse_document,
    text_of,
)


def test_a_document_is_parsed() -> None:
    document = parse_document(b"<!-- no --><t:recording xmlns:t='urn:x'><?pi?><a> b </a></t:recording>")
    assert document.problems == ()
    assert document.root is not None
    assert (local_name(document.root), namespace_of(document.root)) == ("recording", "urn:x")
    assert [text_of(child) for child in document.root] == ["b"]
    assert text_of(document.root) == ""


BOMB = b'<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><r>&b;</r>'
EXTERNAL = b'<!DOCTYPE r SYSTEM "http://127.0.0.1:9/x.dtd"><r/>'


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (BOMB, "document type"),
        (EXTERNAL, "document type"),
        (b"<r>" * (DEPTH_LIMIT + 1) + b"</r>" * (DEPTH_LIMIT + 1), "too deep"),
        (b"<r>" + b"<a/>" * ELEMENT_LIMIT + b"</r>", "too deep or too many"),
        (b" " * (SIZE_LIMIT + 1), "octets exceed"),
        (b"", "not well-formed"),
        (b"\xff\xfe\x00", "not well-formed"),
    ],
)
def test_what_could_harm_is_refused(data: bytes, problem: str) -> None:
    """X12: no DTD, no entities, limits on size and depth."""
    document = parse_document(data)
    assert document.root is None
    assert problem in document.problems[-1]


def test_what_can_be_saved_of_a_broken_document_is_saved() -> None:
    """I17: unescaped text of callers breaks documents of some clients."""
    document = parse_document(b"<r><a>x</a><b>Marsh & Sons</b></r>")
    assert document.problems[0].startswith("not well-formed")
    assert document.root is not None
    assert text_of(document.root[0]) == "x"
    assert parse_document(b"<r>&</r>", recover=False).root is None


@pytest.mark.parametrize("half", ["&#xD800;", "&#xdfFF;", "&#0055296;", "&#x0000DABC;"])
def test_half_a_surrogate_pair_is_left_out(half: str) -> None:
    document = parse_document(f"<r><a b='x{half}&#233;'>y{half}&#xe9;</a>{half}&#xFFFFFFFFFFFF;</r>".encode())
    assert document.problems[0].startswith("not well-formed")
    assert document.root is not None
    assert (document.root[0].get("b"), text_of(document.root[0])) == ("x\xe9", "y\xe9")


def test_half_a_surrogate_pair_that_cannot_be_left_out_leaves_nothing() -> None:
    assert parse_document("<?xml version='1.0' encoding='utf-16'?><r>&#xD800;</r>".encode("utf-16")).root is None


def test_an_unknown_entity_is_no_element() -> None:
    document = parse_document(b"<r>&nbsp;<a/></r>")
    assert document.root is not None
    assert "a" in [local_name(child) for child in document.root]


def test_a_prefix_that_was_never_declared_is_no_matter() -> None:
    document = parse_document(b"<r><ns2:a>x</ns2:a><n:o:b/></r>")
    assert document.problems[0].startswith("not well-formed")
    assert document.root is not None
    assert [local_name(child) for child in document.root] == ["a", "b"]
    assert [namespace_of(child) for child in document.root] == [None, None]


def test_the_charset_of_the_part_rules() -> None:
    """S22: over the XML declaration."""
    data = "<?xml version='1.0' encoding='UTF-8'?><r>\xe9</r>".encode("latin-1")
    document = parse_document(data, "ISO-8859-1")
    assert document.root is not None
    assert text_of(document.root) == "\xe9"


@pytest.mark.parametrize("charset", ["klingon", "\x00", "x" * 50, "rot13"])
def test_an_unknown_charset_is_a_problem_and_no_more(charset: str) -> None:
    document = parse_document(b"<r>x</r>", charset)
    assert document.root is not None
    assert document.problems == (f"unknown charset {charset[:40]!r}",)
