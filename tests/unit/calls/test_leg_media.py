"""One leg's audio: what it offers, answers and relays, and what the engine is told of it."""

import pytest

from sidestream.base.ids import Ids
from sidestream.calls.leg_media import LegMedia, check_offer
from sidestream.media.engine import Address, Format, MediaEngineError
from sidestream.sdp.direction import Direction
from sidestream.sdp.error import SdpError
from sidestream.sdp.formats import EVENTS, PCMA
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

    async def test_the_session_goes_also_if_the_endpoint_does_not(self, media, engine):
        await media.open()
        engine.fail("close_endpoint")
        with pytest.raises(MediaEngineError):
            await media.release(with_session=True)
        assert engine.sessions == {}

    async def test_after_it_nothing_is_opened_again(self, media, engine):
        await media.release(with_session=True)
        with pytest.raises(MediaEngineError):
            await media.describe_offer()
        assert engine.sessions == {}
