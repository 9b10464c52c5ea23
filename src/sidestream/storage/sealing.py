"""Secrets at rest: sealed with a key that lies beside the database, in a file only its owner may read."""

import base64
import os
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sidestream.base.logs import get_logger
from sidestream.storage.errors import SealBroken, StorageError

KEY_FILE_MODE = 0o600

_KEY_OCTETS = 32  # AES-256
_NONCE_OCTETS = 12  # NIST SP 800-38D §8.3: of chance, good for 2^32 seals with one key
_PURPOSE = b"sidestream sealing 1"  # the key file's key is Fernet's; AES-GCM gets one of its own from it
_MARK = "1."  # no Fernet token begins so

log = get_logger("storage")


class Sealer:
    """Seals and opens text. What it protects: a copy of the database alone gives no secret away.

    AES-256-GCM, which takes a sixth of the time of Fernet: two images are sealed for each call. What was sealed by
    Fernet before still opens.
    """

    def __init__(self, key: bytes) -> None:
        self._fernet = Fernet(key)
        derived = HKDF(SHA256(), _KEY_OCTETS, salt=None, info=_PURPOSE).derive(base64.urlsafe_b64decode(key))
        self._aead = AESGCM(derived)

    def seal(self, secret: str) -> str:
        return self.seal_octets(secret.encode())

    def open(self, sealed: str) -> str:
        """Raises SealBroken."""
        return self.open_octets(sealed).decode()

    def seal_octets(self, secret: bytes) -> str:
        nonce = os.urandom(_NONCE_OCTETS)
        return _MARK + base64.b64encode(nonce + self._aead.encrypt(nonce, secret, None)).decode("ascii")

    def open_octets(self, sealed: str) -> bytes:
        """Raises SealBroken."""
        try:
            if not sealed.startswith(_MARK):
                return self._fernet.decrypt(sealed.encode())
            octets = base64.b64decode(sealed.removeprefix(_MARK), validate=True)
            return self._aead.decrypt(octets[:_NONCE_OCTETS], octets[_NONCE_OCTETS:], None)
        except (InvalidToken, InvalidTag, ValueError) as error:
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
