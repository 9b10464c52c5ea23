import asyncio
import ssl
from pathlib import Path

import pytest

from sidestream.media.address import TlsAddress, connect, split_tls_url
from sidestream.testing.certificates import Authority


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("tls://engine.example:7443", ("engine.example", 7443)),
        ("tls://[2001:db8::1]:7443", ("2001:db8::1", 7443)),
        ("tcp://engine.example:7443", None),
        ("tls://engine.example", None),
        ("tls://engine.example:70000", None),
        ("tls://:7443", None),
        ("tls://engine.example:7443/path", None),
        ("tls://me@engine.example:7443", None),
        ("/run/media.sock", None),
    ],
)
def test_a_url_is_a_scheme_a_host_and_a_port(url: str, expected: tuple[str, int] | None) -> None:
    assert split_tls_url(url) == expected


def test_an_address_is_written_as_it_was_read() -> None:
    files = (Path("ca"), Path("certificate"), Path("key"))
    for url in ("tls://engine.example:7443", "tls://[2001:db8::1]:7443"):
        place = split_tls_url(url)
        assert place is not None
        assert str(TlsAddress(*place, *files)) == url


async def test_files_that_do_not_fit_are_an_oserror(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, _ = authority.issue("one", names=("localhost",))
    _, key = authority.issue("two", names=("localhost",))
    for address in (
        TlsAddress("localhost", 1, tmp_path / "missing", certificate, key),
        TlsAddress("localhost", 1, authority.path, certificate, key),
    ):
        with pytest.raises(OSError):
            await connect(address, asyncio.Protocol)


def test_the_engine_has_to_be_named_and_to_speak_tls_13(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = TlsAddress("localhost", 1, authority.path, *authority.issue("one")).context()
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3
