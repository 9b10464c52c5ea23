"""baresip as phones: they register, call each other and are called, and what they say is heard and recorded."""

import time
from pathlib import Path
from typing import Any

import pytest

from sidestream.testing.certificates import Authority
from sidestream.testing.comparison import compare
from sidestream.testing.g711 import Samples, decode, encode
from sidestream.testing.speech import AGENT, CALLER, SAMPLE_RATE, read_channels, read_speech

from .baresip_process import Baresip
from .conftest import RECORD, Stage
from .server_process import CALLEE_USER, CALLER_USER, HOST, free_port

pytestmark = [pytest.mark.interop, pytest.mark.long]

DOMAIN, SECURE_DOMAIN = "phones.test", "secure.test"
PASSWORDS = {CALLER_USER: "looking-glass", CALLEE_USER: "snark"}
TLS_PORT = free_port()
TALK_SECONDS = 2.5
HEARD_SAMPLES = 2 * SAMPLE_RATE  # of those at least; the first packets may come before the other side listens


def CONFIG(directory: Path) -> str:
    authority = Authority(directory)
    certificate, key = authority.issue("platform", addresses=(HOST,))
    text = f"""
[registrar]
digest = ["MD5"]  # baresip 1.0 fails at a challenge with any other algorithm, wherever it stands among them
[tls]
certificate = "{certificate}"
key = "{key}"
ca = "{authority.path}"
[[listeners]]
transport = "tls"
port = {TLS_PORT}
[[domains]]
name = "{DOMAIN}"
route = "users"
twiml = '''
<Response>
  <Start><Siprec name="office"/></Start>
  <Dial answerOnBridge="true"><Sip>{{{{To}}}}</Sip></Dial>
</Response>
'''
[[domains]]
name = "{SECURE_DOMAIN}"
route = "users"
media_security = "required"
"""
    for domain in (DOMAIN, SECURE_DOMAIN):
        for name, password in PASSWORDS.items():
            text += f'[[users]]\ndomain = "{domain}"\nname = "{name}"\npassword = "{password}"\n'
    return text


def phone(stage: Stage, user: str, transport: str, domain: str = DOMAIN, **options: Any) -> Baresip:
    return Baresip(
        stage.directory,
        user,
        domain,
        speech=CALLER if user == CALLER_USER else AGENT,
        transport=transport,
        proxy=f"{HOST}:{TLS_PORT}" if transport == "tls" else stage.server.sip_address,
        password=PASSWORDS[user],
        authority=stage.directory / "test-authority.pem",
        **options,
    )


def talk(caller: Baresip, callee: Baresip, uri: str) -> None:
    """One call, from both phones' registration to its end; each says something and hears the other."""
    with callee, caller:
        callee.wait_until_registered()
        caller.wait_until_registered()
        caller.dial(uri)
        caller.wait_for("CALL_ESTABLISHED")
        callee.wait_for("CALL_ESTABLISHED")
        time.sleep(TALK_SECONDS)
        caller.hang_up()
        callee.wait_for("CALL_CLOSED")
    assert_heard(caller.heard_samples(), AGENT)
    assert_heard(callee.heard_samples(), CALLER)


def assert_heard(samples: Samples, speech: Path) -> None:
    """Without a gap, and sample for sample as G.711 carries it; baresip's own decoder is a bit off."""
    result = compare(as_carried(samples), as_carried(read_speech(speech)))
    assert result.whole, result
    assert result.compared >= HEARD_SAMPLES


def as_carried(samples: Samples) -> Samples:
    return decode(encode(samples, "PCMU"), "PCMU")


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_registered_phones_call_each_other_and_are_recorded(stage: Stage, transport: str) -> None:
    before = set(stage.server.recordings.glob("*/manifest.json"))
    caller, callee = phone(stage, CALLER_USER, transport), phone(stage, CALLEE_USER, transport)
    talk(caller, callee, f"sip:{CALLEE_USER}@{DOMAIN}")
    recording = stage.server.finished_recording(before) / "recording.wav"
    for kept, speech in zip(read_channels(recording), (CALLER, AGENT), strict=True):
        assert_heard(kept, speech)


def test_phones_talk_by_tls_and_srtp(stage: Stage) -> None:
    secure = {"transport": "tls", "domain": SECURE_DOMAIN, "options": ("mediaenc=srtp-mand",)}
    caller, callee = phone(stage, CALLER_USER, **secure), phone(stage, CALLEE_USER, **secure)
    talk(caller, callee, f"sip:{CALLEE_USER}@{SECURE_DOMAIN}")


def test_phone_that_calls_in_the_clear_where_it_must_not(stage: Stage) -> None:
    with phone(stage, CALLER_USER, "tls", SECURE_DOMAIN) as caller:
        caller.wait_until_registered()
        caller.dial(f"sip:{CALLEE_USER}@{SECURE_DOMAIN}")
        assert "488" in caller.wait_for("CALL_CLOSED")["param"]


def test_phone_that_is_not_registered_is_dialled(stage: Stage) -> None:
    """The caller is SIPp, which says what the phone hears."""
    before = set(stage.server.recordings.glob("*/manifest.json"))
    with Baresip(stage.directory, CALLEE_USER, HOST, speech=AGENT, port=stage.callee) as callee:
        stage.call("caller_speaks", RECORD).run()
        callee.wait_for("CALL_CLOSED")
    recording = stage.server.finished_recording(before) / "recording.wav"
    for kept, speech in zip(read_channels(recording), (CALLER, AGENT), strict=True):
        assert_heard(kept, speech)
    assert_heard(callee.heard_samples(), CALLER)
