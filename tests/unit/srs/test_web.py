import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from sidestream.base.ids import Ids
from sidestream.srs import web
from sidestream.srs.archive import Archive, Folder
from sidestream.srs.manifest import Manifest, Parameter, SessionEntry, State, StreamEntry
from sidestream.srs.web import create_srs_web, recordings_home

EVIL = '<script>alert("1")</script>'


def manifest(folder: Folder, state: State = State.COMPLETE) -> Manifest:
    return Manifest(
        recording_id=folder.recording_id,
        state=state,
        sip_call_id=EVIL,
        from_=EVIL,
        to=EVIL,
        started="2026-03-02T09:15:04.250000Z",
        streams=tuple(
            StreamEntry(
                index=index,
                label=label,
                file=f"stream-{index + 1}.wav",
                codec="PCMU",
                participant_name=EVIL,
                first_sample=f"2026-03-02T09:15:04.{5 + index}00000Z",
            )
            for index, label in enumerate(("inbound", None))
        ),
        parameters=(Parameter(EVIL, EVIL),),
        sessions=(SessionEntry(session_id=EVIL, start_time="s", stop_time="t"),),
        metadata=(folder.add_metadata(1, EVIL.encode() + b"\xff"),),
        problems=(EVIL,),
    )


@pytest.fixture
def recorded(folder: Folder, write_wave) -> Folder:
    for number in (1, 2):
        write_wave(folder.stream_path(number), [1000 * number] * 8000)
    folder.finish(manifest(folder))
    return folder


@pytest.fixture
async def client(archive: Archive) -> AsyncIterator[httpx.AsyncClient]:
    app = Starlette(routes=[recordings_home(), *create_srs_web(archive)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://srs.test") as client:
        yield client


async def test_an_empty_list(client: httpx.AsyncClient) -> None:
    response = await client.get("/", follow_redirects=True)
    assert response.status_code == 200
    assert response.url.path == "/recordings"
    assert "Nothing has been recorded yet" in response.text
    assert (await client.get("/recordings.json")).json() == {"recordings": [], "page": 0, "more": False}


async def test_the_list_shows_and_escapes(client: httpx.AsyncClient, recorded: Folder) -> None:
    page = await client.get("/recordings")
    assert f'href="/recordings/{recorded.recording_id}"' in page.text
    assert "2026-03-02 09:15:04 UTC" in page.text
    assert "0:01.1" in page.text
    assert EVIL not in page.text
    assert "&lt;script&gt;" in page.text


@pytest.mark.parametrize("path", ["/recordings", "/recordings/{id}", "/recordings/nothing"])
async def test_pages_load_only_our_own_files(client: httpx.AsyncClient, recorded: Folder, path: str) -> None:
    response = await client.get(path.format(id=recorded.recording_id))
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "http://" not in response.text.replace("http://www.w3.org", "")


async def test_the_page_of_a_recording_plays_draws_and_escapes(client: httpx.AsyncClient, recorded: Folder) -> None:
    page = (await client.get(f"/recordings/{recorded.recording_id}")).text
    assert f'<audio controls preload="metadata" src="/recordings/{recorded.recording_id}/recording.wav">' in page
    assert page.count("<svg") == 2
    assert page.count('<path d="M0 ') == 2
    assert "line 2" in page
    assert EVIL not in page
    assert page.count("&lt;script&gt;") >= 10


async def test_a_running_recording_has_a_page_without_player(client: httpx.AsyncClient, folder: Folder) -> None:
    folder.write_manifest(manifest(folder, State.RECORDING))
    page = (await client.get(f"/recordings/{folder.recording_id}")).text
    assert "<audio" not in page
    assert "can be played once it has ended" in page
    assert (await client.get(f"/recordings/{folder.recording_id}/recording.wav")).status_code == 404


async def test_the_wav_comes_whole_or_in_part(client: httpx.AsyncClient, recorded: Folder) -> None:
    path = f"/recordings/{recorded.recording_id}/recording.wav"
    whole = await client.get(path)
    assert (whole.status_code, whole.headers["content-type"]) == (200, "audio/wav")
    assert whole.content == recorded.audio_path.read_bytes()
    part = await client.get(path, headers={"Range": "bytes=44-47"})
    assert (part.status_code, part.content) == (206, whole.content[44:48])
    assert part.headers["content-range"] == f"bytes 44-47/{len(whole.content)}"


async def test_json_of_one_and_of_all(client: httpx.AsyncClient, recorded: Folder) -> None:
    one = await client.get(f"/recordings/{recorded.recording_id}/manifest.json")
    assert one.headers["content-type"] == "application/json"
    assert one.json() == json.loads((recorded.path / "manifest.json").read_bytes())
    assert (await client.get("/recordings.json")).json()["recordings"] == [one.json()]


async def test_metadata_is_text_whatever_it_holds(client: httpx.AsyncClient, recorded: Folder) -> None:
    response = await client.get(f"/recordings/{recorded.recording_id}/metadata/1")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.content == EVIL.encode() + b"\xff"
    for number in ("0", "2", "x"):
        assert (await client.get(f"/recordings/{recorded.recording_id}/metadata/{number}")).status_code == 404


async def test_lost_metadata_files_do_not_break_the_page(client: httpx.AsyncClient, recorded: Folder) -> None:
    (recorded.path / "metadata-001.xml").unlink()
    assert (await client.get(f"/recordings/{recorded.recording_id}")).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/recordings/RE00000000000000000000000000000000",
        "/recordings/..%2f..%2fetc",
        "/recordings/RE00000000000000000000000000000000/manifest.json",
        "/recordings/x/recording.wav",
        "/recordings/x/metadata/1",
        "/recordings/static/web.py",
    ],
)
async def test_what_does_not_exist(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 404


@pytest.mark.parametrize(("name", "kind"), [("style.css", "text/css"), ("player.js", "text/javascript")])
async def test_static_files(client: httpx.AsyncClient, name: str, kind: str) -> None:
    response = await client.get(f"/recordings/static/{name}")
    assert response.headers["content-type"].startswith(kind)
    assert response.content == (Path(web.__file__).parent / "static" / name).read_bytes()


async def test_pages_of_the_list(
    client: httpx.AsyncClient, archive: Archive, ids: Ids, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "PAGE_SIZE", 2)
    folders = [archive.folder(ids) for _ in range(3)]
    for age, folder in enumerate(folders):
        archive.create(folder, "c")
        folder.write_manifest(manifest(folder))
        os.utime(folder.path, (1000 + age, 1000 + age))
    first = (await client.get("/recordings.json")).json()
    assert [one["recording_id"] for one in first["recordings"]] == [f.recording_id for f in folders[:0:-1]]
    assert first["more"] is True
    assert 'href="/recordings?page=1"' in (await client.get("/recordings?page=x")).text
    second = (await client.get("/recordings.json?page=1")).json()
    assert ([one["recording_id"] for one in second["recordings"]], second["more"]) == ([folders[0].recording_id], False)
    assert 'href="/recordings?page=0"' in (await client.get("/recordings?page=1")).text
    assert "this far back" in (await client.get("/recordings?page=99999999")).text


async def test_whoever_is_not_admitted_sees_nothing(archive: Archive, recorded: Folder) -> None:
    app = Starlette(routes=create_srs_web(archive, admits=lambda header: header == "Basic good"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://srs.test") as client:
        for path in ("/recordings", f"/recordings/{recorded.recording_id}/recording.wav", "/recordings.json"):
            refused = await client.get(path)
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"].startswith("Basic")
            assert (await client.get(path, headers={"Authorization": "Basic good"})).status_code == 200


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(None, ""), (0, "0:00.0"), (61_999, "1:01.9"), (3_600_000, "1:00:00"), (3_725_000, "1:02:05")],
)
def test_lengths(milliseconds: int | None, text: str) -> None:
    assert web._span(milliseconds) == text
