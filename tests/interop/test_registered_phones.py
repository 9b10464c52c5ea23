"""Two phones of the real process: they register, call each other and are recorded, before and after a restart."""

import asyncio
import json
import shutil
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


BARESIP_SECONDS = 4
BARESIP_CONFIG = """\
sip_listen 127.0.0.1:0
module_path /usr/lib/baresip/modules
module_app account.so
module_app menu.so
"""


@pytest.mark.skipif(shutil.which("baresip") is None, reason="baresip is not installed")
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_phone_that_knows_only_md5_registers_and_goes_away(tmp_path: Path, transport: str) -> None:
    # libre 1.0 gives up at the first challenge that is not MD5, so that is all it may be asked for.
    only_md5 = CONFIG + '[registrar]\ndigest = ["MD5"]\n'
    server = ServerProcess(tmp_path / "pbx", (), trunk=f"sip:{HOST}:9", extra=only_md5)
    await asyncio.to_thread(server.start)
    home = tmp_path / "baresip"
    home.mkdir()
    (home / "config").write_text(BARESIP_CONFIG)
    (home / "accounts").write_text(
        f"<sip:{CALLER_USER}@{DOMAIN};transport={transport}>;auth_pass=looking-glass;regint=60;"
        f'outbound="sip:{server.sip_address};transport={transport}"\n'
    )
    try:
        phone = await asyncio.create_subprocess_exec(
            *("baresip", "-f", str(home), "-t", str(BARESIP_SECONDS)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        registered = [0]
        while phone.returncode is None and len(registered) < 200:
            (domain,) = await asyncio.to_thread(lambda: server.get("/sidestream/v1/Domains")["domains"])
            registered.append(len(domain["users"][0]["contacts"]))
            await asyncio.sleep(0.1)
        output, _ = await phone.communicate()
        assert b"200 OK (Sidestream) [1 binding]" in output, output.decode()
        assert max(registered) == 1
        (domain,) = server.get("/sidestream/v1/Domains")["domains"]
        assert domain["users"][0]["contacts"] == [], "it takes its contact back when it ends"
    finally:
        await asyncio.to_thread(server.stop)
    assert server.faults() == []
