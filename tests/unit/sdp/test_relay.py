import random

import pytest

from sidestream.base.ids import Ids
from sidestream.sdp.crypto import Crypto, CryptoSuite
from sidestream.sdp.keying import new_cryptos
from sidestream.sdp.lines import Origin
from sidestream.sdp.relay import HOP_ATTRIBUTES, relayed
from sidestream.sdp.session import SessionDescription

ORIGIN = Origin("sidestream", 5, 3, "198.51.100.1")


def parse(*rows: str) -> SessionDescription:
    return SessionDescription.parse("\r\n".join(("v=0", *rows)).encode())


def rows(description: SessionDescription) -> list[str]:
    return description.to_bytes().decode().split("\r\n")[:-1]


OFFER = parse(
    "o=alice 1 1 IN IP4 192.0.2.5",
    "s=call",
    "i=note",
    "c=IN IP4 192.0.2.5",
    "b=CT:128",
    "t=0 0",
    "k=prompt",
    "a=group:BUNDLE 1",
    "a=tool:pbx",
    "m=audio 4000 RTP/AVP 97 0 101",
    "c=IN IP4 192.0.2.6",
    "b=AS:64",
    "a=rtpmap:97 iLBC/8000",
    "a=fmtp:97 mode=20",
    "a=rtcp:4009",
    "a=candidate:1 1 UDP 1 192.0.2.6 4000 typ host",
    "a=label:1",
    "a=X-pbx:keep",
    "a=ptime:20",
)


def test_a_description_is_made_over_for_the_other_leg() -> None:
    assert rows(relayed(OFFER, "198.51.100.1", {0: 6000}, ORIGIN)) == [
        "v=0",
        "o=sidestream 5 3 IN IP4 198.51.100.1",
        "s=call",
        "i=note",
        "c=IN IP4 198.51.100.1",
        "b=CT:128",
        "t=0 0",
        "a=tool:pbx",
        "m=audio 6000 RTP/AVP 97 0 8 101",
        "b=AS:64",
        "a=rtpmap:97 iLBC/8000",
        "a=fmtp:97 mode=20",
        "a=X-pbx:keep",
        "a=ptime:20",
    ]


def test_mandatory_lines_that_the_peer_left_out_are_added() -> None:
    made = relayed(parse("b=CT:9", "m=audio 4000 RTP/AVP 0"), "2001:db8::1", {0: 6000}, ORIGIN)
    assert rows(made) == [
        "v=0",
        "o=sidestream 5 3 IN IP4 198.51.100.1",
        "s=-",
        "c=IN IP6 2001:db8::1",
        "b=CT:9",
        "t=0 0",
        "m=audio 6000 RTP/AVP 0 8",
    ]


@pytest.mark.parametrize("name", sorted(HOP_ATTRIBUTES))
def test_attributes_of_one_hop_stay_there(name: str) -> None:
    """A8: record and recordpref are never copied blindly; nor is any other attribute of the hop."""
    made = relayed(parse(f"a={name}:1", "m=audio 4000 RTP/AVP 0", f"a={name}"), "198.51.100.1", {0: 6000}, ORIGIN)
    assert name.encode() not in made.to_bytes()


def test_what_cannot_be_carried_gets_port_0() -> None:
    offered = parse(
        "m=video 1000 RTP/AVP 99",
        "m=audio 2000 RTP/SAVP 0",
        "m=audio 0 RTP/AVP 0",
        "m=audio 3000 RTP/AVP 0",
        "m=audio 4000 RTP/AVP 0",
    )
    made = relayed(offered, "198.51.100.1", {0: 1, 1: 1, 2: 1, 3: 6000}, ORIGIN)
    assert [media.port for media in made.media] == [0, 0, 0, 6000, 0]
    assert [media.formats for media in made.media] == [("99",), ("0",), ("0",), ("0", "8"), ("0",)]


@pytest.mark.parametrize(("stated", "meant"), [("sendrecv", "sendonly"), ("recvonly", "inactive")])
def test_hold_by_address_is_relayed_as_a_direction(stated: str, meant: str) -> None:
    held = parse("c=IN IP4 0.0.0.0", "m=audio 4000 RTP/AVP 0", f"a={stated}")
    assert rows(relayed(held, "198.51.100.1", {0: 6000}, ORIGIN))[-1] == f"a={meant}"


def test_an_answer_has_the_m_lines_of_its_offer() -> None:
    offered = parse("m=audio 4000 RTP/AVP 0", "m=video 4002 RTP/AVP 99")
    short = parse("m=audio 5000 RTP/AVP 0")
    made = relayed(short, "198.51.100.1", {0: 6000}, ORIGIN, offered=offered)
    assert [(media.media, media.port) for media in made.media] == [("audio", 6000), ("video", 0)]
    long = parse("m=audio 5000 RTP/AVP 0", "m=video 0 RTP/AVP 99", "m=audio 5002 RTP/AVP 0")
    made = relayed(long, "198.51.100.1", {0: 6000}, ORIGIN, offered=offered)
    assert [(media.media, media.port) for media in made.media] == [("audio", 6000), ("video", 0)]


SECURE = parse(
    "c=IN IP4 192.0.2.6",
    "m=audio 4000 RTP/SAVPF 0",
    "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz",
    "a=rtcp-fb:* ccm fir",
    "a=ptime:20",
)
PLAIN = parse("c=IN IP4 192.0.2.7", "m=audio 4000 RTP/AVP 0", "a=ptime:20")
(OURS,) = new_cryptos(Ids(random.Random(1)), (CryptoSuite.AES_CM_128_HMAC_SHA1_80,))


@pytest.mark.parametrize("source", [SECURE, PLAIN])
def test_each_leg_has_its_own_security(source: SessionDescription) -> None:
    plain = relayed(source, "198.51.100.1", {0: 6000}, ORIGIN)
    assert rows(plain)[-2:] == ["m=audio 6000 RTP/AVP 0 8", "a=ptime:20"]
    secure = relayed(source, "198.51.100.1", {0: 6000}, ORIGIN, cryptos={0: (OURS,)})
    assert rows(secure)[-3:] == ["m=audio 6000 RTP/SAVP 0 8", "a=ptime:20", str(OURS.to_line())]


def test_an_answer_has_the_profile_of_its_offer() -> None:
    back = relayed(PLAIN, "198.51.100.1", {0: 6000}, ORIGIN, offered=SECURE, cryptos={0: (OURS,)})
    assert (back.media[0].protocol, back.media[0].cryptos) == ("RTP/SAVPF", (OURS,))
    back = relayed(SECURE, "198.51.100.1", {0: 6000}, ORIGIN, offered=PLAIN)
    assert (back.media[0].protocol, back.media[0].port) == ("RTP/AVP", 6000)


def test_an_answer_of_the_other_kind_of_security_is_refused() -> None:
    cases: tuple[tuple[SessionDescription, dict[int, tuple[Crypto, ...]]], ...] = ((SECURE, {}), (PLAIN, {0: (OURS,)}))
    for offered, cryptos in cases:
        (line,) = relayed(PLAIN, "198.51.100.1", {0: 6000}, ORIGIN, offered=offered, cryptos=cryptos).media
        assert (line.port, line.protocol) == (0, offered.media[0].protocol)


def test_unknown_attributes_and_packet_times_go_through() -> None:
    kept = ["a=ptime:30", "a=maxptime:60", "a=X-pbx:keep", "a=silenceSupp:off - - - -", "b=TIAS:64000"]
    made = relayed(parse("m=audio 4000 RTP/AVP 0", *kept), "198.51.100.1", {0: 6000}, ORIGIN)
    assert rows(made)[-5:] == kept


def test_a_bundle_is_taken_apart() -> None:
    """RFC 9143 §7.3: without a group in the answer there is no bundle; a line that only exists in one has port 0."""
    offered = parse(
        "a=group:BUNDLE a v", "m=audio 4000 RTP/AVP 0", "a=mid:a", "m=video 0 RTP/AVP 96", "a=mid:v", "a=bundle-only"
    )
    text = relayed(offered, "198.51.100.1", {0: 6000}, ORIGIN, offered=offered).to_bytes()
    assert b"BUNDLE" not in text
    assert b"mid" not in text
    assert b"m=video 0 RTP/AVP 96\r\n" in text


def test_early_feedback_is_accepted_in_its_profile_and_not_offered_on() -> None:
    feedback = parse("c=IN IP4 192.0.2.6", "m=audio 4000 RTP/AVPF 0", "a=rtcp-fb:* nack")
    (line,) = relayed(feedback, "198.51.100.1", {0: 6000}, ORIGIN).media
    assert (line.protocol, line.attribute("rtcp-fb")) == ("RTP/AVP", None)
    (line,) = relayed(PLAIN, "198.51.100.1", {0: 6000}, ORIGIN, offered=feedback).media
    assert (line.protocol, line.port) == ("RTP/AVPF", 6000)


def test_a_port_is_shared_with_rtcp_on_the_hop_that_agreed_on_it() -> None:
    assert not relayed(OFFER, "198.51.100.1", {0: 6000}, ORIGIN).media[0].rtcp_mux
    assert relayed(OFFER, "198.51.100.1", {0: 6000}, ORIGIN, muxed=[0]).media[0].rtcp_mux


def test_an_answer_has_the_numbers_of_its_offer() -> None:
    offered = parse("m=audio 4000 RTP/AVP 96 101", "a=rtpmap:96 opus/48000/2", "a=rtpmap:101 telephone-event/8000")
    answer = parse("m=audio 5000 RTP/AVP 111 97", "a=rtpmap:111 opus/48000/2", "a=rtpmap:97 telephone-event/8000")
    made = relayed(answer, "198.51.100.1", {0: 6000}, ORIGIN, offered=offered)
    assert rows(made)[-3:] == [
        "m=audio 6000 RTP/AVP 96 101",
        "a=rtpmap:96 opus/48000/2",
        "a=rtpmap:101 telephone-event/8000",
    ]


def test_an_offer_keeps_the_numbers_that_the_receiver_knows() -> None:
    offer = parse("m=audio 4000 RTP/AVP 111", "a=rtpmap:111 opus/48000/2")
    known = parse("m=audio 4000 RTP/AVP 96", "a=rtpmap:96 opus/48000/2").media[0].rtpmaps()
    made = relayed(offer, "198.51.100.1", {0: 6000}, ORIGIN, known=known)
    assert rows(made)[-2:] == ["m=audio 6000 RTP/AVP 96", "a=rtpmap:96 opus/48000/2"]
