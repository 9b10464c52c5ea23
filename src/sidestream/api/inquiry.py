"""One authenticated request to the API, as its resources see it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import Request

from sidestream.api.forms import Form, parse_form, read_form

if TYPE_CHECKING:
    from sidestream.accounts.account import Account


@dataclass(frozen=True, slots=True)
class Inquiry:
    """`path` is percent-decoded once. `call_sid` and `siprec` (a SID or a name) are empty where the path has none."""

    account: "Account"
    path: str
    request: Request
    call_sid: str = ""
    siprec: str = ""

    async def form(self) -> Form:
        """The body; reads it, so it can be asked for once."""
        return await read_form(self.request.headers.get("content-type"), self.request.stream())

    def query(self) -> Form:
        return parse_form(self.request.scope["query_string"], "query string")
