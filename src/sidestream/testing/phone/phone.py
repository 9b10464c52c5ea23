"""`SipPhone`: a user agent with a user, for tests and the demo."""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from sidestream.base.clock import Clock, SystemClock
from sidestream.base.ids import Ids
from sidestream.sdp.crypto import CryptoSuite
from sidestream.sdp.formats import EVENTS, PCMA, PCMU, Format
from sidestream.sip.agent.config import DEFAULT_ALLOW, TRANSFER_METHODS, AgentConfig
from sidestream.sip.agent.events import AgentEvent, InviteReceived, RequestAnswered, RequestReceived
from sidestream.sip.digest import DigestCredentials
from sidestream.sip.message import Request, Response
from sidestream.sip.timers import Timers
from sidestream.sip.transport import Transport
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr
from sidestream.testing.phone.audio_thread import AudioThread
from sidestream.testing.phone.call import SDP_TYPE, WAIT_SECONDS, PhoneCall
from sidestream.testing.phone.media import PhoneMedia
from sidestream.testing.phone.registration import PhoneRegistration
from sidestream.testing.phone.stream import RtpStream
from sidestream.wire.driver import Listener, SipDriver

LISTENER = "phone"
FORMATS = (PCMU, PCMA, EVENTS)


class SipPhone:
    """A phone that calls and is called over real sockets; it keeps every call in `calls`.

    `speech` (a WAV, see `testing.speech`) is what its user says, again and again unless `loop_speech` is False; without
    it the user is silent, and the phone sends silence. It does nothing by itself: a test rings, answers and hangs up.

    With a `domain` its user is called `name@domain`; `proxy` is where everything is sent, the REGISTERs included. Both
    may be set later. With `srtp` it offers and takes SRTP by one of these suites and nothing else.
    """

    def __init__(
        self,
        name: str,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        transport: Transport = Transport.UDP,
        speech: Path | None = None,
        loop_speech: bool = True,
        formats: Sequence[Format] = FORMATS,
        credentials: DigestCredentials | None = None,
        domain: str | None = None,
        proxy: Uri | None = None,
        timers: Timers | None = None,
        ids: Ids | None = None,
        clock: Clock | None = None,
        srtp: Sequence[CryptoSuite] = (),
    ) -> None:
        self.name = name
        self.calls: list[PhoneCall] = []
        self.loop_speech = loop_speech
        self.speech = speech
        self.formats = tuple(formats)
        self.srtp = tuple(srtp)
        self.domain = domain
        self.proxy = proxy
        self._host = host
        self._transport = transport
        self._credentials = credentials
        self._ids = ids or Ids()
        self._incoming: deque[PhoneCall] = deque()
        self._rang = asyncio.Event()
        self._thread = AudioThread(name)
        config = AgentConfig(
            name="Sidestream-Phone",
            contact_user=name,
            timers=timers or Timers(),
            allow=(*DEFAULT_ALLOW, *TRANSFER_METHODS),
        )
        self.driver = SipDriver(
            listeners=(Listener(LISTENER, transport, host, port),),
            config=config,
            ids=self._ids,
            clock=clock or SystemClock(),
        )
        self.driver.default_sink = self._strange
        self._registration = PhoneRegistration(self.driver, self._ids, credentials)

    async def start(self) -> None:
        """Bind the SIP socket and start the audio thread. Raises OSError."""
        await self.driver.start()
        self._thread.start()

    async def close(self) -> None:
        """Hang up what is left, at once without waiting for answers, and close all sockets. Idempotent."""
        for call in list(self.calls):
            if call.cause is None:
                call.bye()
        self._thread.close()
        await self.driver.close()

    @property
    def port(self) -> int:
        """Of the SIP socket; known once started."""
        return self.driver.addresses[LISTENER][1]

    @property
    def uri(self) -> Uri:
        """Where to call this phone; known once started."""
        uri = Uri.sip(self.name, self._host, self.port)
        return uri if self._transport is Transport.UDP else uri.with_params(("transport", self._transport.lower()))

    @property
    def address(self) -> Uri:
        """Who its user is: the address-of-record that is registered and that calls come from."""
        return Uri.sip(self.name, self.domain or self._host)

    async def register(
        self, *, contact: str | None = None, expires: int | None = 3600, timeout: float = WAIT_SECONDS
    ) -> Response:
        """Register, or ask with an empty `contact` for what is registered; the final response. TimeoutError."""
        return await self._registration.send(
            self.address, self.proxy, contact=contact, expires=expires, timeout=timeout
        )

    async def unregister(self, *, everything: bool = False, timeout: float = WAIT_SECONDS) -> Response:
        """Take our contact back, or all contacts of the user; the final response. Raises TimeoutError."""
        return await self.register(contact="*" if everything else None, expires=0, timeout=timeout)

    def call(self, target: Uri | str, *, headers: Sequence[tuple[str, str]] = (), offer: bool = True) -> PhoneCall:
        """Send an INVITE and return the call; `await call.answered()` next. `offer=False` leaves the offer to the peer.

        Raises MessageError for a malformed target, OSError when no RTP ports are free.
        """
        uri = Uri.parse(target) if isinstance(target, str) else target
        media = self._media()
        with ExitStack() as undo, self.driver.turn() as (agent, now):
            undo.callback(media.stream.close)
            session = agent.invite(
                target=uri,
                from_=NameAddr(None, self.address),
                route=() if self.proxy is None else (NameAddr(None, self.proxy.with_params(("lr", None))),),
                to=NameAddr(None, uri.as_target()),
                now=now,
                headers=headers,
                body=media.offer() if offer else b"",
                content_type=SDP_TYPE if offer else None,
                credentials=self._credentials,
            )
            undo.pop_all()
            return self._born(media, session, None, offered=offer)

    async def wait_for_call(self, timeout: float = WAIT_SECONDS) -> PhoneCall:
        """The next incoming call, in the order of their INVITEs. Raises TimeoutError."""
        async with asyncio.timeout(timeout):
            while not self._incoming:
                self._rang.clear()
                await self._rang.wait()
        return self._incoming.popleft()

    def _media(self) -> PhoneMedia:
        cname = f"{self.name}@{self._host}"
        stream = RtpStream(
            self._host,
            self._ids,
            speech=self.speech,
            loop_speech=self.loop_speech,
            cname=cname,
            secure=bool(self.srtp),
        )
        return PhoneMedia(stream, self.formats, self._ids.integer(1, 2**31), suites=self.srtp, ids=self._ids)

    def _born(self, media: PhoneMedia, session: str, request: Request | None, *, offered: bool) -> PhoneCall:
        call = PhoneCall(
            self.driver, media, session, request, lambda call: self._thread.remove(call.stream), offered=offered
        )
        self.calls.append(call)
        self.driver.attach(session, call.handle)
        self._thread.add(media.stream)
        return call

    def _strange(self, event: AgentEvent) -> None:
        """What belongs to no call yet."""
        if isinstance(event, RequestAnswered):
            self._registration.take(event)
        elif isinstance(event, InviteReceived):
            self._incoming.append(self._born(self._media(), event.session, event.request, offered=False))
            self._rang.set()
        elif isinstance(event, RequestReceived):
            with self.driver.turn() as (agent, now):
                agent.answer(event.request_id, 405, now=now)
