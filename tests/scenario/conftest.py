"""Scenarios speak the media protocol as its schema has it."""

import pytest


@pytest.fixture(autouse=True)
def _watched(protocol_watch: object) -> None:
    """See `ProtocolWatch`."""
