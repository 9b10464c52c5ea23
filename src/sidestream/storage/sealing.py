"""Secrets at rest: sealed with a key that lies beside the database, in a file only its owner may read."""

import os
import stat
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from sidestream.base.logs import get_logger
from sidestream.storage.errors import SealBroken, StorageError

KEY_FILE_MODE = 0o600

log = get_logger("storage")


class Sealer:
    """Seals and opens text. What it protects: a copy of the database alone gives no secret away."""

    def __init__(self, key: bytes) -> None:
        self._fernet = Fernet(key)

    def seal(self, secret: str) -> str:
        return self.seal_octets(secret.encode())

    def open(self, sealed: str) -> str:
        """Raises SealBroken."""
        return self.open_octets(sealed).decode()

    def seal_octets(self, secret: bytes) -> str:
        return self._fernet.encrypt(secret).decode("ascii")

    def open_octets(self, sealed: str) -> bytes:
        """Raises SealBroken."""
        try:
            return self._fernet.decrypt(sealed.encode())
        except InvalidToken as error:
            raise SealBroken("A stored secret was sealed with another key; is the key file the right one?") from error


def open_sealer(key_file: Path) -> Sealer:
    """A sealer with the key in `key_file`, which is made if it does not exist. Raises StorageError."""
    try:
        try:
            descriptor = os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, KEY_FILE_MODE)
        except FileExistsError:
            return Sealer(_read(key_file))
        key = Fernet.generate_key()
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(descriptor)
    except (OSError, ValueError) as error:
        raise StorageError(f"The key file {key_file} cannot be used: {error}") from error
    log.info("= key file made", path=str(key_file))
    return Sealer(key)


def _read(key_file: Path) -> bytes:
    if key_file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        log.warning("! key file may be read by others than its owner", path=str(key_file))
    return key_file.read_bytes().strip()
