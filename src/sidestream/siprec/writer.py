"""Metadata to XML, in one fixed layout that validates against RFC 7865 §9 and that text-comparing receivers know."""

import re

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
    # C30: the namespace exactly, as the default one, for several receivers compare text.
    # RFC 7865 §5.1.2 has dataMode in its text; the schema, which rules, has datamode.
    children = _leaf(1, "datamode", recording.data_mode.value)
    for group in recording.groups:
        children += _group(group)
    for session in recording.sessions:
        children += _session(session)
    for participant in recording.participants:
        children += _participant(participant)
    for stream in recording.streams:
        children += _stream(stream)
    for session_recording in recording.session_recordings:
        children += _session_recording(session_recording)
    for participant_session in recording.participant_sessions:
        children += _participant_session(participant_session)
    for participant_stream in recording.participant_streams:
        children += _participant_stream(participant_stream)
    # RFC 7865 §5.1: UTF-8; exactly one recording element; its children in the order of the schema's sequence.
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', *_element(0, "recording", f' xmlns="{NAMESPACE}"', children), ""]
    return "\r\n".join(lines).encode()


def escaped(text: str) -> str:
    """`text` fit for an attribute in quotes or for element content."""
    if _HARMLESS.fullmatch(text):
        return text
    return _TO_ESCAPE.sub(lambda match: _ESCAPES[match[0]], _FORBIDDEN.sub("", text))


# The document so far is its lines: one element or leaf a line, two blanks a level.
Lines = list[str]
_INDENT = ("", "  ", "    ", "      ")


def _element(level: int, name: str, attributes: str, children: Lines) -> Lines:
    """`attributes`: as they stand in the tag, a blank before each."""
    indent = _INDENT[level]
    if not children:
        return [f"{indent}<{name}{attributes}/>"]
    return [f"{indent}<{name}{attributes}>", *children, f"{indent}</{name}>"]


def _attribute(name: str, value: str | None) -> str:
    """As it stands in a tag; nothing when `value` is None."""
    return "" if value is None else f' {name}="{escaped(value)}"'


def _leaf(level: int, name: str, text: str | None, attributes: str = "") -> Lines:
    """An element with text alone; nothing when `text` is None."""
    return [] if text is None else [f"{_INDENT[level]}<{name}{attributes}>{escaped(text)}</{name}>"]


def _times(of: Group | SessionRecording | ParticipantSession | ParticipantStream) -> Lines:
    return _leaf(2, "associate-time", of.associate_time) + _leaf(2, "disassociate-time", of.disassociate_time)


def _group(group: Group) -> Lines:
    return _element(1, "group", _attribute("group_id", group.group_id), _times(group))


def _session(session: Session) -> Lines:
    children = [line for text in session.sip_session_ids for line in _leaf(2, "sipSessionID", text)]
    for reason in session.reasons:
        cause = _attribute("cause", str(reason.cause)) + _attribute("protocol", reason.protocol)
        children += _leaf(2, "reason", reason.text, cause)
    children += _leaf(2, "group-ref", session.group_ref)
    children += _leaf(2, "start-time", session.start_time)
    children += _leaf(2, "stop-time", session.stop_time)
    # X2, X3: a foreign element needs a namespace of its own and comes after all standard children.
    if session.extension is not None:
        parameters: Lines = []
        for name, value in session.extension.parameters:
            parameters += _element(3, "Parameter", _attribute("name", name) + _attribute("value", value), [])
        namespace = _attribute("xmlns", session.extension.namespace)
        children += _element(2, "ExtensionParameters", namespace, parameters)
    return _element(1, "session", _attribute("session_id", session.session_id), children)


def _participant(participant: Participant) -> Lines:
    children: Lines = []
    for name_id in participant.name_ids:
        name = _leaf(3, "name", name_id.name, _attribute("xml:lang", name_id.language))
        children += _element(2, "nameID", _attribute("aor", name_id.aor), name)
    return _element(1, "participant", _attribute("participant_id", participant.participant_id), children)


def _stream(stream: Stream) -> Lines:
    ids = _attribute("stream_id", stream.stream_id) + _attribute("session_id", stream.session_id)
    return _element(1, "stream", ids, _leaf(2, "label", stream.label))


def _session_recording(association: SessionRecording) -> Lines:
    session_id = _attribute("session_id", association.session_id)
    return _element(1, "sessionrecordingassoc", session_id, _times(association))


def _participant_session(association: ParticipantSession) -> Lines:
    ids = _attribute("participant_id", association.participant_id) + _attribute("session_id", association.session_id)
    children = _times(association)
    for name, value in association.params:
        children += _element(2, "param", _attribute("pname", name) + _attribute("pval", value), [])
    return _element(1, "participantsessionassoc", ids, children)


def _participant_stream(association: ParticipantStream) -> Lines:
    # X4: all send before all recv, before the times.
    children = [line for stream_id in association.send for line in _leaf(2, "send", stream_id)]
    children += [line for stream_id in association.recv for line in _leaf(2, "recv", stream_id)]
    participant_id = _attribute("participant_id", association.participant_id)
    return _element(1, "participantstreamassoc", participant_id, children + _times(association))
