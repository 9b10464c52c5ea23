"""Metadata from XML, in every form that recorded products send (siprec I6-I13): local names count, order does not."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sidestream.siprec.document import Element, local_name, namespace_of, parse_document, text_of
from sidestream.siprec.metadata import (
    DataMode,
    ExtensionParameters,
    Group,
    NameId,
    Participant,
    ParticipantSession,
    ParticipantStream,
    Reason,
    Recording,
    Session,
    SessionRecording,
    Stream,
)

SNAPSHOT_REQUEST = "requestsnapshot"
_ROOTS = ("recording", "recording_metadata")
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_PROBLEM_LIMIT = 50  # a document can be wrong in each of its elements; nobody reads more


@dataclass(frozen=True, slots=True)
class Reading:
    """What a metadata body says. Without `recording` and `snapshot_reason` nothing usable was found in it.

    `snapshot_reason`: the reason text of a snapshot request ("" without one); None when it is none.
    """

    recording: Recording | None
    problems: tuple[str, ...] = ()
    snapshot_reason: str | None = None


def read(data: bytes, charset: str | None = None) -> Reading:
    """Read a document; never raises. `charset`: that of the part's Content-Type (S22)."""
    document = parse_document(data, charset)
    root = document.root
    if root is None:
        return Reading(None, document.problems)
    name = local_name(root).lower()
    if name == SNAPSHOT_REQUEST:
        reasons = [text_of(child) for child in root if local_name(child).lower() == "requestreason"]
        return Reading(None, document.problems, reasons[0] if reasons else "")
    if name not in _ROOTS:
        return Reading(None, (*document.problems, f"unknown root element {local_name(root)[:60]!r}"))
    builder = _Builder(list(document.problems))
    for child in root:
        builder.add(child)
    return Reading(builder.recording(), tuple(builder.problems[:_PROBLEM_LIMIT]))


class _Builder:
    """The document so far. Elements are kept by id, in order; links in odd places become associations."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        self._mode = DataMode.COMPLETE  # RFC 7865 §5.1.2: absent means complete
        self._kind_of: dict[str, str] = {}
        self._groups: dict[str, Group] = {}
        self._sessions: dict[str, Session] = {}
        self._participants: dict[str, Participant] = {}
        self._streams: dict[str, Stream] = {}
        self._session_recordings: dict[str, SessionRecording] = {}
        self._participant_sessions: dict[tuple[str, str], ParticipantSession] = {}
        self._participant_streams: dict[str, ParticipantStream] = {}

    def recording(self) -> Recording:
        return Recording(
            self._mode,
            tuple(self._groups.values()),
            tuple(self._sessions.values()),
            tuple(self._participants.values()),
            tuple(self._streams.values()),
            tuple(self._session_recordings.values()),
            tuple(self._participant_sessions.values()),
            tuple(self._participant_streams.values()),
        )

    def add(self, element: Element) -> None:
        """Take one child of the root; unknown ones are foreign elements and mean nothing here."""
        match local_name(element).lower():
            case "datamode":
                self._data_mode(element)
            case "group":
                self._group(element)
            case "session":
                self._session(element)
            case "participant":
                self._participant(element)
            case "stream":
                self._stream(element)
            case "sessionrecordingassoc":
                session_id = self._reference(element, "session")
                if session_id is not None:
                    self._session_recordings[session_id] = SessionRecording(session_id, *_times(element))
            case "participantsessionassoc":
                self._participant_session(element)
            case "participantstreamassoc":
                self._participant_stream(element)

    def _data_mode(self, element: Element) -> None:
        text = text_of(element).lower()
        if text in (DataMode.COMPLETE, DataMode.PARTIAL):
            self._mode = DataMode(text)
        else:
            self.problems.append(f"unknown data mode {text[:40]!r}, taken as complete")

    def _group(self, element: Element) -> None:
        group_id = self._own_id(element, "group")
        if group_id is not None:
            self._groups[group_id] = Group(group_id, *_times(element))

    def _session(self, element: Element) -> None:
        session_id = self._own_id(element, "session")
        if session_id is None:
            return
        self._sessions[session_id] = Session(
            session_id,
            sip_session_ids=tuple(text_of(child) for child in _children(element, "sipsessionid")),
            reasons=tuple(_reason(child) for child in _children(element, "reason")),
            group_ref=_text(element, "group-ref"),
            start_time=_text(element, "start-time"),
            stop_time=_text(element, "stop-time"),
            extension=_extension(element),
        )

    def _participant(self, element: Element) -> None:
        participant_id = self._own_id(element, "participant")
        if participant_id is None:
            return
        # I7: the address as an attribute or an element, of nameID or of the participant itself.
        holders = list(_children(element, "nameid"))
        if not holders and (_value(element, "aor") is not None or _text(element, "name") is not None):
            holders = [element]
        name_ids = tuple(_name_id(holder) for holder in holders)
        if not name_ids:
            self.problems.append(f"participant {participant_id[:60]!r} has no nameID")
        self._participants[participant_id] = Participant(participant_id, name_ids)
        # I7: send and recv inside the participant instead of an association.
        send, recv = _streams_of(element, "send"), _streams_of(element, "recv")
        if send or recv:
            self._participant_streams[participant_id] = ParticipantStream(participant_id, send, recv)

    def _stream(self, element: Element) -> None:
        stream_id = self._own_id(element, "stream")
        if stream_id is not None:
            session_id = _attribute(element, "session_id", "session")
            named = session_id.strip() if session_id is not None else None
            self._streams[stream_id] = Stream(stream_id, named, _text(element, "label"))

    def _participant_session(self, element: Element) -> None:
        participant_id = self._reference(element, "participant")
        session_id = self._reference(element, "session")
        if participant_id is None or session_id is None:
            return
        params = tuple(
            (_attribute(child, "pname") or "", _attribute(child, "pval") or "") for child in _children(element, "param")
        )
        self._participant_sessions[participant_id, session_id] = ParticipantSession(
            participant_id, session_id, *_times(element), params
        )

    def _participant_stream(self, element: Element) -> None:
        participant_id = self._reference(element, "participant")
        if participant_id is None:
            return
        send, recv = _streams_of(element, "send"), _streams_of(element, "recv")
        found = ParticipantStream(participant_id, send, recv, *_times(element))
        earlier = self._participant_streams.get(participant_id)
        if earlier is not None:
            # Some products write one association for each stream; together they say what one should.
            found = replace(found, send=_joined(earlier.send, send), recv=_joined(earlier.recv, recv))
        self._participant_streams[participant_id] = found

    def _own_id(self, element: Element, kind: str) -> str | None:
        """The id that `element` defines; None, with a problem, when it cannot stand."""
        found = self._reference(element, kind)
        if found is None:
            return None
        # S10, RFC 7865 §6.10: one id for two different elements is an error; that portion is ignored.
        if self._kind_of.setdefault(found, kind) != kind:
            self.problems.append(f"the id of {kind} {found[:60]!r} belongs to another element")
            return None
        return found

    def _reference(self, element: Element, kind: str) -> str | None:
        # I7, I8: `id` or `session` for `session_id`, and any text, even none, as the id itself.
        found = _attribute(element, f"{kind}_id", "id", kind)
        if found is None:
            self.problems.append(f"{local_name(element)} without {kind}_id")
            return None
        return found.strip()


def _attribute(element: Element, *names: str) -> str | None:
    for name in names:
        for key, value in element.attrib.items():
            if str(key).rpartition("}")[2].lower() == name:
                return str(value)
    return None


def _children(element: Element, name: str) -> Iterator[Element]:
    return (child for child in element if local_name(child).lower() == name)


def _text(element: Element, name: str) -> str | None:
    for child in _children(element, name):
        return text_of(child)
    return None


def _value(element: Element, name: str) -> str | None:
    """An attribute or, failing that, a child of that name."""
    attribute = _attribute(element, name)
    return attribute if attribute is not None else _text(element, name)


def _times(element: Element) -> tuple[str | None, str | None]:
    return _text(element, "associate-time"), _text(element, "disassociate-time")


def _streams_of(element: Element, name: str) -> tuple[str, ...]:
    """The stream ids of `send` or `recv`, as text or as an `id` child of it (I7)."""
    found = (_text(child, "id") or text_of(child) for child in _children(element, name))
    return tuple(stream_id for stream_id in found if stream_id)


def _name_id(element: Element) -> NameId:
    names = list(_children(element, "name"))
    name = text_of(names[0]) if names else None
    language = names[0].get(_LANGUAGE) if names else None
    return NameId(_value(element, "aor") or "", name or None, str(language) if language is not None else None)


def _reason(element: Element) -> Reason:
    cause = _attribute(element, "cause") or ""
    number = int(cause) if cause.isascii() and cause.isdigit() and len(cause) <= 5 else 0
    return Reason(number, _attribute(element, "protocol") or "SIP", text_of(element))


def _extension(session: Element) -> ExtensionParameters | None:
    """The first ExtensionParameters at or below `session`, whatever its namespace."""
    for element in session.iter("{*}ExtensionParameters"):
        parameters = tuple(
            (_attribute(child, "name") or "", _attribute(child, "value") or text_of(child))
            for child in _children(element, "parameter")
        )
        return ExtensionParameters(namespace_of(element) or "", parameters)
    return None


def _joined(earlier: tuple[str, ...], later: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(earlier + later))
