"""Two phones of the real process: they register, call each other and are recorded, before and after a restart."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from sidestream.sip.digest import DigestCredentials
from sidestream.sip.transport import Transport
from sidestream.sip.uri import Uri
from sidestream.testing.phone.call import CallFailed, PhoneCall
from sidestream.testing.phone.phone import SipPhone

from .server_process import CALLEE_USER, CALLER_USER, HOST, ServerProcess

pytestmark = pytest.mark.interop

DOMAIN = "pbx.test"
CONFIG = f"""
[[domains]]
name = "{DOMAIN}"
route = "users"
twiml = '''
<Response>
  <Start><Siprec name="office"/></Start>
  <Dial answerOnBridge="true"><Sip>{{{{To}}}}</Sip></Dial>
</Response>
'''
[[users]]
domain = "{DOMAIN}"
name = "{CALLER_USER}"
password = "looking-glass"
[[users]]
domain = "{DOMAIN}"
name = "{CALLEE_USER}"
password = "snark"
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    server = ServerProcess(tmp_path / "pbx", (), trunk=f"sip:{HOST}:9", extra=CONFIG)
    server.start()
    yield server
    server.stop()
    assert server.faults() == []


@pytest.fixture
async def phones(server: ServerProcess) -> AsyncIterator[tuple[SipPhone, SipPhone]]:
    """Caller and callee, who is behind a NAT as far as its Contact goes; both are registered."""
    async with AsyncExitStack() as stack:
        phones = []
        for name, password, transport in (
            (CALLER_USER, "looking-glass", Transport.TCP),
            (CALLEE_USER, "snark", Transport.UDP),
        ):
            phone = SipPhone(
                name,
                transport=transport,
                credentials=DigestCredentials(name, password),
                domain=DOMAIN,
                proxy=Uri.parse(f"sip:{server.sip_address};transport={transport.lower()}"),
            )
            await phone.start()
            stack.push_async_callback(phone.close)
            phones.append(phone)
        caller, callee = phones
        assert (await caller.register()).status == 200
        assert (await callee.register(contact=f"<sip:{CALLEE_USER}@192.168.77.1:5060>")).status == 200
        yield caller, callee


async def _talk(caller: SipPhone, callee: SipPhone) -> tuple[PhoneCall, PhoneCall]:
    outgoing = caller.call(f"sip:{CALLEE_USER}@{DOMAIN}")
    incoming = await callee.wait_for_call()
    incoming.ring()
    incoming.answer()
    await outgoing.answered()
    await outgoing.heard(25)
    await incoming.heard(25)
    return outgoing, incoming


async def test_they_call_each_other_and_are_recorded_also_after_a_restart(
    server: ServerProcess, phones: tuple[SipPhone, SipPhone]
) -> None:
    caller, callee = phones
    outgoing, incoming = await _talk(caller, callee)
    (domain,) = server.get("/sidestream/v1/Domains")["domains"]
    assert [len(user["contacts"]) for user in domain["users"]] == [1, 1]
    outgoing.bye()
    await incoming.ended()
    recording = await asyncio.to_thread(server.finished_recording)
    manifest = json.dumps(json.loads((recording / "manifest.json").read_text(encoding="utf-8")))
    assert f"sip:{CALLER_USER}@{DOMAIN}" in manifest
    assert f"sip:{CALLEE_USER}@{DOMAIN}" in manifest

    await asyncio.to_thread(server.stop)
    await asyncio.to_thread(server.start)
    outgoing, incoming = await _talk(caller, callee)
    incoming.bye()
    await outgoing.ended()

    assert (await callee.unregister(everything=True)).status == 200
    last = caller.call(f"sip:{CALLEE_USER}@{DOMAIN}")
    with pytest.raises(CallFailed):
        await last.answered()
    assert last.status == 480
