"""Two test phones talk directly: what the other scenarios rely on to judge the platform."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from sidestream.sip.agent.events import ReinviteRejected
from sidestream.testing.comparison import compare
from sidestream.testing.phone.phone import SipPhone
from sidestream.testing.speech import AGENT, CALLER, read_speech, write_channels


@pytest.fixture
async def phones():
    alice, bob = SipPhone("alice", speech=CALLER), SipPhone("bob", speech=AGENT)
    for phone in (alice, bob):
        await phone.start()
    yield alice, bob
    for phone in (alice, bob):
        await phone.close()


async def _talk(alice: SipPhone, bob: SipPhone):
    outgoing = alice.call(bob.uri)
    incoming = await bob.wait_for_call()
    incoming.answer()
    await outgoing.answered()
    return outgoing, incoming


async def test_each_hears_the_other_sample_for_sample(phones) -> None:
    outgoing, incoming = await _talk(*phones)
    await outgoing.heard(50)
    await incoming.heard(50)
    outgoing.bye()
    await incoming.ended()
    for speaker, listener in ((outgoing, incoming), (incoming, outgoing)):
        result = compare(listener.heard_samples(), speaker.sent_samples())
        assert result.whole
        assert result.compared > 49 * 160 - 800
        assert speaker.transit_to(listener).clean
        assert speaker.transit_to(listener).latency_min_us < 20_000
    assert not compare(outgoing.heard_samples(), outgoing.sent_samples()).equal


async def test_packets_leave_without_drift(phones) -> None:
    outgoing, _ = await _talk(*phones)
    await outgoing.heard(60)
    times = np.array([heard.at_ns for heard in outgoing.stream.sent]) / 1e9
    late = times - times[0] - 0.02 * np.arange(times.size)
    # A loaded machine wakes us late now and then; that lateness must not be carried on.
    assert abs(late[-20:].min() - late[:20].min()) < 0.01


async def test_digits_arrive_between_the_words(phones) -> None:
    outgoing, incoming = await _talk(*phones)
    await incoming.heard(10)
    outgoing.send_dtmf("17#")
    await incoming.heard_digits("17#")
    await outgoing.dialled()
    result = compare(incoming.heard_samples(), outgoing.sent_samples())
    assert result.equal
    assert len(result.spans) >= 2


async def test_hold_stops_the_sound_and_resume_continues_it(phones) -> None:
    outgoing, incoming = await _talk(*phones)
    await outgoing.heard(20)
    await outgoing.hold()
    held = len(incoming.stream.sent)
    await incoming.heard(len(incoming.stream.received) + 15)
    assert len(incoming.stream.sent) <= held + 1
    await outgoing.resume()
    await outgoing.heard(len(outgoing.stream.received) + 20)
    result = compare(outgoing.heard_samples(), incoming.sent_samples())
    assert result.equal
    assert len(result.spans) == 2


async def test_two_re_invites_that_meet_are_tried_again(phones) -> None:
    outgoing, incoming = await _talk(*phones)
    await incoming.acknowledged()
    await asyncio.gather(outgoing.hold(), incoming.hold())
    assert outgoing.media.is_held
    assert incoming.media.is_held
    assert ReinviteRejected in [type(one) for one in outgoing.events + incoming.events]


async def test_speech_that_is_not_looped_ends(phones, tmp_path: Path) -> None:
    write_channels(tmp_path / "short.wav", (read_speech(CALLER)[:1600],))
    alice, bob = phones
    alice.speech, alice.loop_speech = tmp_path / "short.wav", False
    outgoing, incoming = await _talk(alice, bob)
    await outgoing.heard(20)
    assert outgoing.stream.talker.finished
    assert len(incoming.stream.received) == 10
