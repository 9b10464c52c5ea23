"""Sections, unknown keys and environment variables."""

import pytest

from sidestream.app.config_problem import ConfigProblem
from sidestream.app.config_reader import Problems, Tables, read_tables, variable_name
from sidestream.app.config_schema import SECTIONS


def read(source: str, **environ: str) -> tuple[Tables, list[ConfigProblem]]:
    problems = Problems()
    tables = read_tables(source, {f"SIDESTREAM_{name}": text for name, text in environ.items()}, problems)
    return tables, problems.found


@pytest.mark.parametrize(
    ("source", "line", "key", "message"),
    [
        ("[htttp]\n", 1, "htttp", "unknown key; did you mean http?"),
        ("zzz = 1\n", 1, "zzz", "unknown key"),
        ("[http]\n\nprt = 1\n", 3, "http.prt", "unknown key; did you mean port?"),
        ('[[accounts]]\nsid = "a"\nauth_token = "b"\nPassword = 1\n', 4, "accounts[0].Password", "unknown key"),
        ("[media]\nintrfaces = 1\n", 2, "media.intrfaces", "unknown key"),
        ("http = 1\n", 1, "http", "must be written as [http]"),
        ("[accounts]\n", 1, "accounts", "must be written as [[accounts]]"),
        ("accounts = [1]\n", 1, "accounts", "must be written as [[accounts]]"),
        ("[[http]]\n", 1, "http", "must be written as [http]"),
        ("[media.interfaces]\n", 1, "media.interfaces", "must be written as [[media.interfaces]]"),
        ("http = { port = 1, prt = 2 }\n", 1, "http.prt", "unknown key; did you mean port?"),
    ],
)
def test_what_stands_in_the_wrong_place(source: str, line: int, key: str, message: str) -> None:
    assert read(source)[1] == [ConfigProblem(line, key, message)]


def test_every_section_is_read_even_if_it_is_not_there() -> None:
    tables, problems = read("")
    assert problems == []
    assert set(tables) == set(SECTIONS)
    empty = {name for name, section in SECTIONS.items() if section.repeated and not section.without}
    assert {name for name, found in tables.items() if not found} == empty


def test_media_that_is_no_table_hides_no_second_problem() -> None:
    tables, problems = read("media = 1\n")
    assert [p.key for p in problems] == ["media"]
    assert [table.word("address") for table in tables["media.interfaces"]] == ["127.0.0.1"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("HTTP_PROT", "unknown key prot; did you mean port?"),
        ("ACCOUNTS_SID", "must be named SIDESTREAM_ACCOUNTS_<INDEX>_<KEY>"),
        ("ACCOUNTS_1_SID", "there are only 0 accounts before it"),
        ("MEDIA_INTERFACES_0_COLOR", "unknown key color"),
    ],
)
def test_variables_that_fit_nothing(name: str, message: str) -> None:
    assert read("", **{name: "x"})[1] == [ConfigProblem(None, f"SIDESTREAM_{name}", message)]


def test_variables_that_are_somebody_elses_are_left_alone() -> None:
    assert read("", PORT="tcp://10.0.0.1:80", SERVICE_HOST="10.0.0.1", CONFIG="x")[1] == []


def test_a_bad_value_of_a_variable_names_the_variable() -> None:
    source = "[limits]\ncalls = 5\n"
    _, problems = read(source, LIMITS_CALLS="many")
    assert problems == [ConfigProblem(None, "SIDESTREAM_LIMITS_CALLS", "must be a whole number")]


def test_a_variable_can_set_one_key_of_an_element() -> None:
    source = '[[accounts]]\nsid = "a"\nauth_token = "b"\n'
    tables, problems = read(source, ACCOUNTS_0_AUTH_TOKEN="c")
    assert problems == []
    assert [(t.word("sid"), t.word("auth_token")) for t in tables["accounts"]] == [("a", "c")]


def test_the_name_of_every_variable_leads_to_its_key() -> None:
    for section in SECTIONS.values():
        for key in section.keys:
            name = variable_name(section, key, 0 if section.repeated else None)
            tables, _ = read("", **{name.removeprefix("SIDESTREAM_"): "x"})
            assert key.name in tables[section.name][0].given, name
