import base64
import os
import random
import re
import uuid

from sidestream.base.ids import STOCK_OCTETS, Ids


def test_a_sid_is_its_prefix_and_32_hex_digits():
    assert re.fullmatch(r"CA[0-9a-f]{32}", Ids().sid("CA"))


def test_an_auth_token_is_alphanumeric():
    assert re.fullmatch(r"[A-Za-z0-9]{32}", Ids().auth_token())


def test_a_base64_id_is_a_version_4_uuid():
    for _ in range(50):
        text = Ids().uuid_base64()
        assert re.fullmatch(r"[A-Za-z0-9+/]{21}[AQgw]==", text)
        assert uuid.UUID(bytes=base64.b64decode(text)).version == 4


def test_a_seed_repeats_everything():
    def draw(ids):
        return ids.sid("SR"), ids.auth_token(), ids.uuid_base64(), ids.integer(1, 9), ids.fraction(0, 1), ids.octets(8)

    assert draw(Ids(random.Random(7))) == draw(Ids(random.Random(7)))
    assert draw(Ids(random.Random(7))) != draw(Ids(random.Random(8)))


def test_octets_have_the_length_asked_for():
    assert len(Ids().octets(30)) == 30


def test_no_octets_are_given_twice():
    ids = Ids()
    drawn = [ids.octets(16) for _ in range(3 * STOCK_OCTETS // 16)]
    assert len(set(drawn)) == len(drawn)


def test_more_than_the_stock_holds_can_be_had_at_once():
    assert len(Ids().octets(2 * STOCK_OCTETS)) == 2 * STOCK_OCTETS


def test_a_child_process_draws_other_octets_than_its_parent(monkeypatch):
    ids = Ids()
    ids.octets(1)
    fetched = []
    monkeypatch.setattr(os, "urandom", lambda count: fetched.append(count) or bytes(count))
    ids.octets(16)
    assert fetched == []
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert ids.octets(16) == bytes(16)
    assert fetched == [STOCK_OCTETS]


def test_ranges_include_their_ends():
    ids = Ids(random.Random(1))
    assert {ids.integer(1, 2) for _ in range(50)} == {1, 2}
    assert all(0.5 <= ids.fraction(0.5, 0.6) <= 0.6 for _ in range(50))
