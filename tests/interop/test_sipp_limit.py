"""A platform that takes on no more than it should, and the callers whom that concerns, played by SIPp."""

import time

import pytest

from .conftest import DIAL, Stage

pytestmark = pytest.mark.interop

CONFIG = """
[limits]
calls = 1
"""


def test_caller_is_put_off_while_there_are_enough_calls(stage: Stage) -> None:
    with stage.play("callee_answers", stage.callee), stage.call("caller_hangs_up_later", DIAL):
        while not stage.server.calls(to=DIAL):
            time.sleep(0.05)
        stage.call("caller_is_put_off", DIAL).run()
    with stage.play("callee_answers", stage.callee):
        stage.call("caller_hangs_up", DIAL).run()
