"""Refer-To and Replaces."""

import pytest

from sidestream.sip.errors import MessageError
from sidestream.sip.message import Request, parse_message
from sidestream.sip.refer import ReferTo, Replaces, refer_to, replaced, sipfrag
from sidestream.sip.uri import Uri

HEAD = "Via: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: x\r\nCSeq: 1 {}\r\n"
DIALOG = Replaces("12@x", "to", "from")


def request(*fields: str, method: str = "REFER") -> Request:
    lines = "".join(f"{field}\r\n" for field in fields)
    message = parse_message(f"{method} sip:c@d SIP/2.0\r\n{HEAD.format(method)}{lines}\r\n".encode())
    assert isinstance(message, Request)
    return message


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("<sip:carol@x>", ReferTo(Uri.parse("sip:carol@x"))),
        ("sip:carol@x", ReferTo(Uri.parse("sip:carol@x"))),
        ("tel:+15550100", ReferTo(Uri.parse("tel:+15550100"))),
        ("<sip:carol@x;method=INVITE;transport=tcp>", ReferTo(Uri.parse("sip:carol@x;transport=tcp"))),
        ("<sip:carol@x?Replaces=12%40x%3Bto-tag%3Dto%3Bfrom-tag%3Dfrom>", ReferTo(Uri.parse("sip:carol@x"), DIALOG)),
        ("<sip:carol@x?X-Y=z>", ReferTo(Uri.parse("sip:carol@x"))),
    ],
)
def test_whom_a_refer_means(value: str, found: ReferTo) -> None:
    assert refer_to(request(f"Refer-To: {value}")) == found


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ((), 400),
        (("Refer-To: <sip:a@b>", "Refer-To: <sip:c@d>"), 400),
        (("Refer-To: <",), 400),
        (("Refer-To: <sip:a@b?Replaces=12>",), 400),
        (("Refer-To: <sip:a@b;method=BYE>",), 603),
        (("Refer-To: <http://example.org>",), 603),
    ],
)
def test_what_no_refer_may_mean(fields: tuple[str, ...], status: int) -> None:
    with pytest.raises(MessageError) as refused:
        refer_to(request(*fields))
    assert refused.value.status == status


@pytest.mark.parametrize("dialog", [DIALOG, Replaces("1", "2", "3", early_only=True)])
def test_a_dialog_there_and_back(dialog: Replaces) -> None:
    assert Replaces.parse(str(dialog)) == dialog
    assert replaced(request(f"Replaces: {dialog}", method="INVITE")) == dialog


@pytest.mark.parametrize("text", ["", ";to-tag=a;from-tag=b", "1;to-tag=a", "1;from-tag=b", "1;;", "1"])
def test_no_dialog(text: str) -> None:
    with pytest.raises(MessageError, match="400"):
        Replaces.parse(text)


def test_an_invite_replaces_one_dialog_or_none() -> None:
    assert replaced(request(method="INVITE")) is None
    with pytest.raises(MessageError, match="400"):
        replaced(request(f"Replaces: {DIALOG}", f"Replaces: {DIALOG}", method="INVITE"))


def test_a_fragment() -> None:
    assert sipfrag(180) == b"SIP/2.0 180 Ringing\r\n"
