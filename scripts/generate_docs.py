"""Write the documentation pages that are made from the code's own tables.

`generate_docs.py` writes them below docs/topics; `generate_docs.py --check` says which are stale and fails.
"""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from sidestream.app.config_reader import variable_name
from sidestream.app.config_schema import SECTIONS, Key, Section
from sidestream.app.config_schema import Kind as ConfigKind
from sidestream.debugger.catalog import FAMILIES
from sidestream.twiml.schema import SCHEMA, Attribute, Element, Kind, TextRule

TOPICS = Path(__file__).parent.parent / "docs" / "topics"
NOTICE = "<!-- Made from the code by `make docs`; edit {source} instead. -->\n"

CONFIGURATION_INTRO = """\
# Configuration

`sidestream serve` needs no configuration: it listens on this machine only, makes an account and shows its token once,
records every call with the bundled recording server, and keeps everything under `sidestream-data`.

`sidestream serve --config FILE` reads a TOML file; `sidestream.example.toml` is one with everything in it.
`sidestream check-config FILE` prints each problem as `file:line: key: message` and ends with status 1 if there is any.
An unknown key is a problem, so that a misspelt one does not pass unnoticed.

Every value can be overridden by the environment: `SIDESTREAM_<SECTION>_<KEY>`, and for sections written in double
brackets `SIDESTREAM_<SECTION>_<INDEX>_<KEY>`, counted from 0; the index behind the last one adds one more. Lists are
written with commas. This is the way to keep tokens and passwords out of the file.

An address that asks for TLS (`transport=tls`, `sips:`) needs a listener with `transport = "tls"`. One that asks for
SRTP as well (`secure=true`) is never served in the clear instead: see [srtp.md](srtp.md). More on TLS, DNS, IPv6 and
NAT in [sip-transports.md](sip-transports.md).

## Changes while it runs

Certificates are looked at by themselves. `kill -HUP` makes the server read the file and the environment again:
accounts, numbers, domains and users, trunks and connectors are taken for calls from then on, and those that live go on
as they are. Everything else waits for a restart, also a trunk that registers and the first domain; the log says what
has changed and waits. A file with a problem changes nothing.
"""

TWIML_INTRO = """\
# TwiML

A document is an XML element `<Response>` of at most 64 kB. Its verbs run from top to bottom; after the last the call
ends. Names are case-sensitive. It is sent as `text/xml`, `application/xml`, `text/html` or another type that ends in
`+xml`. An answer of type `audio/*` is played, `text/plain` is spoken; other types are error 12300.

Whatever is wrong *inside* a document never ends it: unknown, misplaced or unsupported elements are skipped, a wrong
attribute has its default, and each is a warning in the debugger with its line (12200 where no other code is named).
There is no document at all if it is too large (11750), empty (11770), not well-formed or with a document type
declaration (12100), of an XML version other than 1.0 (12101), or has another root (12102).

Relative URLs are resolved against the URL that the document came from.
"""

ERRORS_INTRO = """\
# Errors and warnings

Every code that the API answers or the debugger shows, with what it means and what to do. Codes are those of Twilio's
dictionary wherever one fits. A warning means that the platform went on without the wrong part.
"""

KIND_TEXT = {
    Kind.TEXT: "text",
    Kind.URL: "URL",
    Kind.METHOD: "GET or POST",
    Kind.BOOLEAN: "true or false",
    Kind.DIGITS: "digits",
}


def configuration() -> str:
    return (
        NOTICE.format(source="src/sidestream/app/config_schema.py")
        + CONFIGURATION_INTRO
        + "".join(map(_section, SECTIONS.values()))
    )


def twiml() -> str:
    verbs = "".join(map(_element, SCHEMA.values()))
    return NOTICE.format(source="src/sidestream/twiml/schema.py") + TWIML_INTRO + verbs


def errors() -> str:
    pieces = [NOTICE.format(source="src/sidestream/debugger/entries"), ERRORS_INTRO]
    for title, entries in FAMILIES:
        pieces.append(f"\n## {title}\n")
        pieces += [
            f"\n### {e.code}\n\n**{e.title}** ({e.level}). {e.meaning}\n\n*What to do:* {e.action}\n"
            for e in sorted(entries, key=lambda entry: entry.code)
        ]
    return "".join(pieces)


PAGES: dict[str, Callable[[], str]] = {
    "configuration.md": configuration,
    "twiml.md": twiml,
    "errors.md": errors,
}


def _section(section: Section) -> str:
    title = f"[[{section.name}]]" if section.repeated else f"[{section.name}]"
    heading = f"`{title}`" if section.name else "Top of the file"
    rows = [(f"`{key.name}`", _key_type(key), _config_default(key), key.meaning) for key in section.keys]
    example = variable_name(section, section.keys[-1], 0 if section.repeated else None)
    return (
        f"\n## {heading}\n\n{section.meaning}\n\n"
        + _table(("key", "type", "default", "meaning"), rows)
        + f"\nIn the environment, for example: `{example}`.\n"
    )


def _key_type(key: Key) -> str:
    if key.kind in (ConfigKind.INTEGER, ConfigKind.NUMBER):
        return f"{key.kind}, {key.low:g} to {key.high:g}"
    if key.kind in (ConfigKind.CHOICE, ConfigKind.CHOICES):
        return f"{key.kind}: " + ", ".join(f"`{choice}`" for choice in key.choices)
    return str(key.kind)


def _config_default(key: Key) -> str:
    if key.required:
        return "required"
    if key.default in (None, "", ()):
        return ""
    if isinstance(key.default, bool):
        return f"`{str(key.default).lower()}`"
    if isinstance(key.default, tuple):
        return ", ".join(f"`{value}`" for value in key.default)
    return f"`{key.default}`"


def _element(element: Element) -> str:
    pieces = [f"\n## `<{element.name}>`\n\n`<{element.name}>` {_verb(element.name)}{element.meaning}.\n"]
    if element.children:
        pieces.append(f"\nInside: {_tags(element.children)}.\n")
    if element.text is not TextRule.NONE and element.children:
        pieces.append("\nIts text counts only when no element stands inside.\n")
    if element.attributes:
        rows = [(f"`{a.name}`", _attribute_type(a), _default(a), a.meaning, str(a.code)) for a in element.attributes]
        pieces.append("\n" + _table(("attribute", "value", "default", "meaning", "if wrong"), rows))
    if element.unsupported_children:
        pieces.append(f"\nKnown to Twilio, not supported here: {_tags(element.unsupported_children)}.\n")
    if element.unsupported_attributes:
        names = ", ".join(f"`{name}`" for name in element.unsupported_attributes)
        pieces.append(f"\nAttributes known to Twilio, not supported here: {names}.\n")
    return "".join(pieces)


def _verb(name: str) -> str:
    """`<Say>` speaks; but `<Number>` is a phone number."""
    return "is " if name in ("Response", "Number", "Sip", "Siprec", "Parameter") else ""


def _tags(names: Iterable[str]) -> str:
    return ", ".join(f"`<{name}>`" for name in names)


def _attribute_type(attribute: Attribute) -> str:
    if attribute.kind is Kind.INTEGER:
        return f"{attribute.low} to {attribute.high}"
    if attribute.kind is Kind.CHOICE:
        return " or ".join(f"`{choice}`" for choice in attribute.choices)
    if attribute.kind is Kind.CHOICES:
        return "some of " + ", ".join(f"`{choice}`" for choice in attribute.choices)
    return KIND_TEXT[attribute.kind]


def _default(attribute: Attribute) -> str:
    if attribute.default is None:
        return ""
    if isinstance(attribute.default, tuple):
        return " ".join(attribute.default)
    return str(attribute.default).lower() if isinstance(attribute.default, bool) else str(attribute.default)


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def main(arguments: list[str]) -> int:
    stale = [name for name, page in PAGES.items() if _on_disk(name) != page()]
    if "--check" in arguments:
        for name in stale:
            print(f"docs/topics/{name} is stale: run `make docs`", file=sys.stderr)
        return 1 if stale else 0
    for name in stale:
        (TOPICS / name).write_text(PAGES[name](), encoding="utf-8")
        print(f"wrote docs/topics/{name}")
    return 0


def _on_disk(name: str) -> str | None:
    path = TOPICS / name
    return path.read_text(encoding="utf-8") if path.exists() else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
