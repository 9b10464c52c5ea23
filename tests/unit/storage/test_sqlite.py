import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sidestream.accounts.account import Account
from sidestream.calls.ports import CallFilter
from sidestream.calls.record import CallEvent, CallRecord, CallStatus, Direction
from sidestream.storage.errors import SealBroken, StorageError
from sidestream.storage.sqlite import database_path, open_database
from sidestream.webhooks.ports import Callback, Delivery, DeliveryState

ACCOUNT = "AC" + "0" * 32
MOMENT = datetime(2025, 1, 9, 12, 34, 56, 123456, tzinfo=UTC)


def a_call(number: int) -> CallRecord:
    return CallRecord(
        sid=f"CA{number:032x}",
        account_sid=ACCOUNT,
        parent_call_sid=None,
        to="+18005551212",
        from_="sip:alice@example.com",
        direction=Direction.INBOUND,
        status=CallStatus.IN_PROGRESS,
        date_created=MOMENT,
        date_updated=MOMENT,
    )


def a_callback(number: int) -> Callback:
    return Callback(
        id=f"token{number}",
        account_sid=ACCOUNT,
        resource_sid="SR1",
        call_sid="CA1",
        kind="siprec",
        ordering_key="SR1",
        sequence=number,
        url="https://app.example/cb",
        method="POST",
        parameters=(("a", "b"),),
        created_at=MOMENT,
    )


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:////var/lib/sidestream/sidestream.db", "/var/lib/sidestream/sidestream.db"),
        ("sqlite:///sidestream.db", "sidestream.db"),
        ("sqlite+aiosqlite:///sidestream.db", "sidestream.db"),
    ],
)
def test_the_file_that_a_url_names(url: str, path: str) -> None:
    assert database_path(url) == Path(path)


@pytest.mark.parametrize(
    "url", ["", "sidestream.db", "sqlite://", "sqlite:///:memory:", "postgresql://localhost/sidestream"]
)
async def test_a_url_that_names_no_file_is_refused(url: str) -> None:
    with pytest.raises(StorageError):
        await open_database(url)


async def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    stores = await open_database(f"sqlite:///{tmp_path}/new/data.db")
    stores.calls.save(a_call(1))
    await stores.calls.flush()
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "new").iterdir()}
    await stores.close()
    assert {"data.db", "data.key", "data.db-wal"} <= set(modes)
    assert set(modes.values()) == {0o600}


async def test_the_database_is_in_wal_mode(tmp_path: Path) -> None:
    stores = await open_database(f"sqlite:///{tmp_path}/data.db")
    with sqlite3.connect(tmp_path / "data.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    await stores.close()


async def test_everything_survives_a_restart(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/data.db"
    account = Account(ACCOUNT, "t" * 32, "Mine")
    stores = await open_database(url)
    stores.calls.save(a_call(1))
    stores.calls.add_event(CallEvent(a_call(1).sid, MOMENT, "leg.answered", {"code": 200}))
    stores.images.save(a_call(1).sid, b"image")
    stores.outbox.append(a_callback(0))
    stores.outbox.append(a_callback(1))
    stores.outbox.settle("token0", Delivery(DeliveryState.DELIVERED, MOMENT, 1, 200))
    await stores.accounts.add(account)
    await stores.close()

    stores = await open_database(url)
    assert await stores.calls.fetch(ACCOUNT, a_call(1).sid) == a_call(1)
    assert [event.kind for event in await stores.calls.events(a_call(1).sid)] == ["leg.answered"]
    assert await stores.outbox.pending(limit=9) == [a_callback(1)]
    assert await stores.accounts.all() == [account]
    assert await stores.calls.unfinished() == [a_call(1)]
    assert await stores.images.all() == {a_call(1).sid: b"image"}
    await stores.close()


async def test_no_auth_token_is_readable_in_the_files(tmp_path: Path) -> None:
    token = "SecretTokenSecretTokenSecretTok1"
    stores = await open_database(f"sqlite:///{tmp_path}/data.db")
    await stores.accounts.add(Account(ACCOUNT, token))
    files = [(tmp_path / name).read_bytes() for name in os.listdir(tmp_path)]
    await stores.close()
    assert any(ACCOUNT.encode() in content for content in files)
    assert not any(token.encode() in content for content in files)


async def test_without_its_key_file_a_database_gives_no_accounts(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/data.db"
    stores = await open_database(url)
    await stores.accounts.add(Account(ACCOUNT, "t" * 32))
    await stores.close()
    (tmp_path / "data.key").unlink()
    stores = await open_database(url)
    with pytest.raises(SealBroken):
        await stores.accounts.all()
    await stores.close()


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data.db").write_bytes(b"something else entirely" * 100)
    with pytest.raises(StorageError, match=r"data\.db"):
        await open_database(f"sqlite:///{tmp_path}/data.db")


async def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError):
        await open_database(f"sqlite:///{tmp_path}/file/data.db")


async def test_a_database_that_breaks_while_open_is_a_storage_error(tmp_path: Path) -> None:
    stores = await open_database(f"sqlite:///{tmp_path}/data.db")
    with sqlite3.connect(tmp_path / "data.db") as connection:
        connection.execute("DROP TABLE calls")
    with pytest.raises(StorageError):
        await stores.calls.fetch(ACCOUNT, "CA1")
    await stores.close()


_CHILD = """
import asyncio, sys
from sidestream.storage.sqlite import open_database
sys.path.insert(0, sys.argv[2])
from test_sqlite import a_call, a_callback

async def main():
    stores = await open_database(sys.argv[1])
    number = 0
    while True:
        for _ in range(50):
            stores.calls.save(a_call(number))
            stores.outbox.append(a_callback(number))
            number += 1
        await stores.calls.flush()
        print(number, flush=True)

asyncio.run(main())
"""


async def test_a_killed_process_loses_nothing_that_was_flushed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/data.db"
    command = [sys.executable, "-c", _CHILD, url, str(Path(__file__).parent)]
    child = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert child.stdout is not None
    flushed = 0
    while line := await child.stdout.readline():
        # The log goes to standard output too, where nobody has said otherwise.
        flushed = int(line) if line.strip().isdigit() else flushed
        if flushed >= 500 and child.returncode is None:
            child.kill()
    await child.wait()
    assert flushed >= 500

    stores = await open_database(url)
    calls = await stores.calls.find(ACCOUNT, CallFilter(), offset=0, limit=100_000)
    callbacks = await stores.outbox.pending(limit=100_000)
    await stores.close()
    assert {call.sid for call in calls} >= {a_call(number).sid for number in range(flushed)}
    assert [callback.sequence for callback in callbacks][:flushed] == list(range(flushed))


async def test_images_are_sealed_and_one_of_another_key_is_left_out(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/data.db"
    stores = await open_database(url)
    stores.images.save("CA1", b"password")
    stores.images.save("CA2", b"key")
    await stores.close()
    files = [(tmp_path / name).read_bytes() for name in os.listdir(tmp_path)]
    assert not any(b"password" in content for content in files)
    (tmp_path / "data.key").unlink()
    stores = await open_database(url)
    stores.images.save("CA2", b"newer")
    assert await stores.images.all() == {"CA2": b"newer"}
    await stores.close()
