"""What the harnesses share: libFuzzer by atheris (https://github.com/google/atheris), its seeds and its corpora."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import atheris

HERE = Path(__file__).parent
TORTURE = HERE.parent / "unit" / "sip" / "torture"
FOUND = HERE.parents[1] / "target" / "fuzz"  # what runs have found interesting stays here, and what they broke on

SECONDS = 5  # for one input; the slowest honest one takes a hundredth
MEGABYTES = 1024
OCTETS = 4096  # longer inputs are no more interesting, and slower


@contextmanager
def instrumented() -> Iterator[None]:
    """Import the code to be tested inside of this, so that its coverage guides the search."""
    with atheris.instrument_imports(include=["sidestream"]):
        yield


def fuzz(take: Callable[[bytes], None], *, seeds: Path | None = None) -> None:
    """Feed `take` until an input makes it raise, or with the files that `sys.argv` names, each once.

    `sys.argv` may also have options of libFuzzer, and a directory for what reaches new code: by default it is kept from
    run to run. `seeds` is a directory; without it the one with the harness' name.
    """
    name, given = Path(sys.argv[0]).stem, sys.argv[1:]
    options = [f"-timeout={SECONDS}", f"-rss_limit_mb={MEGABYTES}", f"-max_len={OCTETS}", f"-dict={HERE / name}.dict"]
    if all(argument.startswith("-") for argument in given):
        corpus = FOUND / name
        corpus.mkdir(parents=True, exist_ok=True)
        options.append(f"-artifact_prefix={FOUND}/{name}-")
        given = [*given, str(corpus)]
    if not any(Path(argument).is_file() for argument in given):
        given = [*given, str(seeds or HERE / "seeds" / name)]  # read alone: the first directory is the one written to
    atheris.Setup([sys.argv[0], *options, *given], take)
    atheris.Fuzz()
