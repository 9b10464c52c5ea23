"""Form bodies and query strings: urlencoded pairs, in order, within limits."""

from collections.abc import AsyncIterable
from dataclasses import dataclass
from urllib.parse import parse_qsl

from sidestream.api.answers import BAD_PARAMETER, bad_parameter
from sidestream.calls.refusal import Refusal

BODY_LIMIT = 256 * 1024  # octets; 99 parameters and 4000 characters of TwiML, percent-encoded, stay far below
FIELD_LIMIT = 1000  # pairs in one form; the largest documented form has about 240
FORM_TYPE = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Form:
    """Pairs in the order sent. Of a field that is sent twice the last counts, unless `all` is asked for."""

    pairs: tuple[tuple[str, str], ...] = ()

    def text(self, name: str) -> str | None:
        """The field's value; None if it is absent or empty."""
        for key, value in reversed(self.pairs):
            if key == name:
                return value or None
        return None

    def all(self, name: str) -> tuple[str, ...]:
        """Every non-empty value of a repeatable field."""
        return tuple(value for key, value in self.pairs if key == name and value)

    def __contains__(self, name: object) -> bool:
        return any(key == name for key, _ in self.pairs)


async def read_form(content_type: str | None, chunks: AsyncIterable[bytes]) -> Form:
    """A request body as form; raises `Refusal` for another media type, a body over the limit or text not in UTF-8."""
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > BODY_LIMIT:
            raise Refusal(413, BAD_PARAMETER, f"The body is larger than {BODY_LIMIT} octets")
    if not body:
        return Form()
    media_type = (content_type or FORM_TYPE).partition(";")[0].strip().lower()
    if media_type != FORM_TYPE:
        raise bad_parameter(f"The body must be {FORM_TYPE}, not {media_type}")
    return parse_form(bytes(body), "body")


def parse_form(data: bytes, where: str) -> Form:
    """Urlencoded `data`; `+` and `%20` are blanks. `where` names it in the error: body or query string."""
    try:
        # UTF-8 that a client failed to percent-encode is taken as well.
        pairs = parse_qsl(data.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=FIELD_LIMIT)
    except UnicodeDecodeError:
        raise bad_parameter(f"The {where} is not in UTF-8") from None
    except ValueError:
        raise bad_parameter(f"The {where} has more than {FIELD_LIMIT} fields") from None
    return Form(tuple(pairs))
