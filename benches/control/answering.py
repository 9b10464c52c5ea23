"""The least that answers SIP: one class for phones that are called, one for a recording server."""

from sidestream.base.ids import Ids
from sidestream.sdp.lines import Origin
from sidestream.sdp.session import SessionDescription
from sidestream.sip.agent.events import AgentEvent, ByeReceived, InviteReceived, ReinviteReceived, SessionEnded
from sidestream.sip.message import Request
from sidestream.siprec import srs
from sidestream.siprec.body import parse_body
from sidestream.wire.driver import SipDriver

HOST = "127.0.0.1"
SDP = "application/sdp"
PHONE_SDP = (
    b"v=0\r\no=- 3981438904 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    b"m=audio 40016 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
    b"a=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n"
)


class AnsweringMachine:
    """Rings, answers, and waits for the BYE. `ended` counts the calls that are over.

    It is the phone that Sidestream dials where SIPp is missing, and the reference: what a call costs that is only
    signalled, over the same agent and sockets.
    """

    def __init__(self, driver: SipDriver) -> None:
        self.ended = 0
        self.live = 0
        self._driver = driver
        driver.default_sink = self.take

    def take(self, event: AgentEvent) -> None:
        match event:
            case InviteReceived(session, _, _):
                self.live += 1
                with self._driver.turn() as (agent, now):
                    agent.respond(session, 180, reason="Ringing", now=now)
                    agent.respond(session, 200, reason="OK", body=PHONE_SDP, content_type=SDP, now=now)
            case SessionEnded():
                self.live -= 1
                self.ended += 1
            case _:
                pass


class RecordingServer:
    """Takes every recording session by the rules of `siprec.srs`, and no media. `strangers` counts other INVITEs."""

    def __init__(self, driver: SipDriver, ids: Ids) -> None:
        self.recorded = 0
        self.strangers = 0
        self._driver = driver
        self._ids = ids
        driver.default_sink = self.take

    def take(self, event: AgentEvent) -> None:
        match event:
            case InviteReceived(session, request, _) | ReinviteReceived(session, request, _):
                is_recording, answer = self._judge(request)
                with self._driver.turn() as (agent, now):
                    if not is_recording or answer is None:
                        self.strangers += 1
                        agent.respond(session, 488, reason="Not Acceptable Here", now=now)
                        return
                    agent.respond(
                        session,
                        200,
                        reason="OK",
                        headers=[("Require", srs.OPTION_TAG)],
                        body=answer.to_bytes(),
                        content_type=SDP,
                        contact_params=srs.CONTACT_PARAMS,
                        now=now,
                    )
            case ByeReceived(_, request):
                self.recorded += parse_body(request).metadata is not None
            case _:
                pass

    def _judge(self, request: Request) -> tuple[bool, SessionDescription | None]:
        found = srs.classify(request, strict=True)
        if found.body.sdp is None:
            return False, None
        offered = SessionDescription.parse(found.body.sdp)
        ports = {index: 41000 + 2 * index for index in range(len(offered.media))}
        origin = Origin("-", self._ids.integer(1, 10**9), 1, HOST)
        return found.kind is srs.Kind.RECORDING, srs.answer(offered, host=HOST, ports=ports, origin=origin)
