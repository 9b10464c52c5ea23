"""How somebody proves to be a user of a domain, or a trunk: by the answer to a challenge. Guessing is reported."""

from sidestream.accounts.domain import Domain, SipUser
from sidestream.calls.services import Services
from sidestream.registrar.gate import Denied
from sidestream.sip.message import Request
from sidestream.sip.transport import Peer
from sidestream.trunks.trunk_book import Question, Trunk

TRUNK_REALM = "sidestream"  # of trunks that prove themselves; a domain's realm is its name

_BAD_CREDENTIALS = 32202


def prove_user(services: Services, domain: Domain, request: Request, peer: Peer, now: float) -> SipUser | Denied:
    """The user of `domain` whose password `request` shows, or what to answer it."""
    verdict = services.users.gate.check(request, domain.name, domain.password_of, peer.host, now)
    if isinstance(verdict, Denied):
        if verdict.locks_out:
            _report_guessing(services, domain.account_sid, peer, f"domain {domain.name}")
        return verdict
    user = domain.user(verdict.username)
    assert user is not None  # its password was right
    return user


def prove_trunk(services: Services, question: Question, request: Request, peer: Peer, now: float) -> Trunk | Denied:
    """The trunk whose password `request` shows, or what to answer it."""
    verdict = services.users.gate.check(request, TRUNK_REALM, question.password_of, peer.host, now)
    if isinstance(verdict, Denied):
        if verdict.locks_out:
            _report_guessing(services, question.trunks[0].account_sid, peer, f"trunk {question.trunks[0].name}")
        return verdict
    trunk = question.trunk(verdict.username)
    assert trunk is not None  # its password was right
    return trunk


def _report_guessing(services: Services, account_sid: str | None, peer: Peer, what: str) -> None:
    accounts = [account_sid] if account_sid else [account.sid for account in services.accounts.accounts]
    for sid in accounts:
        services.debugger.report(
            _BAD_CREDENTIALS,
            account_sid=sid,
            text=f"{peer.host} gave too many wrong answers to the challenges of {what}; it has to wait",
            details={"source": peer.host, "transport": peer.transport.value},
        )
