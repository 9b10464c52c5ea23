"""An application on loopback and a client that asks it."""

from collections.abc import AsyncIterator

import pytest

from sidestream.base.clock import SystemClock
from sidestream.base.metrics import Metrics
from sidestream.testing.webhook_app import WebhookApp
from sidestream.webhooks.client import HttpClient

TOKEN = "12345678901234567890123456789012"


@pytest.fixture
async def app() -> AsyncIterator[WebhookApp]:
    async with WebhookApp(TOKEN) as running:
        yield running


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def http(metrics: Metrics) -> AsyncIterator[HttpClient]:
    client = HttpClient(clock=SystemClock(), metrics=metrics)
    yield client
    await client.close()
