"""What the pages show, as plain values: texts for people, without secrets."""

import re
from dataclasses import dataclass, fields
from datetime import datetime
from urllib.parse import urlsplit, urlunsplit

from sidestream.calls.record import CallEvent, CallRecord, CallStatus
from sidestream.connectors.connector import Connector, ConnectorOptions
from sidestream.console.ports import RecordingIndex
from sidestream.recording.siprec import Siprec, SiprecStatus
from sidestream.webhooks.ports import Callback, Delivery, DeliveryState

_URL = re.compile(r"https?://[^\s\"'<>]+")
_GOOD = (CallStatus.COMPLETED,)
_BAD = (CallStatus.FAILED,)


@dataclass(frozen=True, slots=True)
class Badge:
    """A state with the tone it is shown in: `live`, `good`, `bad` or `plain`."""

    text: str
    tone: str


@dataclass(frozen=True, slots=True)
class SiprecView:
    siprec: Siprec
    badge: Badge
    packets: tuple[tuple[str, int], ...]
    recording: str | None  # path of its page

    @property
    def title(self) -> str:
        return self.siprec.name or "Without a name"


@dataclass(frozen=True, slots=True)
class CallbackView:
    at: datetime
    event: str
    sequence: int
    method: str
    url: str
    badge: Badge
    attempts: int


@dataclass(frozen=True, slots=True)
class TargetView:
    """A recording server of a connector. `warnings`: what is wrong with its address but not fatal."""

    address: str
    transport: str
    secure: bool
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConnectorView:
    """`header`: the name of the header with the credential; `options` as name and value, what is usual left out in
    `changed`."""

    name: str
    is_shared: bool
    targets: tuple[TargetView, ...]
    header: str | None
    options: tuple[tuple[str, str], ...]
    changed: frozenset[str]


@dataclass(frozen=True, slots=True)
class CallRow:
    """A call in the list, with the Siprecs that it had."""

    call: CallRecord
    badge: Badge
    siprecs: tuple[SiprecView, ...]


def connector_view(connector: Connector) -> ConnectorView:
    """What a connector does, without its credential."""
    usual = ConnectorOptions()
    names = [one.name for one in fields(ConnectorOptions)]
    values = {name: getattr(connector.options, name) for name in names}
    return ConnectorView(
        name=connector.unique_name,
        is_shared=connector.account_sid is None,
        targets=tuple(
            TargetView(
                target.text,
                "tls" if target.uses_tls else target.transport,
                target.secure,
                tuple(text for _, text in target.warnings),
            )
            for target in connector.targets
        ),
        header=connector.header[0] if connector.header is not None else None,
        options=tuple((name, _option(values[name])) for name in names),
        changed=frozenset(name for name in names if values[name] != getattr(usual, name)),
    )


def _option(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def call_badge(call: CallRecord) -> Badge:
    if not call.status.is_final:
        return Badge(call.status.value, "live")
    tone = "good" if call.status in _GOOD else "bad" if call.status in _BAD else "plain"
    return Badge(call.status.value, tone)


def siprec_view(siprec: Siprec, recordings: RecordingIndex | None) -> SiprecView:
    page = None
    if recordings is not None and siprec.sip_call_id is not None:
        page = recordings.page_of(siprec.sip_call_id)
    return SiprecView(siprec, _siprec_badge(siprec), tuple(sorted(siprec.packets_sent.items())), page)


def callback_view(callback: Callback, delivery: Delivery | None) -> CallbackView:
    parameters = dict(callback.parameters)
    return CallbackView(
        at=callback.created_at,
        event=parameters.get("SiprecEvent") or parameters.get("CallStatus") or callback.kind,
        sequence=callback.sequence,
        method=callback.method,
        url=without_secrets(callback.url),
        badge=_delivery_badge(delivery),
        attempts=0 if delivery is None else delivery.attempts,
    )


def event_detail(event: CallEvent) -> tuple[tuple[str, str], ...]:
    """The details of a timeline event that say something."""
    return tuple((key, without_secrets(str(value))) for key, value in event.detail.items() if value not in (None, ""))


def without_secrets(text: str) -> str:
    """`text` with every URL cut to what names the place: user information and query may hold credentials."""
    return _URL.sub(lambda match: _place(match[0]), text)


def duration(seconds: int | None) -> str:
    """m:ss, or h:mm:ss for an hour and more; nothing while the call lives."""
    if seconds is None:
        return ""
    hours, rest = divmod(seconds, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def _siprec_badge(siprec: Siprec) -> Badge:
    if siprec.error_code is not None:
        return Badge(f"error {siprec.error_code}", "bad")
    if siprec.status is SiprecStatus.STOPPED:
        return Badge("stopped", "good" if siprec.accepted_at is not None else "plain")
    return Badge("recording" if siprec.accepted_at is not None else "starting", "live")


def _delivery_badge(delivery: Delivery | None) -> Badge:
    if delivery is None or delivery.state is DeliveryState.PENDING:
        return Badge("pending", "live")
    if delivery.state is DeliveryState.FAILED:
        return Badge("failed" if delivery.error_code is None else f"failed, {delivery.error_code}", "bad")
    answered = delivery.status_code or 0
    return Badge(str(answered) if answered else "delivered", "bad" if answered >= 400 else "good")


def _place(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "…"
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "…" if parts.query else "", ""))
