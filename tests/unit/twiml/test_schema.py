"""The table is sound in itself, and the builder knows every verb in it."""

from sidestream.twiml.builder import BUILDERS
from sidestream.twiml.schema import ROOT, SCHEMA, Kind
from sidestream.twiml.value import read_value


def test_every_child_is_an_element_of_the_table() -> None:
    for element in SCHEMA.values():
        assert set(element.children) <= set(SCHEMA), element.name
        assert not set(element.children) & set(element.unsupported_children), element.name


def test_every_element_can_be_reached_from_the_root() -> None:
    reached, waiting = set(), [ROOT]
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting.extend(set(SCHEMA[name].children) - reached)
    assert reached == set(SCHEMA)


def test_every_verb_has_its_builder() -> None:
    assert set(SCHEMA[ROOT].children) == set(BUILDERS)


def test_attributes_are_named_once_and_their_defaults_fit() -> None:
    for element in SCHEMA.values():
        names = [a.name for a in element.attributes]
        assert len(names) == len(set(names)), element.name
        assert not set(names) & set(element.unsupported_attributes), element.name
        for attribute in element.attributes:
            if attribute.kind in (Kind.METHOD, Kind.INTEGER, Kind.BOOLEAN, Kind.CHOICE):
                assert read_value(attribute, str(attribute.default)) == attribute.default
