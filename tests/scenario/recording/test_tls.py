"""Recording servers that are reached by TLS."""

from pathlib import Path

import pytest

from sidestream.recording.siprec import SiprecEvent
from sidestream.sip.transport import Transport
from sidestream.testing.certificates import Authority
from sidestream.wire.tls import ClientAuth, TlsSettings

from .conftest import Stage, until

STARTED, ERROR = SiprecEvent.STARTED, SiprecEvent.ERROR
TLS = (Transport.TLS,)


@pytest.mark.parametrize("scheme", ["sips:srs@127.0.0.1:{}", "sip:srs@127.0.0.1:{};transport=tls"])
async def test_a_call_is_recorded_by_tls_both_sides_proven(stage: Stage, authority: Authority, scheme: str) -> None:
    files = authority.issue("srs", addresses=("127.0.0.1",))
    recorder = await stage.recorder(transports=TLS, tls=TlsSettings(*files, authority.path, ClientAuth.REQUIRED))
    session, _ = await stage.record(scheme.format(recorder.port))
    await until(lambda: stage.heard == [STARTED])
    await session.stop("rest")
    await until(lambda: recorder.is_over)
    assert recorder.requests[0].via.transport == "TLS"
    assert recorder.methods == ["INVITE", "BYE"]


async def test_a_recorder_that_cannot_be_trusted_gets_nothing_and_the_reason_is_told(
    stage: Stage, tmp_path: Path
) -> None:
    strange = Authority(tmp_path)
    recorder = await stage.recorder(
        transports=TLS, tls=TlsSettings(*strange.issue("srs", addresses=("127.0.0.1",)), strange.path)
    )
    session, _ = await stage.record(f"sips:srs@127.0.0.1:{recorder.port}")
    await until(lambda: stage.heard == [ERROR])
    assert session.siprec.error_code == 31910
    assert "certificate is not trusted" in (session.siprec.error_message or "")
    assert recorder.requests == []
    await session.stop("rest")


async def test_a_recorder_whose_name_is_not_known(stage: Stage) -> None:
    session, _ = await stage.record("sip:srs@srs.invalid")
    await until(lambda: stage.heard == [ERROR])
    assert session.siprec.error_code == 31904
    await session.stop("rest")
