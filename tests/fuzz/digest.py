"""Any value of the fields of digest authentication, as client and as server: no password is ever guessed."""

from contextlib import suppress

from fuzzing import fuzz, instrumented

with instrumented():
    from sidestream.sip.digest import Authenticator, Authorization, Challenge, DigestClient, DigestCredentials, Verdict
    from sidestream.sip.errors import MessageError
    from sidestream.sip.headers import Headers
    from sidestream.sip.message import Response


def take(data: bytes) -> None:
    value = data.decode("utf-8", "surrogateescape").replace("\r", "").replace("\n", "")
    for kind in (Challenge, Authorization):
        with suppress(MessageError):
            parsed = kind.parse(value)
            assert parsed is None or kind.parse(str(parsed)) == parsed
    client = DigestClient(DigestCredentials("alice", "secret"))
    if client.receive_response(Response(401, "", Headers([("WWW-Authenticate", value)]))):
        assert client.authorize("INVITE", "sip:h", "c0ffee")
    server = Authenticator("h", b"seal", integrity=True)
    nonce = server.challenges(0.0)[0].nonce
    verdict, _ = server.verify([value.replace("NONCE", nonce)], "INVITE", {"alice": "secret"}.get, 1.0, b"body")
    assert verdict in (Verdict.MISSING, Verdict.WRONG)


if __name__ == "__main__":
    fuzz(take)
