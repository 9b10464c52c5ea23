import pytest

from sidestream.siprec.failure import SrsFailure, failure_of_status, failure_to_reach


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


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("TLS: the peer's certificate is not trusted: certificate has expired", 31910),
        ("DNS knows no SIP server for srs.example", 31904),
        ("DNS failed for srs.example: timeout", 31904),
        ("ICMP: connection refused", 31902),
        ("", 31902),
    ],
)
def test_why_a_server_cannot_be_reached(reason: str, code: int) -> None:
    found = failure_to_reach(reason)
    assert found.code == code
    assert found.message == f"The recording server cannot be reached{': ' if reason else ''}{reason}"
