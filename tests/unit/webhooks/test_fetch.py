import random

import pytest

from sidestream.accounts.account import Account
from sidestream.base.clock import SystemClock
from sidestream.base.ids import Ids
from sidestream.debugger.debugger import Debugger
from sidestream.storage.memory import MemoryAlertStore
from sidestream.testing.webhook_app import Reply, WebhookApp
from sidestream.webhooks import fetch
from sidestream.webhooks.client import DOCUMENT_LIMIT, CallCookies, HttpClient
from sidestream.webhooks.failures import FetchError
from sidestream.webhooks.fetch import DocumentFetcher

ACCOUNT = Account("AC" + "0" * 32, "12345678901234567890123456789012")
FORM = (("CallSid", "CA1"), ("From", "+15551230001"))


@pytest.fixture
def alerts() -> MemoryAlertStore:
    return MemoryAlertStore()


@pytest.fixture
def fetcher(http: HttpClient, alerts: MemoryAlertStore) -> DocumentFetcher:
    ids = Ids(random.Random(1))
    return DocumentFetcher(http, ids, Debugger(alerts, ids, SystemClock()))


async def reported(alerts: MemoryAlertStore) -> list[tuple[int, str | None, str | None]]:
    found = await alerts.find(ACCOUNT.sid, offset=0, limit=50)
    return [(alert.code, alert.call_sid, alert.request_url) for alert in reversed(found)]


class TestFetch:
    async def test_a_document(self, app: WebhookApp, fetcher: DocumentFetcher) -> None:
        app.answer("/voice", Reply("<Response/>", content_type="application/xml; charset=UTF-8"))
        fetched = await fetcher.fetch(app.url("/voice#rc=0"), "POST", FORM, ACCOUNT, call_sid="CA1")
        assert (fetched.url, fetched.media_type, fetched.charset) == (app.url("/voice"), "application/xml", "utf-8")
        assert (fetched.body, fetched.status) == (b"<Response/>", 200)
        assert app.received[0].parameters == FORM
        assert app.received[0].signature_valid

    async def test_each_request_has_a_token_of_its_own(self, app: WebhookApp, fetcher: DocumentFetcher) -> None:
        app.answer("/voice", "<Response/>")
        for _ in range(2):
            await fetcher.fetch(app.url("/voice"), "GET", FORM, ACCOUNT, call_sid="CA1")
        first, second = (received.header("I-Twilio-Idempotency-Token") for received in app.received)
        assert first
        assert second
        assert first != second

    async def test_cookies_live_as_long_as_the_call(self, app: WebhookApp, fetcher: DocumentFetcher) -> None:
        app.answer("/voice", Reply("<Response/>", headers=(("Set-Cookie", "s=1"),)))
        cookies = CallCookies()
        for _ in range(2):
            await fetcher.fetch(app.url("/voice"), "POST", FORM, ACCOUNT, call_sid="CA1", cookies=cookies)
        assert [received.header("Cookie") for received in app.received] == [None, "s=1"]

    @pytest.mark.parametrize(
        ("reply", "code", "status"),
        [
            (Reply("no", status=404), 11217, 404),
            (Reply("no", status=500), 11217, 500),
            (Reply(""), 11770, 200),
            (Reply(status=204), 11770, 204),
            (Reply("x" * (DOCUMENT_LIMIT + 1)), 11750, 200),
        ],
    )
    async def test_an_answer_that_cannot_be_used(
        self, app: WebhookApp, fetcher: DocumentFetcher, reply: Reply, code: int, status: int
    ) -> None:
        app.answer("/voice", reply)
        url = app.url("/voice").replace("http://", "http://me:secret@")
        with pytest.raises(FetchError) as caught:
            await fetcher.fetch(url, "POST", FORM, ACCOUNT, call_sid="CA1")
        assert (caught.value.code, caught.value.status, caught.value.url) == (code, status, app.url("/voice"))

    async def test_audio_may_be_larger_than_a_document(
        self, app: WebhookApp, fetcher: DocumentFetcher, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        app.answer("/voice", Reply(bytes(DOCUMENT_LIMIT + 1), content_type="audio/wav"))
        fetched = await fetcher.fetch(app.url("/voice"), "POST", FORM, ACCOUNT, call_sid="CA1")
        assert len(fetched.body) == DOCUMENT_LIMIT + 1
        monkeypatch.setattr(fetch, "AUDIO_LIMIT", DOCUMENT_LIMIT)
        with pytest.raises(FetchError) as caught:
            await fetcher.fetch(app.url("/voice"), "POST", FORM, ACCOUNT, call_sid="CA1")
        assert caught.value.code == 11750

    async def test_ignored_overrides_are_reported(
        self, app: WebhookApp, fetcher: DocumentFetcher, alerts: MemoryAlertStore
    ) -> None:
        app.answer("/voice", "<Response/>")
        await fetcher.fetch(app.url("/voice#rc=9"), "POST", FORM, ACCOUNT, call_sid="CA1")
        assert await reported(alerts) == [(11243, "CA1", app.url("/voice"))]


class TestFallback:
    async def test_a_good_answer_needs_none(
        self, app: WebhookApp, fetcher: DocumentFetcher, alerts: MemoryAlertStore
    ) -> None:
        app.answer("/voice", "<Response/>")
        fallback = (app.url("/fallback"), "POST")
        outcome = await fetcher.fetch_with_fallback(app.url("/voice"), "POST", fallback, FORM, ACCOUNT, call_sid="CA1")
        assert outcome.fetched is not None
        assert outcome.failures == ()
        assert await reported(alerts) == []
        assert app.to("/fallback") == []

    async def test_it_is_asked_instead_and_told_why(
        self, app: WebhookApp, fetcher: DocumentFetcher, alerts: MemoryAlertStore
    ) -> None:
        app.answer("/voice", Reply(status=500))
        app.answer("/fallback", "<Response><Hangup/></Response>")
        fallback = (app.url("/fallback"), "GET")
        outcome = await fetcher.fetch_with_fallback(
            app.url("/voice?x=1#rc=0"), "POST", fallback, FORM, ACCOUNT, call_sid="CA1"
        )
        assert outcome.fetched is not None
        assert outcome.fetched.body == b"<Response><Hangup/></Response>"
        assert [error.code for error in outcome.failures] == [11217]
        [asked] = app.to("/fallback")
        assert asked.method == "GET"
        assert asked.parameters == (*FORM, ("ErrorCode", "11217"), ("ErrorUrl", app.url("/voice?x=1")))
        assert asked.signature_valid
        assert await reported(alerts) == [(11217, "CA1", app.url("/voice?x=1"))]
        [alert] = await alerts.find(ACCOUNT.sid, offset=0, limit=9)
        assert alert.details == {"httpResponse": "500"}

    async def test_without_one_the_failure_is_reported(
        self, app: WebhookApp, fetcher: DocumentFetcher, alerts: MemoryAlertStore
    ) -> None:
        await app.close()
        outcome = await fetcher.fetch_with_fallback(app.url("/voice"), "POST", None, FORM, ACCOUNT, call_sid="CA1")
        assert outcome.fetched is None
        assert [error.code for error in outcome.failures] == [11202]
        assert await reported(alerts) == [(11202, "CA1", app.url("/voice"))]

    async def test_both_may_fail(self, app: WebhookApp, fetcher: DocumentFetcher, alerts: MemoryAlertStore) -> None:
        app.answer("/voice", Reply(status=404))
        outcome = await fetcher.fetch_with_fallback(
            app.url("/voice"), "POST", ("nonsense", "POST"), FORM, ACCOUNT, call_sid="CA1"
        )
        assert outcome.fetched is None
        assert [error.code for error in outcome.failures] == [11217, 11100]
        assert [code for code, _, _ in await reported(alerts)] == [11217, 11100]


class TestFetchAudio:
    async def test_by_get_without_parameters(self, app: WebhookApp, fetcher: DocumentFetcher) -> None:
        app.answer("/tone.wav", Reply(bytes(DOCUMENT_LIMIT * 2), content_type="application/octet-stream"))
        fetched = await fetcher.fetch_audio(app.url("/tone.wav"), ACCOUNT, call_sid="CA1")
        assert len(fetched.body) == DOCUMENT_LIMIT * 2
        assert (app.received[0].method, app.received[0].parameters) == ("GET", ())

    async def test_a_missing_file(self, app: WebhookApp, fetcher: DocumentFetcher) -> None:
        app.answer("/tone.wav", Reply(status=404))
        with pytest.raises(FetchError):
            await fetcher.fetch_audio(app.url("/tone.wav"), ACCOUNT, call_sid="CA1")
