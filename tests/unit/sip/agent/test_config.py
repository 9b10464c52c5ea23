"""Defaults that others rely on."""

from sidestream.sip.agent.config import AgentConfig


def test_defaults() -> None:
    config = AgentConfig()
    assert config.udp_limit == 1300  # RFC 3261 §18.1.1
    assert {"INVITE", "ACK", "CANCEL", "BYE", "OPTIONS"} <= set(config.allow)  # RFC 3261 §8.1.1.1 and onward
    assert config.listeners == ()
