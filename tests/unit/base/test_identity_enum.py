from sidestream.base.identity_enum import IdentityEnum


class Fruit(IdentityEnum):
    APPLE = "apple"
    PEAR = "pear"


def test_members_are_keys_like_those_of_any_enum():
    table = {(Fruit.APPLE, 1): "a", (Fruit.PEAR, 1): "p"}
    assert table[Fruit("apple"), 1] == "a"
    assert table[Fruit["PEAR"], 1] == "p"
