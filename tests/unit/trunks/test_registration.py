"""Registering with a carrier: refresh, back-off, what answers mean, and taking it back."""

import random

import pytest

from sidestream.base.ids import Ids
from sidestream.sip.headers import Headers
from sidestream.sip.message import Response
from sidestream.sip.uri import Uri
from sidestream.trunks.registration import (
    BACK_OFF_BASE,
    BACK_OFF_LIMIT,
    LONGEST_RETRY_AFTER,
    REFUSED_BACK_OFF,
    Registered,
    RegisterRequest,
    Registration,
    RegistrationFailed,
    RegistrationState,
)

HOME = Uri.parse("sip:carrier.example")
CONTACT = Uri.parse("sip:100@192.0.2.1:5060")


class Carrier:
    """Drives one registration and answers what it sends."""

    def __init__(self, home=HOME, expires=3600):
        self.machine = Registration(home, expires, Ids(random.Random(1)), now=0.0)
        self.now = 0.0

    def asked(self):
        """Let time pass until it sends something; gives the request."""
        due = self.machine.poll_timeout()
        if due is not None:
            self.now = due
            self.machine.handle_timeout(due)
        request = self.machine.poll_request()
        assert self.machine.poll_request() is None
        return request

    def answer(self, status, *headers, seq=0):
        response = None if status is None else Response(status, "Reason", Headers(headers))
        self.machine.receive_response(response, CONTACT, seq, self.now)
        event = self.machine.poll_event()
        assert self.machine.poll_event() is None
        return event

    def wait(self):
        return self.machine.poll_timeout() - self.now


@pytest.fixture
def carrier():
    return Carrier()


def test_it_registers_at_once_and_refreshes_before_the_end(carrier):
    assert carrier.machine.state is RegistrationState.REGISTERING
    assert carrier.asked() == RegisterRequest(HOME, 3600, 1)
    assert carrier.machine.poll_timeout() is None, "one request at a time"
    assert carrier.answer(200, ("Contact", "<sip:100@192.0.2.1:5060>;expires=600"), seq=2) == Registered(600, True)
    assert (carrier.machine.state, carrier.machine.expires_at) == (RegistrationState.REGISTERED, 600.0)
    assert 0.7 * 600 <= carrier.wait() <= 0.9 * 600
    assert carrier.asked() == RegisterRequest(HOME, 3600, 3), "the challenge has used up number 2"
    assert carrier.answer(200, ("Expires", "1200")) == Registered(1200, False)


@pytest.mark.parametrize(
    ("headers", "granted"),
    [
        ((("Contact", "<sip:other@192.0.2.9>;expires=60"), ("Contact", "<sip:100@192.0.2.1:5060>;expires=90")), 90),
        ((("Contact", "<sip:100@192.0.2.1:5060>"), ("Expires", "120")), 120),
        ((("Contact", "<sip:100@192.0.2.1:5060>;expires=x"), ("Expires", "y")), 3600),
        ((), 3600),
    ],
)
def test_the_granted_time_is_that_of_our_contact(carrier, headers, granted):
    carrier.asked()
    assert carrier.answer(200, *headers) == Registered(granted, True)


def test_too_early_a_timer_sends_nothing(carrier):
    carrier.machine.handle_timeout(-1.0)
    assert carrier.machine.poll_request() is None


def test_silence_and_errors_are_met_with_growing_waits_that_differ(carrier):
    waits = []
    for status in (None, 500, 503, None, 408, 500, 500, 500, 500):
        carrier.asked()
        event = carrier.answer(status)
        assert isinstance(event, RegistrationFailed)
        assert event.status == status
        assert event.retry_in == pytest.approx(carrier.wait())
        waits.append(event.retry_in)
    for number, wait in enumerate(waits):
        longest = min(BACK_OFF_LIMIT, BACK_OFF_BASE * 2**number)
        assert longest / 2 <= wait <= longest
    assert len(set(waits)) == len(waits)
    assert carrier.machine.state is RegistrationState.FAILED
    carrier.asked()
    assert carrier.answer(200) == Registered(3600, True)
    carrier.asked()
    assert carrier.answer(None).retry_in <= BACK_OFF_BASE, "the count of failures begins anew"


def test_retry_after_is_heeded_up_to_an_hour(carrier):
    carrier.asked()
    assert carrier.answer(503, ("Retry-After", "900 (busy)")).retry_in == 900.0
    carrier.asked()
    assert carrier.answer(503, ("Retry-After", "999999")).retry_in == LONGEST_RETRY_AFTER


@pytest.mark.parametrize("status", [401, 403, 404, 407])
def test_a_refusal_is_not_asked_again_soon(carrier, status):
    carrier.asked()
    assert REFUSED_BACK_OFF <= carrier.answer(status).retry_in <= 2 * REFUSED_BACK_OFF


def test_a_failed_refresh_is_tried_again_while_the_registration_holds(carrier):
    carrier.asked()
    carrier.answer(200, ("Expires", "100"))
    while True:
        carrier.asked()
        held = carrier.machine.expires_at
        if held is None or carrier.now >= held:
            break
        assert carrier.answer(403).retry_in <= max((held - carrier.now) / 2, BACK_OFF_BASE / 2)
    carrier.answer(403)
    assert carrier.machine.expires_at is None
    assert carrier.wait() >= REFUSED_BACK_OFF


def test_a_longer_interval_is_taken_over(carrier):
    carrier.asked()
    assert carrier.answer(423, ("Min-Expires", "7200")) is None
    assert carrier.asked() == RegisterRequest(HOME, 7200, 2)
    carrier.answer(200)
    assert carrier.asked() == RegisterRequest(HOME, 7200, 3)


@pytest.mark.parametrize("least", [None, "60", "3600", "99999999", "long"])
def test_a_423_that_makes_no_sense_is_a_failure(carrier, least):
    carrier.asked()
    assert isinstance(carrier.answer(423, *([("Min-Expires", least)] if least else [])), RegistrationFailed)


def test_a_moved_registrar_is_followed_until_it_fails(carrier):
    carrier.asked()
    assert carrier.answer(302, ("Contact", "<tel:+1>, <sip:new.example;method=INVITE>;expires=60")) is None
    assert carrier.asked() == RegisterRequest(Uri.parse("sip:new.example"), 3600, 2)
    carrier.answer(200)
    assert carrier.asked().registrar == Uri.parse("sip:new.example")
    carrier.answer(500)
    assert carrier.asked().registrar == HOME


def test_a_proxy_is_used_on_the_way_to_the_same_registrar(carrier):
    carrier.asked()
    assert carrier.answer(305, ("Contact", "<sip:proxy.example;transport=tcp>")) is None
    assert carrier.asked() == RegisterRequest(HOME, 3600, 2, Uri.parse("sip:proxy.example;transport=tcp"))


def test_redirections_in_a_circle_come_to_an_end(carrier):
    for _ in range(3):
        carrier.asked()
        assert carrier.answer(302, ("Contact", "<sip:round.example>")) is None
    carrier.asked()
    assert isinstance(carrier.answer(302, ("Contact", "<sip:round.example>")), RegistrationFailed)


@pytest.mark.parametrize("contact", [None, "<tel:+1555>"])
def test_a_redirection_to_nowhere_is_a_failure(carrier, contact):
    carrier.asked()
    assert isinstance(carrier.answer(302, *([("Contact", contact)] if contact else [])), RegistrationFailed)


@pytest.mark.parametrize(
    ("target", "is_followed"),
    [("sip:plain.example", False), ("sip:safe.example;transport=tls", True), ("sips:safe.example", True)],
)
def test_no_redirection_leads_out_of_tls(target, is_followed):
    carrier = Carrier(Uri.parse("sip:carrier.example;transport=tls"))
    carrier.asked()
    assert (carrier.answer(302, ("Contact", f"<{target}>")) is None) is is_followed


def test_stopping_takes_the_contact_back(carrier):
    carrier.asked()
    carrier.answer(200)
    carrier.machine.stop()
    assert carrier.asked() == RegisterRequest(HOME, 0, 2)
    assert carrier.answer(200) is None
    assert carrier.machine.state is RegistrationState.UNREGISTERED
    assert carrier.machine.poll_timeout() is None


@pytest.mark.parametrize("status", [None, 500])
def test_stopping_does_not_insist(carrier, status):
    carrier.asked()
    carrier.answer(200)
    carrier.machine.stop()
    carrier.asked()
    carrier.answer(status)
    assert carrier.machine.state is RegistrationState.UNREGISTERED


def test_stopping_what_never_was_registered_sends_nothing(carrier):
    carrier.asked()
    carrier.answer(500)
    carrier.machine.stop()
    assert carrier.machine.state is RegistrationState.UNREGISTERED
    assert carrier.asked() is None


@pytest.mark.parametrize(("status", "is_taken_back"), [(200, True), (403, False), (None, False)])
def test_stopping_awaits_the_answer_that_is_under_way(carrier, status, is_taken_back):
    carrier.asked()
    carrier.machine.stop()
    assert carrier.machine.poll_request() is None
    carrier.answer(status, seq=2)
    request = carrier.machine.poll_request()
    assert request == (RegisterRequest(HOME, 0, 3) if is_taken_back else None)
    if is_taken_back:
        carrier.answer(200)
    assert carrier.machine.state is RegistrationState.UNREGISTERED


def test_a_refresh_that_fails_while_stopping_leaves_a_contact_to_take_back(carrier):
    carrier.asked()
    carrier.answer(200)
    carrier.asked()
    carrier.machine.stop()
    carrier.answer(500)
    assert carrier.machine.poll_request() == RegisterRequest(HOME, 0, 3)
