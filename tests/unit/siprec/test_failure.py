import pytest

from sidestream.siprec.failure import SrsFailure, failure_of_status


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, 32106), (407, 32106), (408, 31901), (504, 31901), (403, 32011), (486, 32011), (488, 32011), (503, 32011)],
)
def test_the_code_of_a_sip_answer(status: int, code: int) -> None:
    assert failure_of_status(status, "Words").code == code


def test_the_message_names_the_answer() -> None:
    found = failure_of_status(486, "Busy\x00 Here")
    assert found == SrsFailure(32011, "The recording server answered 486 Busy Here", 486)
    assert failure_of_status(500, "").message == "The recording server answered 500"
