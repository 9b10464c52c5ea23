"""Benches run, whatever they measure."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from benches import soak

ROOT = Path(__file__).parents[2]
NAMESPACES = Path("/run/netns")
# Not all modes: each is a process of its own that has everything to import.
OPTIONS = (
    *("--modes", "recorded", "--calls", "20", "--rounds", "1", "--warm-up", "2", "--live", "5"),
    *("--own-peers", "--rooms", "--engine", "--json"),
)

CALL_ROOMS = {"sip", "sdp", "siprec", "wire", "calls", "recording"}


async def test_call_set_up_is_measured() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benches", "call_setup", *OPTIONS), cwd=ROOT, stdout=PIPE, stderr=PIPE
    )
    async with asyncio.timeout(50):
        output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    result = json.loads(output)
    (used,) = result["used"]["recorded"]
    assert used["user_s"] + used["system_s"] > 0
    assert [len(result["used"][name]) for name in ("whole", "engine")] == [1, 1]
    # A few samples of some milliseconds of work: in which of these rooms they fall is chance.
    assert any(place.partition("/")[0] in CALL_ROOMS for place in result["rooms"]["recorded"])
    assert result["live_kb"] is not None


async def test_a_bench_that_does_not_exist_is_refused() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benches", "teleport"), cwd=ROOT, stdout=PIPE, stderr=PIPE
    )
    _, errors = await process.communicate()
    assert process.returncode == 2
    assert b"call_setup" in errors


@pytest.mark.long
@pytest.mark.timeout(300)  # the generator may have to be built
async def test_calls_that_come_and_go_leave_nothing_behind() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benches", "soak", "--calls", "20", "--seconds", "25"),
        cwd=ROOT,
        stdout=PIPE,
        stderr=PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    assert b"after" in output


@pytest.mark.long
@pytest.mark.timeout(300)  # the generator may have to be built
async def test_many_calls_take_no_more_than_they_should() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benches", "full", "--calls", "300"), cwd=ROOT, stdout=PIPE, stderr=PIPE
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    assert b"RTCP on the RTP port" in output


def looks(descriptors: Callable[[int], int], lost: int = 0) -> list[soak.Look]:
    """What a soak of five minutes sees that leaves nothing behind, with so many descriptors after so many seconds."""
    first = soak.Look("before", 0, 0, 35_000_000, 14, 1348, 0, 0, 0, 0, 0)
    held = {"when": "during", "sessions": 500, "resident_bytes": 38_000_000, "ports": 348}
    during = [replace(first, seconds=at, descriptors=descriptors(at), **held) for at in range(10, 300, 10)]
    return [first, *during, replace(first, when="after", seconds=300, sent=10_000_000, lost=lost)]


@pytest.mark.parametrize(
    ("descriptors", "lost", "found"),
    [
        (lambda _: 2014, 0, []),
        # counted a moment after the pairs that rest
        (lambda at: 2008 if at == 200 else 2014, 0, []),
        (lambda at: 2014 + at // 100, 0, ["descriptors from 2015 to 2016"]),
        (lambda _: 2014, 2001, ["2001 of 20000000 packets were lost"]),
    ],
)
def test_a_soak_tells_a_leak_from_a_moment(descriptors: Callable[[int], int], lost: int, found: list[str]) -> None:
    assert soak.problems(looks(descriptors, lost)) == found


async def in_a_veth_pair(*options: str) -> asyncio.subprocess.Process:
    if os.geteuid() != 0 or len(os.sched_getaffinity(0)) < 2:
        pytest.skip("network namespaces need root, and relay and generator a core each")
    command = (sys.executable, "-m", "benches", "media", "--veth", "--rounds", "1", *options)
    return await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=PIPE, stderr=PIPE)


def namespaces(process: asyncio.subprocess.Process) -> list[Path]:
    return list(NAMESPACES.glob(f"sidestream-bench-{process.pid}-*"))


@pytest.mark.long
@pytest.mark.timeout(300)  # the generator may have to be built
async def test_calls_cross_a_veth_pair() -> None:
    process = await in_a_veth_pair("--calls", "5", "--seconds", "1", "--only", "sidestream", "sidestream, kernel")
    output, errors = await process.communicate()
    if b"skipped" in errors:
        pytest.skip(errors.decode())
    assert process.returncode == 0, errors.decode()
    rows = [line.split() for line in output.decode().splitlines() if line.strip().startswith("5 sidestream")]
    assert len(rows) == 2
    for row in rows:
        # from the end: worst loss %, wrong, p50, p99, MB, first fork, set up, others
        assert (float(row[-8]), int(row[-7])) == (0, 0), row
    assert namespaces(process) == []


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
async def test_a_bench_that_is_ended_leaves_no_namespaces(end: signal.Signals) -> None:
    process = await in_a_veth_pair("--calls", "5", "--seconds", "30", "--only", "sidestream")
    while process.returncode is None and not namespaces(process):
        await asyncio.sleep(0.05)
    await asyncio.sleep(2)  # into the run
    if process.returncode is None:
        process.send_signal(end)
    _, errors = await process.communicate()
    if b"skipped" in errors:
        pytest.skip(errors.decode())
    assert process.returncode != 0
    assert namespaces(process) == []


@pytest.mark.long
@pytest.mark.timeout(300)  # the generator may have to be built
async def test_what_was_measured_is_written_to_the_docs(tmp_path: Path) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("relay and generator need a core each")
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- measured: loopback-loads -->\nof old\n<!-- end: loopback-loads -->\nafter\n")
    options = ("--calls", "5", "--rounds", "1", "--seconds", "1", "--only", "sidestream", "--write", str(page))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benches", "media", *options), cwd=ROOT, stdout=PIPE, stderr=PIPE
    )
    _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    lines = page.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("before", "after")
    assert "of old" not in lines
    assert any("--calls 5" in line and os.uname().release in line for line in lines)
    (row,) = [line for line in lines if line.startswith("| 5 sidestream |")]
    assert row.count("|") == 14
