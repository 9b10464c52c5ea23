"""Who asks for something from outside a call, and what becomes of it: trunks, users of domains, strangers."""

from dataclasses import dataclass, replace
from xml.sax.saxutils import escape

from sidestream.accounts.account import Account, VoiceSettings
from sidestream.accounts.domain import Domain, DomainRoute
from sidestream.base.logs import get_logger
from sidestream.calls.party import domain_home, trunk_home
from sidestream.calls.proofs import prove_trunk, prove_user
from sidestream.calls.services import Services
from sidestream.media.engine import Latch
from sidestream.registrar.gate import Denied
from sidestream.registrar.register import Registration
from sidestream.sdp.security import MediaSecurity
from sidestream.sip.errors import MessageError
from sidestream.sip.message import Request
from sidestream.sip.transport import Peer
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr
from sidestream.trunks.trunk_book import Admission, Question, Refusal, Trunk

log = get_logger("calls")

# What a domain without voice settings does with a call to one of its users.
CONNECT_TWIML = '<Response><Dial answerOnBridge="true"><Sip>{{To}}</Sip></Dial></Response>'


@dataclass(frozen=True, slots=True)
class Sender:
    """Who has shown to be allowed to call: a trunk, a user of a domain, or, without both, this machine.

    `caller` is who calls, as far as we believe it.
    """

    caller: NameAddr
    trunk: Trunk | None = None
    domain: Domain | None = None

    @property
    def account_sid(self) -> str | None:
        """Whose it is; None for every account."""
        if self.domain is not None:
            return self.domain.account_sid
        return self.trunk.account_sid if self.trunk is not None else None

    @property
    def home(self) -> str | None:
        """As of a `Party`."""
        if self.domain is not None:
            return domain_home(self.domain.name)
        return trunk_home(self.trunk.name) if self.trunk is not None else None

    @property
    def accepts_refer(self) -> bool:
        return self.trunk is None or self.trunk.accepts_refer

    @property
    def security(self) -> MediaSecurity:
        of = self.domain or self.trunk
        return of.media_security if of is not None else MediaSecurity.NONE

    @property
    def latch(self) -> Latch:
        of = self.domain or self.trunk
        return of.media_latch if of is not None else Latch.EACH

    @property
    def interface(self) -> str | None:
        of = self.domain or self.trunk
        return of.media_interface if of is not None else None


@dataclass(frozen=True, slots=True)
class Welcome:
    """A call to take: whose it is, what to do with it, and who is called."""

    account: Account
    voice: VoiceSettings
    called: Uri
    security: MediaSecurity | None = None  # of whoever calls; None: as of the sender


@dataclass(frozen=True, slots=True)
class Dismissal:
    """The answer to a call that is not taken. It tells a stranger nothing of what we know."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()


class Reception:
    """Decides on INVITE and REGISTER outside a call. ACK and CANCEL never come here, and are never challenged."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def identify(self, request: Request, peer: Peer, now: float) -> Sender | Dismissal:
        """Who sends this INVITE. A user of a domain has to prove it, wherever the call comes from; a trunk is known by
        its address, or by credentials of its own; others are refused."""
        users = self._services.users
        home = users.domains.at(request.from_.uri.address)
        if home is not None and home.user(request.from_.uri.username) is not None:
            return self._user_calls(home, request, peer, now)
        admission = self._services.trunks.admit(peer.host, request.uri.user or "")
        if isinstance(admission, Question):
            return self._trunk_asked(admission, request, peer, now)
        if isinstance(admission, Admission):
            return Sender(_caller(request), admission.trunk)
        # Whoever calls in the name of a domain, or at it without a name, may still prove to be one of its users.
        domain = home or users.domains.at(request.uri.address)
        if domain is not None:
            return self._user_calls(domain, request, peer, now)
        return self._refuse(admission)

    def welcome(self, sender: Sender, request: Request) -> Welcome | Dismissal:
        """What becomes of the sender's call."""
        domain = sender.domain
        if domain is not None and domain.route is DomainRoute.VOICE:
            return self._domain_welcome(domain, sender, request.uri)
        return self._called_user(sender, request) or self._called_number(sender, request)

    def receive_register(self, request: Request, peer: Peer, now: float) -> Registration:
        """RFC 3261 §10.3."""
        services, users = self._services, self._services.users
        domain = users.domains.at(request.to.uri.address)
        if domain is None:
            log.info("! REGISTER at no domain of ours", to=str(request.to.uri))
            return Registration(403)
        user = prove_user(self._services, domain, request, peer, now)
        if isinstance(user, Denied):
            return Registration(user.status, headers=user.headers)
        # RFC 3261 §10.3 items 4 and 5: nobody changes another one's bindings
        if domain.user(request.to.uri.username) is not user:
            return Registration(403)
        outcome = users.registrar.register(domain.aor(user), request, peer, now, services.clock.wall())
        log.info("< REGISTER", user=domain.aor(user), status=outcome.status)
        return outcome

    def _user_calls(self, home: Domain, request: Request, peer: Peer, now: float) -> Sender | Dismissal:
        user = prove_user(self._services, home, request, peer, now)
        if isinstance(user, Denied):
            return Dismissal(user.status, user.headers)
        # The proven name counts, whatever From and P-Asserted-Identity say.
        return Sender(NameAddr(request.from_.display_name, Uri.parse(home.aor(user))), domain=home)

    def _trunk_asked(self, question: Question, request: Request, peer: Peer, now: float) -> Sender | Dismissal:
        trunk = prove_trunk(self._services, question, request, peer, now)
        if isinstance(trunk, Denied):
            return Dismissal(trunk.status, trunk.headers)
        return Sender(_caller(request), trunk)

    def _called_user(self, sender: Sender, request: Request) -> Welcome | Dismissal | None:
        """If a user's name is called, in a domain that the caller may call."""
        domain = self._services.users.domains.at(request.uri.address)
        if domain is None or sender.account_sid not in (None, domain.account_sid):
            return None
        user = domain.user(request.uri.username)
        return None if user is None else self._domain_welcome(domain, sender, Uri.parse(domain.aor(user)))

    def _domain_welcome(self, domain: Domain, sender: Sender, called: Uri) -> Welcome | Dismissal:
        account = self._services.accounts.get(domain.account_sid)
        if account is None:
            return Dismissal(404)
        voice = domain.voice or VoiceSettings(twiml=CONNECT_TWIML)
        if voice.twiml is not None:
            voice = replace(voice, twiml=fill(voice.twiml, sender.caller.uri, called))
        return Welcome(account, voice, called)

    def _called_number(self, sender: Sender, request: Request) -> Welcome | Dismissal:
        number = self._services.accounts.number_for(request.uri.user or "", sender.account_sid)
        account = self._services.accounts.get(number.account_sid) if number is not None else None
        if number is None or account is None:
            log.info("! no such number", to=str(request.uri))
            return Dismissal(404)
        return Welcome(account, number.voice, request.uri, number.media_security)

    def _refuse(self, refusal: Refusal) -> Dismissal:
        log.warning("! call refused", code=refusal.code, reason=refusal.text)
        return Dismissal(refusal.sip_status)


def fill(twiml: str, caller: Uri, called: Uri) -> str:
    """A domain's TwiML with the addresses of this call in place of `{{From}}` and `{{To}}`."""
    for name, uri in (("{{From}}", caller), ("{{To}}", called)):
        address = str(replace(uri, params=(), headers=()))
        twiml = twiml.replace(name, escape(address, {'"': "&quot;", "{": "&#123;"}))
    return twiml


def _caller(request: Request) -> NameAddr:
    """Who calls: RFC 3325's P-Asserted-Identity, which only admitted peers can send us, else From."""
    asserted = request.headers.values("P-Asserted-Identity")
    if asserted:
        try:
            return NameAddr.parse(asserted[0])
        except MessageError:
            pass
    return request.from_
