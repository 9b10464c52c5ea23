from sidestream.siprec.src.actions import Respond, SendBye


def test_actions_are_values() -> None:
    assert SendBye() == SendBye((), None, b"")
    assert Respond(200) != Respond(488)
