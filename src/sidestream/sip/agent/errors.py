"""Misuse of an agent by its own application. Nothing a peer sends can raise these."""

from dataclasses import dataclass

from sidestream.sip.errors import LocalError


class AgentError(LocalError):
    """The application misused the agent; a defect on our side."""


@dataclass
class UnknownSession(AgentError):
    """No such session: it never was, or it ended more than 64*T1 ago."""

    session: str

    def __str__(self) -> str:
        return f"no session {self.session}"


@dataclass
class WrongState(AgentError):
    """The command does not fit the session's state; nothing was sent."""

    session: str
    command: str
    state: str

    def __str__(self) -> str:
        return f"{self.command} does not fit session {self.session}: {self.state}"


@dataclass
class UnknownRequest(AgentError):
    """`Agent.answer` for a request that was answered already, or whose client has long given up."""

    request_id: str

    def __str__(self) -> str:
        return f"no request {self.request_id} waits for an answer"
