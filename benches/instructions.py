"""Instructions of the engine's own code for each packet, as valgrind counts them: the same on every run of one machine.

The count of a long run less that of a short one, divided by the packets between them, so that neither the program's
begin nor the opening of calls is in it. What the kernel does for a packet is not in it either: benches/media
measures that. valgrind knows no SHA extensions, so SRTP by HMAC-SHA1 takes more here than on a processor that has them;
the nanoseconds beside it are of the processor.
"""

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benches.table import print_table

ROOT = Path(__file__).resolve().parent.parent
WAYS = {
    "parse RTP": ("parse",),
    "relay": ("relay",),
    "relay and fork": ("fork",),
    "relay and fork in batches of 80 ms": ("fork-batched",),
    "relay and record": ("record",),
    "SRTP, AES_CM_128_HMAC_SHA1_80, sealed": ("seal", "AES_CM_128_HMAC_SHA1_80"),
    "SRTP, AES_CM_128_HMAC_SHA1_80, sealed and opened": ("open", "AES_CM_128_HMAC_SHA1_80"),
    "SRTP, AEAD_AES_128_GCM, sealed": ("seal", "AEAD_AES_128_GCM"),
    "SRTP, AEAD_AES_128_GCM, sealed and opened": ("open", "AEAD_AES_128_GCM"),
}
PACKETS = (2_000, 12_000)
SRTP_LIMIT_NS = 500.0


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(prog="python -m benches instructions", description=__doc__)
    parser.parse_args(arguments)
    if shutil.which("valgrind") is None:
        print("instructions: skipped, valgrind is not installed", file=sys.stderr)
        return
    folder = _build("hot_path", "srtp_speed")
    rows = [(name, f"{_per_packet(folder / 'hot_path', *way):.0f}") for name, way in WAYS.items()]
    print_table("Instructions of the engine's own code (valgrind)", ("packet", "instructions"), rows)
    times = _srtp_times(folder / "srtp_speed")
    print_table(
        f"SRTP on this processor (limit {SRTP_LIMIT_NS:.0f} ns a packet)",
        ("suite", "protect ns", "unprotect ns", "limit"),
        [(name, f"{a:.0f}", f"{b:.0f}", "held" if max(a, b) <= SRTP_LIMIT_NS else "MISSED") for name, a, b in times],
    )


def _build(*examples: str) -> Path:
    command = ["cargo", "build", "--release", "--quiet", "-p", "media-core"]
    for example in examples:
        command += ["--example", example]
    subprocess.run(command, cwd=ROOT, check=True)
    return ROOT / "target" / "release" / "examples"


def _per_packet(program: Path, what: str, *suite: str) -> float:
    few, many = (_instructions([str(program), what, str(packets), *suite]) for packets in PACKETS)
    return (many - few) / (PACKETS[1] - PACKETS[0])


def _instructions(command: Sequence[str]) -> int:
    valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    done = subprocess.run([*valgrind, *command], capture_output=True, text=True, timeout=300, check=True)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if found is None:
        raise RuntimeError(f"valgrind counted nothing: {done.stderr[-500:]}")
    return int(found[1])


def _srtp_times(program: Path) -> list[tuple[str, float, float]]:
    done = subprocess.run([str(program)], capture_output=True, text=True, timeout=120, check=True)
    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    return [(name, float(protect), float(unprotect)) for name, protect, unprotect, *_ in rows]


if __name__ == "__main__":
    main(sys.argv[1:])
