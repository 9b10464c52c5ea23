"""On which line of a TOML file a key stands: `tomllib` does not tell."""

import re
from collections import Counter

KeyPath = tuple[str | int, ...]

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]#]+?)\s*\]\]?\s*(?:#.*)?")
_KEY = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")
_PART = re.compile(r"""[\w-]+|"[^"]*"|'[^']*'""")
_DELIMITER = re.compile(r'"""|' + "'''")


def find_lines(source: str) -> dict[KeyPath, int]:
    """The line (from 1) of every table and key of valid TOML; elements of `[[tables]]` are counted from 0.

    Keys inside inline tables are not found; whoever asks takes the line of what surrounds them.
    """
    lines: dict[KeyPath, int] = {}
    counts: Counter[KeyPath] = Counter()
    table: KeyPath = ()
    inside: str | None = None  # the delimiter of the multi-line string that the line is inside of
    for number, line in enumerate(source.splitlines(), 1):
        if inside is None and line.lstrip().startswith("#"):
            continue
        if inside is None:
            header = _HEADER.fullmatch(line)
            key = _KEY.match(line)
            if header is not None:
                table = _path(header[2])
                lines.setdefault(table, number)
                if header[1] == "[[":
                    counts[table] += 1
                    table = (*table, counts[table] - 1)
                lines.setdefault(table, number)
            elif key is not None:
                lines.setdefault((*table, *_path(key[1])), number)
        for delimiter in _DELIMITER.findall(line):
            if inside in (None, delimiter):
                inside = delimiter if inside is None else None
    return lines


def line_of(lines: dict[KeyPath, int], path: KeyPath) -> int | None:
    """The line of the path, else of the innermost table around it."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path)


def _path(text: str) -> KeyPath:
    return tuple(part.strip("\"'") for part in _PART.findall(text))
