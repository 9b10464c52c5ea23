"""A phone's registration: REGISTER with digest, refreshed or taken back when its user says so."""

import asyncio

from sidestream.base.ids import Ids
from sidestream.sip.agent.events import RequestAnswered
from sidestream.sip.digest import DigestCredentials
from sidestream.sip.message import Response
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr
from sidestream.wire.driver import SipDriver

CALL_ID_DIGITS = 24


class PhoneRegistration:
    """Made by `SipPhone`. All REGISTERs share a Call-ID; each answered challenge uses a number more."""

    def __init__(self, driver: SipDriver, ids: Ids, credentials: DigestCredentials | None) -> None:
        self._driver = driver
        self._credentials = credentials
        self._call_id = ids.hex(CALL_ID_DIGITS)
        self._seq = 0
        self._asked: dict[str, asyncio.Future[Response | None]] = {}

    async def send(
        self, address: Uri, proxy: Uri | None, *, contact: str | None, expires: int | None, timeout: float
    ) -> Response:
        """Send a REGISTER for `address` and return its final response; TimeoutError when none comes.

        `contact` is the value of Contact, None for the phone's own; empty for none. `expires` None leaves it out.
        """
        registrar = Uri("sip", host=address.host, port=address.port)
        route = () if proxy is None else (NameAddr(None, proxy.with_params(("lr", None))),)
        answered: asyncio.Future[Response | None] = asyncio.get_running_loop().create_future()
        with self._driver.turn() as (agent, now):
            if contact is None:
                contact = str(agent.contact_toward(registrar, address.user, route))
            self._seq += 1
            request_id = agent.request(
                None,
                "REGISTER",
                target=registrar,
                route=route,
                from_=NameAddr(None, address),
                to=NameAddr(None, address),
                headers=[
                    *([("Contact", contact)] if contact else []),
                    *([("Expires", str(expires))] if expires is not None else []),
                ],
                credentials=self._credentials,
                call_id=self._call_id,
                seq=self._seq,
                now=now,
            )
            self._asked[request_id] = answered
        async with asyncio.timeout(timeout):
            response = await answered
        if response is None:
            raise TimeoutError("the registrar did not answer")
        self._seq = max(self._seq, response.cseq.number)
        return response

    def take(self, event: RequestAnswered) -> None:
        """The answer to a request outside of calls."""
        answered = self._asked.pop(event.request_id, None)
        if answered is not None and not answered.done():
            answered.set_result(event.response)
