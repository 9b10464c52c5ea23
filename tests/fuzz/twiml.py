"""Any answer of an application, its Content-Type chosen by the first octet: a document or exactly one error."""

from fuzzing import fuzz, instrumented

with instrumented():
    from sidestream.debugger.alert import Level
    from sidestream.debugger.catalog import CATALOG
    from sidestream.twiml.parser import parse_twiml

TYPES = (None, "text/xml", "application/xml; charset=utf-16", "text/plain; charset=latin-1", "audio/wav", "image/png")


def take(data: bytes) -> None:
    document, problems = parse_twiml(data[1:], TYPES[(data or b"0")[0] % len(TYPES)], url="http://a/b.wav")
    errors = [problem for problem in problems if problem.level is Level.ERROR]
    assert len(errors) == (document is None)
    assert all(problem.code in CATALOG for problem in problems)


if __name__ == "__main__":
    fuzz(take)
