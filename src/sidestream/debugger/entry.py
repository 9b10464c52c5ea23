"""One line of the catalogue."""

from dataclasses import dataclass

from sidestream.debugger.alert import Level


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One code: what it is called, what it means, and what whoever sees it can do."""

    code: int
    level: Level
    title: str
    meaning: str
    action: str


def error(code: int, title: str, meaning: str, action: str) -> CatalogEntry:
    return CatalogEntry(code, Level.ERROR, title, meaning, action)


def warning(code: int, title: str, meaning: str, action: str) -> CatalogEntry:
    return CatalogEntry(code, Level.WARNING, title, meaning, action)
