"""The door to calls: what SIP, the API and the console ask for enters here, and nowhere else."""

from dataclasses import replace
from urllib.parse import unquote

from sidestream.accounts.account import Account, VoiceSettings
from sidestream.base.logs import get_logger
from sidestream.calls.bridge import LegPhase
from sidestream.calls.call import Call
from sidestream.calls.destinations import Destination, number_destination, sip_destinations
from sidestream.calls.guard import Guard
from sidestream.calls.leg import Leg
from sidestream.calls.leg_media import LegMedia, check_offer
from sidestream.calls.outgoing import Callbacks, place
from sidestream.calls.party import party_of
from sidestream.calls.ports import CallFilter
from sidestream.calls.progress import Progress
from sidestream.calls.reception import Dismissal, Reception, Sender, Welcome
from sidestream.calls.record import CallRecord, CallStatus, Direction
from sidestream.calls.refusal import RETRY_AFTER_S, Refusal
from sidestream.calls.requests import CreateCall, Instructions, StartSiprec, UpdateCall
from sidestream.calls.services import Services
from sidestream.calls.takeover import taken
from sidestream.calls.users import NoSuchUser
from sidestream.media.engine import MediaEngineError
from sidestream.recording.siprec import Siprec
from sidestream.sdp.error import SdpError
from sidestream.sip.agent.events import AgentEvent, InviteReceived, RequestReceived
from sidestream.sip.digest import DigestCredentials
from sidestream.sip.errors import MessageError
from sidestream.sip.message import Request
from sidestream.sip.reasons import reason_phrase
from sidestream.sip.refer import Replaces, replaced
from sidestream.sip.transport import Peer
from sidestream.sip.uri import Uri
from sidestream.twiml.target import may_be_sent
from sidestream.webhooks.parameters import SipParameters

log = get_logger("calls")

_UNAVAILABLE = 503
_NOT_FOUND = 404
_FAILED_STATUS = (400, 31900)


class CallFront:
    """Everything that may be done to calls. REST operations raise Refusal; SIP is answered here."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._reception = Reception(services)
        self._draining = False

    # --- SIP

    def take_sip_event(self, event: AgentEvent) -> None:
        """The driver's default sink: what belongs to no session yet."""
        match event:
            case InviteReceived(session, request, peer):
                self._incoming(session, request, peer)
            case RequestReceived(request_id, None, request, peer) if request.method == "REGISTER":
                self._register(request_id, request, peer)
            case RequestReceived(request_id, None):
                # RFC 3261 §8.2.1: methods that the agent knows but that mean nothing outside a session here.
                with self._services.driver.turn() as (agent, now):
                    agent.answer(request_id, 405, now=now)
            case _:
                pass

    def _register(self, request_id: str, request: Request, peer: Peer) -> None:
        with self._services.driver.turn() as (agent, now):
            answer = self._reception.receive_register(request, peer, now)
            agent.answer(request_id, answer.status, reason=answer.reason, headers=answer.headers, now=now)

    def _incoming(self, session: str, request: Request, peer: Peer) -> None:
        try:
            self._admit(session, request, peer)
        except (SdpError, MessageError) as error:
            log.info("! unusable INVITE", problem=str(error))
            self._refuse(session, error.status, reason_phrase(error.status))
        except Exception as error:
            # The driver's catch-all: a defect of ours must not leave a caller without an answer.
            log.error("! INVITE failed", exc_info=error)
            self._refuse(session, 500, "Server Internal Error")

    def _admit(self, session: str, request: Request, peer: Peer) -> None:
        services = self._services
        if self._draining or len(services.live) >= services.settings.calls:
            self._refuse(session, _UNAVAILABLE, reason_phrase(_UNAVAILABLE), (("Retry-After", str(RETRY_AFTER_S)),))
            log.warning("! call refused: the limit on calls is reached", live=len(services.live))
            return
        sender = self._reception.identify(request, peer, services.clock.monotonic())
        if isinstance(sender, Dismissal):
            self._refuse(session, sender.status, reason_phrase(sender.status), sender.headers)
            return
        dialog = replaced(request)
        if dialog is not None:
            self._take_over(session, request, sender, dialog)
            return
        welcome = self._reception.welcome(sender, request)
        if isinstance(welcome, Dismissal):
            self._refuse(session, welcome.status, reason_phrase(welcome.status), welcome.headers)
            return
        call = self._inbound_call(session, request, peer, sender, welcome)
        call.leg.alert(180, "Ringing")
        services.live.run(call, _instructions(welcome.voice))

    def _take_over(self, session: str, request: Request, sender: Sender, dialog: Replaces) -> None:
        """Answer an INVITE with Replaces (RFC 3891 §3). What is called does not matter: it is our own Contact."""
        call = taken(self._services, dialog, sender)
        if isinstance(call, int):
            self._refuse(session, call, reason_phrase(call))
        else:
            call.take_over(session, request, sender)

    def _inbound_call(self, session: str, request: Request, peer: Peer, sender: Sender, welcome: Welcome) -> Call:
        services = self._services
        sid = services.ids.sid("CA")
        media = LegMedia(
            services.engine,
            services.ids,
            session=sid,
            endpoint=sid,
            interface=sender.interface,
            security=welcome.security or sender.security,
            latch=sender.latch,
        )
        account, voice, caller = welcome.account, welcome.voice, sender.caller
        party = party_of(caller, services.ids, home=sender.home, accepts_refer=sender.accepts_refer)
        leg = Leg(services.driver, media, Guard(services, party, sid))
        now = services.clock.wall()
        record = CallRecord(
            sid=sid,
            account_sid=account.sid,
            parent_call_sid=None,
            to=_api_address(welcome.called),
            from_=_api_address(caller.uri),
            direction=Direction.INBOUND,
            status=CallStatus.RINGING,
            date_created=now,
            date_updated=now,
            caller_name=party.name,
            sip_call_id=request.call_id,
        )
        progress = Progress(
            services.outbox,
            services.clock,
            services.ids,
            url=voice.status_callback,
            method=voice.status_callback_method,
            events=voice.status_callback_events,
        )
        call = Call(services, account, record, leg, party, progress)
        call.sip_parameters = SipParameters(
            domain=request.uri.host or "",
            call_id=request.call_id,
            source_ip=peer.host,
            headers=_application_headers(request),
        )
        try:
            leg.adopt(session, request)
            if leg.remote_offer is not None:
                check_offer(leg.remote_offer)  # before the application is asked what to do with the call
        except SdpError as error:
            # Of a call that is none there is no record in which its account could find out why.
            text = f"A call to {record.to} was refused: {error.problem}"
            services.debugger.report(error.code, account_sid=account.sid, text=text)
            raise
        services.calls.save(record)
        call.note("call.created", direction=record.direction.value, sip_call_id=request.call_id)
        log.info("< call", call=sid, from_=record.from_, to=record.to)
        return call

    def _refuse(self, session: str, status: int, reason: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        with self._services.driver.turn() as (agent, now):
            agent.respond(session, status, reason=reason, headers=headers, now=now)

    # --- calls by the API

    async def create_call(self, account: Account, form: CreateCall) -> CallRecord:
        """Place a call; its instructions run when it is answered."""
        services = self._services
        if self._draining or len(services.live) >= services.settings.calls:
            raise Refusal(429, 10004, f"The limit of {services.settings.calls} live calls is reached")
        callbacks = Callbacks(form.status_callback, form.status_callback_method, form.status_callback_events)
        try:
            call = await place(
                services,
                account,
                self._destination(account, form),
                caller=form.caller_id or form.from_,
                callbacks=callbacks,
                instructions=form.instructions,
            )
        except (SdpError, MediaEngineError, MessageError) as error:
            log.error("! call not placed", problem=str(error))
            status = _FAILED_STATUS
            if isinstance(error, MediaEngineError) and error.is_busy:
                status = (_UNAVAILABLE, error.alert)
            raise Refusal(*status, f"The call could not be placed: {error}") from error
        call.limit_time(answer_s=form.timeout, talk_s=form.time_limit)
        return call.record

    def _destination(self, account: Account, form: CreateCall) -> Destination:
        if not form.to.lower().startswith(("sip:", "sips:")):
            return number_destination(self._services, account, form.to)
        try:
            uri = Uri.parse(form.to)
        except MessageError as error:
            raise Refusal(400, 21211, f"To: '{form.to}' is no SIP URI") from error
        credentials = None
        if form.sip_auth_username is not None:
            credentials = DigestCredentials(form.sip_auth_username, form.sip_auth_password or "")
        try:
            # One call has one leg: a user with several phones is called at the best of them.
            secure = (uri.param("secure") or "").lower() == "true"
            # RFC 3261 §19.1.1: what stands behind `?` goes into the INVITE, and not into its addresses.
            headers, uri = _custom_headers(uri), uri.without_param("secure").as_target()
            text = str(uri) if headers else form.to
            return sip_destinations(self._services, account, text, uri, credentials, headers, secure=secure)[0]
        except NoSuchUser as error:
            raise Refusal(400, 21211, f"To: {error}") from error

    async def fetch_call(self, account: Account, call_sid: str) -> CallRecord:
        live = self._live(account, call_sid)
        record = live.record if live is not None else await self._services.calls.fetch(account.sid, call_sid)
        if record is None:
            raise _not_found(f"/2010-04-01/Accounts/{account.sid}/Calls/{call_sid}.json")
        return record

    async def list_calls(self, account: Account, where: CallFilter, offset: int, limit: int) -> list[CallRecord]:
        """Newest first."""
        return await self._services.calls.find(account.sid, where, offset=offset, limit=limit)

    async def update_call(self, account: Account, call_sid: str, form: UpdateCall) -> CallRecord:
        """End a live call, or give it new instructions."""
        record = await self.fetch_call(account, call_sid)
        call = self._live(account, call_sid)
        if call is None or call.leg.phase is LegPhase.OVER:
            raise Refusal(400, 21220, f"Call is not in-progress, it is {record.status}")
        # `canceled` ends calls that are queued or ringing and leaves others alone.
        if form.status is CallStatus.CANCELED and call.answered.is_set():
            raise Refusal(400, 21220, "Call is in-progress. Cannot cancel.")
        if form.status is None and form.instructions is not None and record.status is not CallStatus.IN_PROGRESS:
            raise Refusal(400, 21220, "Call is not in-progress. Cannot redirect.")
        if form.status_callback is not None:
            call.callbacks.url = form.status_callback
            call.callbacks.method = form.status_callback_method or "POST"
            call.changed()
        if form.time_limit is not None:
            call.limit_time(talk_s=form.time_limit)
        if form.status is not None:
            call.hang_up(form.status)
            await call.over.wait()
        elif form.instructions is not None:
            call.script.start(form.instructions)
        return call.record

    async def delete_call(self, account: Account, call_sid: str) -> None:
        if self._live(account, call_sid) is not None:
            raise Refusal(400, 20009, "The call has not ended, so it cannot be deleted")
        if not await self._services.calls.delete(account.sid, call_sid):
            raise _not_found(f"/2010-04-01/Accounts/{account.sid}/Calls/{call_sid}.json")

    # --- Siprecs by the API

    async def start_siprec(self, account: Account, call_sid: str, form: StartSiprec) -> Siprec:
        record = await self.fetch_call(account, call_sid)
        call = self._live(account, call_sid)
        if call is None:
            raise Refusal(400, 21220, f"Call is not in-progress, it is {record.status}")
        return call.streams.start(form, started_by="rest")

    async def stop_siprec(self, account: Account, call_sid: str, sid_or_name: str) -> Siprec:
        """Stop by SID or name, whoever started it; one that is stopped stays so (contract 11.1)."""
        siprec = await self.fetch_siprec(account, call_sid, sid_or_name)
        call = self._live(account, call_sid)
        if call is not None:
            call.streams.stop(siprec.sid, by="rest")
            siprec = await self.fetch_siprec(account, call_sid, siprec.sid)
        return siprec

    async def fetch_siprec(self, account: Account, call_sid: str, sid_or_name: str) -> Siprec:
        await self.fetch_call(account, call_sid)
        store = self._services.siprecs
        siprec = await store.fetch(account.sid, call_sid, sid_or_name)
        if siprec is None:
            siprec = await store.find_by_name(account.sid, call_sid, sid_or_name)
        if siprec is None:
            raise _not_found(f"/2010-04-01/Accounts/{account.sid}/Calls/{call_sid}/Siprec/{sid_or_name}.json")
        return siprec

    async def list_siprecs(self, account: Account, call_sid: str, offset: int, limit: int) -> list[Siprec]:
        """Newest first."""
        await self.fetch_call(account, call_sid)
        return await self._services.siprecs.find(account.sid, call_sid, offset=offset, limit=limit)

    # --- the end

    async def drain(self) -> None:
        """Take no more calls, end those that live, and return when all have."""
        self._draining = True
        while self._services.live:
            # Again and again: one that was being placed when we began is not among the first.
            for call in self._services.live:
                call.give_up(CallStatus.CANCELED)
            await self._services.live.wait_until_one_ends()

    def _live(self, account: Account, call_sid: str) -> Call | None:
        call = self._services.live.get(call_sid)
        return call if call is not None and call.account.sid == account.sid else None


def _instructions(voice: VoiceSettings) -> Instructions:
    return Instructions(voice.url, voice.method, voice.fallback_url, voice.fallback_method, voice.twiml)


def _api_address(uri: Uri) -> str:
    """A URI as the API shows it: E.164 with + for a phone number, else the SIP URI without its parameters."""
    if uri.user is not None and (uri.scheme == "tel" or (uri.user.startswith("+") and uri.user[1:].isdigit())):
        return uri.user
    return str(replace(uri, params=(), headers=()))


def _application_headers(request: Request) -> tuple[tuple[str, str], ...]:
    """The headers that an application gets to see: X- headers and User-to-User (RFC 7433)."""
    return tuple(
        (name, value)
        for name, value in request.headers.items()
        if name.lower().startswith("x-") or name.lower() == "user-to-user"
    )


def _custom_headers(uri: Uri) -> tuple[tuple[str, str], ...]:
    """The header fields that a To asks for, as in `<Sip>`. Raises Refusal."""
    headers = tuple((unquote(name), unquote(value)) for name, value in uri.headers)
    for name, value in headers:
        if not may_be_sent(name, value):
            raise Refusal(400, 21211, f"To: the header {name!r} may not be sent")
    return headers


def _not_found(path: str) -> Refusal:
    return Refusal(404, 20404, f"The requested resource {path} was not found")
