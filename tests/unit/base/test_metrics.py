from sidestream.base.metrics import Metrics


def test_two_servers_do_not_share_their_numbers():
    one, other = Metrics(), Metrics()
    one.calls_live.inc()
    assert b"sidestream_calls_live 1.0" in one.exposition()
    assert b"sidestream_calls_live 0.0" in other.exposition()


def test_totals_carry_their_labels():
    metrics = Metrics()
    metrics.calls_total.labels("inbound", "completed").inc()
    metrics.siprecs_total.labels("siprec-stopped").inc(2)
    text = metrics.exposition().decode()
    assert 'sidestream_calls_total{direction="inbound",status="completed"} 1.0' in text
    assert 'sidestream_siprecs_total{event="siprec-stopped"} 2.0' in text


def test_messages_are_counted_by_transport_and_direction():
    metrics = Metrics()
    heard, same = (metrics.sip_messages_total.counter("UDP", "in") for _ in range(2))
    metrics.sip_messages_total.counter("UDP", "out")
    heard()
    same()
    text = metrics.exposition().decode()
    assert "# TYPE sidestream_sip_messages_total counter" in text
    assert 'sidestream_sip_messages_total{direction="in",transport="UDP"} 2.0' in text
    assert 'sidestream_sip_messages_total{direction="out",transport="UDP"} 0.0' in text
