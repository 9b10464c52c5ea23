"""Parties who differ in law, in numbers or in how they say keys: real phones and a real engine."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from sidestream.accounts.account import Account
from sidestream.calls.requests import CreateCall, Instructions
from sidestream.media.client import EngineClient
from sidestream.media.options import EngineOptions
from sidestream.sdp.formats import EVENTS, PCMA, PCMU, TELEPHONE_EVENT, Format
from sidestream.testing.comparison import compare
from sidestream.testing.engine_process import engine_process
from sidestream.testing.g711 import LAWS, Samples
from sidestream.testing.phone.call import PhoneCall
from sidestream.testing.speech import AGENT, CALLER

FRAME = 160  # samples of a packet
DIAL = '<Dial answerOnBridge="true"><Sip>{bob}</Sip></Dial>'


@pytest.fixture
async def office_engine(tmp_path: Path) -> AsyncIterator[EngineClient]:
    (tmp_path / "engine").mkdir()
    options = EngineOptions(exit_when_orphaned=False)
    with engine_process(tmp_path / "engine", options) as running:
        client = EngineClient(running.socket)
        await client.connect()
        yield client
        await client.close()


async def connect(office, dial: str = DIAL) -> tuple[PhoneCall, PhoneCall]:
    office.alice.speech, office.bob.speech = CALLER, AGENT
    office.twiml(dial)
    alice = office.dial_in()
    bob = await office.bob.wait_for_call()
    bob.ring()
    bob.answer()
    await alice.answered()
    await bob.acknowledged()
    return alice, bob


def codecs(call: PhoneCall) -> list[str]:
    return [f.encoding for f in call.media.remote.media[0].rtpmaps()]


def is_heard(heard: Samples, said: Samples) -> bool:
    """Whether what was heard was said, but for a step of G.711, which the conversion from law to law may lose."""
    piece, whole = heard[: 50 * FRAME].astype(float), said.astype(float)
    starts = range(0, len(whole) - len(piece), FRAME)
    return any(bool(np.all(np.abs(whole[at : at + len(piece)] - piece) <= np.abs(piece) / 16 + 16)) for at in starts)


async def until_heard(*calls: PhoneCall) -> None:
    for call in calls:
        await call.heard(150)


async def test_one_law_there_and_the_other_here(office):
    office.alice.formats, office.bob.formats = (PCMU, EVENTS), (PCMA, EVENTS)
    alice, bob = await connect(office)
    assert codecs(bob) == ["PCMU", "PCMA", TELEPHONE_EVENT]
    assert codecs(alice) == ["PCMU", TELEPHONE_EVENT]
    await until_heard(alice, bob)
    for call, said in ((alice, bob), (bob, alice)):
        assert is_heard(call.heard_samples(), said.sent_samples())
    alice.send_dtmf("1")
    await bob.heard_digits("1")
    alice.bye()
    await bob.ended()


async def test_nothing_is_converted_where_nothing_has_to_be(office):
    office.alice.formats, office.bob.formats = (PCMA, EVENTS), (PCMU, PCMA, EVENTS)
    alice, bob = await connect(office)
    await until_heard(alice, bob)
    alice.bye()
    await bob.ended()
    assert compare(bob.heard_samples(), alice.sent_samples()).equal


async def test_who_was_answered_early_hears_one_of_the_other_law(office):
    office.alice.formats, office.bob.formats = (PCMU, PCMA, EVENTS), (PCMA, EVENTS)
    alice, bob = await connect(office, "<Pause/><Dial><Sip>{bob}</Sip></Dial>")
    assert codecs(alice) == ["PCMU", TELEPHONE_EVENT]
    assert codecs(bob) == ["PCMU", "PCMA", TELEPHONE_EVENT]
    await until_heard(bob)
    assert is_heard(bob.heard_samples(), alice.sent_samples())
    alice.bye()
    await bob.ended()


async def test_an_extension_is_dialled_into_the_conversation(office):
    office.alice.formats = (PCMU, Format(96, TELEPHONE_EVENT, 8000, fmtp="0-16"))
    alice, bob = await connect(office, '<Dial answerOnBridge="true"><Number sendDigits="w12#">1001</Number></Dial>')
    await bob.heard_digits("12#")
    packets = len(bob.stream.received)
    await bob.heard(packets + 50)
    streams: dict[int, list[int]] = {}
    for one in bob.stream.received:
        streams.setdefault(one.packet.ssrc, []).append(one.packet.sequence)
    for numbers in streams.values():
        assert all((after - before) % 65536 == 1 for before, after in pairwise(numbers))
    alice.bye()
    await bob.ended()


async def test_digits_of_the_api_come_before_the_document(office):
    account: Account = office.account
    office.twiml('<Play digits="7"/>')
    form = CreateCall("1001", "1000", Instructions(url=office.app.url("/voice"), digits="w5*"))
    await office.front.create_call(account, form)
    bob = await office.bob.wait_for_call()
    bob.answer()
    await bob.heard_digits("5*7")
    await bob.ended()


async def test_keys_sound_for_who_takes_no_events(office):
    office.alice.formats, office.bob.formats = (PCMU, EVENTS), (PCMU,)
    alice, bob = await connect(office, "<Pause/><Dial><Sip>{bob}</Sip></Dial>")
    alice.send_dtmf("5")

    def sounds(frequency: float) -> float:
        heard = bob.heard_samples().astype(float)
        frames = heard[: len(heard) // 160 * 160].reshape(-1, 160)
        wave = np.exp(2j * np.pi * frequency * np.arange(160) / 8000)
        return float(np.max(np.abs(frames @ wave), initial=0) / 80)

    # ITU-T Q.23: 770 and 1336 Hz, each at -7 dBm0
    async with asyncio.timeout(10):
        while min(sounds(770), sounds(1336)) < 9000:
            await asyncio.sleep(0.05)
    alice.bye()
    await bob.ended()


def test_the_laws_are_those_that_phones_speak():
    assert set(LAWS) == {"PCMU", "PCMA"}
