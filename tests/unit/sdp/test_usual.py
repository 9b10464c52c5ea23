"""The short way of reading and the one by lines, which is the reference, side by side."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream.sdp import offer, relay, usual
from sidestream.sdp.direction import Direction
from sidestream.sdp.error import SdpError
from sidestream.sdp.formats import PCMU
from sidestream.sdp.lines import Origin
from sidestream.sdp.session import LINE_LIMIT, MEDIA_LIMIT, SessionDescription
from sidestream.testing.sdp_reading import Reading, readings

SEEDS = {path.stem: path for path in sorted((Path(__file__).parents[2] / "fuzz" / "seeds" / "sdp").glob("*.sdp"))}
HEAD = "v=0\r\no=- 3981438904 1 IN IP4 192.0.2.20\r\ns=-\r\nc=IN IP4 192.0.2.20\r\nt=0 0\r\n"
PHONE = (
    "m=audio {} RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
    "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n"
)
KEY = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n"
SECURE = "m=audio 4000 RTP/SAVP 0\r\n"
SECURE_TEXT = HEAD + SECURE + KEY
ORIGIN = Origin("-", 1, 1, "192.0.2.1")


def agree(data: bytes) -> Reading:
    ours, reference = readings(data)
    # One by one, so that a difference is named.
    assert ours.keys() == reference.keys()
    for name in reference:
        assert ours[name] == reference[name], name
    return ours


def seed(name: str) -> bytes:
    return SEEDS[name].read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


@pytest.mark.parametrize("name", SEEDS)
def test_the_usual_is_read_in_the_short_way_and_alike(name: str) -> None:
    assert usual.parts(seed(name).decode()) is not None
    for _ in range(2):  # the second time it is remembered
        assert "refused" not in agree(seed(name))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v=0\r\n",
        HEAD[:-2],
        HEAD.replace("\r\n", "\n"),
        HEAD.replace("v=0", "v=0 "),
        HEAD.replace("v=0", "v=1"),
        HEAD.replace("o=- 3981438904", "o=- x"),
        HEAD.replace("o=- ", "o=-\t"),
        HEAD.replace("o=", "i=me\r\no="),
        HEAD + "o=- 1 1 IN IP4 x\r\n",
        HEAD + "nonsense\r\n",
        HEAD + "1=x\r\n",
        HEAD + "\r\n",
        HEAD + " \r\n",
        HEAD + "a=x\ry\r\n",
        HEAD + "c=IN\r\n",
        HEAD + "m=audio\r\n",
        HEAD + "m=audio 9\r\n",
        HEAD + "m=audio 9 RTP/AVP\r\n",
        HEAD + "m=audio 9/2 RTP/AVP 0\r\n",
        HEAD + "m=audio 65536 RTP/AVP 0\r\n",
        HEAD + "m=audio ٣ RTP/AVP 0\r\n",
        HEAD + "m=audio  9 RTP/AVP 0\r\n",
        HEAD + "m=audio 9 RTP/AVP  0\r\n",
        HEAD + "m=a\t5 9 RTP/AVP 0\r\n",
        HEAD + "m=a\u20035 9 RTP/AVP 0\r\n",
        HEAD + "m=audio 9 RTP/AVP 0\r\nc=IN\r\n",
        HEAD + "m=audio 9 RTP/AVP 0\r\nc=IN IP4 x\r\nc=IN\r\n",
        HEAD + "m=audio 9 RTP/AVP 0\r\no=- 1 1 IN IP4 x\r\n",
        HEAD + "m=audio 9 RTP/AVP 0\r\n\r\n\r\n",
        HEAD + "m=audio 9 RTP/AVP 0\nm=audio 10 RTP/AVP 0\r\n",
    ],
)
def test_what_is_unusual_or_wrong_is_read_line_by_line(text: str) -> None:
    assert usual.parts(text) is None
    agree(text.encode())


def test_limits_hold_in_both_ways() -> None:
    assert "refused" not in agree((HEAD + "m=audio 1 RTP/AVP 0\r\n" * MEDIA_LIMIT).encode())
    assert "m= lines" in str(agree((HEAD + "m=audio 1 RTP/AVP 0\r\n" * (MEDIA_LIMIT + 1)).encode())["refused"])
    most = HEAD + "a=x\r\n" * (LINE_LIMIT - HEAD.count("\n") - 1)
    assert "refused" not in agree(most.encode())
    assert "lines exceed" in str(agree((most + "a=x\r\n").encode())["refused"])


def parse(*texts: str) -> SessionDescription:
    return SessionDescription.parse("".join(texts).encode())


def test_calls_of_one_phone_share_what_they_say() -> None:
    first, second = parse(HEAD, PHONE.format(4000)), parse(HEAD.replace(" 1 IN", " 2 IN"), PHONE.format(4002))
    assert first.media[0].content is second.media[0].content
    assert [one.media[0].port for one in (first, second)] == [4000, 4002]
    assert first != second


PASSING = [
    KEY,
    "k=clear:secret\r\n",
    "e=ada@example.org\r\n",
    "p=+1 415 555 0142\r\n",
    "a=key-mgmt:mikey AQAFgM0X\r\n",
    "a=X-Password:secret\r\n",
    "a=ice-pwd:asd88fgpdd777uzjYhagZg\r\n",
    "a=candidate:1 1 UDP 1 192.0.2.6 4000 typ host\r\n",
    "a=remote-candidates:1 192.0.2.6 4000\r\n",
    "a=rtcp:4001\r\n",
    "a=ssrc:314159 cname:x\r\n",
    "a=X-long:" + "x" * usual.REMEMBERED_LENGTH + "\r\n",
]


@pytest.mark.parametrize("line", PASSING)
def test_what_is_of_one_call_alone_is_not_remembered(line: str) -> None:
    # Nothing of a text that holds a key may outlive its call, in whatever was made of it.
    memories = (usual._lasting_lines, usual._lasting_content, relay._offering, relay._answering, offer._content)
    parse(HEAD, PHONE.format(4000))
    kept = [memory.cache_info().currsize for memory in memories]
    for text in (HEAD + SECURE + KEY + line, HEAD + "m=audio 4000 RTP/AVP 0\r\n" + line, HEAD + line + SECURE + KEY):
        description = parse(text)
        assert not description.media[0].content.is_lasting
        made = relay.relayed(description, "192.0.2.1", {0: 6000}, ORIGIN)
        relay.relayed(
            made, "192.0.2.1", {0: 6000}, ORIGIN, offered=description, cryptos={0: description.media[0].cryptos}
        )
        offer.media_of(
            offer.AudioLine(
                6000, (PCMU,), Direction.SENDRECV, protocol="RTP/SAVP", cryptos=parse(SECURE_TEXT).media[0].cryptos
            )
        )
    assert [memory.cache_info().currsize for memory in memories] == kept


def test_an_offer_with_our_keys_is_not_remembered() -> None:
    kept = relay._offering.cache_info()
    plain = parse(HEAD, PHONE.format(4000))
    made = relay.relayed(plain, "192.0.2.1", {0: 6000}, ORIGIN, cryptos={0: parse(SECURE_TEXT).media[0].cryptos})
    assert made.media[0].is_secure
    assert relay._offering.cache_info() == kept


_LINES = st.sampled_from(
    [
        *(
            "v=0",
            "o=- 1 1 IN IP4 192.0.2.9",
            "o=- 1 1",
            "o=",
            "s=-",
            "s=",
            "t=0 0",
            "i=é",
            "k=clear:x",
            "b=AS:64",
            "z=x",
        ),
        *("c=IN IP4 192.0.2.9", "c=IN IP4 0.0.0.0", "c=IN IP4 224.2.1.1/127", "c=in IP6 ::1", "c=IN", "c="),
        *(
            "m=audio 4000 RTP/AVP 0 8 101",
            "m=audio 4002 RTP/AVP 18 96",
            "m=audio 4004 RTP/SAVP 0",
            "m=video 1 RTP/AVP 99",
        ),
        *("m=audio 0 RTP/AVP 0", "m=audio 9/2 RTP/AVP 0", "m=audio 65536 RTP/AVP 0", "m=audio  9 RTP/AVP 0", "m=audio"),
        *("m=image 9 udptl t38", "m=a\t5 9 RTP/AVP 0", "m=audio 9 RTP/AVPF 72 0", "m= 9 RTP/AVP 0", "m="),
        *("a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-16", "a=rtpmap:96 opus/48000/2", "a=rtpmap:8 X/8000"),
        *("a=sendonly", "a=inactive ", "a=recvonly:", "a=rtcp-mux", "a=rtcp:53020", "a=rtcp:1 IN IP4 192.0.2.7"),
        *(KEY.strip(), "a=label: 1 ", "a=label:2", "a=ssrc:1 cname:x", "a=ptime:20", "a=", "a=:", "a=X-odd : spaced"),
        *("", " ", "nonsense", "=", "A=b", "é=1", "1=2", "a =x", "\ta=x", "a=\x85", "a=\u2028x", "a=\0"),
    ]
)
_ENDS = st.sampled_from(["\r\n"] * 12 + ["\n", "\r\r\n", "\r"])


@st.composite
def composed(draw: st.DrawFn) -> bytes:
    lines = draw(st.lists(st.tuples(_LINES, _ENDS), max_size=12))
    text = draw(st.sampled_from([HEAD, HEAD, HEAD + PHONE.format(4000), ""])) + "".join(map("".join, lines))
    return (text if draw(st.integers(0, 9)) else text[:-1]).encode()


@st.composite
def mutilated(draw: st.DrawFn) -> bytes:
    data = draw(st.sampled_from([(HEAD + PHONE.format(4000)).encode(), *map(seed, SEEDS)]))
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(data)))
        length = draw(st.sampled_from([0, 0, 1, 2, 5, 20]))
        word = draw(
            st.sampled_from([b" ", b"\t", b"\r\n", b"\n", b"\r", b"=", b"m=", b"o=", b"\xff"]) | st.binary(max_size=3)
        )
        data = data[:start] + word + data[start + length :]
    return data


@given(composed())
def test_any_lines_are_read_alike(data: bytes) -> None:
    agree(data)


@given(mutilated())
def test_a_mutilated_description_is_read_alike(data: bytes) -> None:
    agree(data)


@given(composed(), composed())
def test_an_answer_is_relayed_alike(offered: bytes, answering: bytes) -> None:
    try:
        ours = [SessionDescription.parse(data) for data in (offered, answering)]
    except SdpError:
        return
    reference = [SessionDescription.parse_by_line(data.decode()) for data in (offered, answering)]
    assert ours == reference
    made = []
    for one, other in (ours, reference):
        ports = {index: 6000 + index for index in other.usable_lines}
        made.append(relay.relayed(other, "192.0.2.1", ports, ORIGIN, offered=one, muxed=[0]))
    assert made[0] == made[1]
    assert made[0].to_bytes() == made[1].to_bytes()
