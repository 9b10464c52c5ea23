from pathlib import Path

from sidestream.siprec import schema
from sidestream.siprec.schema import load_schema, schema_problems

VALID = b'<recording xmlns="urn:ietf:params:xml:ns:recording:1"><datamode>complete</datamode></recording>'


def test_the_package_ships_the_schema_of_the_rfc() -> None:
    for name in ("rs-metadata-offline.xsd", "xml.xsd", "LICENSE"):
        shipped = Path(schema.__file__).parent / name
        assert shipped.read_bytes() == (Path(__file__).parent / name).read_bytes()


def test_a_valid_document_has_no_problems() -> None:
    """X11: a document with only datamode is valid."""
    assert schema_problems(VALID) == []


def test_what_is_wrong_is_said() -> None:
    problems = schema_problems(VALID.replace(b"complete", b"Complete"), load_schema())
    assert any("Complete" in problem for problem in problems)
    assert schema_problems(b"<recording>") != []
