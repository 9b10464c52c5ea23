"""What the demo found. The shape of `sidestream demo --json`; every count is measured, none assumed."""

from dataclasses import dataclass, field

LABELS = ("inbound", "outbound")


@dataclass(frozen=True, slots=True)
class SiprecReport:
    """One Siprec. Counts by label; times in milliseconds; paths of the recording that the SRS made of it."""

    sid: str
    name: str | None
    started_by: str
    stopped_by: str | None
    packets_sent: dict[str, int]
    packets_recorded: dict[str, int]
    invite_ms: float | None
    first_packet_ms: float | None
    wav: str | None
    metadata: str | None
    manifest: str | None


@dataclass(frozen=True, slots=True)
class CallbackReport:
    """One status callback as the application received it."""

    event: str
    sequence: int
    signature_valid: bool
    parameters: dict[str, str]


@dataclass(frozen=True, slots=True)
class RelayReport:
    """The call's own audio between the two phones. Latency: from the kernel's arrival stamp to the relay's send."""

    packets: int
    loss: int
    added_latency_p50_ms: float
    added_latency_p99_ms: float


@dataclass(frozen=True, slots=True)
class Report:
    """`ok` is true exactly when `problems` is empty."""

    call_sid: str | None
    siprecs: tuple[SiprecReport, ...]
    callbacks: tuple[CallbackReport, ...]
    relay: RelayReport | None
    versions: dict[str, str]
    console: str | None
    api: str | None
    problems: tuple[str, ...] = field(default=())

    @property
    def ok(self) -> bool:
        return not self.problems
