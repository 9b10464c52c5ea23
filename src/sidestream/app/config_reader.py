"""The TOML file and the environment as tables of checked values, and all that is wrong with them."""

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sidestream.app.config_lines import KeyPath, find_lines, line_of
from sidestream.app.config_problem import ConfigProblem
from sidestream.app.config_schema import ENVIRONMENT_PREFIX, SECTIONS, Key, Kind, Section
from sidestream.app.config_value import BadValue, Value, from_environment, read_value
from sidestream.base.secret import Secret

_SYNTAX_LINE = re.compile(r"at line (\d+)")
_INDEXED = re.compile(r"(\d{1,3})_(\w+)")


@dataclass(slots=True)
class Problems:
    """Collects problems under the key path that they concern."""

    lines: dict[KeyPath, int] = field(default_factory=dict)
    variables: dict[KeyPath, str] = field(default_factory=dict)  # by path: the environment variable that set it
    found: list[ConfigProblem] = field(default_factory=list)

    def add(self, path: KeyPath, message: str) -> None:
        variable = self.variables.get(path)
        if variable is not None:
            self.found.append(ConfigProblem(None, variable, message))
        else:
            self.found.append(ConfigProblem(line_of(self.lines, path), key_text(path), message))


@dataclass(frozen=True, slots=True)
class Table:
    """One section as read: every key of its schema has a value, which is the default where the given one is wrong."""

    path: KeyPath
    values: Mapping[str, Value]
    given: frozenset[str]  # the keys that were written, rightly or wrongly

    def text(self, name: str) -> str | None:
        value = self.values[name]
        return value if isinstance(value, str) and value else None

    def word(self, name: str) -> str:
        """The text of a key that has a default or is required; empty if it is missing."""
        return self.text(name) or ""

    def secret(self, name: str) -> Secret | None:
        text = self.text(name)
        return None if text is None else Secret(text)

    def integer(self, name: str) -> int:
        value = self.values[name]
        assert isinstance(value, int)
        return value

    def number(self, name: str) -> float:
        value = self.values[name]
        assert isinstance(value, int | float)
        return float(value)

    def flag(self, name: str) -> bool:
        return self.values[name] is True

    def texts(self, name: str) -> tuple[str, ...]:
        value = self.values[name]
        return value if isinstance(value, tuple) else ()

    def file(self, name: str) -> Path | None:
        value = self.values[name]
        return value if isinstance(value, Path) else None


Tables = dict[str, list[Table]]  # by section name; exactly one where the section is not repeated


def read_tables(source: str, environ: Mapping[str, str], problems: Problems) -> Tables:
    """Every section of `SECTIONS`, from the file's text with the environment's values in place of the file's."""
    try:
        data = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        found = _SYNTAX_LINE.search(str(error))
        problems.found.append(ConfigProblem(int(found[1]) if found else None, "", f"Not valid TOML: {error}"))
        return {}
    problems.lines = find_lines(source)
    raw = {section.name: _raw_tables(data, section, problems) for section in SECTIONS.values()}
    for section in SECTIONS.values():
        if not raw[section.name]:
            raw[section.name] = [dict(table) for table in section.without]
    _check_top(data, problems)
    for name, text in sorted(environ.items()):
        if name.startswith(ENVIRONMENT_PREFIX):
            _override(name, text, raw, problems)
    return {
        name: [_read_table(_path(section, index), table, section, problems) for index, table in enumerate(raw[name])]
        for name, section in SECTIONS.items()
    }


def key_text(path: KeyPath) -> str:
    """`numbers[0].voice_url`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def hint(name: str, candidates: Iterable[str]) -> str:
    """Which name may have been meant."""
    close = difflib.get_close_matches(name.lower(), list(candidates), n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def variable_name(section: Section, key: Key, index: int | str | None = None) -> str:
    """The environment variable that overrides the key: SIDESTREAM_HTTP_PORT, SIDESTREAM_ACCOUNTS_0_AUTH_TOKEN."""
    parts = [*section.name.split("."), *([] if index is None else [str(index)]), key.name]
    return ENVIRONMENT_PREFIX + "_".join(part.upper() for part in parts if part)


def _path(section: Section, index: int) -> KeyPath:
    names = tuple(filter(None, section.name.split(".")))
    return (*names, index) if section.repeated else names


def _raw_tables(data: Mapping[str, object], section: Section, problems: Problems) -> list[dict[str, object]]:
    """The section's tables as TOML gave them; a section of the wrong shape is a problem and reads as missing."""
    found: object = data
    names = tuple(filter(None, section.name.split(".")))
    for name in names:
        found = found.get(name) if isinstance(found, Mapping) else None
    if found is None:
        return [] if section.repeated else [{}]
    if section.repeated and isinstance(found, list) and all(isinstance(item, dict) for item in found):
        return [dict(item) for item in found]
    if not section.repeated and isinstance(found, Mapping):
        return [dict(found)]
    brackets = f"[[{section.name}]]" if section.repeated else f"[{section.name}]"
    problems.add(names, f"must be written as {brackets}")
    return [] if section.repeated else [{}]


def _check_top(data: Mapping[str, object], problems: Problems) -> None:
    known = {name.partition(".")[0] for name in SECTIONS} | {key.name for key in SECTIONS[""].keys}
    for name in data:
        if name not in known:
            problems.add((name,), f"unknown key{hint(name, known)}")


def _read_table(path: KeyPath, raw: Mapping[str, object], section: Section, problems: Problems) -> Table:
    known = {key.name: key for key in section.keys}
    inner = {name.rpartition(".")[2] for name in SECTIONS if name.rpartition(".")[0] == section.name and name}
    values: dict[str, Value] = {}
    for key in section.keys:
        default = key.default
        values[key.name] = Path(default) if key.kind is Kind.PATH and isinstance(default, str) else default
        if key.name in raw:
            try:
                values[key.name] = read_value(key, raw[key.name])
            except BadValue as bad:
                problems.add((*path, key.name), str(bad))
        elif key.required:
            problems.add((*path, key.name), "is missing")
    for name in raw:
        if name not in known and name not in inner and section.name:
            problems.add((*path, name), f"unknown key{hint(name, known)}")
    return Table(path, values, frozenset(raw))


def _override(name: str, text: str, raw: dict[str, list[dict[str, object]]], problems: Problems) -> None:
    """Put an environment variable's value into its table. Names that begin like no section are somebody else's."""
    rest = name.removeprefix(ENVIRONMENT_PREFIX).lower()
    # The longest prefix wins, and the top of the file, which has none, takes the rest.
    section = max((s for s in SECTIONS.values() if rest.startswith(_prefix(s))), key=lambda s: len(s.name))
    keys = {key.name: key for key in section.keys}
    key_name, index = rest.removeprefix(_prefix(section)), 0
    if section.repeated:
        indexed = _INDEXED.fullmatch(key_name)
        if indexed is None:
            message = f"must be named {ENVIRONMENT_PREFIX}{_prefix(section).upper()}<INDEX>_<KEY>"
            problems.found.append(ConfigProblem(None, name, message))
            return
        key_name, index = indexed[2], int(indexed[1])
    tables = raw[section.name]
    if key_name not in keys:
        if section.name:
            problems.found.append(ConfigProblem(None, name, f"unknown key {key_name}{hint(key_name, keys)}"))
    elif index > len(tables):
        problems.found.append(ConfigProblem(None, name, f"there are only {len(tables)} {section.name} before it"))
    else:
        if index == len(tables):
            tables.append({})
        tables[index][key_name] = from_environment(keys[key_name], text)
        problems.variables[(*_path(section, index), key_name)] = name


def _prefix(section: Section) -> str:
    """What the names of the section's variables begin with, in lower case, after SIDESTREAM_."""
    return section.name.replace(".", "_") + "_" if section.name else ""
