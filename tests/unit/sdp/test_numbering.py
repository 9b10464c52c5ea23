import pytest

from sidestream.sdp.content import MediaContent
from sidestream.sdp.formats import EVENTS, PCMA, PCMU, Format
from sidestream.sdp.media import MediaDescription
from sidestream.sdp.numbering import (
    both_laws,
    numbered_as_known,
    numbered_as_offered,
    other_law,
    pairs,
    with_both_laws,
)
from sidestream.sdp.session import SessionDescription

OPUS = "a=rtpmap:{} opus/48000/2"
DTMF = "a=rtpmap:{} telephone-event/8000"


def content(*rows: str) -> MediaContent:
    return SessionDescription.parse("\r\n".join(("v=0", *rows)).encode()).media[0].content


def rows(made: MediaContent) -> list[str]:
    return [str(line) for line in MediaDescription.of(made, 4000).to_lines()]


def audio(formats: str, *attributes: str) -> MediaContent:
    return content(f"m=audio 4000 RTP/AVP {formats}", *attributes)


class TestAnswers:
    def test_one_with_the_same_numbers_stays_as_it_is(self) -> None:
        offered = audio("0 8 101", DTMF.format(101))
        answer = audio("8 101", DTMF.format(101), "a=fmtp:101 0-15", "a=X-mine:1")
        assert numbered_as_offered(answer, offered) is answer

    def test_each_codec_gets_the_number_that_it_was_offered_by(self) -> None:
        offered = audio("96 97 101", OPUS.format(96), "a=rtpmap:97 G726-32/8000", DTMF.format(101))
        answer = audio("111 96", "a=tool:x", OPUS.format(111), "a=fmtp:111 useinbandfec=1", DTMF.format(96))
        assert rows(numbered_as_offered(answer, offered)) == [
            "m=audio 4000 RTP/AVP 96 101",
            "a=tool:x",
            "a=rtpmap:96 opus/48000/2",
            "a=fmtp:96 useinbandfec=1",
            "a=rtpmap:101 telephone-event/8000",
        ]

    def test_of_two_of_a_codec_the_parameters_tell(self) -> None:
        modes = ("a=rtpmap:{} AMR/8000", "a=fmtp:{} octet-align=1")
        offered = audio("96 97", modes[0].format(96), *(mode.format(97) for mode in modes))
        assert numbered_as_offered(audio("100", *(m.format(100) for m in modes)), offered).formats == ("97",)
        plain = audio("100 99", modes[0].format(100), modes[0].format(99))
        assert numbered_as_offered(plain, offered).formats == ("96", "97")

    def test_a_law_that_was_not_offered_becomes_the_other(self) -> None:
        answer = audio("8 101", "a=rtpmap:8 PCMA/8000", DTMF.format(101), "a=ptime:20")
        made = numbered_as_offered(answer, audio("0 101", DTMF.format(101)))
        assert rows(made) == ["m=audio 4000 RTP/AVP 0 101", DTMF.format(101), "a=ptime:20"]
        dynamic = numbered_as_offered(answer, audio("96 101", "a=rtpmap:96 PCMU/8000", DTMF.format(101)))
        assert rows(dynamic)[:2] == ["m=audio 4000 RTP/AVP 96 101", "a=rtpmap:96 PCMU/8000"]

    def test_both_laws_are_one_where_one_was_offered(self) -> None:
        assert numbered_as_offered(audio("8 0"), audio("0")).formats == ("0",)

    def test_what_was_not_offered_goes_unless_nothing_is_left(self) -> None:
        answer = audio("0 18 99", "a=rtpmap:18 G729/8000", "a=fmtp:18 annexb=no", "a=rtpmap:nonsense")
        assert rows(numbered_as_offered(answer, audio("0"))) == ["m=audio 4000 RTP/AVP 0 99", "a=rtpmap:nonsense"]
        assert numbered_as_offered(answer, audio("9")) is answer

    def test_a_static_number_becomes_a_dynamic_one(self) -> None:
        made = numbered_as_offered(audio("0"), audio("96", "a=rtpmap:96 PCMU/8000"))
        assert rows(made) == ["m=audio 4000 RTP/AVP 96", "a=rtpmap:96 PCMU/8000"]


class TestOffers:
    def test_without_history_nothing_changes(self) -> None:
        offer = audio("96 0", OPUS.format(96))
        assert numbered_as_known(offer, ()) is offer

    def test_codecs_keep_their_numbers_and_new_ones_get_free_ones(self) -> None:
        known = (Format(96, "TELEPHONE-EVENT", 8000, fmtp="0-16"), Format(97, "OPUS", 48000, 2), PCMU)
        offer = audio("0 96 101", OPUS.format(96), DTMF.format(101), "a=fmtp:101 0-11")
        assert rows(numbered_as_known(offer, known)) == [
            "m=audio 4000 RTP/AVP 0 97 96",
            OPUS.format(97),
            DTMF.format(96),
            "a=fmtp:96 0-11",
        ]
        speex = audio("97 0", "a=rtpmap:97 SPEEX/8000")
        assert rows(numbered_as_known(speex, known)) == ["m=audio 4000 RTP/AVP 98 0", "a=rtpmap:98 SPEEX/8000"]

    def test_a_codec_without_a_free_number_is_left_out(self) -> None:
        known = tuple(Format(number, f"X{number}", 8000) for number in range(96, 128))
        assert numbered_as_known(audio("0 96", OPUS.format(96)), known).formats == ("0",)


class TestLaws:
    @pytest.mark.parametrize(
        ("offered", "made"),
        [
            ("0 101", "0 8 101"),
            ("8 18 101", "8 18 0 101"),
            ("0 8 101", "0 8 101"),
            ("18 101", "18 101"),
            ("08 101", "08 101"),
        ],
    )
    def test_an_offer_has_both_or_none(self, offered: str, made: str) -> None:
        assert with_both_laws(audio(offered, DTMF.format(101))).formats == tuple(made.split())

    def test_a_number_with_another_meaning_is_left_alone(self) -> None:
        odd = audio("0 8", "a=rtpmap:8 X-LAW/8000")
        assert with_both_laws(odd) is odd
        formats = (PCMU, Format(8, "X-LAW", 8000))
        assert both_laws(formats) == formats

    def test_a_list_has_both_before_its_events(self) -> None:
        assert both_laws((PCMA, EVENTS)) == (PCMA, PCMU, EVENTS)
        assert both_laws((PCMU, PCMA, EVENTS)) == (PCMU, PCMA, EVENTS)
        assert both_laws((EVENTS,)) == (EVENTS,)

    def test_only_g711_has_another(self) -> None:
        assert (other_law(PCMU), other_law(PCMA), other_law(EVENTS)) == (PCMA, PCMU, None)


def test_pairs_are_in_the_order_of_theirs() -> None:
    theirs = (Format(97, "TELEPHONE-EVENT", 8000), PCMA, Format(99, "OPUS", 48000, 2))
    assert pairs(theirs, (PCMU, PCMA, EVENTS)) == ((EVENTS, theirs[0]), (PCMA, PCMA))
