"""A call front in memory, for tests of what stands on top: the methods and refusals of `calls.front.CallFront`."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from sidestream.accounts.account import Account
from sidestream.base.ids import Ids
from sidestream.calls.ports import CallFilter
from sidestream.calls.record import CallRecord, CallStatus, Direction
from sidestream.calls.refusal import Refusal
from sidestream.calls.requests import CreateCall, StartSiprec, UpdateCall
from sidestream.recording.siprec import FORK_LIMIT, Siprec, SiprecStatus, Track

START = datetime(2026, 3, 2, 9, 15, 4, tzinfo=UTC)


@dataclass
class FakeFront:
    """Calls and Siprecs that change only when they are told to. Lists are newest first; `asked` keeps every form."""

    ids: Ids
    connectors: frozenset[str] = frozenset({"Default"})
    now: datetime = START
    calls: dict[str, CallRecord] = field(default_factory=dict)
    siprecs: dict[str, Siprec] = field(default_factory=dict)
    asked: list[object] = field(default_factory=list)

    def add_call(self, account: Account, status: CallStatus = CallStatus.IN_PROGRESS) -> CallRecord:
        """An inbound call in `status`."""
        call = CallRecord(
            sid=self.ids.sid("CA"),
            account_sid=account.sid,
            parent_call_sid=None,
            to="+14155550142",
            from_="+14155550199",
            direction=Direction.INBOUND,
            status=status,
            date_created=self.now,
            date_updated=self.now,
            start_time=self.now,
        )
        self.calls[call.sid] = call
        return call

    async def create_call(self, account: Account, form: CreateCall) -> CallRecord:
        self.asked.append(form)
        call = self.add_call(account, CallStatus.QUEUED)
        call.to, call.from_, call.direction, call.start_time = form.to, form.from_, Direction.OUTBOUND_API, None
        return call

    async def fetch_call(self, account: Account, call_sid: str) -> CallRecord:
        call = self.calls.get(call_sid)
        if call is None or call.account_sid != account.sid:
            raise Refusal(404, 20404, f"There is no call {call_sid}")
        return call

    async def list_calls(self, account: Account, where: CallFilter, offset: int, limit: int) -> list[CallRecord]:
        self.asked.append(where)
        found = [
            call
            for call in reversed(self.calls.values())
            if call.account_sid == account.sid
            and where.to in (None, call.to)
            and where.from_ in (None, call.from_)
            and where.status in (None, call.status)
        ]
        return found[offset : offset + limit]

    async def update_call(self, account: Account, call_sid: str, form: UpdateCall) -> CallRecord:
        call = await self.fetch_call(account, call_sid)
        self.asked.append(form)
        if call.status.is_final:
            raise Refusal(400, 21220, "Call is not in-progress. Cannot redirect.")
        if form.status is not None:
            call.status, call.end_time = form.status, self.now
        return call

    async def delete_call(self, account: Account, call_sid: str) -> None:
        call = await self.fetch_call(account, call_sid)
        if not call.status.is_final:
            raise Refusal(400, 20009, "Call is not finished. Cannot delete.")
        del self.calls[call_sid]

    async def start_siprec(self, account: Account, call_sid: str, form: StartSiprec) -> Siprec:
        call = await self.fetch_call(account, call_sid)
        self.asked.append(form)
        if call.status is not CallStatus.IN_PROGRESS:
            raise Refusal(400, 21220, "Call is not in-progress")
        connector = form.connector_name or "Default"
        if connector not in self.connectors:
            raise Refusal(400, 31940, f"There is no connector {connector}")
        live = [s for s in self._of_call(call_sid) if s.status is SiprecStatus.IN_PROGRESS]
        if form.name is not None and form.name in [siprec.name for siprec in live]:
            raise Refusal(400, 20001, f"Name {form.name} is in use")
        track = Track.BOTH if form.track is None else Track(form.track)
        if sum(siprec.track.fork_count for siprec in live) + track.fork_count > FORK_LIMIT:
            raise Refusal(400, 31960, f"A call has at most {FORK_LIMIT} forked streams")
        siprec = Siprec(
            sid=self.ids.sid("SR"),
            account_sid=account.sid,
            call_sid=call_sid,
            name=form.name,
            connector_name=connector,
            track=track,
            parameters=form.parameters,
            status_callback=form.status_callback,
            status_callback_method=form.status_callback_method or "POST",
            started_by="rest",
            date_created=self.now,
            date_updated=self.now,
        )
        self.siprecs[siprec.sid] = siprec
        return siprec

    async def fetch_siprec(self, account: Account, call_sid: str, sid_or_name: str) -> Siprec:
        await self.fetch_call(account, call_sid)
        siprecs = self._of_call(call_sid)
        for siprec in siprecs:
            if siprec.sid == sid_or_name:
                return siprec
        named = [siprec for siprec in siprecs if siprec.name == sid_or_name]
        for siprec in [s for s in named if s.status is SiprecStatus.IN_PROGRESS] + named:
            return siprec
        raise Refusal(404, 20404, f"There is no Siprec {sid_or_name}")

    async def stop_siprec(self, account: Account, call_sid: str, sid_or_name: str) -> Siprec:
        siprec = await self.fetch_siprec(account, call_sid, sid_or_name)
        stopped = replace(siprec, status=SiprecStatus.STOPPED, stopped_by="rest", stopped_at=self.now)
        self.siprecs[siprec.sid] = stopped
        return stopped

    async def list_siprecs(self, account: Account, call_sid: str, offset: int, limit: int) -> list[Siprec]:
        await self.fetch_call(account, call_sid)
        return self._of_call(call_sid)[offset : offset + limit]

    def _of_call(self, call_sid: str) -> list[Siprec]:
        return [siprec for siprec in reversed(self.siprecs.values()) if siprec.call_sid == call_sid]
