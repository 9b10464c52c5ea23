"""Events are values."""

from dataclasses import FrozenInstanceError, fields
from typing import get_args

import pytest

from sidestream.sip.agent.events import AgentEvent, EndCause, SessionEnded


def test_every_event_names_its_session() -> None:
    for kind in get_args(AgentEvent):
        assert "session" in {field.name for field in fields(kind)}
        assert kind.__doc__


def test_events_are_frozen() -> None:
    event = SessionEnded("s", EndCause.LOST)
    with pytest.raises(FrozenInstanceError):
        event.session = "t"  # type: ignore[misc]
