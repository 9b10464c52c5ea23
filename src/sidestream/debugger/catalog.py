"""Every error and warning code that the platform raises, once: API errors, alerts and docs are made from this table."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from sidestream.debugger.entries import api, http, sip, stream, twiml
from sidestream.debugger.entry import CatalogEntry


class UnknownCode(LookupError):
    """A code that the catalogue does not hold: a mistake in this program."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code

    def __str__(self) -> str:
        return f"the catalogue has no code {self.code}"


def entry(code: int) -> CatalogEntry:
    """The entry of a code. Raises UnknownCode."""
    found = CATALOG.get(code)
    if found is None:
        raise UnknownCode(code)
    return found


def _table(families: Iterable[tuple[str, tuple[CatalogEntry, ...]]]) -> Mapping[int, CatalogEntry]:
    entries = sorted((e for _, family in families for e in family), key=lambda e: e.code)
    table = {e.code: e for e in entries}
    assert len(table) == len(entries), "two entries of the catalogue share a code"
    return MappingProxyType(table)


FAMILIES: tuple[tuple[str, tuple[CatalogEntry, ...]], ...] = (
    ("REST API", api.ENTRIES),
    ("HTTP requests to applications", http.ENTRIES),
    ("TwiML", twiml.ENTRIES),
    ("Streams to recording servers", stream.ENTRIES),
    ("SIP", sip.ENTRIES),
)

CATALOG: Mapping[int, CatalogEntry] = _table(FAMILIES)
