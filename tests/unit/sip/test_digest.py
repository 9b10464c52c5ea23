import hashlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream.sip.digest import (
    MAX_LIVE_NONCES,
    NONCE_LIFETIME,
    Authenticator,
    Authorization,
    Challenge,
    DigestClient,
    DigestCredentials,
    Verdict,
    authorize,
    strongest_challenges,
)
from sidestream.sip.errors import MessageError
from sidestream.sip.headers import Headers
from sidestream.sip.message import Response

MUFASA = DigestCredentials("Mufasa", "Circle of Life")
NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
OPAQUE = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"

CHALLENGES = [
    ('Digest realm="a", nonce="n", algorithm=MD5', Challenge("a", "n")),
    (
        'Digest realm="a \\"b\\"", nonce="n", opaque="", stale=true, algorithm=SHA-256, qop="auth,auth-int"',
        Challenge('a "b"', "n", "SHA-256", ("auth", "auth-int"), "", True),
    ),
]
AUTHORIZATIONS = [
    (
        'Digest username="u", realm="r", nonce="n", uri="sip:h", response="00", algorithm=MD5',
        Authorization("u", "r", "n", "sip:h", "00"),
    ),
    (
        'Digest username="u, v", realm="r", nonce="n", uri="sip:h", response="0a", algorithm=SHA-512-256, '
        'qop=auth, nc=000000ff, cnonce="c", opaque="o"',
        Authorization("u, v", "r", "n", "sip:h", "0a", "SHA-512-256", "auth", 255, "c", "o"),
    ),
]


@pytest.mark.parametrize(("text", "value"), CHALLENGES + AUTHORIZATIONS)
def test_the_tables_read_and_write(text, value):
    assert type(value).parse(text) == value
    assert str(value) == text


@pytest.mark.parametrize(
    "text",
    [
        'DIGEST Realm="a",Nonce="n"',
        'digest   nonce = "n" ,\trealm = a , qop="" , ,',
        'Digest realm="a", nonce="n", algorithm=md5, domain="sip:x", stale=FALSE, nonce="second"',
    ],
)
def test_loose_challenges_are_read(text):
    assert Challenge.parse(text) == Challenge("a", "n")


def test_qop_and_algorithm_match_in_any_case():
    challenge = Challenge.parse('Digest realm=r, nonce=n, qop=" AUTH , x", algorithm="sha-256"')
    assert (challenge.qop, challenge.algorithm) == (("auth", "x"), "SHA-256")
    answer = Authorization.parse(
        'Digest username=u,realm=r,nonce=n,uri="sip:h",response=AB,qop="Auth",nc=0000000A,cnonce=c,algorithm=sha-256'
    )
    assert (answer.qop, answer.nc, answer.response, answer.algorithm) == ("auth", 10, "ab", "SHA-256")


@pytest.mark.parametrize("kind", [Challenge, Authorization])
def test_another_scheme_is_none_of_ours(kind):
    assert kind.parse("NoOneKnowsThisScheme opaque-data=here") is None
    assert kind.parse("Basic QWxhZGRpbg==") is None
    assert kind.parse("Negotiate") is None


@pytest.mark.parametrize(
    "text",
    [
        "", ", x", "Digest", 'Digest realm="a"', 'Digest nonce="n"', 'Digest realm="a", nonce=""',
        'Digest realm="open, nonce=n', 'Digest realm="a" nonce="n"', "Digest realm=a, nonce=n, what",
        "Digest realm=a b, nonce=n",
    ],
)  # fmt: skip
def test_malformed_challenges_are_refused(text):
    with pytest.raises(MessageError, match="400 Malformed"):
        Challenge.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "Digest",
        'Digest username="u", realm="r", nonce="n", uri="sip:h"',
        'Digest username="u", realm="r", nonce="n", uri="sip:h", response="0", qop=auth, cnonce="c"',
        'Digest username="u", realm="r", nonce="n", uri="sip:h", response="0", qop=auth, nc=1, cnonce="c"',
        'Digest username="u", realm="r", nonce="n", uri="sip:h", response="0", qop=auth, nc=00000001',
    ],
)
def test_malformed_credentials_are_refused(text):
    with pytest.raises(MessageError, match="400 Malformed credentials"):
        Authorization.parse(text)


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_example_of_rfc_7616(algorithm, response):
    challenge = Challenge("http-auth@example.org", NONCE, algorithm, ("auth", "auth-int"), OPAQUE)
    answer = authorize(challenge, "GET", "/dir/index.html", MUFASA, nc=1, cnonce=CNONCE)
    assert (answer.response, answer.qop, answer.nc, answer.opaque) == (response, "auth", 1, OPAQUE)


def test_without_qop_the_answer_is_that_of_rfc_2069():
    challenge = Challenge("testrealm@host.com", "dcd98b7102dd2f0e8b11d0f600bfb0c093")
    credentials = DigestCredentials("Mufasa", "CircleOfLife")
    answer = authorize(challenge, "GET", "/dir/index.html", credentials, nc=1, cnonce="ignored")

    def md5(text):
        return hashlib.md5(text.encode()).hexdigest()

    expected = md5(f"{md5('Mufasa:testrealm@host.com:CircleOfLife')}:{challenge.nonce}:{md5('GET:/dir/index.html')}")
    assert answer.response == expected == "1949323746fe6a43ef61f9606e7febea"
    assert (answer.qop, answer.nc, answer.cnonce) == (None, 0, "")


def test_auth_int_covers_the_body():
    challenge = Challenge("r", "n", "SHA-512-256", ("auth-int",))
    answers = {
        authorize(challenge, "INVITE", "sip:h", MUFASA, nc=1, cnonce="c", body=body).response for body in (b"", b"x")
    }
    assert len(answers) == 2
    assert all(len(answer) == 64 for answer in answers)


def test_a_password_is_not_shown():
    assert "Circle" not in repr(MUFASA)


def test_the_strongest_supported_challenge_of_each_realm_is_chosen():
    chosen = strongest_challenges(
        [
            'Digest realm="a", nonce="1", algorithm=MD5, qop="auth"',
            'Digest realm="a", nonce="2", algorithm=SHA-512-256, qop="auth"',
            'Digest realm="a", nonce="3", algorithm=SHA-256, qop="auth"',
            'Digest realm="a", nonce="4", algorithm=SHA-512-256, qop="auth"',
            'Digest realm="b", nonce="5", algorithm=AKAv1-MD5',
            'Digest realm="b", nonce="6", qop="later"',
            'Digest realm="b", nonce="7", qop="auth-int"',
            "Bearer x",
            "Digest ???",
        ]
    )
    assert [(challenge.realm, challenge.nonce) for challenge in chosen] == [("a", "2"), ("b", "7")]
    assert [challenge.chosen_qop for challenge in chosen] == ["auth", "auth-int"]


def refusal(status, *challenges):
    name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
    return Response(status, "", Headers([(name, str(challenge)) for challenge in challenges]))


def test_a_client_answers_both_kinds_of_challenge_and_counts():
    client = DigestClient(MUFASA)
    assert client.authorize("INVITE", "sip:h", "c") == []
    assert client.receive_response(refusal(407, Challenge("proxy", "p1", qop=("auth",))))
    assert client.receive_response(refusal(401, Challenge("server", "s1", qop=("auth",))))
    for count in (1, 2):
        fields = [(name, Authorization.parse(value)) for name, value in client.authorize("INVITE", "sip:h", "c")]
        assert [(name, answer.realm, answer.nonce, answer.nc) for name, answer in fields] == [
            ("Proxy-Authorization", "proxy", "p1", count),
            ("Authorization", "server", "s1", count),
        ]


def test_a_client_gives_up_when_its_answer_is_refused():
    client = DigestClient(MUFASA)
    assert client.receive_response(refusal(401, Challenge("r", "1")))
    client.authorize("INVITE", "sip:h", "c")
    assert not client.receive_response(refusal(401, Challenge("r", "2")))


def test_a_client_gives_up_when_it_understands_nothing():
    client = DigestClient(MUFASA)
    assert not client.receive_response(refusal(401, Challenge("r", "1", "MD4")))
    assert not client.receive_response(refusal(401))


def test_a_client_tries_again_with_a_new_nonce_when_the_old_one_was_stale_or_has_served():
    client = DigestClient(MUFASA)
    client.receive_response(refusal(401, Challenge("r", "1", qop=("auth",))))
    client.authorize("INVITE", "sip:h", "c")
    assert client.receive_response(refusal(401, Challenge("r", "2", qop=("auth",), stale=True)))
    client.authorize("INVITE", "sip:h", "c")
    client.authorize("BYE", "sip:h", "c")
    assert client.receive_response(refusal(401, Challenge("r", "3", qop=("auth",))))
    ((_, value),) = client.authorize("BYE", "sip:h", "c")
    assert (Authorization.parse(value).nonce, Authorization.parse(value).nc) == ("3", 1)


PASSWORDS = {"Mufasa": "Circle of Life", "ü\udcff": "p"}.get


def answered(server, challenge, *, nc=1, body=b"", credentials=MUFASA, method="INVITE", now=0.0):
    value = str(authorize(challenge, method, "sip:h", credentials, nc=nc, cnonce="c", body=body))
    return server.verify([value], "INVITE", PASSWORDS, now, body)


def test_a_server_proves_a_user_with_each_algorithm_it_offers():
    server = Authenticator("r", b"secret", algorithms=("SHA-512-256", "SHA-256", "MD5"))
    challenges = server.challenges(0.0)
    assert [challenge.algorithm for challenge in challenges] == ["SHA-512-256", "SHA-256", "MD5"]
    assert {challenge.qop for challenge in challenges} == {("auth",)}
    for nc, challenge in enumerate(challenges, 1):
        assert answered(server, challenge, nc=nc) == (Verdict.OK, "Mufasa")


def test_a_server_checks_the_body_when_asked_to():
    server = Authenticator("r", b"secret", integrity=True)
    (challenge, _) = server.challenges(0.0)
    protected = Challenge(challenge.realm, challenge.nonce, challenge.algorithm, ("auth-int",))
    value = str(authorize(protected, "INVITE", "sip:h", MUFASA, nc=1, cnonce="c", body=b"x"))
    assert server.verify([value], "INVITE", PASSWORDS, 0.0, b"y") == (Verdict.WRONG, None)
    assert server.verify([value], "INVITE", PASSWORDS, 0.0, b"x") == (Verdict.OK, "Mufasa")


def test_a_server_refuses_what_is_wrong():
    server = Authenticator("r", b"secret")
    (challenge, _) = server.challenges(0.0)
    assert answered(server, challenge, credentials=DigestCredentials("Mufasa", "x")) == (Verdict.WRONG, None)
    assert answered(server, challenge, credentials=DigestCredentials("Scar", "")) == (Verdict.WRONG, None)
    assert answered(server, challenge, method="BYE") == (Verdict.WRONG, None)
    assert answered(server, challenge) == (Verdict.OK, "Mufasa")


def test_a_server_takes_any_octets_in_a_user_name():
    server = Authenticator("r", b"secret")
    (challenge, _) = server.challenges(0.0)
    assert answered(server, challenge, credentials=DigestCredentials("ü\udcff", "p")) == (Verdict.OK, "ü\udcff")


def test_a_replayed_count_is_stale():
    server = Authenticator("r", b"secret")
    (challenge, _) = server.challenges(0.0)
    assert answered(server, challenge, nc=2)[0] is Verdict.OK
    assert answered(server, challenge, nc=2) == (Verdict.STALE, None)
    assert answered(server, challenge, nc=1)[0] is Verdict.STALE
    assert answered(server, challenge, nc=3)[0] is Verdict.OK


def test_a_nonce_without_qop_serves_once():
    server = Authenticator("r", b"secret")
    (challenge, _) = server.challenges(0.0)
    bare = Challenge(challenge.realm, challenge.nonce, challenge.algorithm)
    assert answered(server, bare)[0] is Verdict.OK
    assert answered(server, bare)[0] is Verdict.STALE
    assert answered(server, challenge, nc=9)[0] is Verdict.STALE


def test_a_nonce_expires():
    server = Authenticator("r", b"secret")
    (challenge, _) = server.challenges(100.0)
    assert answered(server, challenge, nc=1, now=100.0 + NONCE_LIFETIME)[0] is Verdict.OK
    assert answered(server, challenge, nc=2, now=100.5 + NONCE_LIFETIME)[0] is Verdict.STALE
    assert all(challenge.stale for challenge in server.challenges(0.0, stale=True))


def test_a_forgotten_nonce_is_stale_and_a_remembered_one_is_not():
    server = Authenticator("r", b"secret", algorithms=("MD5",))
    (unused,) = server.challenges(0.0)
    (first,) = server.challenges(0.0)
    assert answered(server, first)[0] is Verdict.OK
    for _ in range(MAX_LIVE_NONCES - 1):
        (challenge,) = server.challenges(0.0)
        assert answered(server, challenge)[0] is Verdict.OK
    assert answered(server, first, nc=2)[0] is Verdict.OK
    (last,) = server.challenges(0.0)
    assert answered(server, last)[0] is Verdict.OK
    assert answered(server, first, nc=3)[0] is Verdict.OK
    assert answered(server, unused)[0] is Verdict.STALE
    assert answered(server, challenge, nc=1)[0] is Verdict.STALE
    assert answered(server, challenge, nc=2)[0] is Verdict.OK


def test_credentials_that_are_not_for_us_are_missing():
    server = Authenticator("r", b"secret", algorithms=("SHA-256",))
    (challenge,) = server.challenges(0.0)
    others = [
        Challenge("other", challenge.nonce, "SHA-256", ("auth",)),
        Challenge("r", challenge.nonce, "MD5", ("auth",)),
        Challenge("r", challenge.nonce, "SHA-256", ("auth-int",)),
        Challenge("r", challenge.nonce[:-1] + "x", "SHA-256", ("auth",)),
        Challenge("r", "no.nonce", "SHA-256", ("auth",)),
        Challenge("r", "ÿ", "SHA-256", ("auth",)),
        Challenge("r", "\udca2" + challenge.nonce, "SHA-256", ("auth",)),  # an octet that is no UTF-8
        Authenticator("r", b"other secret").challenges(0.0)[0],
    ]
    for other in others:
        assert answered(server, other) == (Verdict.MISSING, None)
    assert server.verify([], "INVITE", PASSWORDS, 0.0) == (Verdict.MISSING, None)
    assert server.verify(["Digest", "NoOne x=y"], "INVITE", PASSWORDS, 0.0) == (Verdict.MISSING, None)


TEXT = st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])


@given(st.text(TEXT), st.text(TEXT, min_size=1))
def test_any_names_survive_the_wire(name, nonce):
    challenge = Challenge(name, nonce)
    assert Challenge.parse(str(challenge)) == challenge
    answer = authorize(challenge, "INVITE", "sip:h", DigestCredentials(name, nonce), nc=1, cnonce=nonce)
    assert Authorization.parse(str(answer)) == answer


@given(st.text())
def test_any_text_parses_or_raises_a_message_error(text):
    for kind in (Challenge, Authorization):
        try:
            kind.parse("Digest " + text)
        except MessageError:
            continue


@pytest.mark.parametrize(
    "hostile", ["a" * 60000, "a=," * 20000 + '"', 'a="\\' * 15000, " " * 60000 + "x", "a b" * 20000]
)
def test_hostile_text_costs_linear_time(hostile):
    started = time.process_time()
    with pytest.raises(MessageError):
        Challenge.parse("Digest " + hostile)
    assert time.process_time() - started < 1.0
