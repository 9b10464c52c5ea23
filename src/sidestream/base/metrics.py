"""Counters and histograms for Prometheus, one registry a process."""

from collections.abc import Callable, Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

_LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)  # seconds
_JITTER_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)  # seconds
_MOS_BUCKETS = (2.0, 2.6, 3.1, 3.6, 4.0, 4.3, 4.5)  # G.107 annex B: where users go from satisfied to not


class Metrics:
    """The process's metrics. Made once by `app` and handed down, so that two servers in a test do not share."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.calls_live = Gauge("sidestream_calls_live", "Calls that have not ended", registry=self.registry)
        self.calls_total = Counter(
            "sidestream_calls_total", "Calls that ended", ["direction", "status"], registry=self.registry
        )
        self.siprecs_live = Gauge("sidestream_siprecs_live", "Siprecs in progress", registry=self.registry)
        self.siprecs_total = Counter(
            "sidestream_siprecs_total", "Siprecs that ended, by terminal event", ["event"], registry=self.registry
        )
        self.siprec_setup = Histogram(
            "sidestream_siprec_setup_seconds",
            "INVITE to the SRS until its 200 OK",
            buckets=_LATENCY_BUCKETS,
            registry=self.registry,
        )
        self.sip_messages_total = Tallies(
            "sidestream_sip_messages_total", "SIP messages that passed a socket", ["transport", "direction"]
        )
        self.registry.register(self.sip_messages_total)
        self.sip_dropped_total = Counter(
            "sidestream_sip_dropped_total", "SIP messages thrown away unread", ["reason"], registry=self.registry
        )
        self.sip_failures_total = Counter(
            "sidestream_sip_failures_total",
            "SIP messages that could not be sent, and connections that never stood",
            ["transport"],
            registry=self.registry,
        )
        self.sip_overloads = Gauge(
            "sidestream_sip_overloads",
            "INVITEs refused since the start: too many sessions",
            registry=self.registry,
        )
        self.sip_malformed = Gauge(
            "sidestream_sip_malformed", "SIP messages since the start that could not be read", registry=self.registry
        )
        self.sip_unmatched = Gauge(
            "sidestream_sip_unmatched", "SIP responses since the start that answer no request", registry=self.registry
        )
        self.sip_strangers = Gauge(
            "sidestream_sip_strangers",
            "SIP requests in calls since the start that did not come from a known address of the party",
            registry=self.registry,
        )
        self.sip_streams_live = Gauge(
            "sidestream_sip_streams_live", "Open SIP connections", ["transport"], registry=self.registry
        )
        self.media_packets_total = Counter(
            "sidestream_media_packets_total",
            "RTP packets of the parties of calls that ended, by what became of them",
            ["outcome"],
            registry=self.registry,
        )
        self.media_jitter = Histogram(
            "sidestream_media_jitter_seconds",
            "Interarrival jitter of the parties of calls that ended (RFC 3550)",
            buckets=_JITTER_BUCKETS,
            registry=self.registry,
        )
        self.media_mos = Histogram(
            "sidestream_media_mos",
            "Estimated opinion score of the parties of calls that ended (G.711, after G.107)",
            buckets=_MOS_BUCKETS,
            registry=self.registry,
        )
        self.webhooks_total = Counter(
            "sidestream_webhooks_total",
            "Outgoing HTTP requests, by outcome",
            ["kind", "outcome"],
            registry=self.registry,
        )

        self.trunk_registered = Gauge(
            "sidestream_trunk_registered", "Whether we are registered with the trunk", ["trunk"], registry=self.registry
        )
        self.trunk_registrations_total = Counter(
            "sidestream_trunk_registrations_total",
            "REGISTERs to trunks, by outcome",
            ["trunk", "outcome"],
            registry=self.registry,
        )
        self.users_registered = Gauge(
            "sidestream_users_registered", "Users of domains who can be called now", registry=self.registry
        )

    def exposition(self) -> bytes:
        """The registry in Prometheus' text format."""
        return generate_latest(self.registry)


class Tallies(Collector):
    """A counter for what happens twenty times a call, on one thread: plain numbers, read when somebody asks.

    A `Counter` takes a lock each time and costs ten times as much.
    """

    def __init__(self, name: str, documentation: str, labels: Sequence[str]) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = labels
        self._tallies: dict[tuple[str, ...], _Tally] = {}

    def counter(self, *values: str) -> Callable[[], None]:
        """What to call to count one of those with these label values."""
        return self._tallies.setdefault(values, _Tally()).add

    def collect(self) -> Iterable[Metric]:
        family = CounterMetricFamily(self._name, self._documentation, labels=self._labels)
        for values, tally in self._tallies.items():
            family.add_metric(values, tally.count)
        return (family,)


class _Tally:
    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0

    def add(self) -> None:
        self.count += 1
