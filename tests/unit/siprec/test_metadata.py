from sidestream.siprec.metadata import NAMESPACE, DataMode


def test_the_words_of_the_format() -> None:
    """C30, X1: the namespace exactly; complete and partial in lower case."""
    assert NAMESPACE == "urn:ietf:params:xml:ns:recording:1"
    assert [mode.value for mode in DataMode] == ["complete", "partial"]
