"""Verbs out of nodes: what remains to be judged once every element stands in its place."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from sidestream.twiml.document import (
    Dial,
    Document,
    Hangup,
    Pause,
    Play,
    Redirect,
    Reject,
    Say,
    SiprecNoun,
    Start,
    Stop,
    Verb,
)
from sidestream.twiml.node import Node, Problems
from sidestream.twiml.target import read_targets


def build_document(response: Node, problems: Problems) -> Document:
    """The document of a `<Response>`; verbs that can do nothing are left out, with a problem."""
    verbs = [BUILDERS[child.name](child, problems) for child in response.children]
    return Document(tuple(verb for verb in verbs if verb is not None))


def _say(node: Node, problems: Problems) -> Say | None:
    if not node.text:
        problems.add(12200, "<Say> has no text", node.line)
        return None
    return Say(node.text, node.word("voice"), node.word("language"), node.integer("loop"))


def _play(node: Node, problems: Problems) -> Play | None:
    digits = node.word("digits")
    if not node.text and digits is None:
        problems.add(12200, "<Play> has neither a URL nor digits", node.line)
        return None
    return Play(node.text, node.integer("loop"), digits)


def _pause(node: Node, problems: Problems) -> Pause:
    return Pause(node.integer("length"))


def _redirect(node: Node, problems: Problems) -> Redirect:
    return Redirect(node.text, node.choice("method"))


def _hangup(node: Node, problems: Problems) -> Hangup:
    return Hangup()


def _reject(node: Node, problems: Problems) -> Reject:
    return Reject(node.choice("reason"))


def _dial(node: Node, problems: Problems) -> Dial:
    return Dial(
        action=node.word("action"),
        method=node.choice("method"),
        timeout=node.integer("timeout"),
        time_limit=node.integer("timeLimit"),
        caller_id=node.word("callerId"),
        answer_on_bridge=node.flag("answerOnBridge"),
        hangup_on_star=node.flag("hangupOnStar"),
        targets=read_targets(node, problems),
    )


def _start(node: Node, problems: Problems) -> Start:
    return Start(node.word("action"), node.choice("method"), _siprecs(node, problems))


def _stop(node: Node, problems: Problems) -> Stop:
    return Stop(_siprecs(node, problems))


def _siprecs(node: Node, problems: Problems) -> tuple[SiprecNoun, ...]:
    return tuple(
        SiprecNoun(
            name=siprec.word("name"),
            connector_name=siprec.word("connectorName"),
            track=siprec.word("track"),
            status_callback=siprec.word("statusCallback"),
            status_callback_method=siprec.word("statusCallbackMethod"),
            parameters=_parameters(siprec, problems),
        )
        for siprec in node.children
    )


def _parameters(siprec: Node, problems: Problems) -> tuple[tuple[str, str], ...]:
    parameters = []
    for parameter in siprec.children:
        name = parameter.word("name")
        if name is None:
            problems.add(12200, "A <Parameter> without name is left out", parameter.line)
        else:
            parameters.append((name, parameter.word("value") or ""))
    return tuple(parameters)


BUILDERS: Mapping[str, Callable[[Node, Problems], Verb | None]] = MappingProxyType(
    {
        "Say": _say,
        "Play": _play,
        "Pause": _pause,
        "Redirect": _redirect,
        "Hangup": _hangup,
        "Reject": _reject,
        "Dial": _dial,
        "Start": _start,
        "Stop": _stop,
    }
)
