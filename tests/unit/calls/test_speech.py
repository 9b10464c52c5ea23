import stat
import wave

import pytest

from sidestream.calls.audio import AudioLibrary
from sidestream.calls.speech import Speech, SpeechUnavailable, espeak_voice


@pytest.mark.parametrize(
    ("voice", "language", "expected"),
    [
        (None, None, "en-us+f3"),
        ("man", None, "en-us"),
        ("alice", "en-GB", "en-gb+f3"),
        ("woman", "de-DE", "de+f3"),
        ("Google.de-DE-Standard-A", None, "de+f3"),
        ("Polly.Joanna", None, "en-us+f3"),
        ("man", "pt-BR", "pt-br"),
    ],
)
def test_voices_and_languages(voice, language, expected):
    assert espeak_voice(voice, language) == expected


@pytest.fixture
def synthesiser(tmp_path):
    """A stand-in that records what it was asked and copies a WAV to its output."""
    source = tmp_path / "said.wav"
    with wave.open(str(source), "wb") as file:
        file.setparams((1, 2, 22050, 0, "NONE", ""))
        file.writeframes(b"\x10\x00" * 22050)

    def make(body):
        program = tmp_path / "synth"
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return Speech(AudioLibrary(tmp_path / "audio"), tmp_path / "speech", program=str(program))

    make.log = tmp_path / "log"
    make.copy = f'echo "$@" >> {tmp_path / "log"}; cat >> {tmp_path / "log"}; cat {source}'
    return make


async def test_text_is_spoken_once_and_then_kept(synthesiser):
    speech = synthesiser(synthesiser.copy)
    first = await speech.spoken("Hello   there", language="en-GB")
    assert await speech.spoken("Hello there", language="en-GB") == first
    assert synthesiser.log.read_text() == "--stdout -v en-gb+f3 --stdin\nHello there"


async def test_the_text_never_becomes_an_argument(synthesiser):
    speech = synthesiser(synthesiser.copy)
    await speech.spoken("-f /etc/passwd; `id`")
    assert synthesiser.log.read_text().endswith("--stdin\n-f /etc/passwd; `id`")


async def test_a_prepared_file_that_is_gone_is_made_again(synthesiser):
    speech = synthesiser(synthesiser.copy)
    path = await speech.spoken("again")
    path.unlink()
    assert await speech.spoken("again") == path
    assert path.exists()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("cat > /dev/null; echo broken >&2; exit 3", "broken"),
        ("cat > /dev/null", "failed"),
        ("cat > /dev/null; echo noise", "made no audio"),
    ],
)
async def test_a_failing_synthesiser_is_named(synthesiser, body, reason):
    with pytest.raises(SpeechUnavailable, match=reason):
        await synthesiser(body).spoken("x")


async def test_a_missing_synthesiser_is_named(tmp_path):
    speech = Speech(AudioLibrary(tmp_path), tmp_path, program="no-such-synthesiser")
    with pytest.raises(SpeechUnavailable, match="not installed"):
        await speech.spoken("x")
