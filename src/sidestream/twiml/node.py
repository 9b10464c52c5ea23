"""XML read by the schema: elements in their places, attributes with their values, and all that was wrong with them."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

from lxml import etree

from sidestream.base.secret import Secret
from sidestream.debugger.catalog import entry
from sidestream.twiml.document import Problem
from sidestream.twiml.schema import SCHEMA, Element, TextRule
from sidestream.twiml.value import BadValue, Value, read_value

PROBLEM_LIMIT = 50  # of one document: each becomes an alert, and 64 kB of nonsense would make thousands
QUOTE_LIMIT = 60  # characters of the document that a message repeats


@dataclass(frozen=True, slots=True)
class Node:
    """An element that the schema knows, in a place where it may stand. `values` has every attribute of the schema."""

    name: str
    line: int | None
    values: dict[str, Value]
    text: str
    children: tuple["Node", ...]

    def word(self, name: str) -> str | None:
        """The value of a text attribute; None if it is missing or empty."""
        value = self.values[name]
        return value if isinstance(value, str) and value else None

    def secret(self, name: str) -> Secret | None:
        word = self.word(name)
        return None if word is None else Secret(word)

    def integer(self, name: str) -> int:
        value = self.values[name]
        assert isinstance(value, int)
        return value

    def flag(self, name: str) -> bool:
        return self.values[name] is True

    def choice(self, name: str) -> str:
        """The value of an attribute that has a default."""
        value = self.values[name]
        assert isinstance(value, str)
        return value

    def words(self, name: str) -> tuple[str, ...]:
        value = self.values[name]
        assert isinstance(value, tuple)
        return value


@dataclass(slots=True)
class Problems:
    """Collects what is wrong with a document, up to PROBLEM_LIMIT."""

    found: list[Problem] = field(default_factory=list)

    def add(self, code: int, message: str, line: int | None = None) -> None:
        if len(self.found) < PROBLEM_LIMIT:
            self.found.append(Problem(code, entry(code).level, message, line))
        elif len(self.found) == PROBLEM_LIMIT:
            self.found.append(Problem(code, entry(code).level, "There are more problems, not listed here", line))


def read_node(xml: etree._Element, problems: Problems) -> Node:
    """The element as a Node. Its tag is one of the schema."""
    schema = SCHEMA[str(xml.tag)]
    line = line_of(xml)
    values = _read_attributes(xml, schema, problems)
    children = tuple(read_node(child, problems) for child in xml if _belongs(child, schema, problems))
    text = _text_of(xml, schema)
    if schema.text is TextRule.NONE and text:
        problems.add(12200, f"Text in <{schema.name}> has no meaning: {quoted(text)}", line)
    return Node(schema.name, line, values, text, children)


def line_of(xml: etree._Element) -> int | None:
    """The line that the element begins on, from 1."""
    return cast(int | None, xml.sourceline)


def quoted(text: str) -> str:
    """`text` fit for a message: short, and on one line."""
    clipped = text if len(text) <= QUOTE_LIMIT else text[:QUOTE_LIMIT] + "…"
    return repr(clipped)


def _read_attributes(xml: etree._Element, schema: Element, problems: Problems) -> dict[str, Value]:
    known = {attribute.name: attribute for attribute in schema.attributes}
    values: dict[str, Value] = {attribute.name: attribute.default for attribute in schema.attributes}
    for key, text in xml.attrib.items():
        name = str(key)
        if name.startswith("{"):
            continue  # of another namespace, such as xsi:schemaLocation: not ours to judge
        if name in schema.unsupported_attributes:
            problems.add(12200, f"The attribute {name} of <{schema.name}> is not supported", line_of(xml))
        elif name not in known:
            hint = _hint(name, known)
            problems.add(12200, f"<{schema.name}> has no attribute {quoted(name)}{hint}", line_of(xml))
        else:
            try:
                values[name] = read_value(known[name], str(text))
            except BadValue as bad:
                what = f"{name}={quoted(str(text))} of <{schema.name}> is not valid: {bad}"
                problems.add(known[name].code, what, line_of(xml))
    return values


def _belongs(child: etree._Element, parent: Element, problems: Problems) -> bool:
    """Whether the child has a place in its parent; a problem if not."""
    name = str(child.tag)
    if name in parent.children:
        return True
    if name in parent.unsupported_children:
        problem = f"<{name}> is not supported in <{parent.name}>"
    elif name in SCHEMA:
        problem = f"<{name}> cannot stand in <{parent.name}>"
    else:
        problem = f"Unknown element {quoted(name)} in <{parent.name}>{_hint(name, parent.children)}"
    problems.add(12200, problem, line_of(child))
    return False


def _text_of(xml: etree._Element, schema: Element) -> str:
    if schema.text is TextRule.WORDS:
        return " ".join("".join(map(str, xml.itertext())).split())
    pieces = [xml.text or "", *(child.tail or "" for child in xml)]
    return "".join(pieces).strip()


def _hint(name: str, candidates: Iterable[str]) -> str:
    """Which name may have been meant, also if only upper and lower case differ."""
    by_folded = {candidate.lower(): candidate for candidate in candidates}
    close = difflib.get_close_matches(name[:QUOTE_LIMIT].lower(), by_folded, n=1, cutoff=0.75)
    return f"; did you mean {by_folded[close[0]]}?" if close else ""
