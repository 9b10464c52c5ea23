from datetime import UTC, datetime
from pathlib import Path

import pytest
from lxml import etree

from sidestream.siprec.snapshot import Party, RecordingContext, Snapshot


@pytest.fixture(scope="session")
def schema() -> etree.XMLSchema:
    """The schema of RFC 7865 §9 from the tests' own copy."""
    return etree.XMLSchema(etree.parse(str(Path(__file__).parent / "schema" / "rs-metadata-offline.xsd")))


STARTED = datetime(2026, 3, 2, 9, 15, 2, 640118, UTC)
ANSWERED = datetime(2026, 3, 2, 9, 15, 4, 107502, UTC)
RECORDED = datetime(2026, 3, 2, 9, 15, 4, 218733, UTC)


@pytest.fixture
def call() -> Snapshot:
    """A call of Ada to the desk, both talking."""
    ada = Party("4/uAfbN0RWqLbFijp+5A/Q==", "sip:+14155550142@pstn.example.com;user=phone", "Ada Field", STARTED)
    desk = Party("L0yHiwMvSo6sbfgjQ2s37g==", "sip:desk@marsh.example.org", None, ANSWERED)
    return Snapshot("+b6VvL1RRW24nrRQxci3lw==", STARTED, (ada, desk))


@pytest.fixture
def context() -> RecordingContext:
    streams = (("inbound", "SiVoBgVqT0KlDFNIWOucRg=="), ("outbound", "e1gTxFOPT+OR9nesj5OZnA=="))
    return RecordingContext(streams, RECORDED)
