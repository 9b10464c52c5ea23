import asyncio
import gzip
import io
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from multidict import MultiDict
from twilio.request_validator import RequestValidator

from sidestream import __version__
from sidestream.base.clock import SystemClock
from sidestream.base.logs import configure_logs
from sidestream.base.metrics import Metrics
from sidestream.testing.webhook_app import Reply, WebhookApp
from sidestream.webhooks.client import DOCUMENT_LIMIT, REDIRECT_LIMIT, CallCookies, HttpClient, WebRequest
from sidestream.webhooks.failures import FetchError

TOKEN = "12345678901234567890123456789012"
FORM = (("From", "+15551230001"), ("Name", "ü & more"), ("b", ""), ("B", "1"), ("b", "2"))


def a_request(
    url: str, method: str = "POST", cookies: CallCookies | None = None, limit: int | None = None
) -> WebRequest:
    return WebRequest(
        kind="voice",
        url=url,
        method=method,
        parameters=FORM,
        auth_token=TOKEN,
        token="idem-1",
        call_sid="CA1",
        cookies=cookies,
        body_limit=lambda _type: DOCUMENT_LIMIT if limit is None else limit,
    )


async def failure(http: HttpClient, request: WebRequest) -> FetchError:
    with pytest.raises(FetchError) as caught:
        await http.request(request)
    return caught.value


@asynccontextmanager
async def raw_server(talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]) -> AsyncIterator[str]:
    """A server that answers a connection by whatever `talk` does."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await talk(reader, writer)  # type: ignore[misc]
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


class TestRequest:
    async def test_a_post_carries_the_form_in_order_and_signed(self, app: WebhookApp, http: HttpClient) -> None:
        app.answer("/voice", "<Response/>")
        answer = await http.request(a_request(app.url("/voice?x=1&y=%2B#rc=0")))
        assert (answer.status, answer.body, answer.media_type) == (200, b"<Response/>", "text/xml")
        assert answer.url == app.url("/voice?x=1&y=%2B")
        assert answer.attempts == 1
        [received] = app.received
        assert received.method == "POST"
        assert received.parameters == (("x", "1"), ("y", "+"), *FORM)
        assert received.signature_valid
        signature = received.header("X-Twilio-Signature")
        assert RequestValidator(TOKEN).validate(received.url, MultiDict(FORM), signature)
        assert received.header("User-Agent") == f"Sidestream/{__version__}"
        assert received.header("Content-Type") == "application/x-www-form-urlencoded; charset=utf-8"
        assert received.header("Accept") == "*/*"
        assert received.header("I-Twilio-Idempotency-Token") == "idem-1"

    async def test_a_get_carries_them_in_the_query_signed_there(self, app: WebhookApp, http: HttpClient) -> None:
        await http.request(a_request(app.url("/voice?x=1"), "get"))
        [received] = app.received
        assert received.method == "GET"
        assert received.parameters == (("x", "1"), *FORM)
        assert received.signature_valid
        assert received.header("Content-Type") is None

    async def test_user_info_is_signed_and_sent_as_authorization(self, app: WebhookApp, http: HttpClient) -> None:
        url = app.url("/voice").replace("http://", "http://me:secret@")
        answer = await http.request(a_request(url))
        assert answer.url == url
        assert answer.public_url == app.url("/voice")
        [received] = app.received
        assert received.header("Authorization") == "Basic bWU6c2VjcmV0"
        assert RequestValidator(TOKEN).validate(url, MultiDict(FORM), received.header("X-Twilio-Signature"))

    @pytest.mark.parametrize(
        "path", ["/a%7Eb/~c;d=e", "/a+b?c=d+e&f=%2f%2F", "/%E4?%FC", "/a b?ü=ü", "/?", "/a//b/./c"]
    )
    async def test_odd_urls_arrive_as_they_were_signed(self, app: WebhookApp, http: HttpClient, path: str) -> None:
        await http.request(a_request(app.url(path)))
        assert app.received[0].signature_valid

    @pytest.mark.parametrize("status", [200, 204, 400, 404, 500, 503])
    async def test_every_status_is_an_answer(
        self, app: WebhookApp, http: HttpClient, metrics: Metrics, status: int
    ) -> None:
        app.answer("/voice", Reply(status=status, content_type=None))
        answer = await http.request(a_request(app.url("/voice")))
        assert answer.status == status
        assert answer.is_error is (status >= 400)
        assert len(app.received) == 1
        counted = metrics.registry.get_sample_value(
            "sidestream_webhooks_total", {"kind": "voice", "outcome": f"{status // 100}xx"}
        )
        assert counted == 1

    async def test_a_method_that_is_neither_is_our_own_mistake(self, app: WebhookApp, http: HttpClient) -> None:
        with pytest.raises(ValueError, match="PUT"):
            await http.request(a_request(app.url("/"), "PUT"))

    async def test_type_and_charset_are_told_apart(self, app: WebhookApp, http: HttpClient) -> None:
        app.answer("/voice", Reply("x", content_type="Text/XML; Charset=ISO-8859-1"))
        answer = await http.request(a_request(app.url("/voice")))
        assert (answer.media_type, answer.charset) == ("text/xml", "iso-8859-1")
        assert dict(answer.headers)["Content-Type"] == "Text/XML; Charset=ISO-8859-1"

    async def test_no_type_is_no_type(self, http: HttpClient) -> None:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")

        async with raw_server(talk) as url:
            answer = await http.request(a_request(url))
        assert (answer.media_type, answer.body) == ("", b"hi")

    async def test_bad_overrides_are_told_and_ignored(self, app: WebhookApp, http: HttpClient) -> None:
        answer = await http.request(a_request(app.url("/voice#rc=99&e=moon")))
        assert [problem.code for problem in answer.problems] == [11243, 11240]

    async def test_the_log_gives_no_secret_away(self, app: WebhookApp, http: HttpClient) -> None:
        written = io.StringIO()
        configure_logs("debug", stream=written)
        try:
            await http.request(a_request(app.url("/voice?key=hidden#rc=0").replace("http://", "http://me:secret@")))
            await app.close()
            await failure(http, a_request(app.url("/voice?key=hidden").replace("http://", "http://me:secret@")))
        finally:
            configure_logs()
        assert "> webhook" in written.getvalue()
        assert "! webhook failed" in written.getvalue()
        for secret in ("hidden", "secret", TOKEN, "5551230001"):
            assert secret not in written.getvalue()


class TestBody:
    async def test_a_body_of_exactly_the_limit_is_whole(self, app: WebhookApp, http: HttpClient) -> None:
        app.answer("/voice", "x" * DOCUMENT_LIMIT)
        answer = await http.request(a_request(app.url("/voice")))
        assert (len(answer.body), answer.is_cut) == (DOCUMENT_LIMIT, False)

    async def test_more_than_the_limit_is_cut(self, app: WebhookApp, http: HttpClient) -> None:
        app.answer("/voice", "x" * (DOCUMENT_LIMIT + 1))
        answer = await http.request(a_request(app.url("/voice")))
        assert (len(answer.body), answer.is_cut) == (DOCUMENT_LIMIT, True)
        app.answer("/voice", "still works")
        assert (await http.request(a_request(app.url("/voice")))).body == b"still works"

    async def test_the_limit_holds_after_decompression(self, app: WebhookApp, http: HttpClient) -> None:
        bomb = Reply(gzip.compress(bytes(50_000_000)), headers=(("Content-Encoding", "gzip"),))
        app.answer("/voice", bomb)
        answer = await http.request(a_request(app.url("/voice")))
        assert (len(answer.body), answer.is_cut) == (DOCUMENT_LIMIT, True)

    async def test_a_compressed_document_is_read(self, app: WebhookApp, http: HttpClient) -> None:
        app.answer("/voice", Reply(gzip.compress(b"<Response/>"), headers=(("Content-Encoding", "gzip"),)))
        assert (await http.request(a_request(app.url("/voice")))).body == b"<Response/>"
        assert app.received[0].header("Accept-Encoding") == "gzip"


class TestRetries:
    async def test_a_refused_connection_is_tried_twice(
        self, app: WebhookApp, http: HttpClient, metrics: Metrics
    ) -> None:
        url = app.url("/voice")
        await app.close()
        error = await failure(http, a_request(url))
        assert (error.code, error.attempts, error.url, error.status) == (11202, 2, url, None)
        assert metrics.registry.get_sample_value("sidestream_webhooks_total", {"kind": "voice", "outcome": "failed"})

    async def test_as_often_as_the_url_says(self, app: WebhookApp, http: HttpClient) -> None:
        await app.close()
        assert (await failure(http, a_request(app.url("/voice#rc=0")))).attempts == 1
        assert (await failure(http, a_request(app.url("/voice#rc=5")))).attempts == 6
        assert (await failure(http, a_request(app.url("/voice#rc=5&rp=rt")))).attempts == 1

    @pytest.mark.parametrize(
        ("fragment", "status", "attempts"),
        [
            ("", 500, 1),
            ("#rc=3", 500, 1),
            ("#rc=3&rp=5xx", 500, 4),
            ("#rc=3&rp=5xx", 404, 1),
            ("#rc=3&rp=4xx", 404, 4),
            ("#rp=all", 404, 2),
            ("#rc=3&rp=all", 200, 1),
        ],
    )
    async def test_a_status_is_retried_only_on_demand(
        self, app: WebhookApp, http: HttpClient, fragment: str, status: int, attempts: int
    ) -> None:
        app.answer("/voice", Reply(status=status))
        answer = await http.request(a_request(app.url("/voice" + fragment)))
        assert (answer.status, answer.attempts, len(app.received)) == (status, attempts, attempts)
        assert {received.header("I-Twilio-Idempotency-Token") for received in app.received} == {"idem-1"}

    async def test_a_retry_may_succeed(self, app: WebhookApp, http: HttpClient) -> None:
        app.answer("/voice", Reply(hang_up=True), Reply(status=503), "good")
        answer = await http.request(a_request(app.url("/voice#rc=5&rp=all")))
        assert (answer.body, answer.attempts) == (b"good", 3)
        assert all(received.signature_valid for received in app.received)

    async def test_an_answer_that_does_not_come_is_not_retried_by_itself(
        self, app: WebhookApp, http: HttpClient
    ) -> None:
        app.answer("/voice", Reply(hold=asyncio.Event()))
        error = await failure(http, a_request(app.url("/voice#rt=100")))
        assert (error.code, error.attempts, len(app.received)) == (11203, 1, 1)
        error = await failure(http, a_request(app.url("/voice#rt=100&rc=1&rp=rt")))
        assert (error.code, error.attempts, len(app.received)) == (11203, 2, 3)

    async def test_the_total_time_covers_all_attempts(self, app: WebhookApp, http: HttpClient) -> None:
        app.answer("/voice", Reply(hold=asyncio.Event()))
        loop = asyncio.get_running_loop()
        started = loop.time()
        error = await failure(http, a_request(app.url("/voice#tt=150&rt=100&rc=5&rp=all")))
        assert (error.code, error.attempts) == (11203, 2)
        assert loop.time() - started < 1.0

    async def test_a_connection_that_its_server_closed_meanwhile_is_replaced(self, http: HttpClient) -> None:
        connections = 0

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            request = await reader.readuntil(b"\r\n\r\n")
            length = int(request.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
            if connections == 1:
                await reader.readuntil(b"\r\n\r\n")  # the second request comes, and finds the door closing

        async with raw_server(talk) as url:
            for _ in range(2):
                answer = await http.request(a_request(url + "#rc=0"))
                assert (answer.body, answer.attempts) == (b"hi", 1)
        assert connections == 2


class TestRedirects:
    @pytest.mark.parametrize("status", [301, 302, 303])
    async def test_a_post_becomes_a_get_without_its_form(self, app: WebhookApp, http: HttpClient, status: int) -> None:
        app.answer("/voice", Reply(status=status, headers=(("Location", "next?x=1"),)))
        app.answer("/next", "<Response/>")
        answer = await http.request(a_request(app.url("/voice")))
        assert (answer.url, answer.body) == (app.url("/next?x=1"), b"<Response/>")
        followed = app.received[1]
        assert (followed.method, followed.parameters) == ("GET", (("x", "1"),))
        assert followed.signature_valid

    @pytest.mark.parametrize("status", [307, 308])
    async def test_a_post_is_repeated_if_the_application_says_so(
        self, app: WebhookApp, http: HttpClient, status: int
    ) -> None:
        app.answer("/voice", Reply(status=status, headers=(("Location", app.url("/next#frag")),)))
        await http.request(a_request(app.url("/voice")))
        followed = app.received[1]
        assert (followed.method, followed.path, followed.parameters) == ("POST", "/next", FORM)
        assert followed.signature_valid

    async def test_user_info_does_not_go_to_another_host(self, app: WebhookApp, http: HttpClient) -> None:
        app.answer("/voice", Reply(status=307, headers=(("Location", app.url("/next")),)))
        await http.request(a_request(app.url("/voice").replace("http://", "http://me:secret@")))
        assert app.received[1].header("Authorization") is None

    async def test_a_circle_ends(self, app: WebhookApp, http: HttpClient) -> None:
        app.answer("/voice", Reply(status=302, headers=(("Location", "/voice"),)))
        error = await failure(http, a_request(app.url("/voice#rc=5&rp=ct,rt")))
        assert (error.code, error.status, len(app.received)) == (11215, 302, REDIRECT_LIMIT + 1)

    @pytest.mark.parametrize("headers", [(), (("Location", "ftp://x/"),), (("Location", "http://:1/"),)])
    async def test_a_redirect_to_nowhere(
        self, app: WebhookApp, http: HttpClient, headers: tuple[tuple[str, str], ...]
    ) -> None:
        app.answer("/voice", Reply(status=302, headers=headers))
        error = await failure(http, a_request(app.url("/voice")))
        assert (error.code, error.status, len(app.received)) == (11216, 302, 1)


class TestCookies:
    async def test_a_call_keeps_what_its_application_set(self, app: WebhookApp, http: HttpClient) -> None:
        app.answer("/voice", Reply(headers=(("Set-Cookie", 'a="1 x"; Path=/'), ("Set-Cookie", "b=2; Path=/other"))))
        mine, other = CallCookies(), CallCookies()
        for cookies in (mine, mine, other, None):
            await http.request(a_request(app.url("/voice"), cookies=cookies))
        assert [received.header("Cookie") for received in app.received] == [None, 'a="1 x"', None, None]

    async def test_they_can_be_written_down_for_a_restart(self, app: WebhookApp, http: HttpClient) -> None:
        fields = ("Set-Cookie", 'a="1 x"; Path=/'), ("Set-Cookie", "b=2; Path=/other"), ("Set-Cookie", "c=3")
        app.answer("/voice", Reply(headers=fields))
        before = CallCookies()
        assert before.image() == ()
        for _ in range(2):
            await http.request(a_request(app.url("/voice?again=1"), cookies=before))
        after = CallCookies(before.image())
        assert after.image() == before.image()
        assert len(after.image()) == 3
        await http.request(a_request(app.url("/voice"), cookies=after))
        assert app.received[-1].header("Cookie") == app.received[1].header("Cookie") == 'a="1 x"; c=3'

    async def test_a_redirect_carries_what_it_set(self, app: WebhookApp, http: HttpClient) -> None:
        app.answer("/voice", Reply(status=302, headers=(("Location", "/next"), ("Set-Cookie", "s=1; Path=/"))))
        await http.request(a_request(app.url("/voice"), cookies=CallCookies()))
        assert app.received[1].header("Cookie") == "s=1"


class TestFailures:
    @pytest.mark.parametrize("url", ["", "/voice", "ftp://app.example/", "http://"])
    async def test_no_url(self, http: HttpClient, url: str) -> None:
        error = await failure(http, a_request(url))
        assert (error.code, error.attempts) == (11100, 0)

    async def test_a_host_that_does_not_exist(self, http: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
        def no_such_host(*_: object, **__: object) -> None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", no_such_host)
        error = await failure(http, a_request("http://nowhere.invalid/"))
        assert (error.code, error.attempts) == (11210, 2)

    async def test_a_connection_that_is_never_made(self, http: HttpClient) -> None:
        with socket.socket() as listening, socket.socket() as first, socket.socket() as second:
            listening.bind(("127.0.0.1", 0))
            listening.listen(0)
            # The accept queue holds one more than asked for; after that the kernel lets SYNs go unanswered.
            for filler in (first, second):
                filler.setblocking(False)
                filler.connect_ex(listening.getsockname())
            port = listening.getsockname()[1]
            error = await failure(http, a_request(f"http://127.0.0.1:{port}/#ct=100&rc=1"))
        assert (error.code, error.attempts) == (11201, 2)

    @pytest.mark.parametrize(
        ("reply", "code"),
        [
            (b"", 11205),
            (b"SSH-2.0-OpenSSH\r\n\r\n", 11206),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort", 11206),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 11206),
        ],
    )
    async def test_an_answer_that_is_none(self, http: HttpClient, reply: bytes, code: int) -> None:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(reply)

        async with raw_server(talk) as url:
            error = await failure(http, a_request(url))
        assert (error.code, error.attempts) == (code, 1)
        assert str(error).startswith(str(code))

    async def test_an_answer_that_ends_too_early(self, app: WebhookApp, http: HttpClient) -> None:
        app.answer("/voice", Reply("<Response/>", drop_after=4))
        assert (await failure(http, a_request(app.url("/voice")))).code == 11206

    async def test_plain_http_where_tls_is_spoken(self, app: WebhookApp, http: HttpClient) -> None:
        error = await failure(http, a_request(app.url("/voice").replace("http:", "https:")))
        assert (error.code, error.attempts) == (11220, 2)


def certificate(folder: Path, name: str, *, valid_days: int) -> ssl.SSLContext:
    """A server context with a self-signed certificate for `name`; the certificate lies in `folder`/cert.pem."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    try:
        alternative: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        alternative = x509.DNSName(name)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=10))
        .not_valid_after(now + timedelta(days=valid_days))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "cert.pem", folder / "key.pem"
    certificate_file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate_file, key_file)
    return context


@asynccontextmanager
async def tls_server(context: ssl.SSLContext) -> AsyncIterator[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


class TestTls:
    @pytest.mark.parametrize(
        ("name", "valid_days", "is_trusted", "fragment", "code"),
        [
            ("127.0.0.1", 10, True, "", None),
            ("127.0.0.1", 10, False, "", 11237),
            ("127.0.0.1", -1, True, "", 11236),
            ("127.0.0.2", 10, True, "", 11235),
            ("app.example", 10, True, "", 11235),
            ("app.example", 10, True, "#sni=n", None),
            ("app.example", 10, False, "#sni=n", 11237),
        ],
    )
    async def test_the_certificate_is_checked(
        self, tmp_path: Path, name: str, valid_days: int, is_trusted: bool, fragment: str, code: int | None
    ) -> None:
        server = certificate(tmp_path, name, valid_days=valid_days)
        trust = ssl.create_default_context(cafile=str(tmp_path / "cert.pem")) if is_trusted else None
        http = HttpClient(clock=SystemClock(), metrics=Metrics(), tls=trust)
        async with tls_server(server) as url:
            request = a_request(url + fragment, "GET")
            if code is None:
                assert (await http.request(request)).body == b"hi"
            else:
                assert (await failure(http, request)).code == code
        await http.close()
