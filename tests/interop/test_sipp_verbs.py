"""What TwiML verbs are in SIP: whom a Dial of several rings, cancels and lets be heard, and what is never answered."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from .conftest import Stage
from .server_process import CALLEE_USER, HOST, free_port
from .test_hostile import post

pytestmark = pytest.mark.interop

FIRST, SECOND, APPLICATION = free_port(), free_port(), free_port()
BOTH = "".join(f"<Sip>sip:{CALLEE_USER}@{HOST}:{port}</Sip>" for port in (FIRST, SECOND))
ONE = f"<Sip>sip:{CALLEE_USER}@{HOST}:{FIRST}</Sip>"
NUMBERS = {
    "both": f'<Dial answerOnBridge="true">{BOTH}</Dial>',
    "both-for-a-second": f'<Dial answerOnBridge="true" timeout="1">{BOTH}</Dial><Reject reason="busy"/>',
    "one": f'<Dial answerOnBridge="true">{ONE}</Dial>',
    "one-then-the-other": f'<Dial answerOnBridge="true" action="http://{HOST}:{APPLICATION}/second">{ONE}</Dial>',
    "decline": "<Reject/>",
    "reject-busy": '<Reject reason="busy"/>',
    "redirect": f"<Redirect>http://{HOST}:{APPLICATION}/busy</Redirect><Pause/>",
    "answered-then-rejected": '<Play digits="w"/><Reject/>',
}
CONFIG = "".join(
    f"[[numbers]]\nnumber = \"{name}\"\ntwiml = '''<Response>{verbs}</Response>'''\n" for name, verbs in NUMBERS.items()
)
DOCUMENTS = {
    "/busy": '<Response><Reject reason="busy"/></Response>',
    "/second": f'<Response><Dial answerOnBridge="true"><Sip>sip:{CALLEE_USER}@{HOST}:{SECOND}</Sip></Dial></Response>',
}


class _Pages(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        page = DOCUMENTS[self.path].encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: what is asked for shows in the server's log."""


@pytest.fixture(scope="module", autouse=True)
def application() -> Iterator[None]:
    server = ThreadingHTTPServer((HOST, APPLICATION), _Pages)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield
    server.shutdown()
    thread.join()
    server.server_close()


@contextmanager
def phones(stage: Stage, *scenarios: str) -> Iterator[None]:
    with ExitStack() as stack:
        for scenario, port in zip(scenarios, (FIRST, SECOND), strict=False):
            stack.enter_context(stage.play(scenario, port))
        yield


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize(
    ("callees", "caller"),
    [
        (("callee_rings_until_another_has_it", "callee_answers"), "caller_hangs_up"),
        (("callee_answers", "callee_rings_until_another_has_it"), "caller_hangs_up"),
        (("callee_is_busy", "callee_answers"), "caller_hangs_up"),
        # Of several, nobody is heard before the answer: a 183 would end the caller's scenario.
        (("callee_plays_early_media_until_cancelled", "callee_answers"), "caller_hangs_up"),
        (("callee_hangs_up", "callee_rings_until_another_has_it"), "caller_is_hung_up"),
        (("callee_rings_until_cancelled", "callee_rings_until_cancelled"), "caller_cancels"),
        (("callee_rings_until_cancelled", "callee_plays_early_media_until_cancelled"), "caller_cancels"),
        (("callee_is_busy", "callee_is_busy"), "caller_hears_busy"),
    ],
)
def test_dial_of_several(stage: Stage, callees: tuple[str, str], caller: str, transport: str) -> None:
    with phones(stage, *callees):
        # Each phone that rings is told to the caller, who may be pausing by then.
        stage.call(caller, "both", transport=transport, options=["-pause_msg_ign"]).run()


def test_several_who_do_not_answer_are_cancelled(stage: Stage) -> None:
    with phones(stage, "callee_rings_until_cancelled", "callee_rings_until_cancelled"):
        stage.call("caller_hears_busy", "both-for-a-second").run()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_caller_gives_up_while_it_hears_early_media(stage: Stage, transport: str) -> None:
    with phones(stage, "callee_plays_early_media_until_cancelled"):
        stage.call("caller_cancels_early_media", "one", transport=transport).run()


def test_the_action_of_a_dial_in_vain_dials_the_next(stage: Stage) -> None:
    """The caller's INVITE has had no final answer by then."""
    with phones(stage, "callee_is_busy", "callee_answers"):
        stage.call("caller_hangs_up", "one-then-the-other").run()


@pytest.mark.parametrize(
    ("number", "caller"), [("decline", "caller_is_rejected"), ("reject-busy", "caller_hears_busy")]
)
def test_reject(stage: Stage, number: str, caller: str) -> None:
    stage.call(caller, number).run()
    assert stage.server.calls(to=number)[0]["duration"] in (None, "0")


def test_reject_of_an_answered_call_only_ends_it(stage: Stage) -> None:
    stage.call("caller_is_hung_up", "answered-then-rejected").run()


def test_redirect_does_not_answer(stage: Stage) -> None:
    stage.call("caller_hears_busy", "redirect").run()


def test_a_connected_call_that_gets_other_instructions_lets_the_callee_go(stage: Stage) -> None:
    with phones(stage, "callee_answers"), stage.call("caller_is_hung_up", "one"):
        while not (calls := [c for c in stage.server.calls(to="one") if c["status"] == "in-progress"]):
            pass
        assert post(stage, f"Calls/{calls[0]['sid']}.json", Twiml="<Response><Hangup/></Response>")
