"""Which offers wait for an answer in a session, and what that allows (RFC 3264 §4, RFC 3311 §5, RFC 6337 §2.2)."""

from sidestream.sip.agent.description import description
from sidestream.sip.agent.session import Phase, Session


def is_ours_open(session: Session) -> bool:
    """Whether an offer of ours has no answer yet, or an INVITE of ours may still bring one."""
    incoming = session.incoming
    return (
        (session.invite is not None and not session.agreed_tags)
        or (session.unacked is not None and session.unacked.offerless)
        or (incoming is not None and incoming.offered)
        or any(_is_offering_update(session, name) for name in session.requests)
    )


def is_theirs_open(session: Session) -> bool:
    """Whether an offer of the peer has no answer yet, or its INVITE may still ask for one."""
    return (
        (session.incoming is not None and not session.incoming.agreed)
        or session.accepted is not None
        or session.owed_prack is not None
        or bool(session.asked)
    )


def is_free(session: Session) -> bool:
    """Whether the session is established and no INVITE and no offer waits in either direction (RFC 3261 §14.1)."""
    return (
        session.phase is Phase.ESTABLISHED
        and session.invite is None
        and session.incoming is None
        and session.unacked is None
        and not is_ours_open(session)
        and not is_theirs_open(session)
    )


def may_update(session: Session) -> bool:
    """Whether an UPDATE with an offer may be sent (RFC 3311 §5.1); before the 2xx too, once a first answer is there."""
    if session.phase is Phase.ENDED or session.current_dialog is None:
        return False
    incoming = session.incoming
    if incoming is not None and incoming.unpracked is not None:
        return False
    return not is_ours_open(session) and not is_theirs_open(session)


def _is_offering_update(session: Session, name: str) -> bool:
    request = session.requests[name].request
    return request.method == "UPDATE" and bool(description(request))
