"""What is written down is read back, and nothing else is."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream.base.secret import Secret
from sidestream.calls.image import (
    VERSION,
    Heading,
    ImageError,
    ProgressImage,
    ScriptImage,
    SessionMark,
    SourceImage,
    decode,
    encode,
    image_of,
)
from sidestream.calls.party import Party
from sidestream.calls.requests import Instructions
from sidestream.recording.image import RecordingImage
from sidestream.sdp.crypto import Crypto, CryptoSuite, MasterKey
from sidestream.sdp.formats import EVENTS, PCMU
from sidestream.sdp.keying import Keying
from sidestream.sdp.remote import RemoteAddress
from sidestream.siprec.snapshot import Party as RecordedParty
from sidestream.siprec.snapshot import Snapshot
from sidestream.siprec.src.image import SrcImage
from sidestream.siprec.src.lines import LineState, OfferedFork
from sidestream.webhooks.parameters import SipParameters

from .images import SESSION, call_image

WORDS = st.text(max_size=8)
MAYBE = st.none() | WORDS
PAIRS = st.lists(st.tuples(WORDS, WORDS), max_size=2).map(tuple)
TIMES = st.datetimes(timezones=st.just(UTC))
NUMBERS = st.integers(0, 2**31)
KEYS = st.builds(MasterKey, st.sampled_from(CryptoSuite), WORDS.map(Secret), WORDS)
ADDRESSES = st.builds(RemoteAddress, WORDS, NUMBERS, WORDS, NUMBERS)
PARTIES = st.builds(RecordedParty, WORDS, WORDS, MAYBE, TIMES, st.none() | TIMES)
SNAPSHOTS = st.builds(
    Snapshot, WORDS, TIMES, st.lists(PARTIES, max_size=2).map(tuple), st.booleans(), st.booleans(), MAYBE
)
FORKS = st.builds(OfferedFork, WORDS, WORDS, NUMBERS, st.sampled_from([(), (PCMU, EVENTS)]))
LINES = st.builds(
    LineState,
    st.none() | ADDRESSES,
    st.booleans(),
    st.just((PCMU,)),
    st.booleans(),
    st.none() | st.builds(Keying, KEYS, KEYS),
)
CRYPTOS = st.lists(st.builds(Crypto, NUMBERS, KEYS), max_size=2).map(tuple)
RECORDINGS = st.builds(
    RecordingImage,
    WORDS,
    WORDS,
    WORDS,
    WORDS,
    st.just(SESSION),
    st.builds(
        SrcImage,
        st.lists(FORKS, max_size=2).map(tuple),
        st.lists(LINES, max_size=2).map(tuple),
        st.lists(CRYPTOS, max_size=2).map(tuple),
        st.binary(max_size=9),
        SNAPSHOTS,
        st.none() | SNAPSHOTS,
        TIMES,
    ),
)
SCRIPTS = st.builds(
    ScriptImage,
    st.builds(Instructions, MAYBE, WORDS, MAYBE, WORDS, MAYBE),
    st.none() | st.builds(SourceImage, MAYBE, WORDS, st.binary(max_size=9), MAYBE),
    NUMBERS,
    st.none() | TIMES,
    st.none() | st.builds(Heading, MAYBE, WORDS, st.none() | PAIRS),
    MAYBE,
    PAIRS,
)


@given(
    st.fixed_dictionaries(
        {
            "sid": WORDS,
            "party": st.builds(Party, WORDS, WORDS, MAYBE, MAYBE, st.booleans()),
            "recorded": st.builds(SessionMark, WORDS, TIMES, MAYBE, st.none() | TIMES),
            "callbacks": st.builds(ProgressImage, MAYBE, WORDS, st.lists(WORDS, max_size=2).map(tuple), NUMBERS),
            "is_resumable": st.booleans(),
            "sip_parameters": st.none() | st.builds(SipParameters, WORDS, WORDS, WORDS, PAIRS),
            "talk_limit_s": st.none() | st.floats(0, 1e6),
            "farewell": MAYBE,
            "script": st.none() | SCRIPTS,
            "recordings": st.lists(RECORDINGS, max_size=2).map(tuple),
        }
    )
)
def test_an_image_is_read_back_as_it_was(fields: dict[str, Any]) -> None:
    image = replace(call_image("CA1", "AC1"), **fields)
    assert decode(encode(image)) == image


@pytest.mark.parametrize("octets", [b"", b"\x00", b"nonsense", msgspec.msgpack.encode({"version": VERSION})])
def test_what_is_no_image_is_refused(octets: bytes) -> None:
    with pytest.raises(ImageError):
        decode(octets)


def test_an_image_of_another_version_is_refused() -> None:
    with pytest.raises(ImageError, match="version"):
        decode(encode(call_image("CA1", "AC1", version=VERSION + 1)))


@given(st.binary(max_size=40), st.integers(0, 400))
def test_damage_is_an_image_error_or_an_image(noise: bytes, place: int) -> None:
    octets = encode(call_image("CA1", "AC1"))
    damaged = octets[:place] + noise + octets[place + len(noise) :]
    with suppress(ImageError):
        decode(damaged)


async def test_only_an_established_call_has_one(room) -> None:  # type: ignore[no-untyped-def]
    first = await room.incoming()
    assert image_of(first) is None
    await first.ensure_answered()
    assert image_of(first) is None  # the agent says that something is under way
    room.agent.images["in"] = SESSION
    image = image_of(first)
    assert image is not None
    assert (image.sid, image.account_sid, image.is_resumable) == (first.record.sid, room.account.sid, True)
    assert decode(encode(image)) == image
    first.hang_up()
    assert image_of(first) is None
