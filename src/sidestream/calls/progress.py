"""Call progress callbacks: initiated, ringing, answered and completed, to who asked for them."""

from sidestream.base.clock import Clock
from sidestream.base.ids import Ids
from sidestream.calls.image import ProgressImage
from sidestream.calls.record import CallRecord
from sidestream.webhooks.outbox import Outbox
from sidestream.webhooks.parameters import CallParameters, call_progress_parameters
from sidestream.webhooks.ports import Callback


def call_parameters(record: CallRecord, status: str | None = None) -> CallParameters:
    """The record as every request about the call tells it; `status` overrides the record's."""
    return CallParameters(
        call_sid=record.sid,
        account_sid=record.account_sid,
        from_=record.from_,
        to=record.to,
        status=status or record.status.value,
        direction=record.direction.value,
        forwarded_from=record.forwarded_from,
        caller_name=record.caller_name,
        parent_call_sid=record.parent_call_sid,
    )


class Progress:
    """The callbacks of one call. Without a URL nothing is sent. `url` and `method` may be replaced by the API."""

    def __init__(
        self,
        outbox: Outbox,
        clock: Clock,
        ids: Ids,
        *,
        url: str | None = None,
        method: str = "POST",
        events: tuple[str, ...] = ("completed",),
        sequence: int = 0,
    ) -> None:
        self._outbox = outbox
        self._clock = clock
        self._ids = ids
        self._events = events
        self._sequence = sequence
        self.url = url
        self.method = method

    def image(self) -> ProgressImage:
        """What another one is made of that goes on with these callbacks."""
        return ProgressImage(self.url, self.method, tuple(sorted(self._events)), self._sequence)

    def initiated(self, record: CallRecord) -> None:
        self._send("initiated", record, status="initiated")

    def ringing(self, record: CallRecord) -> None:
        self._send("ringing", record)

    def answered(self, record: CallRecord) -> None:
        self._send("answered", record)

    def completed(self, record: CallRecord) -> None:
        """Whatever the final status is."""
        self._send("completed", record)

    def _send(self, event: str, record: CallRecord, status: str | None = None) -> None:
        if self.url is None or event not in self._events:
            return
        at = self._clock.wall()
        parameters = call_progress_parameters(
            call_parameters(record, status),
            at=at,
            sequence=self._sequence,
            duration_s=record.duration,
            sip_response_code=record.sip_response_code,
        )
        self._outbox.enqueue(
            Callback(
                id=self._ids.hex(32),
                account_sid=record.account_sid,
                resource_sid=record.sid,
                call_sid=record.sid,
                kind="call",
                ordering_key=record.sid,
                sequence=self._sequence,
                url=self.url,
                method=self.method,
                parameters=parameters,
                created_at=at,
            )
        )
        self._sequence += 1
