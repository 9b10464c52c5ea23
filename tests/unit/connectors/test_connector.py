"""A connector that exists can be used."""

import pytest

from sidestream.base.secret import Secret
from sidestream.connectors.connector import TARGET_LIMIT, Connector, ConnectorOptions, make_connector
from sidestream.connectors.srs_uri import ConnectorError, parse_srs_uri
from sidestream.sdp.crypto import CryptoSuite

URI = "sip:srs@127.0.0.1:5070"


def refused(*args: object, **kwargs: object) -> int:
    with pytest.raises(ConnectorError) as caught:
        make_connector(*args, **kwargs)  # type: ignore[arg-type]
    return caught.value.code


def test_a_connector_with_all_its_parts() -> None:
    options = ConnectorOptions(parameters_as_headers=True, answer_timeout_s=4.0)
    connector = make_connector("srs 1", "AC1", (URI, "sip:b@b;transport=tcp"), ("X-Auth", Secret("hush")), options)
    assert connector == Connector(
        "srs 1",
        "AC1",
        (parse_srs_uri(URI), parse_srs_uri("sip:b@b;transport=tcp")),
        ("X-Auth", Secret("hush")),
        options,
    )
    assert "hush" not in repr(connector)


def test_options_default_to_what_the_rfcs_say() -> None:
    options = make_connector("a", None, (URI,)).options
    assert not options.parameters_as_headers
    assert not options.legacy_media_type
    assert options.final_metadata_in_bye


@pytest.mark.parametrize("uri", ["sip:a@b;transport=tls", "sips:a@b", "sip:a@b;secure=false;transport=tls"])
def test_signalling_by_tls_is_taken(uri: str) -> None:
    assert make_connector("a", None, (uri,)).targets[0].uses_tls


@pytest.mark.parametrize(
    "uri", ["sip:a@b;secure=true", "sips:a@b;secure=true", "sip:a@b;transport=tls;secure=true", "sip:a@b;secure=TRUE"]
)
def test_secure_servers_get_tls_and_the_suite_that_everybody_knows(uri: str) -> None:
    connector = make_connector("a", None, (uri,))
    assert connector.targets[0].uses_tls
    assert connector.options.srtp_suites == (CryptoSuite.AES_CM_128_HMAC_SHA1_80,)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_keys_never_go_in_the_clear_unless_that_is_allowed(transport: str) -> None:
    """M1, RFC 4568 §8."""
    uri = f"sip:a@b;secure=true;transport={transport}"
    with pytest.raises(ConnectorError, match="needs TLS") as caught:
        make_connector("a", None, (URI, uri))
    assert caught.value.code == 31942
    options = ConnectorOptions(keys_without_tls=True)
    assert make_connector("a", None, (uri,), options=options).targets[0].secure


@pytest.mark.parametrize("suites", [(), (CryptoSuite.AEAD_AES_128_GCM,) * 2])
def test_suites_are_offered_once_each(suites: tuple[CryptoSuite, ...]) -> None:
    with pytest.raises(ConnectorError) as caught:
        make_connector("a", None, (URI,), options=ConnectorOptions(srtp_suites=suites))
    assert caught.value.part == "srtp_suites"


@pytest.mark.parametrize("name", ["", " a", "a\n"])
def test_a_connector_has_a_name(name: str) -> None:
    assert refused(name, None, (URI,)) == 31942


def test_the_number_of_recording_servers_is_bounded() -> None:
    assert refused("a", None, ()) == 31942
    assert refused("a", None, (URI,) * (TARGET_LIMIT + 1)) == 31942
    assert len(make_connector("a", None, (URI,) * TARGET_LIMIT).targets) == TARGET_LIMIT


def test_a_bad_address_is_refused_with_its_own_code() -> None:
    assert refused("a", None, ("nonsense",)) == 32110


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("X Auth", "1", 32111),
        ("", "1", 32111),
        ("X-Auth:", "1", 32111),
        ("Via", "1", 32113),
        ("contact", "1", 32113),
        ("f", "1", 32113),
        ("X-Auth", "1\r\nVia: x", 32112),
        ("X-Auth", "é", 32112),
        ("X-Auth", "1" * 1016, 32112),
    ],
)
def test_headers_that_cannot_be_sent(name: str, value: str, code: int) -> None:
    assert refused("a", None, (URI,), (name, Secret(value))) == code


@pytest.mark.parametrize(
    ("name", "value"), [("X-Auth", "1" * 1015), ("Call-Info", "<https://x>;purpose=y"), ("X-A", "")]
)
def test_headers_that_can_be_sent(name: str, value: str) -> None:
    assert make_connector("a", None, (URI,), (name, Secret(value))).header == (name, Secret(value))


@pytest.mark.parametrize("seconds", [0.5, 61.0, float("nan")])
def test_the_answer_timeout_has_a_range(seconds: float) -> None:
    assert refused("a", None, (URI,), None, ConnectorOptions(answer_timeout_s=seconds)) == 31942


@pytest.mark.parametrize("batch_ms", [-1, 161])
def test_the_batch_has_a_range(batch_ms: int) -> None:
    assert refused("a", None, (URI,), None, ConnectorOptions(fork_batch_ms=batch_ms)) == 31942


@pytest.mark.parametrize("namespace", ["", "urn:a b"])
def test_the_namespace_is_a_uri(namespace: str) -> None:
    assert refused("a", None, (URI,), None, ConnectorOptions(extension_namespace=namespace)) == 31942
