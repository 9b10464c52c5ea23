"""What can go wrong with a store."""


class StorageError(Exception):
    """The database cannot be opened, read or written. `reason` is for the operator."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class AlreadyStored(StorageError):
    """A row of that key exists, and the write was not meant to replace it."""


class SealBroken(StorageError):
    """A sealed value does not open with the key at hand: the key file was lost or belongs to another database."""
