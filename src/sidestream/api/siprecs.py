"""The Siprec resource of a call: start, stop, read.

Checks come in the order call, Siprec, form; what follows (state of the call, connector, name, limit) is the call's.
"""

import re
from typing import TYPE_CHECKING

from starlette.responses import Response

from sidestream.api import answers, fields, pages
from sidestream.api.answers import bad_parameter
from sidestream.api.forms import Form
from sidestream.api.inquiry import Inquiry
from sidestream.api.shapes import siprec_shape, siprecs_path
from sidestream.calls.refusal import Refusal
from sidestream.calls.requests import StartSiprec
from sidestream.recording.siprec import SiprecStatus, Track

if TYPE_CHECKING:
    from sidestream.calls.front import CallFront

LIST_KEY = "siprecs"  # no published client reads this list, so the key is ours
NAME_LIMIT = 256  # characters; a name is part of a URL path
INVALID_TRACK = 31941
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class SiprecsResource:
    def __init__(self, front: "CallFront") -> None:
        self._front = front

    async def create(self, inquiry: Inquiry) -> Response:
        """200 with a Siprec in progress; the recording server is called afterwards."""
        await self._front.fetch_call(inquiry.account, inquiry.call_sid)
        wanted = start_siprec(await inquiry.form())
        return answers.resource(siprec_shape(await self._front.start_siprec(inquiry.account, inquiry.call_sid, wanted)))

    async def list(self, inquiry: Inquiry) -> Response:
        await self._front.fetch_call(inquiry.account, inquiry.call_sid)
        wanted = pages.page_request(inquiry.query())
        found = await self._front.list_siprecs(inquiry.account, inquiry.call_sid, wanted.offset, wanted.limit)
        path = siprecs_path(inquiry.account.sid, inquiry.call_sid)
        return answers.resource(pages.page(LIST_KEY, path, wanted, [siprec_shape(siprec) for siprec in found]))

    async def fetch(self, inquiry: Inquiry) -> Response:
        siprec = await self._front.fetch_siprec(inquiry.account, inquiry.call_sid, inquiry.siprec)
        return answers.resource(siprec_shape(siprec))

    async def update(self, inquiry: Inquiry) -> Response:
        """Stop by SID or name; stopping a stopped one answers 200 as well."""
        await self._front.fetch_siprec(inquiry.account, inquiry.call_sid, inquiry.siprec)
        if (await inquiry.form()).text("Status") != SiprecStatus.STOPPED:
            raise bad_parameter("Status is required and must be stopped")
        siprec = await self._front.stop_siprec(inquiry.account, inquiry.call_sid, inquiry.siprec)
        return answers.resource(siprec_shape(siprec))


def start_siprec(form: Form) -> StartSiprec:
    """The create form; no field is required. Raises `Refusal`."""
    name = form.text("Name")
    if name is not None and (len(name) > NAME_LIMIT or _CONTROL.search(name)):
        raise bad_parameter(f"Name must be at most {NAME_LIMIT} characters without control characters")
    track = form.text("Track")
    if track is not None and track not in [known.value for known in Track]:
        raise Refusal(400, INVALID_TRACK, f"Track must be one of {', '.join(Track)}, not {track}")
    return StartSiprec(
        name=name,
        connector_name=form.text("ConnectorName"),
        track=track,
        status_callback=fields.url(form, "StatusCallback"),
        status_callback_method=fields.method(form, "StatusCallbackMethod"),
        parameters=fields.parameters(form),
    )
