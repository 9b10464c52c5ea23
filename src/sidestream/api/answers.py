"""HTTP answers of the API: resources, errors, and the headers that all of them carry."""

from typing import Any

from starlette.responses import JSONResponse, Response

from sidestream.calls.refusal import Refusal

MORE_INFO = "https://www.twilio.com/docs/errors/"  # codes keep the meaning of the public error dictionary

# Browsers may call the API from any page: it has no cookies, so a page can only use credentials it was given.
CORS_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "Accept, Authorization, Content-Type",
    "Access-Control-Allow-Credentials": "true",
    "Access-Control-Expose-Headers": "ETag, Twilio-Request-Id, Twilio-Request-Duration",
}

BAD_PARAMETER = 20001  # a field that is missing, malformed or out of range and has no code of its own


def bad_parameter(message: str) -> Refusal:
    """A field is wrong and has no code of its own; `message` names it."""
    return Refusal(400, BAD_PARAMETER, message)


def not_found(path: str) -> Refusal:
    return Refusal(404, 20404, f"The requested resource {path} was not found")


def resource(content: dict[str, Any], status: int = 200) -> Response:
    return JSONResponse(content, status_code=status)


def deleted() -> Response:
    return Response(status_code=204)


def refused(refusal: Refusal) -> Response:
    """The error body of the 2010-04-01 API; `status` repeats the HTTP status."""
    body = {
        "code": refusal.code,
        "message": refusal.message,
        "more_info": f"{MORE_INFO}{refusal.code}",
        "status": refusal.status,
    }
    response = JSONResponse(body, status_code=refusal.status)
    if refusal.status == 401:
        # RFC 7235 §3.1: a 401 names at least one challenge.
        response.headers["WWW-Authenticate"] = 'Basic realm="Sidestream API", charset="UTF-8"'
    return response
