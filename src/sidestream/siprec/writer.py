"""Metadata to XML, in one fixed layout that validates against RFC 7865 §9 and that text-comparing receivers know."""

import re
from collections.abc import Iterable

from sidestream.siprec.metadata import (
    NAMESPACE,
    Group,
    Participant,
    ParticipantSession,
    ParticipantStream,
    Recording,
    Session,
    SessionRecording,
    Stream,
)

# XML 1.0 §2.2: what is no Char cannot be written at all, not even as a reference.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
_HARMLESS = re.compile("[ !#-%'-;=?-~]*")  # printable ASCII but the four: nearly every value
_TO_ESCAPE = re.compile('[&<>"\t\n\r]')


def write(recording: Recording) -> bytes:
    """The document in UTF-8 with CRLF line ends, the last one included.

    Values are escaped and freed of characters that XML forbids; ids are written as they are.
    """
    out = _Lines()
    # RFC 7865 §5.1: UTF-8; exactly one recording element; its children in the order of the schema's sequence.
    out.raw('<?xml version="1.0" encoding="UTF-8"?>')
    # C30: the namespace exactly, as the default one, for several receivers compare text.
    with out.element("recording", xmlns=NAMESPACE):
        # RFC 7865 §5.1.2 has dataMode in its text; the schema, which rules, has datamode.
        out.leaf("datamode", recording.data_mode.value)
        for group in recording.groups:
            _group(out, group)
        for session in recording.sessions:
            _session(out, session)
        for participant in recording.participants:
            _participant(out, participant)
        for stream in recording.streams:
            _stream(out, stream)
        for session_recording in recording.session_recordings:
            _session_recording(out, session_recording)
        for participant_session in recording.participant_sessions:
            _participant_session(out, participant_session)
        for participant_stream in recording.participant_streams:
            _participant_stream(out, participant_stream)
    return out.to_bytes()


def escaped(text: str) -> str:
    """`text` fit for an attribute in quotes or for element content."""
    if _HARMLESS.fullmatch(text):
        return text
    return _TO_ESCAPE.sub(lambda match: _ESCAPES[match[0]], _FORBIDDEN.sub("", text))


class _Lines:
    """The document so far: one element or leaf a line, two blanks a level."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._open: list[tuple[str, int]] = []  # name and line of each element that is open

    def raw(self, line: str) -> None:
        self._lines.append(line)

    def element(self, name: str, **attributes: str | None) -> "_Lines":
        self._lines.append(f"{self._indent()}<{name}{_attributes(attributes.items())}>")
        self._open.append((name, len(self._lines)))
        return self

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        name, line = self._open.pop()
        if line == len(self._lines):
            self._lines[-1] = self._lines[-1][:-1] + "/>"
        else:
            self._lines.append(f"{self._indent()}</{name}>")

    def leaf(self, name: str, text: str | None, attributes: Iterable[tuple[str, str | None]] = ()) -> None:
        """An element with text alone; nothing when `text` is None."""
        if text is not None:
            self._lines.append(f"{self._indent()}<{name}{_attributes(attributes)}>{escaped(text)}</{name}>")

    def empty(self, name: str, *attributes: tuple[str, str]) -> None:
        self._lines.append(f"{self._indent()}<{name}{_attributes(attributes)}/>")

    def to_bytes(self) -> bytes:
        return "".join(f"{line}\r\n" for line in self._lines).encode()

    def _indent(self) -> str:
        return "  " * len(self._open)


def _attributes(attributes: Iterable[tuple[str, str | None]]) -> str:
    return "".join(f' {name}="{escaped(value)}"' for name, value in attributes if value is not None)


def _times(out: _Lines, of: Group | SessionRecording | ParticipantSession | ParticipantStream) -> None:
    out.leaf("associate-time", of.associate_time)
    out.leaf("disassociate-time", of.disassociate_time)


def _group(out: _Lines, group: Group) -> None:
    with out.element("group", group_id=group.group_id):
        _times(out, group)


def _session(out: _Lines, session: Session) -> None:
    with out.element("session", session_id=session.session_id):
        for sip_session_id in session.sip_session_ids:
            out.leaf("sipSessionID", sip_session_id)
        for reason in session.reasons:
            out.leaf("reason", reason.text, [("cause", str(reason.cause)), ("protocol", reason.protocol)])
        out.leaf("group-ref", session.group_ref)
        out.leaf("start-time", session.start_time)
        out.leaf("stop-time", session.stop_time)
        # X2, X3: a foreign element needs a namespace of its own and comes after all standard children.
        if session.extension is not None:
            with out.element("ExtensionParameters", xmlns=session.extension.namespace):
                for name, value in session.extension.parameters:
                    out.empty("Parameter", ("name", name), ("value", value))


def _participant(out: _Lines, participant: Participant) -> None:
    with out.element("participant", participant_id=participant.participant_id):
        for name_id in participant.name_ids:
            with out.element("nameID", aor=name_id.aor):
                out.leaf("name", name_id.name, [("xml:lang", name_id.language)])


def _stream(out: _Lines, stream: Stream) -> None:
    with out.element("stream", stream_id=stream.stream_id, session_id=stream.session_id):
        out.leaf("label", stream.label)


def _session_recording(out: _Lines, association: SessionRecording) -> None:
    with out.element("sessionrecordingassoc", session_id=association.session_id):
        _times(out, association)


def _participant_session(out: _Lines, association: ParticipantSession) -> None:
    ids = {"participant_id": association.participant_id, "session_id": association.session_id}
    with out.element("participantsessionassoc", **ids):
        _times(out, association)
        for name, value in association.params:
            out.empty("param", ("pname", name), ("pval", value))


def _participant_stream(out: _Lines, association: ParticipantStream) -> None:
    with out.element("participantstreamassoc", participant_id=association.participant_id):
        # X4: all send before all recv, before the times.
        for stream_id in association.send:
            out.leaf("send", stream_id)
        for stream_id in association.recv:
            out.leaf("recv", stream_id)
        _times(out, association)
