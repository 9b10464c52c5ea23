"""The connectors of a platform, by account and name."""

from collections.abc import Iterable

from sidestream.connectors.connector import DEFAULT_CONNECTOR, Connector
from sidestream.connectors.srs_uri import ConnectorError


class ConnectorBook:
    """All connectors. Names are case-sensitive; an account's own hide those that are for every account."""

    def __init__(self, connectors: Iterable[Connector] = ()) -> None:
        self._connectors: dict[tuple[str | None, str], Connector] = {}
        for connector in connectors:
            key = (connector.account_sid, connector.unique_name)
            if key in self._connectors:
                raise ConnectorError(31942, f"Two connectors have the name {connector.unique_name!r}", "name")
            self._connectors[key] = connector

    def become(self, other: "ConnectorBook") -> None:
        """Be that book from now on, for whoever holds this one."""
        self._connectors = other._connectors

    def usable(self, account_sid: str) -> list[Connector]:
        """Every connector that `find` gives this account under some name, by name."""
        names = {name for owner, name in self._connectors if owner in (None, account_sid)}
        found = (self.find(account_sid, name) for name in sorted(names))
        return [connector for connector in found if connector is not None]

    def find(self, account_sid: str, name: str | None) -> Connector | None:
        """The account's connector of that name; a missing name means `Default`. None: the caller answers 31940."""
        wanted = name or DEFAULT_CONNECTOR
        own = self._connectors.get((account_sid, wanted))
        return own if own is not None else self._connectors.get((None, wanted))
