"""Calls by TLS, between two of our drivers and with OpenSSL's own programs."""

import asyncio
import os
import shutil
import ssl
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sidestream.sip.agent.events import (
    AckReceived,
    ByeReceived,
    Failure,
    InviteAccepted,
    InviteFailed,
    InviteReceived,
)
from sidestream.sip.transport import Transport
from sidestream.testing.certificates import Authority
from sidestream.wire import tls
from sidestream.wire.driver import Listener
from sidestream.wire.tls import CertificateFiles, ClientAuth, TlsSettings

HERE = ("127.0.0.1",)
TLS = Listener("tls", Transport.TLS, "127.0.0.1", 0)
TCP = Listener("tcp", Transport.TCP, "127.0.0.1", 0)
OPTIONS = (
    b"OPTIONS sip:a@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1:5061;branch=z9hG4bKx\r\nMax-Forwards: 70\r\n"
    b"From: <sip:b@127.0.0.1>;tag=b\r\nTo: <sip:a@127.0.0.1>\r\nCall-ID: one\r\nCSeq: 1 OPTIONS\r\n"
    b"Content-Length: 0\r\n\r\n"
)


@pytest.fixture
async def alice(phone_on: Any, secured: Any) -> Any:
    return await phone_on(TLS, TCP, tls=secured("alice", names=("alice.test",), addresses=HERE))


@pytest.fixture
async def bob(phone_on: Any, secured: Any) -> Any:
    return await phone_on(TLS, TCP, tls=secured("bob", names=("bob.test", "localhost"), addresses=HERE))


@pytest.mark.parametrize(
    ("uri", "contact"),
    [
        ("sips:bob@127.0.0.1:{}", "sips:"),
        ("sip:bob@127.0.0.1:{};transport=tls", "sip:"),
        ("sips:bob@localhost:{}", "sips:"),
    ],
)
async def test_a_call_by_tls(alice: Any, bob: Any, uri: str, contact: str) -> None:
    session = alice.call(uri.format(bob.port("tls")))
    accepted = await alice.saw(InviteAccepted)
    assert accepted.response.via.transport == "TLS"
    assert str(accepted.response.contacts[0].uri).startswith(contact)
    received = await bob.saw(InviteReceived)
    assert received.peer.transport is Transport.TLS
    await bob.saw(AckReceived)
    alice.hang_up(session)
    await bob.saw(ByeReceived)


async def test_the_callee_hangs_up_by_the_same_connection(alice: Any, bob: Any) -> None:
    alice.call(f"sips:bob@127.0.0.1:{bob.port('tls')}")
    received = await bob.saw(InviteReceived)
    await bob.saw(AckReceived)
    bob.hang_up(received.session)
    await alice.saw(ByeReceived)
    assert bob.count("sidestream_sip_streams_live", transport="TLS") == 1


async def failed(phone: Any, uri: str) -> str:
    phone.call(uri)
    event = await phone.saw(InviteFailed)
    assert event.cause is Failure.TRANSPORT
    return str(event.reason)


async def test_a_certificate_for_somebody_else_is_refused(alice: Any, phone_on: Any, secured: Any) -> None:
    other = await phone_on(TLS, tls=secured("other", names=("other.test",)))
    reason = await failed(alice, f"sips:bob@localhost:{other.port('tls')}")
    assert reason == "TLS: the certificate is for other.test, not for localhost"
    assert other.seen == []


async def test_a_phone_of_two_names_shows_the_certificate_for_the_one_it_is_called_by(
    alice: Any, phone_on: Any, secured: Any, authority: Authority
) -> None:
    by_name = CertificateFiles(*authority.issue("by-name", names=("localhost",)))
    usual = secured("usual", names=("usual.test",), addresses=HERE)
    phone = await phone_on(TLS, tls=replace(usual, named=(by_name,)))
    for host in ("localhost", "127.0.0.1"):
        session = alice.call(f"sips:bob@{host}:{phone.port('tls')}")
        await alice.saw(InviteAccepted)
        alice.hang_up(session)
        await phone.saw(ByeReceived)


async def test_a_certificate_of_a_strange_authority_is_refused(alice: Any, phone_on: Any, tmp_path: Path) -> None:
    strange = Authority(tmp_path, "Strange")
    other = await phone_on(TLS, tls=TlsSettings(*strange.issue("x", addresses=HERE), strange.path))
    reason = await failed(alice, f"sips:bob@127.0.0.1:{other.port('tls')}")
    assert reason.startswith("TLS: the peer's certificate is not trusted: ")


async def test_a_certificate_that_has_expired_is_refused(alice: Any, phone_on: Any, secured: Any) -> None:
    old = secured("old", addresses=HERE, expires_in=timedelta(seconds=-60))
    other = await phone_on(TLS, tls=old)
    reason = await failed(alice, f"sips:bob@127.0.0.1:{other.port('tls')}")
    assert reason == "TLS: the peer's certificate is not trusted: certificate has expired"


async def test_a_peer_that_speaks_no_tls_is_told_from_one_that_is_not_there(alice: Any, bob: Any) -> None:
    reason = await failed(alice, f"sips:bob@127.0.0.1:{bob.port('tcp')}")
    assert reason
    assert alice.count("sidestream_sip_failures_total", transport="TLS") == 1


async def test_a_client_without_a_certificate_is_refused_where_one_is_required(
    phone_on: Any, secured: Any, authority: Authority
) -> None:
    strict = await phone_on(TLS, tls=secured("strict", addresses=HERE, auth=ClientAuth.REQUIRED))
    context = ssl.create_default_context(cafile=str(authority.path))
    reader, writer = await asyncio.open_connection("127.0.0.1", strict.port("tls"), ssl=context)
    writer.write(OPTIONS)
    with pytest.raises((OSError, asyncio.IncompleteReadError)):
        await reader.readuntil(b"\r\n\r\n")
    writer.close()
    assert strict.seen == []
    assert strict.count("sidestream_sip_failures_total", transport="TLS") == 1
    alice = await phone_on(TLS, tls=secured("mutual", addresses=HERE))
    alice.call(f"sips:bob@127.0.0.1:{strict.port('tls')}")
    await alice.saw(InviteAccepted)


async def test_a_proven_client_is_called_back_by_its_own_connection(phone_on: Any, secured: Any) -> None:
    alice = await phone_on(TLS, tls=secured("alias-alice", addresses=HERE))
    bob = await phone_on(TLS, tls=secured("alias-bob", addresses=HERE, auth=ClientAuth.OPTIONAL))
    alice.call(f"sips:bob@127.0.0.1:{bob.port('tls')}")
    await bob.saw(AckReceived)
    # RFC 5923: alice's Via has alias, and her certificate is for the address that bob calls.
    bob.call(f"sips:alice@127.0.0.1:{alice.port('tls')}")
    await bob.saw(InviteAccepted)
    assert bob.count("sidestream_sip_streams_live", transport="TLS") == 1


async def test_an_unproven_client_is_called_back_by_a_connection_of_ours(alice: Any, bob: Any) -> None:
    alice.call(f"sips:bob@127.0.0.1:{bob.port('tls')}")
    await bob.saw(AckReceived)
    bob.call(f"sips:alice@127.0.0.1:{alice.port('tls')}")
    await bob.saw(InviteAccepted)
    assert bob.count("sidestream_sip_streams_live", transport="TLS") == 2


async def test_a_renewed_certificate_serves_the_next_connection(
    phone_on: Any, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "RELOAD_CHECK_S", 0.0)
    used = tmp_path / "used.pem", tmp_path / "used.key"

    def install(stem: str) -> None:
        for path, target in zip(authority.issue(stem, names=("sip.test",), common_name=stem), used, strict=True):
            shutil.copyfile(path, target)
            os.utime(target, ns=(hash(stem) % 10**9, hash(stem) % 10**9))

    async def common_name() -> str:
        context = ssl.create_default_context(cafile=str(authority.path))
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", phone.port("tls"), ssl=context, server_hostname="sip.test"
        )
        writer.write(OPTIONS.replace(b"z9hG4bKx", b"z9hG4bK%d" % len(kept)).replace(b"one", b"call%d" % len(kept)))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"SIP/2.0 200")
        kept.append((reader, writer))
        subject: Any = writer.get_extra_info("peercert")["subject"]
        return str(subject[0][0][1])

    kept: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    install("january")
    phone = await phone_on(TLS, tls=TlsSettings(*used))
    assert await common_name() == "january"
    install("february")
    assert await common_name() == "february"
    for number, (reader, writer) in enumerate(kept):  # who was connected before goes on
        writer.write(OPTIONS.replace(b"z9hG4bKx", b"z9hG4bKy%d" % number).replace(b"one", b"more%d" % number))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"SIP/2.0 200")
        writer.close()


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
async def test_openssl_as_a_client(bob: Any, authority: Authority, version: str) -> None:
    client = await asyncio.create_subprocess_exec(
        "openssl",
        *("s_client", "-quiet", "-verify_return_error", "-CAfile", str(authority.path), version),
        *("-servername", "bob.test", "-verify_hostname", "bob.test", "-connect", f"127.0.0.1:{bob.port('tls')}"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert client.stdin is not None
    assert client.stdout is not None
    client.stdin.write(OPTIONS)
    async with asyncio.timeout(10):
        answer = await client.stdout.readuntil(b"\r\n\r\n")
    client.kill()
    await client.wait()
    assert answer.startswith(b"SIP/2.0 200 OK\r\n")


async def test_an_old_version_is_refused(bob: Any) -> None:
    client = await asyncio.create_subprocess_exec(
        *("openssl", "s_client", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"),
        *("-connect", f"127.0.0.1:{bob.port('tls')}"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    await client.communicate()
    assert client.returncode != 0
    assert bob.count("sidestream_sip_failures_total", transport="TLS") == 1


async def test_openssl_as_a_server_sees_sni_and_our_certificate(
    alice: Any, authority: Authority, tmp_path: Path
) -> None:
    certificate, key = authority.issue("openssl-server", names=("localhost",))
    server = await asyncio.create_subprocess_exec(
        *("openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", str(certificate), "-key", str(key)),
        *("-Verify", "1", "-verify_return_error", "-CAfile", str(authority.path), "-servername", "localhost"),
        *("-cert2", str(certificate), "-key2", str(key), "-servername_fatal"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert server.stdout is not None
    seen = b""
    async with asyncio.timeout(10):
        while b"ACCEPT " not in seen:
            seen += await server.stdout.readline()
        port = int(seen.rpartition(b":")[2])
        alice.call(f"sips:bob@localhost:{port}")
        while b"INVITE sips:bob@localhost" not in seen:
            seen += await server.stdout.readline()
    server.kill()
    await server.wait()
    assert b"CN = test" in seen or b"CN=test" in seen


async def test_a_handshake_that_stalls_is_given_up(
    phone_on: Any, secured: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidestream.wire.pool.HANDSHAKE_LIMIT_S", 0.2)
    phone = await phone_on(TLS, tls=secured("stalled", addresses=HERE))
    reader, writer = await asyncio.open_connection("127.0.0.1", phone.port("tls"))
    writer.write(b"\x16\x03\x01")
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()
    assert phone.count("sidestream_sip_failures_total", transport="TLS") == 1


async def test_a_listener_without_a_certificate_does_not_start(phone_on: Any, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="has no certificate"):
        await phone_on(TLS)
    with pytest.raises(OSError, match=r"no\.pem"):
        await phone_on(TLS, tls=TlsSettings(tmp_path / "no.pem"))
