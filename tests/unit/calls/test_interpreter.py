"""Documents: where they come from, what their problems do, and where they lead."""

import pytest

from sidestream.calls.bridge import LegPhase
from sidestream.calls.interpreter import DOCUMENT_LIMIT, GoTo, HangUp, Interpreter
from sidestream.calls.requests import Instructions
from sidestream.media.engine import MediaEngineError
from sidestream.sdp.error import SdpError
from sidestream.twiml.document import Hangup, Pause, Redirect, Say

URL, OTHER = "http://app.example/voice", "http://app.example/other"


class Runners(dict):
    """Every verb is noted in `ran`; `outcomes` are what the verbs of a type come to, one after the other."""

    def __init__(self):
        self.ran, self.outcomes = [], {}
        super().__init__({kind: self._runner(kind) for kind in (Hangup, Pause, Redirect, Say)})

    def _runner(self, kind):
        async def run(verb, interpreter):
            self.ran.append(kind.__name__)
            waiting = self.outcomes.get(kind, [])
            outcome = waiting.pop(0) if waiting else None
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        return run


@pytest.fixture
async def stage(room):
    call = await room.incoming()
    runners = Runners()
    return call, runners, Interpreter(call, runners)


def document(*verbs):
    return "<Response>" + "".join(f"<{verb}/>" for verb in verbs) + "</Response>"


def refusals(room):
    return [one.args[1] for one in room.agent.all("respond")]


async def test_verbs_run_one_by_one_and_are_noted(room, stage):
    call, runners, interpreter = stage
    await interpreter.run(Instructions(twiml="<Response><Pause/><Say>x</Say><Pause/></Response>"))
    assert runners.ran == ["Pause", "Say", "Pause"]
    assert [kind for kind in await room.timeline(call) if kind.startswith("twiml")] == [
        "twiml.pause",
        "twiml.say",
        "twiml.pause",
    ]
    assert refusals(room) == []


async def test_a_verb_may_end_it(stage):
    _, runners, interpreter = stage
    runners.outcomes[Pause] = [HangUp()]
    await interpreter.run(Instructions(twiml=document("Pause", "Pause")))
    assert runners.ran == ["Pause"]


async def test_a_document_is_fetched_with_the_calls_parameters(room, stage):
    call, runners, interpreter = stage
    room.pages.documents[URL] = document("Pause")
    await interpreter.run(Instructions(url=URL, method="GET"))
    ((url, method, parameters),) = room.pages.asked
    assert (url, method, parameters["CallSid"]) == (URL, "GET", call.record.sid)
    assert runners.ran == ["Pause"]


async def test_a_verb_leads_to_another_document(room, stage):
    _, runners, interpreter = stage
    room.pages.documents |= {URL: document("Pause", "Hangup"), OTHER: document("Hangup")}
    runners.outcomes[Pause] = [GoTo(OTHER, "GET", (("A", "b"),))]
    await interpreter.run(Instructions(url=URL))
    assert runners.ran == ["Pause", "Hangup"]
    assert room.pages.asked[-1] == (OTHER, "GET", {"A": "b"})


@pytest.mark.parametrize("inline", [True, False])
async def test_or_to_the_same_once_more(room, stage, inline):
    _, runners, interpreter = stage
    room.pages.documents[URL] = document("Pause")
    runners.outcomes[Pause] = [GoTo(None), None]
    await interpreter.run(Instructions(twiml=document("Pause")) if inline else Instructions(url=URL))
    assert runners.ran == ["Pause", "Pause"]
    assert len(room.pages.asked) == (0 if inline else 2)


class TestLoops:
    async def test_documents_without_end_are_stopped(self, room, stage):
        _, runners, interpreter = stage
        runners.outcomes[Pause] = [GoTo(None)] * (DOCUMENT_LIMIT + 5)
        await interpreter.run(Instructions(twiml=document("Pause")))
        assert len(runners.ran) == DOCUMENT_LIMIT + 1
        assert await room.codes() == [11215]
        assert refusals(room) == [500]

    async def test_unless_a_verb_takes_time(self, room, stage):
        call, runners, interpreter = stage
        count = 0

        async def pause(verb, one):
            nonlocal count
            count += 1
            one.took_time()
            return GoTo(None) if count < DOCUMENT_LIMIT + 5 else None

        runners[Pause] = pause
        await interpreter.run(Instructions(twiml=document("Pause")))
        assert count == DOCUMENT_LIMIT + 5
        assert await room.codes() == []


class TestFailures:
    async def test_a_document_that_cannot_be_had_refuses_a_waiting_caller(self, room, stage):
        await stage[2].run(Instructions(url=URL))
        assert refusals(room) == [500]

    async def test_the_fallback_takes_its_place(self, room, stage):
        _, runners, interpreter = stage
        room.pages.documents[OTHER] = document("Pause")
        await interpreter.run(Instructions(url=URL, fallback_url=OTHER, fallback_method="GET"))
        assert runners.ran == ["Pause"]

    async def test_also_of_a_document_that_is_none_which_it_is_told(self, room, stage):
        _, runners, interpreter = stage
        room.pages.documents |= {URL: "<Response", OTHER: document("Pause")}
        await interpreter.run(Instructions(url=URL, fallback_url=OTHER))
        url, _, told = room.pages.asked[-1]
        assert (url, told["ErrorUrl"]) == (OTHER, URL)
        assert told["ErrorCode"] == "12100"
        assert runners.ran == ["Pause"]

    async def test_but_it_is_asked_once(self, room, stage):
        room.pages.documents |= {URL: "<Response", OTHER: "<Response"}
        await stage[2].run(Instructions(url=URL, fallback_url=OTHER))
        assert [url for url, _, _ in room.pages.asked] == [URL, OTHER]
        assert refusals(room) == [500]

    async def test_inline_nonsense_is_reported_and_nothing_runs(self, room, stage):
        await stage[2].run(Instructions(twiml="<Nonsense/>"))
        assert len(await room.codes()) == 1
        assert refusals(room) == [500]

    async def test_a_warning_does_not_stop_it(self, room, stage):
        _, runners, interpreter = stage
        await interpreter.run(Instructions(twiml='<Response><Pause colour="red"/></Response>'))
        assert runners.ran == ["Pause"]
        assert len(await room.codes()) == 1

    async def test_both_url_and_twiml(self, room, stage):
        room.pages.documents[URL] = document("Pause")
        await stage[2].run(Instructions(url=URL, twiml=document("Hangup")))
        assert stage[1].ran == ["Pause"]
        assert await room.codes() == [32019]

    @pytest.mark.parametrize(
        ("error", "code", "status", "retry"),
        [
            (SdpError("x"), 32102, 488, None),
            (MediaEngineError("internal", "x"), 31900, 503, None),
            (MediaEngineError("limit", "x"), 32210, 503, "10"),
            (MediaEngineError("no-ports", "x"), 32210, 503, "10"),
            (MediaEngineError("overload", "x"), 32211, 503, "10"),
        ],
    )
    async def test_a_call_without_media(self, room, stage, error, code, status, retry):
        call, runners, interpreter = stage
        runners.outcomes[Pause] = [error]
        await interpreter.run(Instructions(twiml=document("Pause")))
        assert await room.codes() == [code]
        assert refusals(room) == [status]
        assert dict(room.agent.last("respond").fields["headers"]).get("Retry-After") == retry
        assert call.leg.phase is LegPhase.OVER


class TestAddresses:
    async def test_they_are_relative_to_the_document(self, room, stage):
        room.pages.documents[URL] = document("Pause")
        await stage[2].run(Instructions(url=URL))
        assert stage[2].absolute("next?a=b") == "http://app.example/next?a=b"

    @pytest.mark.parametrize(("url", "code"), [("next", 15004), ("ftp://a/b", 11100)])
    async def test_or_reported(self, room, stage, url, code):
        await stage[2].run(Instructions(twiml=document("Pause")))
        assert stage[2].absolute(url) is None
        assert await room.codes() == [code]

    async def test_inline_documents_may_name_absolute_ones(self, stage):
        await stage[2].run(Instructions(twiml=document("Pause")))
        assert stage[2].absolute("https://app.example/x") == "https://app.example/x"


async def test_what_ended_a_dialled_leg_is_forgotten_by_the_next_verb(stage):
    call, _, interpreter = stage
    call.farewell = "Q.850;cause=17"
    await interpreter.run(Instructions(twiml=document("Hangup")))
    assert call.farewell is not None
    await interpreter.run(Instructions(twiml=document("Pause")))
    assert call.farewell is None
