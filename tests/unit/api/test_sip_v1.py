"""Trunks and domains as the project's own API shows them."""

from collections.abc import AsyncIterator
from datetime import timedelta
from ipaddress import ip_network
from types import SimpleNamespace

import httpx
import pytest
from starlette.applications import Starlette

from sidestream.accounts.account import Account
from sidestream.accounts.account_book import AccountBook
from sidestream.accounts.domain import Domain, DomainBook, SipUser
from sidestream.api.sip_v1 import SipApi
from sidestream.base.clock import iso_micros
from sidestream.base.secret import Secret
from sidestream.registrar.binding import Binding
from sidestream.sip.transport import Peer, Transport
from sidestream.sip.uri import Uri
from sidestream.testing.fake_front import START
from sidestream.trunks.registration import RegistrationState
from sidestream.trunks.registrations import TrunkStatus
from sidestream.trunks.trunk_book import Trunk, TrunkBook, TrunkCredentials

HIDDEN = TrunkCredentials("user", Secret("hidden"))
BOB = "sip:bob@pbx.example"
STATUS = TrunkStatus(
    "carrier", "sip:1@c.example", "sip:c.example", RegistrationState.REGISTERED, 200, "OK", START + timedelta(hours=1)
)


class Bindings:
    """A registrar with bob's two phones."""

    def bindings(self, aor: str, now: float) -> tuple[Binding, ...]:
        if aor != BOB:
            return ()
        peer = Peer(Transport.UDP, "198.51.100.9", 40000, "udp")
        contact = Uri.parse("sip:bob@192.168.1.4")
        return (Binding(contact, "c", 1, now + 60, peer, 0.5), Binding(contact, "c", 1, now + 90))


@pytest.fixture
async def v1(account: Account, other_account: Account) -> AsyncIterator[httpx.AsyncClient]:
    trunks = (
        Trunk("carrier", None, (ip_network("192.0.2.0/24"),), Uri.parse("sip:c.example"), HIDDEN),
        Trunk("branch", account.sid, inbound=HIDDEN),
        Trunk("foreign", other_account.sid),
    )
    users = (SipUser("alice", Secret("hidden")), SipUser("bob", Secret("hidden")))
    domains = DomainBook(
        (Domain("pbx.example", account.sid, users, ("192.0.2.1",)), Domain("foreign.example", other_account.sid, users))
    )
    api = SipApi(
        AccountBook([account, other_account]),
        TrunkBook(trunks),
        SimpleNamespace(statuses=lambda: (STATUS,)),  # type: ignore[arg-type]
        SimpleNamespace(domains=domains, registrar=Bindings()),  # type: ignore[arg-type]
        SimpleNamespace(monotonic=lambda: 5.0, wall=lambda: START),  # type: ignore[arg-type]
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(Starlette(routes=api.routes())),
        base_url="http://api.test/sidestream/v1",
        auth=(account.sid, account.auth_token),
    ) as client:
        yield client


async def test_an_account_sees_its_trunks_and_those_for_everybody(v1: httpx.AsyncClient, account: Account) -> None:
    response = await v1.get("/Trunks")
    assert response.json()["trunks"] == [
        {
            "name": "carrier",
            "account_sid": None,
            "sources": ["192.0.2.0/24"],
            "proves_itself": False,
            "outbound": "sip:c.example",
            "registration": {
                "trunk": "carrier",
                "address": "sip:1@c.example",
                "registrar": "sip:c.example",
                "state": "registered",
                "status": 200,
                "reason": "OK",
                "expires_at": iso_micros(START + timedelta(hours=1)),
            },
        },
        {
            "name": "branch",
            "account_sid": account.sid,
            "sources": [],
            "proves_itself": True,
            "outbound": None,
            "registration": None,
        },
    ]
    assert "hidden" not in response.text


async def test_an_account_sees_where_its_users_are_registered(v1: httpx.AsyncClient) -> None:
    response = await v1.get("/Domains")
    (domain,) = response.json()["domains"]
    assert (domain["name"], domain["aliases"], domain["route"]) == ("pbx.example", ["192.0.2.1"], "voice")
    alice, bob = domain["users"]
    assert alice == {"name": "alice", "address": "sip:alice@pbx.example", "contacts": []}
    assert bob["contacts"] == [
        {
            "contact": "sip:bob@192.168.1.4",
            "q": 0.5,
            "expires_at": iso_micros(START + timedelta(seconds=60)),
            "source": "UDP 198.51.100.9:40000",
        },
        {
            "contact": "sip:bob@192.168.1.4",
            "q": 1.0,
            "expires_at": iso_micros(START + timedelta(seconds=90)),
            "source": None,
        },
    ]
    assert "hidden" not in response.text


@pytest.mark.parametrize("path", ["/Trunks", "/Domains"])
async def test_strangers_see_nothing(v1: httpx.AsyncClient, path: str) -> None:
    assert (await v1.get(path, auth=("x", "y"))).status_code == 401
