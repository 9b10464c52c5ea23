"""TwiML as bytes → a Document and what is wrong with it."""

import codecs
import re
from functools import lru_cache

from lxml import etree

from sidestream.twiml.builder import build_document
from sidestream.twiml.document import Document, Play, Problem, Say
from sidestream.twiml.node import Problems, line_of, quoted, read_node
from sidestream.twiml.schema import ROOT

SIZE_LIMIT = 64 * 1024  # octets; the limit Twilio documents for a document (error 11750)
# Most calls are given a document that others were given, so the last ones are kept, unless they are large.
REMEMBERED = 256
REMEMBERED_SIZE = 4096  # octets
MESSAGE_LIMIT = 200  # characters taken over from the XML parser's message, which repeats parts of the document

_XML_TYPES = frozenset(("text/xml", "application/xml", "text/html"))
_XML_VERSIONS = frozenset((None, "1.0"))
_CHARSET = re.compile(r';\s*charset\s*=\s*"?([A-Za-z0-9._:-]+)"?', re.IGNORECASE)


class _Unusable(Exception):
    """There is no document in these bytes."""

    def __init__(self, code: int, message: str, line: int | None = None) -> None:
        super().__init__(code, message, line)
        self.code = code
        self.message = message
        self.line = line


def parse_twiml(
    data: bytes, content_type: str | None = None, *, url: str = ""
) -> tuple[Document | None, tuple[Problem, ...]]:
    """The document in `data`, and its problems; None with exactly one ERROR if there is no document. Raises nothing.

    `content_type` is the header of the answer that brought it (None: inline TwiML). Audio is a document that plays
    `url`, where it came from; plain text is one that speaks it.
    """
    parse = _remembered if len(data) <= REMEMBERED_SIZE else _document
    return parse(data, content_type, url)


def _document(data: bytes, content_type: str | None, url: str) -> tuple[Document | None, tuple[Problem, ...]]:
    problems = Problems()
    try:
        document = _parse(data, content_type, url, problems)
    except _Unusable as unusable:
        problems.add(unusable.code, unusable.message, unusable.line)
        document = None
    return document, tuple(problems.found)


_remembered = lru_cache(REMEMBERED)(_document)


def _parse(data: bytes, content_type: str | None, url: str, problems: Problems) -> Document:
    media_type = (content_type or "text/xml").partition(";")[0].strip().lower()
    if media_type.startswith("audio/"):
        return Document((Play(url),))
    is_text = media_type == "text/plain"
    if not is_text and media_type not in _XML_TYPES and not media_type.endswith("+xml"):
        raise _Unusable(12300, f"Content type {quoted(media_type)} is neither XML, text nor audio")
    if len(data) > SIZE_LIMIT:
        raise _Unusable(11750, f"The document has {len(data)} bytes; {SIZE_LIMIT} are allowed")
    if not data.strip():
        raise _Unusable(11770, "The document is empty")
    if is_text:
        return Document((Say(_decoded(data, content_type or "")),))
    return build_document(read_node(_root(data), problems), problems)


def _root(data: bytes) -> etree._Element:
    # No entity is ever expanded, no DTD and no other file read, and nesting stays under libxml2's own limit of 256.
    parser = etree.XMLParser(
        resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        code = 12101 if getattr(error, "code", None) == etree.ErrorTypes.ERR_UNKNOWN_VERSION else 12100
        raise _Unusable(code, f"Not well-formed: {(error.msg or '')[:MESSAGE_LIMIT]}", error.lineno) from None
    info = root.getroottree().docinfo
    if info.internalDTD is not None:
        raise _Unusable(12100, "Document type declarations are not accepted")
    if info.xml_version not in _XML_VERSIONS:
        raise _Unusable(12101, f"XML version {quoted(info.xml_version)} is not supported")
    if root.tag != ROOT:
        raise _Unusable(12102, f"The root element is {quoted(str(root.tag))} instead of <{ROOT}>", line_of(root))
    return root


def _decoded(data: bytes, content_type: str) -> str:
    """Plain text in its declared character set, in UTF-8 if that is unknown; white space collapsed."""
    declared = _CHARSET.search(content_type)
    try:
        encoding = codecs.lookup(declared[1]).name if declared else "utf-8"
        text = data.decode(encoding, "replace")
    except (LookupError, UnicodeError):
        text = data.decode("utf-8", "replace")
    return " ".join(text.split())
