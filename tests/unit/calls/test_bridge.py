"""The table at the head of `calls.bridge`, row by row."""

import pytest

from sidestream.calls.bridge import (
    REQUEST_PENDING,
    Accept,
    Alert,
    AlertWithMedia,
    Hear,
    Join,
    LegPhase,
    Offer,
    RefuseOffer,
    Release,
    Tell,
    decide,
)
from sidestream.calls.events import (
    Answered,
    Ended,
    Failed,
    Info,
    Progress,
    Redirected,
    Ringing,
    Trying,
    Updated,
)
from sidestream.sdp.session import SessionDescription

SDP = SessionDescription.parse(b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n")
WAITING, CALLING, ESTABLISHED, OVER = LegPhase.WAITING, LegPhase.CALLING, LegPhase.ESTABLISHED, LegPhase.OVER


@pytest.mark.parametrize(
    ("event", "other", "action"),
    [
        (Trying(), WAITING, None),
        (Trying(), ESTABLISHED, None),
        (Ringing(180, "Ringing"), WAITING, Alert(180, "Ringing")),
        (Ringing(180, "Ringing"), ESTABLISHED, None),
        (Progress(183, "Session Progress", SDP), WAITING, AlertWithMedia(183, "Session Progress", SDP)),
        (Progress(183, "Session Progress", SDP), ESTABLISHED, Hear()),
        (Progress(183, "Session Progress", SDP), OVER, None),
        (Answered(SDP), WAITING, Accept(SDP)),
        (Answered(None), WAITING, Accept(None)),
        (Answered(SDP), ESTABLISHED, Join()),
        (Answered(SDP), OVER, None),
        (Updated(SDP), ESTABLISHED, Offer(SDP)),
        (Updated(None), ESTABLISHED, Offer(None)),
        (Updated(SDP), CALLING, RefuseOffer(REQUEST_PENDING)),
        (Updated(SDP), WAITING, RefuseOffer(REQUEST_PENDING)),
        (Info("application/dtmf-relay", b"Signal=1"), ESTABLISHED, Tell("application/dtmf-relay", b"Signal=1")),
        (Info("application/dtmf-relay", b"Signal=1"), WAITING, None),
        (Ended(True, "Q.850;cause=16"), ESTABLISHED, Release("Q.850;cause=16")),
        (Ended(True), WAITING, Release(None)),
        (Failed(486, "Busy Here"), WAITING, Release(None)),
        (Failed(486, "Busy Here"), ESTABLISHED, Release(None)),
        (Redirected(302, ("sip:bob@example.com",)), WAITING, Release(None)),
    ],
)
def test_what_an_event_means_for_the_other_leg(event, other, action):
    assert decide(event, other) == action
