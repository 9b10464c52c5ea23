"""A call for which the media engine has no room: the whole platform, and the real engine with room for one."""

import asyncio
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from sidestream.app.config import load
from sidestream.app.platform import Platform
from sidestream.testing.phone.call import CallFailed
from sidestream.testing.phone.phone import SipPhone
from sidestream.testing.speech import CALLER

from .platforms import ACCOUNT, configuration

HOST = "127.0.0.1"
FULL = 32210

pytestmark = pytest.mark.skipif(
    find_spec("sidestream._native") is None, reason="the native module is not built (make build)"
)

CONFIG = """
max_sessions = 1
[srs]
enabled = false
[[trunks]]
name = "bob"
outbound = "sip:{host}:9"
[[numbers]]
number = "1000"
twiml = "<Response><Play digits='WWWWWWWWWWWWWWWWWWWWWWWWWWWWWW1'/></Response>"
"""


@pytest.fixture
async def platform(tmp_path: Path, media_ports: tuple[int, int]) -> AsyncIterator[Platform]:
    config = tmp_path / "sidestream.toml"
    config.write_text(configuration(tmp_path, media_ports, CONFIG, host=HOST))
    platform = Platform(load(config, {}))
    await platform.start()
    yield platform
    await platform.stop()


@pytest.fixture
async def alice() -> AsyncIterator[SipPhone]:
    phone = SipPhone("alice", speech=CALLER)
    await phone.start()
    yield phone
    await phone.close()


async def test_a_caller_hears_that_it_may_try_again_and_the_debugger_hears_why(
    platform: Platform, alice: SipPhone
) -> None:
    number = f"sip:1000@{HOST}:{platform.services.driver.addresses['udp-0'][1]}"
    first = alice.call(number)
    await first.answered()
    refused = alice.call(number)
    with pytest.raises(CallFailed) as caught:
        await refused.answered()
    assert caught.value.status == 503
    (alert,) = await platform.stores.alerts.find(ACCOUNT, offset=0, limit=9)
    assert alert.code == FULL
    assert "1 sessions are open already" in alert.text
    # The call that goes on is not touched; when it ends, there is room.
    (call,) = platform.services.live
    assert await platform.engine.list_sessions() == [call.record.sid]
    first.bye()
    await first.ended()
    async with asyncio.timeout(10):
        while await platform.engine.list_sessions():
            await asyncio.sleep(0.02)
    second = alice.call(number)
    await second.answered()
    second.bye()
    await second.ended()
