"""How well a party was heard, in a line of its call's timeline and in the metrics."""

from sidestream.base.metrics import Metrics
from sidestream.media.engine import EndpointStatistics


def heard(last: EndpointStatistics, metrics: Metrics) -> dict[str, str | int | float | None]:
    """The figures of a leg that is over, counted. `last` has a packet at least."""
    quality = last.quality
    expected = last.packets_received + last.lost
    metrics.media_packets_total.labels("received").inc(last.packets_received)
    metrics.media_packets_total.labels("lost").inc(last.lost)
    metrics.media_jitter.observe(last.jitter_ms / 1000)
    if quality.mos is not None:
        metrics.media_mos.observe(quality.mos)
    return {
        "packets": last.packets_received,
        "lost": last.lost,
        "loss_percent": round(100 * last.lost / expected, 2),
        "jitter_ms": round(last.jitter_ms, 1),
        "mos": None if quality.mos is None else round(quality.mos, 2),
        "bursts": quality.bursts,
        "burst_ms": round(quality.burst_ms),
        "longest_gap": quality.longest_gap,
        "duplicates": quality.duplicates,
        "reordered": quality.reordered,
        "skew_ppm": None if quality.skew_ppm is None else round(quality.skew_ppm),
        "ssrc_changes": quality.ssrc_changes,
        "strays": last.strays,
    }
