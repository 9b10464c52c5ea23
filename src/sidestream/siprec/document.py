"""Received XML, parsed so that it can do no harm and looked at by local names."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

SIZE_LIMIT = 262144  # octets: the largest known document, of a conference, has some 20 000
DEPTH_LIMIT = 32  # levels; RFC 7865 §9 needs five
ELEMENT_LIMIT = 20000  # bounds the work that one message can cause

Element = etree._Element

_CHARSET = re.compile(r"[A-Za-z][A-Za-z0-9._:-]{0,39}")  # XML 1.0 §4.3.3 EncName, and the colons of IANA names
_REFERENCE = re.compile(rb"&#(x[0-9A-Fa-f]{1,8}|[0-9]{1,9});")


@dataclass(frozen=True, slots=True)
class Document:
    """The root element, None when nothing could be parsed, and what was wrong on the way."""

    root: Element | None
    problems: tuple[str, ...] = ()


def parse_document(data: bytes, charset: str | None = None, *, recover: bool = True) -> Document:
    """Parse `data`; never raises. `charset` is that of the MIME part and rules over the XML declaration (S22).

    X12: no DTD, no entities, no network, limits on size, depth and number of elements. With `recover` a document that
    is not well-formed gives what can be saved of it (I17).
    """
    if len(data) > SIZE_LIMIT:
        return Document(None, (f"{len(data)} octets exceed the limit of {SIZE_LIMIT}",))
    problems = []
    encoding = charset or None
    if encoding is not None and not _is_known(encoding):
        problems.append(f"unknown charset {encoding[:40]!r}")
        encoding = None
    try:
        root = _parse(data, encoding, recover=False)
    except etree.XMLSyntaxError as error:
        problems.append(f"not well-formed: {error}")
        root = _recovered(data, encoding) if recover else None
    if root is None:
        return Document(None, tuple(problems))
    if root.getroottree().docinfo.internalDTD is not None:
        return Document(None, (*problems, "a document type declaration is not accepted"))
    for count, (_, depth) in enumerate(_walk(root), 1):
        if depth > DEPTH_LIMIT or count > ELEMENT_LIMIT:
            return Document(None, (*problems, "too deep or too many elements"))
    return Document(root, tuple(problems))


def local_name(element: Element) -> str:
    """The name without its namespace; "" for what is no element, such as an entity that recovery left unresolved."""
    # Recovery keeps a prefix that was never declared in the name, and lxml's QName does not take such a name.
    return re.split("[}:]", element.tag)[-1] if isinstance(element.tag, str) else ""


def namespace_of(element: Element) -> str | None:
    """Its namespace, or None; also for what is no element."""
    tag = element.tag
    return tag[1 : tag.index("}")] if isinstance(tag, str) and tag.startswith("{") else None


def text_of(element: Element) -> str:
    """The element's own text, without surrounding blanks."""
    return (element.text or "").strip()


def _is_known(charset: str) -> bool:
    if not _CHARSET.fullmatch(charset):
        return False
    try:
        etree.XMLParser(encoding=charset)
    except LookupError:
        return False
    return True


def _parse(data: bytes, encoding: str | None, *, recover: bool) -> Element | None:
    parser = etree.XMLParser(
        encoding=encoding,
        recover=recover,
        resolve_entities=False,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    return etree.fromstring(data, parser)


def _recovered(data: bytes, encoding: str | None) -> Element | None:
    try:
        root = _parse(data, encoding, recover=True)
        if root is not None and not _is_readable(root):
            root = _parse(_REFERENCE.sub(_without_surrogate, data), encoding, recover=True)
        return root if root is None or _is_readable(root) else None
    except etree.XMLSyntaxError:
        return None


def _without_surrogate(reference: re.Match[bytes]) -> bytes:
    number = int(reference[1][1:], 16) if reference[1][:1] == b"x" else int(reference[1])
    return b"" if 0xD800 <= number <= 0xDFFF else reference[0]


def _is_readable(root: Element) -> bool:
    """Whether all text can be looked at. Recovery takes references to half a surrogate pair, for which lxml raises."""
    try:
        for element in root.iter():
            _ = element.tag, element.text, element.tail, element.attrib.items()
    except UnicodeDecodeError:
        return False
    return True


def _walk(root: Element) -> Iterator[tuple[Element, int]]:
    waiting = [(root, 1)]
    while waiting:
        element, depth = waiting.pop()
        yield element, depth
        waiting.extend((child, depth + 1) for child in element)
