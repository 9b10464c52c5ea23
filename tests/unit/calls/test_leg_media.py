"""One leg's audio: what it offers, answers and relays, and what the engine is told of it."""

import re

import pytest

from sidestream.base.ids import Ids
from sidestream.calls.leg_media import LegMedia, check_offer
from sidestream.media.engine import Address, Format, Latch, MediaEngineError
from sidestream.sdp.direction import Direction
from sidestream.sdp.error import SdpError
from sidestream.sdp.formats import EVENTS, PCMA
from sidestream.sdp.security import MediaSecurity
from sidestream.sdp.session import SessionDescription
from sidestream.testing.fake_engine import FakeEngine

HEAD = ("v=0", "o=- 7 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0")
PHONE = ("m=audio 4000 RTP/AVP 96 8 0 101", "a=rtpmap:96 opus/48000/2", "a=rtpmap:101 telephone-event/8000")


def sdp(*media, head=HEAD):
    return SessionDescription.parse("".join(f"{line}\r\n" for line in (*head, *media)).encode())


@pytest.fixture
def engine():
    return FakeEngine()


@pytest.fixture
def media(engine):
    return LegMedia(engine, Ids(), session="CA1", endpoint="CA1", interface="default")


def codecs(description):
    return [f.payload_type for f in description.media[0].rtpmaps()]


async def test_its_own_offer_has_what_we_can_play(media):
    offered = await media.describe_offer()
    assert codecs(offered) == [0, 8, 101]
    assert media.ports.rtp == offered.media[0].port
    assert not media.is_agreed


async def test_a_repeated_description_keeps_its_origin_and_counts_on(media):
    first = await media.describe_offer()
    assert await media.describe_offer() == first
    second = await media.describe_offer((PCMA, EVENTS))
    assert second.origin.session_id == first.origin.session_id
    assert second.origin.version == first.origin.version + 1


async def test_its_answer_has_one_codec_that_we_can_play(media):
    assert codecs(await media.describe_answer(sdp(*PHONE))) == [8, 101]


async def test_a_peer_of_the_other_family_cannot_be_reached(media, engine):
    offered = sdp(*PHONE)
    elsewhere = SessionDescription.parse(re.sub(rb"c=IN IP4 \S+", b"c=IN IP6 2001:db8::1", offered.to_bytes()))
    await media.describe_answer(elsewhere)
    with pytest.raises(SdpError, match=r"media over IPv6 does not reach 127\.0\.0\.1") as caught:
        await media.apply(elsewhere)
    assert caught.value.status == 488
    assert "configure_endpoint" not in [command for command, _ in engine.commands]


async def test_behind_a_name_is_either_family(engine):
    engine.host = "media.example.com"
    media = LegMedia(engine, Ids(), session="CA1", endpoint="CA1")
    await media.describe_answer(sdp(*PHONE))
    await media.apply(sdp(*PHONE))
    assert media.is_agreed


async def test_without_a_codec_of_ours_the_first_is_taken(media):
    answer = await media.describe_answer(sdp("m=audio 4000 RTP/AVP 96", "a=rtpmap:96 opus/48000/2"))
    assert codecs(answer) == [96]


async def test_it_can_answer_with_hold(media):
    assert (await media.describe_answer(sdp(*PHONE), held=True)).direction(0) is Direction.INACTIVE


@pytest.mark.parametrize("line", ["m=video 4000 RTP/AVP 96", "m=audio 4000 RTP/SAVP 0", "m=audio 0 RTP/AVP 0"])
async def test_what_cannot_be_carried_is_488_everywhere(media, line):
    bad = sdp(line)
    for attempt in (media.describe_answer(bad), media.describe_relayed(bad, answers=None), media.apply(bad)):
        with pytest.raises(SdpError) as refused:
            await attempt
        assert refused.value.status == 488
    with pytest.raises(SdpError):
        check_offer(bad)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("m=audio 4000 UDP/TLS/RTP/SAVPF 0", "DTLS-SRTP"),
        ("m=audio 4000 UDP/TLS/RTP/SAVP 0", "a=crypto is"),
        ("m=audio 4000 RTP/SAVP 0", "no a=crypto line"),
        ("m=audio 0 UDP/TLS/RTP/SAVP 0", "no audio line"),
    ],
)
def test_it_is_said_why_nothing_can_be_carried(line, why):
    with pytest.raises(SdpError, match=why):
        check_offer(sdp(line))


async def test_events_alone_are_no_codec(media):
    with pytest.raises(SdpError, match="no audio codec"):
        await media.describe_answer(sdp("m=audio 4000 RTP/AVP 101", "a=rtpmap:101 telephone-event/8000"))


def test_an_offer_without_address_cannot_be_carried():
    with pytest.raises(SdpError):
        check_offer(sdp("m=audio 4000 RTP/AVP 0", head=tuple(line for line in HEAD if line[0] != "c")))
    check_offer(sdp("m=audio 4000 RTP/AVP 0"))


async def test_the_engine_learns_what_both_agreed_on(media, engine):
    offered = sdp(*PHONE, "a=sendonly", "a=rtcp:4017")
    await media.describe_answer(offered)
    await media.apply(offered)
    endpoint = engine.sessions["CA1"].endpoints["CA1"]
    assert endpoint.formats == (Format(8, "PCMA", 8000), Format(101, "TELEPHONE-EVENT", 8000)) == media.formats
    assert (endpoint.remote, endpoint.remote_rtcp) == (Address("192.0.2.1", 4000), Address("192.0.2.1", 4017))
    assert (endpoint.receive, endpoint.send) == (True, False) == (media.remote_sends, media.remote_receives)
    assert media.is_agreed


async def test_hold_by_address_silences_it(media, engine):
    held = sdp("m=audio 4000 RTP/AVP 0", head=[line.replace("c=IN IP4 192.0.2.1", "c=IN IP4 0.0.0.0") for line in HEAD])
    await media.describe_answer(held)
    await media.apply(held)
    assert engine.sessions["CA1"].endpoints["CA1"].remote is None
    assert not media.remote_receives


async def test_what_the_engine_refuses_is_not_in_force(media, engine):
    offered = sdp(*PHONE)
    await media.describe_answer(offered)
    engine.fail("configure_endpoint")
    with pytest.raises(MediaEngineError):
        await media.apply(offered)
    assert (media.remote, media.formats) == (None, ())


class TestNarrowed:
    async def test_all_that_we_offered_was_taken(self, media):
        await media.describe_offer()
        await media.apply(sdp("m=audio 4000 RTP/AVP 0 8 101", PHONE[2]))
        assert media.narrowed == ()

    async def test_only_one_codec_was_taken(self, media):
        await media.describe_offer()
        await media.apply(sdp("m=audio 4000 RTP/AVP 8 101", PHONE[2]))
        assert [f.payload_type for f in media.narrowed] == [8, 101]

    async def test_an_answer_of_ours_is_as_narrow_as_can_be(self, media):
        await media.describe_answer(sdp(*PHONE))
        await media.apply(sdp(*PHONE))
        assert media.narrowed == ()

    async def test_before_anything_is_agreed_there_is_nothing_to_narrow(self, media):
        assert media.narrowed == ()
        await media.describe_offer()
        assert media.narrowed == ()


class TestRelease:
    async def test_the_endpoint_goes_and_the_session_stays(self, media, engine):
        await media.open()
        await media.release(with_session=False)
        assert engine.sessions["CA1"].endpoints == {}

    async def test_the_session_takes_its_endpoints_along(self, media, engine):
        await media.open()
        engine.fail("close_endpoint")  # nobody asks for it
        await media.release(with_session=True)
        assert engine.sessions == {}

    async def test_after_it_nothing_is_opened_again(self, media, engine):
        await media.release(with_session=True)
        with pytest.raises(MediaEngineError):
            await media.describe_offer()
        assert engine.sessions == {}


class TestSrtp:
    KEY = "a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
    OTHER_KEY = "a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:D1XUCwxWKr43/V91ZNrdz41mggc7XcajhKkolPwt"
    SECURE = ("m=audio 4000 RTP/SAVP 8 101", KEY, PHONE[2])

    @pytest.fixture
    def make(self, engine):
        def made(security):
            return LegMedia(engine, Ids(), session="CA1", endpoint="CA1", interface="default", security=security)

        return made

    @staticmethod
    def cryptos(description):
        return description.media[0].cryptos

    def told(self, engine):
        endpoint = engine.sessions["CA1"].endpoints["CA1"]
        return endpoint.send_key, endpoint.receive_key

    @pytest.mark.parametrize("security", [MediaSecurity.OPTIONAL, MediaSecurity.REQUIRED])
    async def test_an_offer_of_srtp_is_answered_with_a_key_of_ours(self, make, engine, security):
        media, offered = make(security), sdp(*self.SECURE)
        assert media.admitted(offered) is offered
        (ours,) = self.cryptos(await media.describe_answer(offered))
        await media.apply(offered)
        assert media.is_secure
        (theirs,) = self.cryptos(offered)
        assert ours.tag == theirs.tag
        assert [key.key for key in self.told(engine)] == [ours.key.key, theirs.key.key]
        assert ours.key.key != theirs.key.key

    async def test_what_is_offered_is_srtp_where_it_has_to_be_or_already_is(self, make):
        assert make(MediaSecurity.NONE).security is MediaSecurity.NONE
        for security, secure in ((MediaSecurity.NONE, 0), (MediaSecurity.OPTIONAL, 0), (MediaSecurity.REQUIRED, 2)):
            assert len(self.cryptos(await make(security).describe_offer())) == secure
        media = make(MediaSecurity.OPTIONAL)
        (ours,) = self.cryptos(await media.describe_answer(sdp(*self.SECURE)))
        await media.apply(sdp(*self.SECURE))
        assert self.cryptos(await media.describe_offer()) == (ours,)
        assert media.security is MediaSecurity.REQUIRED

    async def test_an_answer_to_our_offer_says_which_key_it_is(self, make, engine):
        media = make(MediaSecurity.REQUIRED)
        offered = await media.describe_offer()
        answer = sdp("m=audio 4000 RTP/SAVP 8 101", self.KEY.replace("crypto:3", "crypto:2"), PHONE[2])
        await media.apply(answer)
        assert [key.key for key in self.told(engine)] == [
            self.cryptos(offered)[1].key.key,
            self.cryptos(answer)[0].key.key,
        ]
        # RFC 4568 §7.1.4: the key that is in use stays, and it alone is offered again
        assert self.cryptos(await media.describe_offer((PCMA, EVENTS))) == (self.cryptos(offered)[1],)

    async def test_a_peer_that_moves_gets_a_new_key_and_one_that_stays_keeps_it(self, make):
        media = make(MediaSecurity.REQUIRED)
        (first,) = self.cryptos(await media.describe_answer(sdp(*self.SECURE)))
        await media.apply(sdp(*self.SECURE))
        (again,) = self.cryptos(await media.describe_answer(sdp(*self.SECURE)))
        assert again == first
        held = sdp("m=audio 4000 RTP/SAVP 8 101", "c=IN IP4 0.0.0.0", self.KEY, PHONE[2])
        (again,) = self.cryptos(await media.describe_answer(held))
        await media.apply(held)
        assert again == first
        moved = sdp("m=audio 4444 RTP/SAVP 8 101", self.OTHER_KEY, PHONE[2])
        (new,) = self.cryptos(await media.describe_answer(moved))
        assert new.key != first.key

    async def test_legs_have_a_security_of_their_own(self, make, engine):
        """A secure caller's offer goes on in plain RTP, and the plain answer comes back to it as SRTP."""
        caller, offered = make(MediaSecurity.OPTIONAL), sdp(*self.SECURE)
        called = LegMedia(engine, Ids(), session="CA1", endpoint="CA2", interface="default")
        onward = await called.describe_relayed(offered, answers=None)
        assert (onward.media[0].protocol, onward.media[0].attribute("crypto")) == ("RTP/AVP", None)
        answer = sdp("m=audio 5000 RTP/AVP 8 101", PHONE[2])
        await called.apply(answer)
        back = await caller.describe_relayed(answer, answers=offered)
        await caller.apply(offered)
        assert (back.media[0].protocol, len(self.cryptos(back))) == ("RTP/SAVP", 1)
        assert (caller.is_secure, called.is_secure) == (True, False)
        secure = make(MediaSecurity.REQUIRED)
        onward = await secure.describe_relayed(sdp("m=audio 4000 RTP/AVP 8"), answers=None)
        assert (onward.media[0].protocol, len(self.cryptos(onward))) == ("RTP/SAVP", 2)

    async def test_what_security_forbids_is_not_admitted(self, make):
        for security, offered in (
            (MediaSecurity.NONE, sdp(*self.SECURE)),
            (MediaSecurity.REQUIRED, sdp("m=audio 4000 RTP/AVP 8")),
        ):
            left = make(security).admitted(offered)
            with pytest.raises(SdpError):
                check_offer(left)

    @pytest.mark.parametrize(
        "answer",
        [
            ("m=audio 4000 RTP/AVP 8",),
            ("m=audio 4000 RTP/SAVP 8", KEY),  # a tag that was not offered
            ("m=audio 4000 RTP/SAVP 8", KEY.replace("crypto:3", "crypto:1")),  # another suite under the tag
        ],
    )
    async def test_an_answer_that_agrees_on_no_key_is_refused(self, make, engine, answer):
        media = make(MediaSecurity.REQUIRED)
        await media.describe_offer()
        with pytest.raises(SdpError) as refused:
            await media.apply(sdp(*answer))
        assert refused.value.status == 488
        assert engine.sessions["CA1"].endpoints["CA1"].configured == 0

    async def test_srtp_that_answers_plain_rtp_or_nothing_is_refused(self, make):
        plain = make(MediaSecurity.OPTIONAL)
        await plain.describe_offer()
        for media in (plain, make(MediaSecurity.OPTIONAL)):
            with pytest.raises(SdpError):
                await media.apply(sdp(*self.SECURE))

    async def test_who_takes_the_place_has_keys_of_its_own(self, make, engine):
        media = make(MediaSecurity.OPTIONAL)
        (first,) = self.cryptos(await media.describe_answer(sdp(*self.SECURE)))
        await media.apply(sdp(*self.SECURE))
        newcomer = media.successor(Ids(), media.security)
        assert first.key not in [crypto.key for crypto in self.cryptos(await newcomer.describe_offer())]


def m_lines(description):
    return [line.to_lines()[0].value.split()[:2] for line in description.media]


VIDEO = ("m=video 4002 RTP/AVP 96", "a=rtpmap:96 VP8/90000")


async def test_each_leg_keeps_its_own_order_of_streams(media, engine):
    """RFC 3264 §8: who offered video first has its audio in the second slot for good, whatever the other leg has."""
    theirs, others = sdp(*VIDEO, *PHONE), sdp("m=audio 6000 RTP/AVP 8")
    answered = await media.describe_relayed(others, answers=theirs)
    port = str(media.ports.rtp)
    assert m_lines(answered) == [["video", "0"], ["audio", port]]
    await media.apply(theirs)
    assert engine.sessions["CA1"].endpoints["CA1"].remote == Address("192.0.2.1", 4000)
    offered = await media.describe_relayed(others, answers=None)
    assert m_lines(offered) == [["video", "0"], ["audio", port]]
    assert m_lines(await media.describe_offer()) == [["video", "0"], ["audio", port]]


async def test_the_other_leg_never_hears_of_that_video(media):
    await media.describe_offer()
    await media.apply(sdp("m=audio 4000 RTP/AVP 8"))
    assert m_lines(await media.describe_relayed(sdp(*VIDEO, *PHONE), answers=None)) == [["audio", str(media.ports.rtp)]]


async def test_in_one_dialog_another_endpoint_is_another_version(engine):
    """RFC 3264 §8: an attended transfer moves a party to another endpoint, and its dialog stays."""
    former = LegMedia(engine, Ids(), session="CA1", endpoint="CA1", interface="default")
    first = await former.describe_answer(sdp(*VIDEO, *PHONE))
    other = LegMedia(engine, Ids(), session="CA2", endpoint="CA2", interface="default")
    await other.open()
    media = other.successor(Ids())
    media.follow(former)
    offered = await media.describe_offer()
    assert (offered.origin.session_id, offered.origin.version) == (first.origin.session_id, first.origin.version + 1)
    assert m_lines(offered) == [["video", "0"], ["audio", str(other.ports.rtp)]]


@pytest.mark.parametrize("held", ["a=sendonly", "a=inactive", "c=IN IP4 0.0.0.0", "c=IN IP6 ::"])
async def test_every_hold_is_answered_and_silences_what_it_says(media, engine, held):
    offered = sdp(*PHONE, held)
    answered = await media.describe_answer(offered)
    await media.apply(offered)
    endpoint = engine.sessions["CA1"].endpoints["CA1"]
    inactive = held == "a=inactive"
    assert answered.direction(0) is (Direction.INACTIVE if inactive else Direction.RECVONLY)
    assert (endpoint.send, endpoint.receive) == (False, not inactive)
    resumed = sdp(*PHONE)
    assert (await media.describe_answer(resumed)).direction(0) is Direction.SENDRECV
    await media.apply(resumed)
    assert (endpoint.send, endpoint.receive) == (True, True)


async def test_feedback_profiles_are_answered_as_they_are(media):
    answered = await media.describe_answer(sdp("m=audio 4000 RTP/AVPF 0"))
    assert answered.media[0].protocol == "RTP/AVPF"


async def test_rtcp_goes_where_the_peer_wants_it(media, engine):
    offered = sdp(*PHONE, "a=rtcp:5005 IN IP4 192.0.2.9")
    await media.describe_answer(offered)
    await media.apply(offered)
    assert engine.sessions["CA1"].endpoints["CA1"].remote_rtcp == Address("192.0.2.9", 5005)


class TestSharedPort:
    """RTCP on the RTP port (RFC 5761): where the peer wants it, and never where it does not."""

    ASKING = (*PHONE, "a=rtcp-mux")

    async def test_it_is_accepted_when_offered_and_told_to_the_engine(self, media, engine):
        offered = sdp(*self.ASKING)
        answer = await media.describe_answer(offered)
        await media.apply(offered)
        assert answer.media[0].rtcp_mux
        assert engine.sessions["CA1"].endpoints["CA1"].rtcp_mux

    async def test_a_relayed_answer_says_it_for_its_own_hop(self, media, engine):
        offered, others = sdp(*self.ASKING), sdp(*PHONE)
        assert (await media.describe_relayed(others, answers=offered)).media[0].rtcp_mux
        await media.apply(offered)
        assert engine.sessions["CA1"].endpoints["CA1"].rtcp_mux
        # what the other leg says of its own hop is nobody else's matter
        assert not (await media.describe_relayed(offered, answers=others)).media[0].rtcp_mux

    async def test_peers_that_do_not_ask_are_not_troubled(self, media, engine):
        assert not (await media.describe_offer()).media[0].rtcp_mux
        await media.apply(sdp("m=audio 4000 RTP/AVP 0", "a=rtcp-mux"))
        assert not engine.sessions["CA1"].endpoints["CA1"].rtcp_mux
        offered = sdp(*PHONE)
        assert not (await media.describe_answer(offered)).media[0].rtcp_mux

    async def test_later_offers_of_ours_keep_it_and_the_peer_may_give_it_up(self, media, engine):
        offered = sdp(*self.ASKING)
        await media.describe_answer(offered)
        await media.apply(offered)
        assert (await media.describe_offer()).media[0].rtcp_mux
        assert (await media.describe_relayed(sdp(*PHONE), answers=None)).media[0].rtcp_mux
        await media.apply(sdp(*PHONE))
        assert not engine.sessions["CA1"].endpoints["CA1"].rtcp_mux
        assert not (await media.describe_offer()).media[0].rtcp_mux

    async def test_payload_types_that_look_like_rtcp_forbid_it(self, media):
        line = ("m=audio 4000 RTP/AVP 0 72", "a=rtpmap:72 x/8000", "a=rtcp-mux")
        assert not (await media.describe_answer(sdp(*line))).media[0].rtcp_mux

    async def test_an_answer_to_lines_that_the_offer_lacks_shares_nothing(self, media):
        other = sdp("m=video 0 RTP/AVP 96", *PHONE)
        answer = await media.describe_relayed(other, answers=sdp("m=video 0 RTP/AVP 96"))
        assert [line.port for line in answer.media] == [0]


class TestLatch:
    @pytest.mark.parametrize("latch", Latch)
    async def test_the_engine_is_told_whose_packets_to_take(self, engine, latch):
        media = LegMedia(engine, Ids(), session="CA1", endpoint="CA1", interface="default", latch=latch)
        await media.describe_offer()
        await media.apply(sdp("m=audio 4000 RTP/AVP 0"))
        assert engine.sessions["CA1"].endpoints["CA1"].latch is latch

    async def test_a_newcomer_brings_its_own(self, media):
        assert media.successor(Ids(), latch=Latch.SIGNALLED).latch is Latch.SIGNALLED
        assert media.latch is Latch.EACH

    async def test_rtcp_goes_where_the_peer_says(self, media, engine):
        """RFC 3605 §2.1"""
        await media.describe_offer()
        await media.apply(sdp("m=audio 4000 RTP/AVP 0", "a=rtcp:53020 IN IP4 198.51.100.4"))
        assert engine.sessions["CA1"].endpoints["CA1"].remote_rtcp == Address("198.51.100.4", 53020)


async def test_a_restart_forgets_neither_the_shared_port_nor_whose_packets_are_taken(engine):
    media = LegMedia(engine, Ids(), session="CA1", endpoint="CA1", interface="default", latch=Latch.FIRST)
    offered = sdp(*PHONE, "a=rtcp-mux")
    await media.describe_answer(offered)
    await media.apply(offered)
    image = media.image()
    assert image.latch is Latch.FIRST
    restored = LegMedia(engine, Ids(), session="CA1", endpoint="CA1", interface="default", latch=image.latch)
    restored.restore(image)
    assert (await restored.describe_offer()).media[0].rtcp_mux


class TestNumbers:
    """Payload types that differ between the legs, and laws that do."""

    async def test_an_answer_that_numbers_otherwise_is_understood_both_ways(self, media, engine):
        await media.describe_offer()
        await media.apply(sdp("m=audio 4000 RTP/AVP 0 97", "a=rtpmap:97 telephone-event/8000"))
        endpoint = engine.sessions["CA1"].endpoints["CA1"]
        assert [f.payload_type for f in endpoint.formats] == [0, 101, 97]
        assert [f.payload_type for f in endpoint.send_formats] == [0, 97]
        assert [f.payload_type for f in media.formats] == [0, 101]

    async def test_the_usual_answer_has_one_list(self, media, engine):
        await media.describe_offer()
        await media.apply(sdp("m=audio 4000 RTP/AVP 8 101", PHONE[2]))
        endpoint = engine.sessions["CA1"].endpoints["CA1"]
        assert endpoint.formats == endpoint.send_formats == media.formats

    async def test_a_later_offer_keeps_what_was_agreed(self, media):
        await media.describe_answer(sdp("m=audio 4000 RTP/AVP 0 96", "a=rtpmap:96 telephone-event/8000"))
        await media.apply(sdp("m=audio 4000 RTP/AVP 0 96", "a=rtpmap:96 telephone-event/8000"))
        onward = await media.describe_relayed(
            sdp("m=audio 5000 RTP/AVP 8 96 101", "a=rtpmap:96 opus/48000/2", PHONE[2]), answers=None
        )
        assert [(f.payload_type, f.encoding) for f in onward.media[0].rtpmaps()] == [
            (8, "PCMA"),
            (97, "OPUS"),
            (0, "PCMU"),
            (96, "TELEPHONE-EVENT"),
        ]

    async def test_who_speaks_one_law_is_answered_in_it(self, media):
        onward = await media.describe_relayed(sdp("m=audio 5000 RTP/AVP 0 101", PHONE[2]), answers=None)
        assert onward.media[0].formats == ("0", "8", "101")
        back = await media.describe_relayed(
            sdp("m=audio 5000 RTP/AVP 8 101", PHONE[2]), answers=sdp("m=audio 4000 RTP/AVP 0 101", PHONE[2])
        )
        assert back.media[0].formats == ("0", "101")

    async def test_an_offer_of_one_law_has_both(self, media):
        described = await media.describe_offer((PCMA, EVENTS))
        assert described.media[0].formats == ("8", "0", "101")
