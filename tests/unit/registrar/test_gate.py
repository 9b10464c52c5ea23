"""Digest as a server."""

import pytest

from sidestream.registrar.gate import Denied, Gate, Proven
from sidestream.registrar.lockout import Lockout
from sidestream.sip.digest import (
    NONCE_LIFETIME,
    Challenge,
    DigestClient,
    DigestCredentials,
    authorize,
)
from sidestream.sip.headers import Headers
from sidestream.sip.message import Response

SOURCE, REALM, URI = "198.51.100.9", "example.com", "sip:example.com"
PASSWORDS = {"bob": "secret"}
BOB = DigestCredentials("bob", "secret")


@pytest.fixture
def gate():
    return Gate(b"k" * 32, lockout=Lockout(guesses=3, window=60.0))


@pytest.fixture
def check(gate, make_register):
    def check(*answers, now=0.0, realm=REALM, source=SOURCE, gate=gate, body=b""):
        request = make_register("<sip:bob@192.0.2.4>")
        for answer in answers:
            request.headers.add("Authorization", str(answer))
        request.body = body
        return gate.check(request, realm, PASSWORDS.get, source, now)

    return check


def challenges(denied: Denied) -> list[Challenge]:
    found = [Challenge.parse(value) for name, value in denied.headers if name == "WWW-Authenticate"]
    return [challenge for challenge in found if challenge is not None]


def answer(challenge, credentials=BOB, nc=1, body=b""):
    return authorize(challenge, "REGISTER", URI, credentials, nc=nc, cnonce="c", body=body)


def test_a_request_without_credentials_is_challenged_by_sha_256_first_and_by_md5(check):
    denied = check()
    assert (denied.status, denied.locks_out) == (401, False)
    assert [(one.algorithm, one.realm, one.qop, one.stale) for one in challenges(denied)] == [
        ("SHA-256", REALM, ("auth", "auth-int"), False),
        ("MD5", REALM, ("auth", "auth-int"), False),
    ]


@pytest.mark.parametrize("position", [0, 1])
def test_the_answer_to_either_proves_the_user(check, position):
    assert check(answer(challenges(check())[position])) == Proven("bob")


def test_sha_512_256_can_be_asked_for(check):
    gate = Gate(b"k" * 32, algorithms=("SHA-512-256",))
    (challenge,) = challenges(check(gate=gate))
    assert challenge.algorithm == "SHA-512-256"
    assert check(answer(challenge), gate=gate) == Proven("bob")


def test_auth_int_covers_the_body(check):
    challenge = challenges(check())[0]
    protected = Challenge(challenge.realm, challenge.nonce, challenge.algorithm, ("auth-int",))
    given = answer(protected, body=b"v=0")
    assert given.qop == "auth-int"
    assert check(given, body=b"v=1").status == 401
    assert check(given, body=b"v=0") == Proven("bob")


def test_our_own_client_passes(check):
    client = DigestClient(BOB)
    assert client.receive_response(Response(401, "Unauthorized", Headers(check().headers)))
    ((_, value),) = client.authorize("REGISTER", URI, "cnonce")
    assert check(value) == Proven("bob")


def test_an_answer_counts_once_and_a_higher_count_again(check):
    challenge = challenges(check())[0]
    assert check(answer(challenge, nc=2)) == Proven("bob")
    for replayed in (1, 2):
        denied = check(answer(challenge, nc=replayed))
        assert (denied.status, challenges(denied)[0].stale) == (401, True)
    assert check(answer(challenge, nc=3)) == Proven("bob")


def test_an_old_nonce_is_stale_and_costs_no_guess(check):
    challenge = challenges(check())[0]
    for _ in range(5):
        denied = check(answer(challenge), now=NONCE_LIFETIME + 1)
        assert (denied.status, challenges(denied)[0].stale) == (401, True)


@pytest.mark.parametrize("credentials", [DigestCredentials("bob", "guess"), DigestCredentials("nobody", "secret")])
def test_a_wrong_password_and_an_unknown_user_look_alike(check, credentials):
    denied = check(answer(challenges(check())[0], credentials))
    assert (denied.status, challenges(denied)[0].stale, denied.locks_out) == (401, False, False)


def test_too_many_wrong_answers_lock_the_source_out_for_a_while(check):
    wrong = [check(answer(challenges(check())[0], DigestCredentials("bob", str(guess)))) for guess in range(3)]
    assert [(one.status, one.locks_out) for one in wrong] == [(401, False), (401, False), (403, True)]
    right = answer(challenges(check())[0])
    assert check(right, now=59.0) == Denied(403), "not even the right password is looked at, and no alert again"
    assert check(right, now=59.0, source="198.51.100.10") == Proven("bob")
    assert check(answer(challenges(check(now=60.0))[0]), now=60.0) == Proven("bob")


def test_the_answer_to_another_realm_proves_nothing(check):
    challenge = challenges(check(realm="other.example"))[0]
    denied = check(answer(challenge))
    assert (denied.status, challenges(denied)[0].realm) == (401, REALM)
