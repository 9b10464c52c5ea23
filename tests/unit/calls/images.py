"""Images of calls for tests."""

from dataclasses import replace
from datetime import UTC, datetime

from sidestream.calls.image import CallImage, LegImage, MediaImage, ProgressImage, ScriptImage, SessionMark, SourceImage
from sidestream.calls.party import Party
from sidestream.calls.requests import Instructions
from sidestream.media.engine import LocalPorts
from sidestream.sdp.security import MediaSecurity
from sidestream.sip.agent.image import SessionImage
from sidestream.sip.agent.unanswered import UnansweredImage
from sidestream.sip.transport import Destination, Transport
from sidestream.testing.call_room import SDP_TEXT

AT = datetime(2026, 3, 2, 9, 15, 4, 218733, UTC)
SESSION = SessionImage(
    listener="udp",
    transport=Transport.UDP,
    contact_user=None,
    contact_params=(),
    owns_call_id=False,
    secure=False,
    call_id="c1",
    local="<sip:b@example.com>;tag=b",
    remote="<sip:a@example.com>;tag=a",
    local_seq=0,
    remote_seq=1,
    remote_target="sip:a@192.0.2.1",
    route_set=(),
    peer_allows=(),
    sent_sdp=b"",
    heard_sdp=b"",
    least_interval=0,
)

UNANSWERED = UnansweredImage(b"INVITE", "udp", "tag", Destination(Transport.UDP, "192.0.2.1", 5060))


def call_image(sid: str, account_sid: str, *, session: str | None = None, **changes: object) -> CallImage:
    """Of a call whose TwiML is in a long pause, unless `changes` say something else."""
    media = MediaImage(
        session or sid,
        sid,
        "default",
        123456789,
        MediaSecurity.NONE,
        LocalPorts("127.0.0.1", 40000, 40001),
        SDP_TEXT.encode(),
        SDP_TEXT.encode(),
        None,
    )
    image = CallImage(
        sid=sid,
        account_sid=account_sid,
        leg=LegImage(SESSION, media, 70),
        party=Party("P" * 24, "sip:a@example.com", None),
        recorded=SessionMark("S" * 24, AT, None, None),
        callbacks=ProgressImage("http://app.example/status", "POST", ("completed",), 2),
        is_resumable=True,
        script=ScriptImage(
            Instructions(twiml=""),
            SourceImage(None, "POST", b'<Response><Pause length="60"/></Response>', None),
            began_at=AT,
        ),
    )
    return replace(image, **changes)  # type: ignore[arg-type]
