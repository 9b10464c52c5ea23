"""Benches run, whatever they measure."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# One mode of three: each is a process of its own that has everything to import.
OPTIONS = (
    *("--modes", "recorded", "--calls", "20", "--rounds", "1", "--warm-up", "2", "--live", "5"),
    *("--own-peers", "--rooms", "--json"),
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
