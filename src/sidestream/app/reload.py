"""What a running platform can take from a changed configuration, and what has to wait for a restart."""

from dataclasses import fields

from sidestream.app.config_values import Config
from sidestream.trunks.trunk_book import Trunk

TAKEN = frozenset({"accounts", "numbers", "domains", "trunks", "connectors"})
FIRST_DOMAIN = "the first domain"
REGISTERING = "trunks that register"

_SECTION_OF = {"digest": "registrar", "storage_url": "storage"}  # where a field's name is not its section's


def left_for_restart(old: Config, new: Config) -> tuple[str, ...]:
    """The sections that have changed and are not taken, in the order of the configuration."""
    changed = [
        _SECTION_OF.get(one.name, one.name)
        for one in fields(Config)
        if one.name not in TAKEN and getattr(old, one.name) != getattr(new, one.name)
    ]
    if new.domains and not old.domains:
        changed.append(FIRST_DOMAIN)  # REGISTER is not among what the agent allows
    if _registering(old.trunks) != _registering(new.trunks):
        changed.append(REGISTERING)
    return tuple(dict.fromkeys(changed))


def _registering(trunks: tuple[Trunk, ...]) -> list[tuple[object, ...]]:
    return [(t.name, t.account_sid, t.registration, t.credentials) for t in trunks if t.registration is not None]
