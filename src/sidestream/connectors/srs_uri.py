"""The address of a recording server in all the spellings that public documents show."""

from dataclasses import dataclass

from sidestream.sip.errors import MessageError
from sidestream.sip.uri import Uri

URI_LIMIT = 254  # characters; Twilio documents URIs under 255

TRANSPORTS = ("udp", "tcp", "tls")

# Parameters that speak to the platform and not to the recording server; they stay out of the Request-URI.
_PLATFORM_PARAMETERS = ("secure", "edge", "region")


class ConnectorError(Exception):
    """A connector that cannot be used. `code` is of the catalogue, `message` for whoever configured it.

    `part` is what of the connector is wrong: `targets`, `header`, `name` or the name of an option.
    """

    def __init__(self, code: int, message: str, part: str = "targets") -> None:
        super().__init__(code, message, part)
        self.code = code
        self.message = message
        self.part = part

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


@dataclass(frozen=True, slots=True)
class SrsTarget:
    """One recording server. `uri` is the target of the INVITE; `text` is what was configured.

    `secure` asks for SRTP, and for TLS unless a transport is named. `edge` and `region` name parts of a hosted network
    and mean nothing here. `warnings` are (catalogue code, message): what is wrong with the text but not fatal.
    """

    text: str
    uri: Uri
    transport: str = "udp"  # one of TRANSPORTS
    secure: bool = False
    edge: str | None = None
    region: str | None = None
    warnings: tuple[tuple[int, str], ...] = ()

    @property
    def uses_tls(self) -> bool:
        """Whether its signalling goes by TLS: `transport=tls` or the scheme sips."""
        return self.transport == "tls" or self.uri.scheme == "sips"


def parse_srs_uri(text: str) -> SrsTarget:
    """`sip:name@host:port;transport=…;secure=…;edge=…`, parameters joined by `;` or `&`. Raises ConnectorError."""
    text = text.strip()
    if len(text) > URI_LIMIT:
        raise ConnectorError(32110, f"The address of the recording server is longer than {URI_LIMIT} characters")
    try:
        uri = Uri.parse(_with_semicolons(text))
    except MessageError:
        raise ConnectorError(32110, f"Not a SIP URI: {text!r}") from None
    if not uri.is_sip:
        raise ConnectorError(32110, f"The address of a recording server begins with sip: {text!r}")
    if uri.headers:
        raise ConnectorError(31942, "Headers in the address are not supported; use the header of the connector")
    if uri.password is not None:
        raise ConnectorError(31942, "A password in the address is not supported; use the header of the connector")

    secure = (uri.param("secure") or "false").lower()
    if secure == "true" and uri.param("transport") is None and uri.scheme == "sip":
        uri = uri.with_params(("transport", "tls"))
    default_transport = "tls" if uri.scheme == "sips" else "udp"
    transport = (uri.param("transport") or default_transport).lower()
    if transport not in TRANSPORTS:
        raise ConnectorError(31942, f"Unknown transport {transport!r}: it is one of {', '.join(TRANSPORTS)}")
    warnings: tuple[tuple[int, str], ...] = ()
    if secure not in ("true", "false"):
        warnings = ((32114, f"secure={secure} counts as false: it is true or false"),)
    edge, region = uri.param("edge"), uri.param("region")
    for name in _PLATFORM_PARAMETERS:
        uri = uri.without_param(name)
    return SrsTarget(text, uri, transport, secure == "true", edge or None, region or None, warnings)


def _with_semicolons(text: str) -> str:
    """Parameters joined by `&`, as a public example has them, with `;` instead; user part and headers untouched."""
    user, at, rest = text.rpartition("@")
    address, question, headers = rest.partition("?")
    host, semicolon, parameters = address.partition(";")
    return user + at + host + semicolon + parameters.replace("&", ";") + question + headers
