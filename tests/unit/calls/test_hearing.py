from dataclasses import replace

from sidestream.base.metrics import Metrics
from sidestream.calls.hearing import heard
from sidestream.media.engine import EndpointStatistics, Quality

LAST = EndpointStatistics(
    packets_received=990,
    octets_received=158_400,
    packets_sent=0,
    octets_sent=0,
    lost=10,
    jitter_ms=3.14159,
    strays=2,
    quality=Quality(bursts=1, burst_ms=139.6, longest_gap=4, skew_ppm=-41.7, mos=4.2345),
)


def test_a_leg_is_one_line_of_figures() -> None:
    figures = heard(LAST, Metrics())
    assert figures == {
        "packets": 990, "lost": 10, "loss_percent": 1.0, "jitter_ms": 3.1, "mos": 4.23, "bursts": 1, "burst_ms": 140,
        "longest_gap": 4, "duplicates": 0, "reordered": 0, "skew_ppm": -42, "ssrc_changes": 0, "strays": 2,
    }  # fmt: skip


def test_what_ended_is_counted() -> None:
    metrics = Metrics()
    heard(LAST, metrics)
    heard(replace(LAST, quality=Quality()), metrics)
    text = metrics.exposition().decode()
    assert 'sidestream_media_packets_total{outcome="received"} 1980.0' in text
    assert 'sidestream_media_packets_total{outcome="lost"} 20.0' in text
    assert "sidestream_media_jitter_seconds_count 2.0" in text
    # a codec that there is no score for counts for none
    assert "sidestream_media_mos_count 1.0" in text
