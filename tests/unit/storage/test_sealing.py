import os
import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from sidestream.storage.errors import SealBroken, StorageError
from sidestream.storage.sealing import open_sealer


def test_a_sealed_secret_opens_with_the_same_key_file(tmp_path: Path) -> None:
    key_file = tmp_path / "data.key"
    sealed = open_sealer(key_file).seal("tökén")
    assert "tökén" not in sealed
    assert open_sealer(key_file).open(sealed) == "tökén"


def test_the_same_secret_is_sealed_differently_each_time(tmp_path: Path) -> None:
    sealer = open_sealer(tmp_path / "data.key")
    assert sealer.seal("token") != sealer.seal("token")


def test_what_was_sealed_by_fernet_still_opens(tmp_path: Path) -> None:
    key_file = tmp_path / "data.key"
    sealer = open_sealer(key_file)
    sealed = Fernet(key_file.read_bytes()).encrypt("tökén".encode()).decode()
    assert sealer.open(sealed) == "tökén"
    with pytest.raises(SealBroken):
        sealer.open(sealed[:-8])


@pytest.mark.parametrize("octets", ["", "1.", "1.AAAA", "1.not base64!", "2." + "A" * 80])
def test_what_is_no_seal_does_not_open(tmp_path: Path, octets: str) -> None:
    with pytest.raises(SealBroken):
        open_sealer(tmp_path / "data.key").open(octets)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_only_the_owner_may_read_the_key(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        open_sealer(tmp_path / "data.key")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "data.key").stat().st_mode) == 0o600


def test_another_key_does_not_open_it(tmp_path: Path) -> None:
    sealed = open_sealer(tmp_path / "one.key").seal("token")
    with pytest.raises(SealBroken, match="another key"):
        open_sealer(tmp_path / "two.key").open(sealed)


def test_a_damaged_seal_does_not_open(tmp_path: Path) -> None:
    sealer = open_sealer(tmp_path / "data.key")
    sealed = sealer.seal("token")
    with pytest.raises(SealBroken):
        sealer.open(sealed[:-4] + "AAA=")
    with pytest.raises(SealBroken):
        sealer.open(sealed[:8] + ("A" if sealed[8] != "A" else "B") + sealed[9:])


def test_a_key_file_that_holds_no_key(tmp_path: Path) -> None:
    (tmp_path / "data.key").write_text("not a key")
    with pytest.raises(StorageError, match=r"data\.key"):
        open_sealer(tmp_path / "data.key")


def test_a_key_file_that_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        open_sealer(tmp_path / "absent" / "data.key")


def test_a_readable_key_file_is_used_with_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key_file = tmp_path / "data.key"
    sealed = open_sealer(key_file).seal("token")
    key_file.chmod(0o644)
    assert open_sealer(key_file).open(sealed) == "token"
    printed = capsys.readouterr()
    assert "may be read by others" in printed.out + printed.err
