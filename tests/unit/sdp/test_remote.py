import pytest

from sidestream.sdp.error import SdpError
from sidestream.sdp.remote import RemoteAddress, remote_address
from sidestream.sdp.session import SessionDescription


def parse(*rows: str) -> SessionDescription:
    return SessionDescription.parse("\r\n".join(("v=0", *rows)).encode())


@pytest.mark.parametrize(
    ("rtcp", "expected"),
    [
        (None, ("192.0.2.1", 4001)),
        ("53020", ("192.0.2.1", 53020)),
        ("53020 IN IP4 192.0.2.9", ("192.0.2.9", 53020)),
        ("53020 IN IP4 0.0.0.0", ("192.0.2.1", 53020)),
        ("53020 IN IP4 224.0.0.1", ("192.0.2.1", 53020)),
        ("53020 IN IP4 rtcp.example.com", ("192.0.2.1", 53020)),
        ("53020 IN IP6 2001:db8::9", ("192.0.2.1", 53020)),
        ("0", ("192.0.2.1", 4001)),
        ("99999", ("192.0.2.1", 4001)),
        ("1234567890", ("192.0.2.1", 4001)),
        ("x", ("192.0.2.1", 4001)),
    ],
)
def test_where_rtcp_goes(rtcp: str | None, expected: tuple[str, int]) -> None:
    rows = ["c=IN IP4 192.0.2.1", "m=audio 4000 RTP/AVP 0"]
    if rtcp is not None:
        rows.append(f"a=rtcp:{rtcp}")
    assert remote_address(parse(*rows), 0) == RemoteAddress("192.0.2.1", 4000, *expected)


def test_the_highest_port_has_no_port_above_it() -> None:
    found = remote_address(parse("m=audio 65535 RTP/AVP 0", "c=IN IP4 192.0.2.1"), 0)
    assert found == RemoteAddress("192.0.2.1", 65535, "192.0.2.1", 65535)


def test_a_refused_line_and_a_hold_address_want_no_media() -> None:
    description = parse("c=IN IP4 192.0.2.1", "m=audio 0 RTP/AVP 0", "m=audio 4000 RTP/AVP 0", "c=IN IP4 0.0.0.0")
    assert remote_address(description, 0) is None
    assert remote_address(description, 1) is None


def test_an_address_is_needed_and_has_a_family() -> None:
    with pytest.raises(
        SdpError, match=r"m-line 1 wants media at phone\.example\.com, which is no IP address"
    ) as caught:
        remote_address(parse("c=IN IP4 phone.example.com", "m=audio 4000 RTP/AVP 0"), 0)
    assert caught.value.status == 488
    for line, family in (("c=IN IP4 192.0.2.1", 4), ("c=IN IP6 2001:db8::1", 6)):
        found = remote_address(parse(line, "m=audio 4000 RTP/AVP 0"), 0)
        assert found is not None
        assert found.family == family


def test_a_line_without_connection_is_an_error() -> None:
    with pytest.raises(SdpError, match="no c= line covers m-line 1") as caught:
        remote_address(parse("m=audio 4000 RTP/AVP 0"), 0)
    assert caught.value.status == 488


@pytest.mark.parametrize("address", ["IP4 224.2.1.1/127", "IP4 255.255.255.255", "IP6 ff02::1"])
def test_nobody_has_media_sent_to_a_group(address: str) -> None:
    with pytest.raises(SdpError, match="which is no host") as caught:
        remote_address(parse(f"c=IN {address}", "m=audio 4000 RTP/AVP 0"), 0)
    assert caught.value.status == 488
