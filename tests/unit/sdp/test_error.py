from sidestream.sdp.error import SdpError


def test_an_error_names_its_line_and_carries_its_answer() -> None:
    error = SdpError("malformed line", line=3)
    assert (str(error), error.status, error.code) == ("SDP line 3: malformed line", 400, 32102)


def test_an_error_of_the_whole_description_names_no_line() -> None:
    assert str(SdpError("is empty", status=488)) == "SDP: is empty"
