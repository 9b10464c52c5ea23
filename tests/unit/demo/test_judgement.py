"""The judge must be hard to please: each fault is found and named."""

import json

import numpy as np
import pytest

from sidestream.demo.judgement import judge_callbacks, judge_recording
from sidestream.demo.report import CallbackReport
from sidestream.testing.speech import AGENT, CALLER, read_speech, write_channels

CALL_ID = "079b93cc30197757"
SESSION, CALLER_ID, CALLEE_ID = "+b6VvL1RRW24nrRQxci3lw==", "4/uAfbN0RWqLbFijp+5A/Q==", "L0yHiwMvSo6sbfgjQ2s37g=="
IN, OUT = "SiVoBgVqT0KlDFNIWOucRg==", "e1gTxFOPT+OR9nesj5OZnA=="
METADATA = f"""<?xml version="1.0" encoding="UTF-8"?>
<recording xmlns="urn:ietf:params:xml:ns:recording:1">
  <datamode>complete</datamode>
  <session session_id="{SESSION}"><start-time>2026-03-02T09:15:02.640118Z</start-time></session>
  <participant participant_id="{CALLER_ID}"><nameID aor="sip:alice@example.com"/></participant>
  <participant participant_id="{CALLEE_ID}"><nameID aor="sip:desk@example.com"/></participant>
  <stream stream_id="{IN}" session_id="{SESSION}"><label>inbound</label></stream>
  <stream stream_id="{OUT}" session_id="{SESSION}"><label>outbound</label></stream>
  <participantstreamassoc participant_id="{CALLER_ID}"><send>{IN}</send><recv>{OUT}</recv></participantstreamassoc>
  <participantstreamassoc participant_id="{CALLEE_ID}"><send>{OUT}</send><recv>{IN}</recv></participantstreamassoc>
</recording>
"""
FINAL = f"""<?xml version="1.0" encoding="UTF-8"?>
<recording xmlns="urn:ietf:params:xml:ns:recording:1">
  <datamode>partial</datamode>
  <sessionrecordingassoc session_id="{SESSION}">
    <disassociate-time>2026-03-02T09:16:02.640118Z</disassociate-time>
  </sessionrecordingassoc>
</recording>
"""


@pytest.fixture
def speech():
    return {"inbound": read_speech(CALLER), "outbound": read_speech(AGENT)}


@pytest.fixture
def recording(tmp_path, speech):
    """A flawless recording of two seconds; `change` makes it faulty."""
    folder = tmp_path / "rec"
    folder.mkdir()
    channels = [speech["inbound"][8000:24000].copy(), speech["outbound"][4000:20000].copy()]
    manifest = {
        "sip_call_id": CALL_ID,
        "state": "complete",
        "audio": "recording.wav",
        "metadata": ["metadata-001.xml", "metadata-002.xml"],
        "problems": [],
        "streams": [{"label": label, "packets": 100} for label in ("inbound", "outbound")],
    }

    async def judged(change=None):
        files = {"metadata-001.xml": METADATA, "metadata-002.xml": FINAL}
        if change is not None:
            change(manifest, channels, files)
        write_channels(folder / "recording.wav", tuple(channels))
        for name, text in files.items():
            (folder / name).write_text(text)
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return await judge_recording(tmp_path, CALL_ID, speech, 0.2)

    return judged


async def test_a_flawless_recording_has_no_problem(recording, tmp_path):
    found = await recording()
    assert found.problems == []
    assert found.packets == {"inbound": 100, "outbound": 100}
    assert found.wav == str(tmp_path / "rec" / "recording.wav")


def one_sample_off(_manifest, channels, _files):
    channels[0][9000] += 1


def channels_swapped(_manifest, channels, _files):
    channels.reverse()


def a_channel_is_silent(_manifest, channels, _files):
    channels[1][:] = 0


def a_hole_in_speech(_manifest, channels, _files):
    channels[0][6000:7000] = 0


def too_short(_manifest, channels, _files):
    channels[:] = [channel[:4000] for channel in channels]


def no_metadata(manifest, _channels, _files):
    manifest["metadata"] = []


def invalid_metadata(_manifest, _channels, files):
    files["metadata-001.xml"] = METADATA.replace("datamode", "dataMode")


def a_label_of_the_offer_is_missing(_manifest, _channels, files):
    files["metadata-001.xml"] = METADATA.replace("<label>inbound</label>", "")


def the_last_document_names_a_stranger(_manifest, _channels, files):
    files["metadata-002.xml"] = FINAL.replace(SESSION, CALLER_ID)


def a_problem_noted(manifest, _channels, _files):
    manifest["problems"] = ["sequence gap"]


def no_audio(manifest, _channels, _files):
    manifest["audio"] = None


def not_finished(manifest, _channels, _files):
    manifest["state"] = "recording"


@pytest.mark.parametrize(
    "fault",
    [
        one_sample_off,
        channels_swapped,
        a_channel_is_silent,
        a_hole_in_speech,
        too_short,
        no_metadata,
        invalid_metadata,
        a_label_of_the_offer_is_missing,
        the_last_document_names_a_stranger,
        a_problem_noted,
        no_audio,
        not_finished,
    ],
)
async def test_every_fault_is_found(recording, fault):
    assert (await recording(fault)).problems


def callbacks(**changes):
    base = {
        "AccountSid": "AC1",
        "CallSid": "CA1",
        "From": "a",
        "To": "b",
        "CallStatus": "in-progress",
        "ApiVersion": "2010-04-01",
        "Direction": "inbound",
        "Timestamp": "t",
        "SiprecSid": "SR1",
        "SiprecName": "first",
    }
    return tuple(
        CallbackReport(event, sequence, True, base | changes)
        for sequence, event in enumerate(("siprec-started", "siprec-stopped"))
    )


def judged(found):
    return judge_callbacks(found, {"first": "SR1"}, "CA1", "AC1")


def test_complete_callbacks_have_no_problem():
    assert judged(callbacks()) == []


@pytest.mark.parametrize(
    "found",
    [
        (),
        callbacks()[:1],
        callbacks()[::-1],
        (*callbacks(), callbacks()[1]),
        callbacks(CallSid="CA2"),
        callbacks(SiprecName="other"),
        (callbacks()[0], CallbackReport("siprec-stopped", 1, False, callbacks()[1].parameters)),
        tuple(
            CallbackReport(c.event, c.sequence, True, {k: v for k, v in c.parameters.items() if k != "Timestamp"})
            for c in callbacks()
        ),
    ],
)
def test_every_faulty_set_of_callbacks_is_found(found):
    assert judged(found)


def test_the_speech_is_speech(speech):
    for samples in speech.values():
        assert samples.size > 5 * 8000
        assert np.abs(samples).max() > 3000
