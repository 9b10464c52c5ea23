"""A running recording written down as plain values."""

from dataclasses import dataclass

from sidestream.sip.agent.image import SessionImage
from sidestream.siprec.src.image import SrcImage


@dataclass(frozen=True, slots=True)
class RecordingImage:
    """What `RecordingSession.restore` goes on with. It may hold keys and credentials: it has to be kept secret.

    `target`: the recording server as its connector names it. `host`: our media address toward it.
    """

    siprec_sid: str
    target: str
    call_id: str
    host: str
    session: SessionImage
    src: SrcImage
