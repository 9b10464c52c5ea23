"""Certificates, for all tests of the wire."""

from pathlib import Path

import pytest

from sidestream.testing.certificates import Authority


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def server_files(authority: Authority) -> tuple[Path, Path]:
    """Certificate and key for 127.0.0.1, ::1 and sip.test."""
    return authority.issue("server", names=("sip.test", "localhost"), addresses=("127.0.0.1", "::1"))


@pytest.fixture(scope="session")
def client_files(authority: Authority) -> tuple[Path, Path]:
    """Certificate and key for the SIP domain client.test, and 127.0.0.1."""
    return authority.issue("client", names=("client.test",), addresses=("127.0.0.1",))
