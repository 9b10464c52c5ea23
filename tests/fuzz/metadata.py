"""Any recording metadata: read or reported, never raised; what was read is written as XML that reads the same."""

from fuzzing import fuzz, instrumented

with instrumented():
    from sidestream.siprec.reader import read
    from sidestream.siprec.strict import check_strict
    from sidestream.siprec.writer import write


def take(data: bytes) -> None:
    found = read(data)
    assert found.recording is not None or found.problems or found.snapshot_reason is not None
    check_strict(data, None)
    if found.recording is not None:
        assert read(write(found.recording)).recording is not None


if __name__ == "__main__":
    fuzz(take)
