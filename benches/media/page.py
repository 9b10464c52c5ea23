"""The page of the docs that tells what the last runs found, and where."""

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benches.media.relays import ROOT
from benches.media.told import Told

PAGE = ROOT / "docs" / "topics" / "performance-media.md"


class NoPlace(Exception):
    """The page has no place of that name."""

    def __init__(self, page: Path, place: str) -> None:
        super().__init__(page, place)
        self.page = page
        self.place = place

    def __str__(self) -> str:
        return f"{self.page} has no lines {_begin(self.place)} and {_end(self.place)}"


def add_run(page: Path, place: str, told: Told, command: str) -> None:
    """Puts a run in the place of the one before, between the two lines that mark it. Raises `NoPlace`."""
    text = page.read_text()
    parts = re.split(f"({re.escape(_begin(place))}\\n)(.*?)({re.escape(_end(place))})", text, flags=re.DOTALL)
    if len(parts) != 5:  # before, begin, what was there, end, after
        raise NoPlace(page, place)
    parts[2] = f"{_circumstances(command)}\n\n{told.markdown()}"
    page.write_text("".join(parts))


def _begin(place: str) -> str:
    return f"<!-- measured: {place} -->"


def _end(place: str) -> str:
    return f"<!-- end: {place} -->"


def _circumstances(command: str) -> str:
    """When, where and how: without these a number says nothing."""
    when = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    one, five, _ = os.getloadavg()
    return (
        f"`{command}`, {when}. {os.cpu_count()} cores of {_processor()}, {platform.system()} {platform.release()};"
        f" rtpengine {_first(['rtpengine', '--version']).removeprefix('Version: ')}."
        f" Load average at the end {one:.1f}, over five minutes {five:.1f}."
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _first(command: Sequence[str]) -> str:
    """The first line that a command tells; rtpengine tells its version as an error."""
    try:
        done = subprocess.run(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "(not here)"
    return done.stdout.strip().partition("\n")[0]
