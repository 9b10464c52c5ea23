"""The header fields that a connector adds to the INVITE of a recording session."""

from dataclasses import dataclass

from sidestream.connectors.connector import Connector, check_header
from sidestream.connectors.srs_uri import ConnectorError

_PREFIX = "X-"  # error dictionary, 32113: custom headers must begin with X-


@dataclass(frozen=True, slots=True)
class InviteHeaders:
    """`fields` go into the INVITE; `warnings` are (catalogue code, message) for parameters that cannot."""

    fields: tuple[tuple[str, str], ...]
    warnings: tuple[tuple[int, str], ...] = ()


def invite_headers(connector: Connector, parameters: tuple[tuple[str, str], ...]) -> InviteHeaders:
    """The connector's credential header, then the custom parameters as X- headers if the connector wants that."""
    fields = []
    warnings = []
    if connector.header is not None:
        name, secret = connector.header
        fields.append((name, secret.reveal()))
    if connector.options.parameters_as_headers:
        for name, value in parameters:
            field = name if name.lower().startswith("x-") else _PREFIX + name
            try:
                check_header(field, value)
            except ConnectorError as error:
                warnings.append((error.code, error.message))
            else:
                fields.append((field, value))
    return InviteHeaders(tuple(fields), tuple(warnings))
