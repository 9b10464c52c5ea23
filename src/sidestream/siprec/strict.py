"""Checks of metadata that we made, beyond and against what the schema says (siprec X1-X10)."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from sidestream.sdp.session import SessionDescription
from sidestream.siprec.aor import clean_aor
from sidestream.siprec.document import Element, local_name, namespace_of, parse_document
from sidestream.siprec.metadata import NAMESPACE, DataMode, Recording

_ID = re.compile(r"[A-Za-z0-9+/]{21}[AQgw]==")  # a 16-octet UUID in base64, RFC 7865 §6.10
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")  # RFC 3339 with the capitals of RFC 7865 §6.9
_TIMES = ("associate-time", "disassociate-time")
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"


@dataclass(frozen=True, slots=True)
class Problem:
    """`check` is the id of the rule that is broken, such as X4."""

    check: str
    text: str

    def __str__(self) -> str:
        return f"{self.check}: {self.text}"


@dataclass(frozen=True, slots=True)
class _Rule:
    """What RFC 7865 §9 allows in one element: children in their order, attributes, foreign elements at the end."""

    children: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    foreign: bool = True


_ASSOCIATION = ("sessionrecordingassoc", "participantsessionassoc", "participantstreamassoc")
_RULES = {
    "recording": _Rule(("datamode", "group", "session", "participant", "stream", *_ASSOCIATION)),
    "datamode": _Rule(foreign=False),
    "group": _Rule(_TIMES, ("group_id",)),
    "session": _Rule(("sipSessionID", "reason", "group-ref", "start-time", "stop-time"), ("session_id",)),
    "participant": _Rule(("nameID",), ("participant_id",)),
    "nameID": _Rule(("name",), ("aor",), foreign=False),
    "name": _Rule(optional=(_LANGUAGE,), foreign=False),
    "stream": _Rule(("label",), ("stream_id",), ("session_id",)),
    "sessionrecordingassoc": _Rule(_TIMES, ("session_id",)),
    "participantsessionassoc": _Rule((*_TIMES, "param"), ("participant_id", "session_id")),
    "participantstreamassoc": _Rule(("send", "recv", *_TIMES), ("participant_id",)),
    "reason": _Rule(required=("cause",), optional=("protocol",), foreign=False),
    "param": _Rule(required=("pname", "pval"), foreign=False),
}
_LEAF = _Rule(foreign=False)


def check_strict(xml: bytes, sdp: SessionDescription | None, known: Recording | None = None) -> list[Problem]:
    """Everything wrong with one document of ours; [] when nothing is.

    `sdp`: the description in the same message, None without one. `known`: for a partial document, the state that the
    documents before it built; its references may point there.
    """
    # X12 seen from the sender: no DTD, well-formed, of a sane size.
    document = parse_document(xml, recover=False)
    if document.root is None:
        return [Problem("X12", text) for text in document.problems]
    root = document.root
    # C30: the namespace exactly, one recording element at the root.
    if root.tag != f"{{{NAMESPACE}}}recording":
        return [Problem("C30", f"the root element is {root.tag!r}")]
    problems: list[Problem] = []
    if (root.getroottree().docinfo.encoding or "").upper() != "UTF-8":
        problems.append(Problem("C30", "the encoding is not UTF-8"))
    problems += _structure(root)
    problems += _values(root)
    mode = root.findtext(f"{{{NAMESPACE}}}datamode")
    if mode not in (DataMode.COMPLETE, DataMode.PARTIAL):
        problems.append(Problem("X1", f"datamode is {mode!r}"))
    is_complete = mode != DataMode.PARTIAL
    problems += _references(root, None if is_complete else known)
    problems += _labels(root, sdp, is_complete=is_complete)
    return problems


def _structure(element: Element) -> Iterator[Problem]:
    """X2, X3, X4, X10: which elements and attributes stand where."""
    name = local_name(element)
    rule = _RULES.get(name, _LEAF)
    keys = {str(key) for key in element.attrib}
    for key in set(rule.required) - keys:
        yield Problem("X10", f"{name} without {key}")
    for key in keys - {*rule.required, *rule.optional}:
        yield Problem("X10", f"unknown attribute {key} of {name}")
    if name == "participant" and element.find(f"{{{NAMESPACE}}}nameID") is None:
        yield Problem("X10", "participant without nameID")
    position = -1
    foreign_seen = False
    for child in element:
        child_name = local_name(child)
        if namespace_of(child) == NAMESPACE:
            if foreign_seen:
                yield Problem("X3", f"{child_name} after a foreign element in {name}")
            if child_name not in rule.children:
                yield Problem("X2", f"{child_name} does not belong into {name}")
                continue
            if rule.children.index(child_name) < position:
                yield Problem("X4", f"{child_name} too late in {name}")
            position = max(position, rule.children.index(child_name))
            yield from _structure(child)
        else:
            foreign_seen = True
            if not namespace_of(child):
                yield Problem("X2", f"{child_name} has no namespace")
            if not rule.foreign:
                yield Problem("X3", f"foreign element {child_name} in {name}")


def _values(root: Element) -> Iterator[Problem]:
    """X5, X6, X7: ids, times and addresses."""
    for element in root.iter(f"{{{NAMESPACE}}}*"):
        name, text = local_name(element), element.text or ""
        ids = [str(value) for key, value in element.attrib.items() if str(key).endswith("_id")]
        if name in ("group-ref", "send", "recv"):
            ids.append(text)
        for value in ids:
            if not _ID.fullmatch(value):
                yield Problem("X5", f"{value!r} in {name} is no base64 UUID")
        if name.endswith("-time") and not _is_time(text):
            yield Problem("X6", f"{name} {text!r} is no UTC time")
        aor = element.get("aor")
        if aor is not None and clean_aor(aor) != aor:
            yield Problem("X7", f"aor {aor!r} is no clean address of record")


def _is_time(text: str) -> bool:
    if not _TIME.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text[:19])
    except ValueError:
        return False
    return True


def _references(root: Element, known: Recording | None) -> Iterator[Problem]:
    """X8: no id twice, and every reference leads to an element of the document or of the known state."""
    defined: dict[str, set[str]] = {kind: set() for kind in ("group", "session", "participant", "stream")}
    if known is not None:
        defined["group"] = {group.group_id for group in known.groups}
        defined["session"] = {session.session_id for session in known.sessions}
        defined["participant"] = {participant.participant_id for participant in known.participants}
        defined["stream"] = {stream.stream_id for stream in known.streams}
    seen: set[str] = set()
    for kind, ids in defined.items():
        for element in root.iterfind(f"{{{NAMESPACE}}}{kind}"):
            own = element.get(f"{kind}_id", "")
            if own in seen:
                yield Problem("X8", f"the id of {kind} {own} is defined twice")
            seen.add(own)
            ids.add(own)

    def missing(kind: str, value: str | None) -> Iterator[Problem]:
        if value is not None and value not in defined[kind]:
            yield Problem("X8", f"{kind} {value} is not defined")

    for element in root.iter(f"{{{NAMESPACE}}}*"):
        yield from _dangling(element, missing)


def _dangling(element: Element, missing: Callable[[str, str | None], Iterator[Problem]]) -> Iterator[Problem]:
    match local_name(element):
        case "group-ref":
            yield from missing("group", element.text or "")
        case "send" | "recv":
            yield from missing("stream", element.text or "")
        case "stream" | "sessionrecordingassoc":
            yield from missing("session", element.get("session_id"))
        case "participantsessionassoc":
            yield from missing("session", element.get("session_id"))
            yield from missing("participant", element.get("participant_id"))
        case "participantstreamassoc":
            yield from missing("participant", element.get("participant_id"))


def _labels(root: Element, sdp: SessionDescription | None, *, is_complete: bool) -> Iterator[Problem]:
    """X9, C11: labels and the a=label of the same message agree, in both directions when the document is complete."""
    named = {label.text or "" for label in root.iterfind(f"{{{NAMESPACE}}}stream/{{{NAMESPACE}}}label")}
    offered = {media.label or "" for media in sdp.media if not media.is_refused} if sdp is not None else set()
    for label in sorted(named - offered):
        yield Problem("X9", f"no m-line of this message has the label {label!r}")
    if is_complete and sdp is not None:
        for label in sorted(offered - named):
            yield Problem("X9", f"no stream has the label {label!r} of an m-line")
