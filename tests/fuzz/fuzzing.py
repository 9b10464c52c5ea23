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
    """Feed `take` until an input makes it raise, or as libFuzzer's options in `sys.argv` say.

    Without a directory in `sys.argv` inputs that reach new code are kept between runs. `seeds` is a directory;
    without it the one with the harness' name.
    """
    name = Path(sys.argv[0]).stem
    options = [f"-timeout={SECONDS}", f"-rss_limit_mb={MEGABYTES}", f"-max_len={OCTETS}"]
    words = HERE / f"{name}.dict"
    if words.exists():
        options.append(f"-dict={words}")
    if all(argument.startswith("-") for argument in sys.argv[1:]):
        corpus = FOUND / name
        corpus.mkdir(parents=True, exist_ok=True)
        options += [f"-artifact_prefix={FOUND}/{name}-", str(corpus)]
    # the last of an option counts, and the first directory is the one that is written to
    atheris.Setup([sys.argv[0], *options, *sys.argv[1:], str(seeds or HERE / "seeds" / name)], take)
    atheris.Fuzz()
