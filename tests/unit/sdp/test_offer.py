from sidestream.sdp.direction import Direction
from sidestream.sdp.formats import EVENTS, PCMU
from sidestream.sdp.lines import Origin
from sidestream.sdp.offer import AudioLine, offer

EXPECTED = b"""v=0
o=- 7 1 IN IP4 192.0.2.20
s=Sidestream
c=IN IP4 192.0.2.20
t=0 0
m=audio 40016 RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=ptime:20
a=sendonly
a=label:inbound
m=audio 40018 RTP/AVP 0
a=rtpmap:0 PCMU/8000
a=ptime:20
a=sendrecv
"""


def test_an_offer_of_two_lines() -> None:
    lines = [
        AudioLine(40016, (PCMU, EVENTS), Direction.SENDONLY, "inbound"),
        AudioLine(40018, (PCMU,), Direction.SENDRECV),
    ]
    made = offer("192.0.2.20", lines, Origin("-", 7, 1, "192.0.2.20"))
    assert made.to_bytes() == EXPECTED.replace(b"\n", b"\r\n")
