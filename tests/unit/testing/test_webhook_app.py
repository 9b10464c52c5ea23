import aiohttp
import pytest
from multidict import MultiDict
from twilio.request_validator import RequestValidator

from sidestream.testing.webhook_app import Reply, WebhookApp

TOKEN = "12345"
FORM = MultiDict([("b", "2"), ("a", "ü"), ("b", "1"), ("b", "2")])


async def post(app: WebhookApp, path: str, token: str = TOKEN, **headers: str) -> int:
    signature = RequestValidator(token).compute_signature(app.url(path), FORM)
    async with (
        aiohttp.ClientSession() as session,
        session.post(app.url(path), data=FORM, headers={"X-Twilio-Signature": signature, **headers}) as response,
    ):
        return response.status


async def test_it_judges_signatures_as_the_published_library_does() -> None:
    async with WebhookApp(TOKEN) as app:
        await post(app, "/cb?x=1")
        await post(app, "/cb?x=1", token="54321")
        assert [received.signature_valid for received in app.received] == [True, False]


async def test_it_remembers_query_and_form_in_order() -> None:
    async with WebhookApp(TOKEN) as app:
        assert await post(app, "/cb?x=%2B", **{"X-Note": "n"}) == 204
        [received] = app.received
        assert received.parameters == (("x", "+"), ("b", "2"), ("a", "ü"), ("b", "1"), ("b", "2"))
        assert (received.parameter("b"), received.parameter("absent")) == ("2", None)
        assert (received.header("x-note"), received.header("absent")) == ("n", None)
        assert (received.method, received.path, received.url) == ("POST", "/cb", app.url("/cb?x=%2B"))


async def test_replies_come_one_after_the_other_and_the_last_stays() -> None:
    async with WebhookApp(TOKEN) as app:
        app.answer("/cb", Reply(status=500), "<Response/>")
        assert [await post(app, "/cb") for _ in range(3)] == [500, 200, 200]


async def test_waiting_finds_the_past_and_gives_up() -> None:
    async with WebhookApp(TOKEN) as app:
        await post(app, "/cb")
        assert (await app.wait_for(lambda received: received.path == "/cb")).path == "/cb"
        assert len(await app.wait_for_count("/cb", 1)) == 1
        with pytest.raises(TimeoutError):
            await app.wait_for_count("/cb", 2, timeout=0.01)


async def test_closed_it_refuses_until_it_is_started_again() -> None:
    async with WebhookApp(TOKEN) as app:
        url = app.base_url
        await app.close()
        with pytest.raises(aiohttp.ClientConnectorError):
            await post(app, "/cb")
        await app.start()
        assert app.base_url == url
        assert await post(app, "/cb") == 204
