"""Pages of a list, in the shape of the 2010-04-01 API: one list key beside the page keys and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from sidestream.api import fields
from sidestream.api.answers import bad_parameter
from sidestream.api.forms import Form
from sidestream.calls.ports import PAGE_SIZE_DEFAULT, PAGE_SIZE_LIMIT
from sidestream.calls.refusal import Refusal

PAGE_SIZE_TOO_LARGE = 20007
PAGE_LIMIT = 1_000_000  # pages; keeps the offset inside what every store can count
_PAGE_FIELDS = ("Page", "PageSize", "PageToken")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page is wanted. Ask the store for `limit` items from `offset`: one more than shown tells of a next page."""

    number: int
    size: int
    filters: tuple[tuple[str, str], ...]

    @property
    def offset(self) -> int:
        return self.number * self.size

    @property
    def limit(self) -> int:
        return self.size + 1


def page_request(query: Form) -> PageRequest:
    """Page (from 0) and PageSize (1–1000) of a query; PageToken is accepted and carries nothing."""
    size_text = query.text("PageSize")
    if size_text is not None and size_text.isascii() and size_text.isdigit() and int(size_text[:12]) > PAGE_SIZE_LIMIT:
        raise Refusal(400, PAGE_SIZE_TOO_LARGE, f"PageSize is larger than {PAGE_SIZE_LIMIT}")
    size = fields.integer(query, "PageSize", 1, PAGE_SIZE_LIMIT)
    number = fields.integer(query, "Page", 0, PAGE_LIMIT)
    if "PageSize" in query and size is None:
        raise bad_parameter("PageSize is empty")
    return PageRequest(
        number=number or 0,
        size=size or PAGE_SIZE_DEFAULT,
        filters=tuple(pair for pair in query.pairs if pair[0] not in _PAGE_FIELDS),
    )


def page(key: str, path: str, request: PageRequest, items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The list under `key`; `items` may hold one more than the page shows. Pages count from 0, URIs are relative."""
    shown = list(items[: request.size])
    return {
        "end": request.offset + max(len(shown), 1) - 1,
        "first_page_uri": _uri(path, request, 0),
        "next_page_uri": _uri(path, request, request.number + 1) if len(items) > request.size else None,
        "page": request.number,
        "page_size": request.size,
        "previous_page_uri": _uri(path, request, request.number - 1) if request.number > 0 else None,
        key: shown,
        "start": request.offset,
        "uri": _uri(path, request, request.number),
    }


def _uri(path: str, request: PageRequest, number: int) -> str:
    query = [*request.filters, ("PageSize", str(request.size)), ("Page", str(number))]
    # quote, not quote_plus: a blank in a filter survives clients that do not read + as a blank.
    return f"{path}?{urlencode(query, quote_via=quote)}"
