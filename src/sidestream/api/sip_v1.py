"""Trunks and domains under /sidestream/v1: who is registered where (read-only, and without any password)."""

from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sidestream.accounts.domain import Domain, SipUser
from sidestream.api.credentials import authenticated
from sidestream.api.sidestream_v1 import as_json, refused
from sidestream.base.clock import Clock
from sidestream.calls.refusal import Refusal

if TYPE_CHECKING:
    from sidestream.accounts.account_book import AccountBook
    from sidestream.calls.users import SipUsers
    from sidestream.trunks.registrations import Registrations, TrunkStatus
    from sidestream.trunks.trunk_book import Trunk, TrunkBook


class SipApi:
    """`GET …/Trunks` and `GET …/Domains`, each with what concerns the account that asks."""

    def __init__(
        self,
        accounts: "AccountBook",
        trunks: "TrunkBook",
        registrations: "Registrations",
        users: "SipUsers",
        clock: Clock,
    ) -> None:
        self._accounts = accounts
        self._trunks = trunks
        self._registrations = registrations
        self._users = users
        self._clock = clock

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/sidestream/v1/Trunks", self._list_trunks, methods=["GET"]),
            Route("/sidestream/v1/Domains", self._list_domains, methods=["GET"]),
        ]

    async def _list_trunks(self, request: Request) -> Response:
        try:
            account = authenticated(self._accounts, request.headers)
        except Refusal as refusal:
            return refused(refusal)
        statuses = {status.trunk: status for status in self._registrations.statuses()}
        visible = [trunk for trunk in self._trunks.trunks if trunk.account_sid in (None, account.sid)]
        return as_json({"trunks": [_trunk(trunk, statuses.get(trunk.name)) for trunk in visible]})

    async def _list_domains(self, request: Request) -> Response:
        try:
            account = authenticated(self._accounts, request.headers)
        except Refusal as refusal:
            return refused(refusal)
        own = [domain for domain in self._users.domains.domains if domain.account_sid == account.sid]
        return as_json({"domains": [self._domain(domain) for domain in own]})

    def _domain(self, domain: Domain) -> dict[str, Any]:
        return {
            "name": domain.name,
            "aliases": domain.aliases,
            "route": domain.route,
            "users": [self._user(domain, user) for user in domain.users],
        }

    def _user(self, domain: Domain, user: SipUser) -> dict[str, Any]:
        now, wall, aor = self._clock.monotonic(), self._clock.wall(), domain.aor(user)
        contacts = [
            {
                "contact": str(binding.contact),
                "q": binding.q,
                "expires_at": wall + timedelta(seconds=binding.expires_at - now),
                "source": None
                if binding.way is None
                else f"{binding.way.transport} {binding.way.host}:{binding.way.port}",
            }
            for binding in self._users.registrar.bindings(aor, now)
        ]
        return {"name": user.name, "address": aor, "contacts": contacts}


def _trunk(trunk: "Trunk", status: "TrunkStatus | None") -> dict[str, Any]:
    return {
        "name": trunk.name,
        "account_sid": trunk.account_sid,
        "sources": [str(source) for source in trunk.sources],
        "proves_itself": trunk.inbound is not None,
        "outbound": None if trunk.outbound is None else str(trunk.outbound),
        "registration": None if status is None else asdict(status),
    }
