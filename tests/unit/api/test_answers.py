import json
import re
from pathlib import Path

from sidestream.api import answers
from sidestream.api.answers import bad_parameter, deleted, not_found, refused, resource
from sidestream.calls.refusal import Refusal
from sidestream.debugger.catalog import CATALOG


def test_error_body_has_the_four_keys_and_repeats_the_status() -> None:
    response = refused(Refusal(400, 21211, "To is invalid"))
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/json"
    assert json.loads(response.body) == {
        "code": 21211,
        "message": "To is invalid",
        "more_info": "https://www.twilio.com/docs/errors/21211",
        "status": 400,
    }
    assert "www-authenticate" not in response.headers


def test_a_401_names_the_basic_challenge() -> None:
    assert refused(Refusal(401, 20003, "Authenticate")).headers["www-authenticate"].startswith('Basic realm="')


def test_ready_made_refusals() -> None:
    assert (bad_parameter("x").status, bad_parameter("x").code) == (400, 20001)
    assert (not_found("/a").status, not_found("/a").code) == (404, 20404)
    assert not_found("/a").message == "The requested resource /a was not found"


def test_resource_and_deletion() -> None:
    assert resource({"a": None}, 201).status_code == 201
    assert json.loads(resource({"a": "é"}).body) == {"a": "é"}
    assert (deleted().status_code, deleted().body) == (204, b"")


def test_every_code_of_the_room_is_in_the_catalogue() -> None:
    room = Path(answers.__file__).parent
    codes = {int(code) for source in room.glob("*.py") for code in re.findall(r"\b[1-3]\d{4}\b", source.read_text())}
    assert len(codes) > 10
    assert codes <= set(CATALOG)
