"""`python -m benches [NAME …]` runs the named benches, or all quick ones; after one name its own options may follow."""

import importlib
import inspect
import sys
from collections.abc import Sequence

QUICK = ("sip_parse", "sdp_parse", "call_setup")  # minutes at most, and no privileges
ALL = (*QUICK, "media", "soak", "full", "instructions", "kernel_path", "call_image")


def main(arguments: Sequence[str]) -> int:
    names = [argument for argument in arguments if argument in ALL]
    rest = [argument for argument in arguments if argument not in ALL]
    if rest and len(names) != 1:
        print(f"There are the benches {', '.join(ALL)}; options follow one of them.", file=sys.stderr)
        return 2
    for name in names or QUICK:
        _run(name, rest)
    return 0


def _run(name: str, options: Sequence[str]) -> None:
    bench = importlib.import_module(f"benches.{name}")
    # Some benches have options, the others take none.
    if inspect.signature(bench.main).parameters:
        bench.main(options)
    else:
        bench.main()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
