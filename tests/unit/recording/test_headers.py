from sidestream.base.secret import Secret
from sidestream.connectors.connector import ConnectorOptions, make_connector
from sidestream.recording.headers import invite_headers

URI = ("sip:srs@192.0.2.50",)
PARAMETERS = (("Role", "inbound"), ("x-Case", "7"), ("bad name", "x"), ("Long", "caf\xe9"), ("To", "x\r\nVia: y"))


def test_the_credential_header() -> None:
    connector = make_connector("Default", None, URI, ("X-Auth-Token", Secret("s3cret")))
    assert invite_headers(connector, PARAMETERS).fields == (("X-Auth-Token", "s3cret"),)


def test_parameters_as_headers() -> None:
    """I17: what could break the message stays out of it and is reported."""
    connector = make_connector("Default", None, URI, options=ConnectorOptions(parameters_as_headers=True))
    made = invite_headers(connector, PARAMETERS)
    assert made.fields == (("X-Role", "inbound"), ("x-Case", "7"))
    assert [code for code, _ in made.warnings] == [32111, 32112, 32112]
