from sidestream.sip.errors import LocalError, MessageError, SipError, malformed


def test_a_message_error_keeps_its_fields_and_makes_its_text():
    error = malformed("Via")
    assert (error.status, error.reason, error.answer) == (400, "Malformed Via", None)
    assert str(error) == "400 Malformed Via"


def test_both_kinds_share_a_root():
    assert issubclass(MessageError, SipError)
    assert issubclass(LocalError, SipError)
