"""What is known of one recording, from its signalling and its metadata, and the manifest made of it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from sidestream.base.clock import iso_micros
from sidestream.sip.message import Request
from sidestream.siprec.body import RecordingBody
from sidestream.siprec.metadata import Recording, Stream
from sidestream.siprec.reader import read
from sidestream.siprec.state import merged
from sidestream.srs.archive import METADATA_LIMIT, Folder
from sidestream.srs.lines import Line, first_sample_text
from sidestream.srs.manifest import Gap, Manifest, Parameter, SessionEntry, State, StreamEntry

PROBLEM_LIMIT = 100  # kept of one recording; a client that repeats a mistake in each update makes no new one
CLOCK_TOLERANCE = timedelta(hours=1)  # I10: a Date further off than this comes from a wrong clock


class Journal:
    """Grows with each message; `manifest` may be asked for at any time."""

    def __init__(self, folder: Folder, invite: Request, arrived: datetime) -> None:
        self._folder = folder
        self._call_id = invite.call_id
        self._from, self._to = str(invite.from_.uri), str(invite.to.uri)
        self._started = _started(invite, arrived)
        self._state: Recording | None = None
        self._documents: list[str] = []
        self._problems: list[str] = []
        self._parameters: tuple[Parameter, ...] = ()
        self._known: dict[int, _Identity] = {}  # by number of the line: what was known of it last

    def note(self, problem: str) -> None:
        """Add a problem in plain words, once."""
        if problem not in self._problems and len(self._problems) < PROBLEM_LIMIT:
            self._problems.append(problem)

    def take(self, body: RecordingBody) -> None:
        """Keep and read the metadata of a message, if it has any. Blocking: it writes a file."""
        for problem in body.problems:
            self.note(problem)
        if body.metadata is None:
            return
        if len(self._documents) < METADATA_LIMIT:
            try:
                self._documents.append(self._folder.add_metadata(len(self._documents) + 1, body.metadata))
            except OSError as error:
                self.note(f"a metadata document could not be written: {error.strerror}")
        else:
            self.note(f"metadata documents after the first {METADATA_LIMIT} are not kept")
        reading = read(body.metadata, body.charset)
        for problem in reading.problems:
            self.note(problem)
        if reading.recording is None:
            return
        change = merged(self._state, reading.recording)
        for problem in change.problems:
            self.note(problem)
        self._state = change.recording
        parameters = [
            Parameter(name, value)
            for session in change.recording.sessions
            if session.extension is not None
            for name, value in session.extension.parameters
        ]
        # A later document that leaves them out has not taken them back.
        self._parameters = tuple(parameters) or self._parameters

    def manifest(self, lines: Sequence[Line], state: State, ended: datetime | None = None) -> Manifest:
        sessions = () if self._state is None else self._state.sessions
        return Manifest(
            recording_id=self._folder.recording_id,
            state=state,
            sip_call_id=self._call_id,
            from_=self._from,
            to=self._to,
            started=iso_micros(self._started),
            ended=None if ended is None else iso_micros(ended),
            streams=tuple(self._entry(line, lines) for line in lines),
            parameters=self._parameters,
            sessions=tuple(
                SessionEntry(
                    session_id=session.session_id,
                    sip_session_ids=session.sip_session_ids,
                    group_ref=session.group_ref,
                    start_time=session.start_time,
                    stop_time=session.stop_time,
                )
                for session in sessions
            ),
            metadata=tuple(self._documents),
            problems=tuple(self._problems),
        )

    def _entry(self, line: Line, lines: Sequence[Line]) -> StreamEntry:
        stream_id, aor, name = self._identity(line, lines)
        figures = line.statistics
        return StreamEntry(
            index=line.index,
            label=line.label,
            file=line.path.name,
            codec=line.codec,
            stream_id=stream_id,
            participant_aor=aor,
            participant_name=name,
            packets=0 if figures is None else figures.packets,
            lost=0 if figures is None else figures.lost,
            duplicates=0 if figures is None else figures.duplicates,
            late=0 if figures is None else figures.late,
            samples=0 if figures is None else figures.samples,
            first_sample=first_sample_text(line),
            gaps=() if figures is None else tuple(Gap(gap.at_ms, gap.length_ms) for gap in figures.gaps),
            dropped_samples=0 if figures is None else figures.dropped_samples,
        )

    def _identity(self, line: Line, lines: Sequence[Line]) -> "_Identity":
        """Stream id and sender of a line (M18); what a later document no longer says is kept from an earlier one."""
        found = _identified(self._state, line, lines)
        if found[0] is not None and (found[1] is not None or line.number not in self._known):
            self._known[line.number] = found
        return self._known.get(line.number, found)


_Identity = tuple[str | None, str | None, str | None]  # stream id, AOR and name of its sender


def _identified(state: Recording | None, line: Line, lines: Sequence[Line]) -> _Identity:
    stream = None if state is None else _stream_of(state.streams, line, lines)
    if state is None or stream is None:
        return None, None, None
    senders = [assoc.participant_id for assoc in state.participant_streams if stream.stream_id in assoc.send]
    for participant in state.participants:
        if participant.participant_id in senders:
            names = [name_id.name for name_id in participant.name_ids if name_id.name and name_id.name.strip()]
            aors = [name_id.aor for name_id in participant.name_ids if name_id.aor]
            return stream.stream_id, aors[0] if aors else None, names[0] if names else None
    return stream.stream_id, None, None


def _stream_of(streams: Sequence[Stream], line: Line, lines: Sequence[Line]) -> Stream | None:
    """I11: by label; where the two sides use none in common, by the order of lines and streams."""
    labels = {stream.label for stream in streams if stream.label is not None}
    if labels & {other.label for other in lines}:
        matches = [stream for stream in streams if stream.label == line.label and line.label is not None]
        return matches[0] if matches else None
    return streams[line.index] if line.index < len(streams) else None


def _started(invite: Request, arrived: datetime) -> datetime:
    # S24, RFC 7865 §6.1.1: the recording session starts at the Date of the INVITE, else when it arrives.
    try:
        stated = parsedate_to_datetime(invite.headers.get("Date") or "")
    except ValueError:
        return arrived
    stated = stated.replace(tzinfo=UTC) if stated.tzinfo is None else stated
    return stated if abs(stated - arrived) <= CLOCK_TOLERANCE else arrived
