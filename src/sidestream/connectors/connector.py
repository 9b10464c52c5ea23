"""A connector: a recording service under the name that `connectorName` and ConnectorName refer to."""

import re
from dataclasses import dataclass, field

from sidestream.base.secret import Secret
from sidestream.connectors.srs_uri import ConnectorError, SrsTarget, parse_srs_uri
from sidestream.sdp.crypto import CryptoSuite

DEFAULT_CONNECTOR = "Default"  # what a Siprec without a connector name uses
HEADER_LIMIT = 1023  # characters of `Name: value`; Twilio documents headers under 1024
TARGET_LIMIT = 8  # recording servers of one connector: bounds how long a Siprec can stay undecided
ANSWER_TIMEOUT_RANGE = (1.0, 60.0)  # seconds
FORK_BATCH_LIMIT = 160  # ms; what the media engine takes

_TOKEN = re.compile(r"[A-Za-z0-9.!%*_+`'~-]+")  # RFC 3261 §25.1 token
_HEADER_VALUE = re.compile(r"[\x20-\x7e\t]*")

# RFC 3261 §20 and RFC 7866 §6.1.1: what the INVITE of a recording session says by itself.
_OWN_HEADERS = frozenset(
    (
        *("accept", "accept-encoding", "allow", "allow-events", "authorization", "call-id", "contact"),
        *("content-disposition", "content-encoding", "content-length", "content-type", "cseq", "date", "event"),
        *("expires", "from", "max-forwards", "mime-version", "min-se", "proxy-authorization", "proxy-require", "rack"),
        *("record-route", "refer-to", "replaces", "require", "route", "rseq", "session-expires", "supported", "to"),
        *("unsupported", "via", "c", "e", "f", "i", "k", "l", "m", "o", "r", "s", "t", "u", "v", "x"),
    )
)


@dataclass(frozen=True, slots=True)
class ConnectorOptions:
    """How this recording service wants to be spoken to; the defaults are what the RFCs say."""

    parameters_as_headers: bool = False  # custom parameters also as X- headers of the INVITE
    extension_namespace: str = "urn:sidestream:siprec:parameters"  # XML namespace of ExtensionParameters
    answer_timeout_s: float = 10.0  # until a target that does not answer its INVITE counts as failed
    legacy_media_type: bool = False  # application/rs-metadata instead of application/rs-metadata+xml
    final_metadata_in_bye: bool = True  # RFC 8068 §3.2.4
    fork_batch_ms: int = 0  # audio of so much time leaves together: less work, for recorders that are not live
    media_interface: str | None = None  # of the media engine, that audio for the recorder leaves by; None: the first
    own_fork_ports: bool = False  # for recorders that tell streams by the port they come from alone
    dtmf: bool = True  # the keys that are pressed go to the recorder too, if it takes telephone events
    # What SRTP is offered with, best first. The default is the one suite that every recorder of `secure=true` takes.
    srtp_suites: tuple[CryptoSuite, ...] = (CryptoSuite.AES_CM_128_HMAC_SHA1_80,)
    keys_without_tls: bool = False  # M1: SRTP although everybody on the way can read its keys
    plain_copy_of_secure_calls: bool = False  # C39: a call with SRTP may be recorded without


@dataclass(frozen=True, slots=True)
class Connector:
    """A connector that can be used: making one checks all of it and raises ConnectorError.

    `account_sid` None: for every account. `targets` are tried in order. `header` is the name and value of the header
    that carries the credential.
    """

    unique_name: str
    account_sid: str | None
    targets: tuple[SrsTarget, ...]
    header: tuple[str, Secret] | None = None
    options: ConnectorOptions = field(default_factory=ConnectorOptions)

    def __post_init__(self) -> None:
        if not self.unique_name or self.unique_name != self.unique_name.strip():
            raise ConnectorError(31942, "A connector needs a name without white space around it", "name")
        if not 1 <= len(self.targets) <= TARGET_LIMIT:
            raise ConnectorError(31942, f"A connector needs 1 to {TARGET_LIMIT} recording servers")
        for target in self.targets:
            # RFC 4568 §8: the keys stand in the SDP, which has to be as secret as they are.
            if target.secure and not target.uses_tls and not self.options.keys_without_tls:
                raise ConnectorError(31942, f"secure=true needs TLS, or keys_without_tls: {target.text}")
        if self.header is not None:
            check_header(self.header[0], self.header[1].reveal())
        low, high = ANSWER_TIMEOUT_RANGE
        if not low <= self.options.answer_timeout_s <= high:
            raise ConnectorError(31942, f"The answer time-out must be {low:g} to {high:g} seconds", "answer_timeout_s")
        if not 0 <= self.options.fork_batch_ms <= FORK_BATCH_LIMIT:
            raise ConnectorError(31942, f"The batch must be 0 to {FORK_BATCH_LIMIT} milliseconds", "fork_batch_ms")
        suites = self.options.srtp_suites
        if not suites or len(set(suites)) < len(suites):
            raise ConnectorError(31942, "SRTP needs one or more suites, each of them once", "srtp_suites")
        if not self.options.extension_namespace or any(c.isspace() for c in self.options.extension_namespace):
            raise ConnectorError(31942, "The namespace of the parameters must be a URI", "extension_namespace")


def make_connector(
    unique_name: str,
    account_sid: str | None,
    uris: tuple[str, ...],
    header: tuple[str, Secret] | None = None,
    options: ConnectorOptions | None = None,
) -> Connector:
    """A connector from the texts of a form or a file. Raises ConnectorError."""
    targets = tuple(parse_srs_uri(uri) for uri in uris)
    return Connector(unique_name, account_sid, targets, header, options or ConnectorOptions())


def check_header(name: str, value: str) -> None:
    """Raise ConnectorError unless `name: value` may be added to the INVITE of a recording session."""
    if not _TOKEN.fullmatch(name):
        raise ConnectorError(32111, f"{name!r} cannot be the name of a SIP header", "header")
    if name.lower() in _OWN_HEADERS:
        raise ConnectorError(32113, f"The header {name} is written by the platform itself", "header")
    if not _HEADER_VALUE.fullmatch(value):
        raise ConnectorError(
            32112, f"The value of the header {name} holds characters other than printable ASCII", "header"
        )
    if len(name) + 2 + len(value) > HEADER_LIMIT:
        raise ConnectorError(32112, f"The header {name} is longer than {HEADER_LIMIT} characters", "header")
