"""Images of live calls in SQL, sealed: they hold what the calls' peers authenticate and encrypt with."""

from sqlalchemy import select

from sidestream.base.logs import get_logger
from sidestream.storage.database import REMOVED_CALL, Database
from sidestream.storage.errors import SealBroken
from sidestream.storage.sealing import Sealer
from sidestream.storage.tables import call_images

log = get_logger("storage")


class SqlImageStore:
    """Implements calls.ports.ImageStore."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    def save(self, call_sid: str, image: bytes) -> None:
        row = {"call_sid": call_sid, "sealed_image": self._sealer.seal_octets(image)}
        self._database.put(self._database.images, row, call_sid)

    def remove(self, call_sid: str) -> None:
        self._database.put(self._database.removed_images, {REMOVED_CALL: call_sid}, call_sid)

    async def all(self) -> dict[str, bytes]:
        images = {}
        for row in await self._database.all(select(call_images)):
            try:
                images[row["call_sid"]] = self._sealer.open_octets(row["sealed_image"])
            except SealBroken as error:
                log.error("! the image of a call cannot be read", call=row["call_sid"], problem=str(error))
        return images
