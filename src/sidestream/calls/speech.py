"""`<Say>`: text to a prepared audio file, by espeak-ng as a process of its own; spoken once, then kept."""

import asyncio
import hashlib
import shutil
from pathlib import Path

from sidestream.calls.audio import AudioError, AudioLibrary

TEXT_LIMIT = 4096  # characters; Twilio's limit for one Say
SYNTHESIS_TIMEOUT_S = 20.0  # espeak-ng speaks hundreds of times faster than real time; longer means it hangs
CONCURRENT_SYNTHESES = 2  # a burst of new prompts must not take every core from the calls

_PROGRAM = "espeak-ng"
_DEFAULT_LANGUAGE = "en-us"
_FEMALE_VARIANT = "+f3"
_MALE_VOICES = frozenset({"man"})


class SpeechUnavailable(Exception):
    """Text cannot be spoken: the synthesiser is missing, or it failed. `reason` says which."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class Speech:
    """Speaks text into files. `program` is the synthesiser's command, found on the path when it is first needed."""

    def __init__(self, library: AudioLibrary, directory: Path, *, program: str = _PROGRAM) -> None:
        self._library = library
        self._directory = directory
        self._program = program
        self._running = asyncio.Semaphore(CONCURRENT_SYNTHESES)

    async def spoken(self, text: str, *, voice: str | None = None, language: str | None = None) -> Path:
        """The prepared file that says `text`. Raises SpeechUnavailable."""
        text = " ".join(text.split())[:TEXT_LIMIT]
        chosen = espeak_voice(voice, language)
        index = self._directory / (hashlib.sha256(f"{chosen}\n{text}".encode()).hexdigest() + ".path")
        known = _read_index(index)
        if known is not None:
            return known
        async with self._running:
            data = await self._synthesise(text, chosen)
        try:
            path = await self._library.prepared(data)
        except AudioError as error:
            raise SpeechUnavailable(f"{self._program} made no audio: {error.reason}") from error
        _write_index(index, path)
        return path

    async def _synthesise(self, text: str, voice: str) -> bytes:
        program = shutil.which(self._program)
        if program is None:
            raise SpeechUnavailable(f"{self._program} is not installed")
        process = await asyncio.create_subprocess_exec(
            program,
            "--stdout",
            "-v",
            voice,
            "--stdin",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(SYNTHESIS_TIMEOUT_S):
                output, errors = await process.communicate(text.encode())
        except TimeoutError:
            raise SpeechUnavailable(f"{self._program} did not finish in {SYNTHESIS_TIMEOUT_S:.0f} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode or not output:
            raise SpeechUnavailable(f"{self._program} failed: {errors.decode(errors='replace').strip()[:200]}")
        return output


def espeak_voice(voice: str | None, language: str | None) -> str:
    """The espeak-ng voice for Twilio's `voice` and `language` attributes: `de-DE` → `de+f3`, `man` without variant.

    Named voices of other synthesisers (Polly.…, Google.…) give their language where it can be read off, else English.
    """
    spoken = (language or "").lower()
    if not spoken and voice and voice.count("-") >= 2:  # such as Google.de-DE-Standard-A
        spoken = "-".join(voice.split(".")[-1].split("-")[:2]).lower()
    if not spoken:
        spoken = _DEFAULT_LANGUAGE
    elif spoken not in ("en-us", "en-gb", "pt-br", "es-419", "fr-be", "fr-ch"):
        spoken = spoken.split("-")[0]
    return spoken if (voice or "").lower() in _MALE_VOICES else spoken + _FEMALE_VARIANT


def _read_index(index: Path) -> Path | None:
    """The prepared file that an index entry names, if both exist."""
    try:
        path = Path(index.read_text())
    except FileNotFoundError:
        return None
    return path if path.exists() else None


def _write_index(index: Path, path: Path) -> None:
    index.parent.mkdir(parents=True, exist_ok=True)
    index.write_text(str(path))
