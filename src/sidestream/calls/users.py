"""The users of SIP domains, as calls need them: who proves to be one, and where one can be called."""

from dataclasses import dataclass

from sidestream.accounts.domain import DomainBook
from sidestream.base.ids import Ids
from sidestream.registrar.binding import Binding
from sidestream.registrar.gate import ALGORITHMS, Gate
from sidestream.registrar.ports import StoredBinding
from sidestream.registrar.registrar import Registrar
from sidestream.sip.uri import Uri

_SECRET_OCTETS = 32


class NoSuchUser(Exception):
    """An address in one of our domains at which nobody can be called. `status` is what SIP answers to that."""

    def __init__(self, address: str, status: int) -> None:
        super().__init__(address, status)
        self.address = address
        self.status = status

    def __str__(self) -> str:
        return f"{self.address} is " + ("not registered" if self.status == 480 else "nobody's address")


@dataclass(frozen=True, slots=True)
class SipUsers:
    """`gate` also asks the trunks that have to prove themselves."""

    domains: DomainBook
    registrar: Registrar
    gate: Gate

    def locate(self, uri: Uri, account_sid: str, now: float) -> tuple[str, tuple[Binding, ...]] | None:
        """The address-of-record that `uri` names and where it is registered, the best place first.

        None for an address outside our domains; one with a port names a machine and not a user. Raises NoSuchUser.
        """
        domain = self.domains.at(uri.address) if uri.is_sip and uri.port is None else None
        if domain is None:
            return None
        user = domain.user(uri.username) if domain.account_sid == account_sid else None
        if user is None:
            raise NoSuchUser(str(uri), 404)
        aor = domain.aor(user)
        bindings = self.registrar.bindings(aor, now)
        if not bindings:
            raise NoSuchUser(aor, 480)
        return aor, bindings


def no_users(ids: Ids | None = None) -> SipUsers:
    """Of a platform without domains."""
    return SipUsers(DomainBook(), Registrar(_NoStore()), make_gate(ids or Ids()))


def make_gate(ids: Ids, algorithms: tuple[str, ...] = ALGORITHMS) -> Gate:
    """A gate whose nonces nobody else can make; those of an earlier run are answered with a new challenge."""
    return Gate(ids.octets(_SECRET_OCTETS), algorithms=algorithms)


class _NoStore:
    """Where there are no users, nothing is stored."""

    def save(self, aor: str, bindings: tuple[StoredBinding, ...]) -> None:
        """Forget it."""

    async def all(self) -> list[tuple[str, tuple[StoredBinding, ...]]]:
        return []

    async def flush(self) -> None:
        """Nothing waits."""
