"""An Enum for keys of tables that are looked up all the time."""

from enum import Enum


class IdentityEnum(Enum):
    """Hashed as the object that each member is. Enum's own hash is a Python function, ten times as slow."""

    __hash__ = object.__hash__
