"""The configuration file as one table: sections, keys, types, defaults and ranges."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from sidestream.connectors.connector import ANSWER_TIMEOUT_RANGE, FORK_BATCH_LIMIT, ConnectorOptions
from sidestream.media.engine import Latch
from sidestream.media.options import KernelPath
from sidestream.registrar.gate import ALGORITHMS
from sidestream.registrar.limits import Limits as RegistrarLimits
from sidestream.sdp.crypto import CryptoSuite
from sidestream.sdp.security import MediaSecurity
from sidestream.sip.digest import ALGORITHMS as KNOWN_ALGORITHMS
from sidestream.sip.session_timer import LEAST_INTERVAL, Refresher, SessionTimerPolicy

ENVIRONMENT_PREFIX = "SIDESTREAM_"


class Kind(StrEnum):
    """What a value looks like."""

    TEXT = "text"
    SECRET = "secret text"
    HOST = "host name or IP address"
    ADDRESS = "IP address"
    URL = "http or https URL"
    PATH = "path"
    INTEGER = "whole number"
    NUMBER = "number"
    BOOLEAN = "true or false"
    CHOICE = "one of"
    TEXTS = "list of texts, or one text"
    CHOICES = "list"


Default = str | int | float | bool | tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Key:
    """One key. `low` and `high` bound numbers, both included."""

    name: str
    kind: Kind
    meaning: str
    default: Default = None
    low: float = 0
    high: float = 0
    choices: tuple[str, ...] = ()
    required: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """One table of the file, `[name]`, or `[[name]]` if it is repeated; the empty name is the top of the file.

    `without`: the tables that a file without this repeated section is read as, so that variables can override them.
    """

    name: str
    meaning: str
    keys: tuple[Key, ...]
    repeated: bool = False
    without: tuple[Mapping[str, object], ...] = ()


def _port(default: int) -> Key:
    return Key("port", Kind.INTEGER, "port; 0 takes any free one", default, low=0, high=65535)


def _method(name: str, what: str) -> Key:
    return Key(name, Kind.CHOICE, f"HTTP method for {what}", "POST", choices=("GET", "POST"))


_TRANSPORTS = ("udp", "tcp", "tls", "ws", "wss")
_MEDIA_SECURITY = Key(
    "media_security",
    Kind.CHOICE,
    "SRTP by SDES: `none`; `optional`, where the other side offers it; or `required`, both ways. Its keys stand in the "
    "SIP messages, which only TLS keeps secret",
    MediaSecurity.NONE.value,
    choices=tuple(MediaSecurity),
)
_MEDIA_LATCH = Key(
    "media_latch",
    Kind.CHOICE,
    "whose packets are taken for the other side's media; behind NAT they come from elsewhere than SDP says. `each`: "
    "the first source's after every offer and answer; `first`: the first source's until SDP names another address; "
    "`signalled`: only what comes from the address in SDP",
    Latch.EACH.value,
    choices=tuple(Latch),
)
_MEDIA_INTERFACE = Key(
    "media_interface",
    Kind.TEXT,
    "name of the `[[media.interfaces]]` by which media goes both ways; without it the first",
)
_VOICE = (
    Key("voice_url", Kind.URL, "URL asked for TwiML"),
    _method("voice_method", "`voice_url`"),
    Key("fallback_url", Kind.URL, "URL asked when `voice_url` fails"),
    _method("fallback_method", "`fallback_url`"),
    Key("twiml", Kind.TEXT, "the TwiML itself, at most 4000 characters"),
    Key("status_callback", Kind.URL, "URL told of the call's progress"),
    _method("status_callback_method", "`status_callback`"),
    Key(
        "status_callback_events",
        Kind.CHOICES,
        "which progress is told",
        ("completed",),
        choices=("initiated", "ringing", "answered", "completed"),
    ),
)
_LIMITS = RegistrarLimits()
_TIMER = SessionTimerPolicy()
_ACCOUNT = Key("account", Kind.TEXT, "SID of the account it belongs to; without it every account can use it")
_OPTIONS = ConnectorOptions()

_SECTIONS = (
    Section(
        "",
        "Written above every section.",
        (Key("data_dir", Kind.PATH, "directory for database, recordings and sockets", "sidestream-data"),),
    ),
    Section(
        "accounts",
        "Who may use the API. Without any, `serve` makes one at its first start and shows its token once.",
        (
            Key("sid", Kind.TEXT, "AC and 32 hexadecimal digits", required=True),
            Key("auth_token", Kind.SECRET, "32 letters and digits", required=True),
            Key("name", Kind.TEXT, "name for people", ""),
        ),
        repeated=True,
    ),
    Section(
        "numbers",
        "What happens to incoming calls. Either `voice_url` or `twiml` is needed.",
        (
            Key("number", Kind.TEXT, "phone number or SIP user that is called; `*` takes every other", required=True),
            Key("account", Kind.TEXT, "SID of its account; may be left out while there is one account at most"),
            Key(
                "media_security",
                Kind.CHOICE,
                "as of the trunk that calls, and before it",
                choices=tuple(MediaSecurity),
            ),
            *_VOICE,
        ),
        repeated=True,
    ),
    Section(
        "domains",
        "SIP domains, whose users' phones register here. The phones prove who they are by digest, wherever they are. "
        "In `twiml`, `{{To}}` and `{{From}}` stand for the called and the calling address.",
        (
            Key("name", Kind.HOST, "its host in SIP addresses, and its digest realm", required=True),
            Key("account", Kind.TEXT, "SID of its account; may be left out while there is one account at most"),
            Key("aliases", Kind.TEXTS, "further hosts that mean the same, such as the server's IP address", ()),
            _MEDIA_SECURITY,
            _MEDIA_LATCH,
            _MEDIA_INTERFACE,
            Key(
                "route",
                Kind.CHOICE,
                "`voice`: `voice_url` or `twiml` handles every call of its users; `users`: calls to a user's name go "
                "there, or ring that user where there is neither, and others are looked up among the numbers",
                "voice",
                choices=("voice", "users"),
            ),
            *_VOICE,
        ),
        repeated=True,
    ),
    Section(
        "users",
        "Users of the domains.",
        (
            Key("domain", Kind.TEXT, "name of the domain", required=True),
            Key("name", Kind.TEXT, "user part of the address, and user name in digest", required=True),
            Key("password", Kind.SECRET, "password of the user's phones", required=True),
        ),
        repeated=True,
    ),
    Section(
        "registrar",
        "How phones register, and how users and trunks prove who they are.",
        (
            Key(
                "min_expires",
                Kind.INTEGER,
                "fewest seconds that a phone may ask for; less is refused with 423",
                _LIMITS.min_expires,
                low=10,
                high=3600,
            ),
            Key(
                "max_expires",
                Kind.INTEGER,
                "most seconds that it is given; also what it is given if it asks for nothing",
                _LIMITS.max_expires,
                low=60,
                high=86400,
            ),
            Key("contacts", Kind.INTEGER, "phones that one user may have registered", _LIMITS.contacts, low=1, high=50),
            Key(
                "digest",
                Kind.CHOICES,
                "algorithms that phones and trunks are asked for, the preferred one first; some old phones stumble "
                "over any beside MD5",
                ALGORITHMS,
                choices=KNOWN_ALGORITHMS,
            ),
        ),
    ),
    Section(
        "trunks",
        "Carriers, PBXs and SBCs. A trunk calls in from its `sources`, and has to prove itself where it has "
        "`inbound_username`; with that alone it may call from anywhere. While no trunk has either, only this machine "
        "itself may call in.",
        (
            Key("name", Kind.TEXT, "its name in logs and alerts", required=True),
            _ACCOUNT,
            Key("sources", Kind.TEXTS, "IP addresses and networks (CIDR) that it calls from", ()),
            Key("outbound", Kind.TEXT, "SIP URI whose host takes calls to phone numbers, such as sip:10.0.0.5"),
            Key("username", Kind.TEXT, "user name, if it asks for credentials"),
            Key("password", Kind.SECRET, "its password"),
            Key("inbound_username", Kind.TEXT, "user name that it has to prove itself with when it calls in"),
            Key("inbound_password", Kind.SECRET, "its password"),
            Key("register", Kind.BOOLEAN, "register with it, as `username`, to be called there", False),
            Key("registrar", Kind.TEXT, "SIP URI to register at; without it the host of `outbound`"),
            Key("register_as", Kind.TEXT, "SIP URI to register; without it `username` at the host of the registrar"),
            Key(
                "register_expires",
                Kind.INTEGER,
                "seconds asked for; it is refreshed well before they end",
                3600,
                low=30,
                high=86400,
            ),
            Key(
                "follow_redirects",
                Kind.INTEGER,
                "how many contacts of a 3xx answer are called in its stead, best first; 0: the call fails",
                0,
                low=0,
                high=10,
            ),
            Key(
                "refer",
                Kind.CHOICE,
                "what becomes of a REFER by a party of a connected call: it is transferred, or goes on",
                "accept",
                choices=("accept", "refuse"),
            ),
            _MEDIA_SECURITY,
            _MEDIA_LATCH,
            _MEDIA_INTERFACE,
        ),
        repeated=True,
    ),
    Section(
        "connectors",
        "Recording services. A Siprec without connector name uses the one called `Default`; unless there is one, the "
        "bundled recording server has that name.",
        (
            Key("name", Kind.TEXT, "unique name, case-sensitive: the value of connectorName", required=True),
            _ACCOUNT,
            Key("srs", Kind.TEXTS, "SIP URI of the recording server; several are tried in order", required=True),
            Key("header_name", Kind.TEXT, "name of the SIP header that carries the credential"),
            Key("header_value", Kind.SECRET, "the credential"),
            Key(
                "parameters_as_headers",
                Kind.BOOLEAN,
                "send custom parameters as X- headers too",
                _OPTIONS.parameters_as_headers,
            ),
            Key(
                "extension_namespace",
                Kind.TEXT,
                "XML namespace of custom parameters in the metadata",
                _OPTIONS.extension_namespace,
            ),
            Key(
                "answer_timeout",
                Kind.NUMBER,
                "seconds until a recording server that does not answer has failed",
                _OPTIONS.answer_timeout_s,
                low=ANSWER_TIMEOUT_RANGE[0],
                high=ANSWER_TIMEOUT_RANGE[1],
            ),
            Key(
                "legacy_media_type",
                Kind.BOOLEAN,
                "label the metadata application/rs-metadata, as old servers expect",
                _OPTIONS.legacy_media_type,
            ),
            Key(
                "final_metadata_in_bye",
                Kind.BOOLEAN,
                "send the end of the call as metadata in BYE",
                _OPTIONS.final_metadata_in_bye,
            ),
            Key(
                "fork_batch_ms",
                Kind.INTEGER,
                "audio of so many milliseconds leaves together, which costs less; 80 suits recorders that are not live",
                _OPTIONS.fork_batch_ms,
                low=0,
                high=FORK_BATCH_LIMIT,
            ),
            _MEDIA_INTERFACE,
            Key(
                "own_fork_ports",
                Kind.BOOLEAN,
                "send from ports that no other recording uses, for recorders that tell streams by those",
                _OPTIONS.own_fork_ports,
            ),
            Key(
                "dtmf",
                Kind.BOOLEAN,
                "send the keys that are pressed, if the server takes telephone events; false keeps card numbers out",
                _OPTIONS.dtmf,
            ),
            Key(
                "srtp_suites",
                Kind.CHOICES,
                "what SRTP is offered with where the address says secure=true, best first",
                tuple(suite.value for suite in _OPTIONS.srtp_suites),
                choices=tuple(CryptoSuite),
            ),
            Key(
                "keys_without_tls",
                Kind.BOOLEAN,
                "offer SRTP without TLS too, although everybody on the way can then read its keys",
                _OPTIONS.keys_without_tls,
            ),
            Key(
                "plain_copy_of_secure_calls",
                Kind.BOOLEAN,
                "record calls that have SRTP without it too; otherwise only addresses with secure=true get them",
                _OPTIONS.plain_copy_of_secure_calls,
            ),
        ),
        repeated=True,
    ),
    Section(
        "listeners",
        "SIP sockets. Without any: UDP and TCP at 127.0.0.1:5060.",
        (
            Key("name", Kind.TEXT, "its name in logs; without it the transport and the port, such as udp-5060"),
            Key(
                "transport",
                Kind.CHOICE,
                "transport protocol",
                required=True,
                choices=_TRANSPORTS,
            ),
            Key("host", Kind.HOST, "address to bind", "127.0.0.1"),
            Key(
                "port",
                Kind.INTEGER,
                "port; without it 5060, for tls 5061, ws 80, wss 443; 0 takes any free one",
                5060,
                low=0,
                high=65535,
            ),
            Key("advertised", Kind.HOST, "host that peers are told; needed with 0.0.0.0 and behind NAT"),
            Key("nat", Kind.BOOLEAN, "phones behind NATs call here: reach them where they are seen", False),
            Key(
                "origins",
                Kind.TEXTS,
                "of ws and wss: web sites whose pages may connect, such as https://phone.example.com",
                (),
            ),
        ),
        repeated=True,
        without=({"transport": "udp"}, {"transport": "tcp"}),
    ),
    Section(
        "tls",
        "Certificates for SIP. The files may be renewed while the server runs: new connections use the new ones.",
        (
            Key(
                "certificate", Kind.PATH, "PEM file of our certificate and its chain; listeners with tls or wss need it"
            ),
            Key(
                "key", Kind.PATH, "PEM file of its key, without a pass phrase; without it the certificate's file has it"
            ),
            Key("ca", Kind.PATH, "PEM file of the authorities that peers are judged by; without it the system's"),
            Key(
                "client_auth",
                Kind.CHOICE,
                "whether clients have to show a certificate; needs `ca`",
                "none",
                choices=("none", "optional", "required"),
            ),
        ),
    ),
    Section(
        "certificates",
        "More certificates for listeners with tls or wss: shown to clients that ask for a name in them (SNI). Others "
        "see that of `[tls]`.",
        (
            Key("certificate", Kind.PATH, "PEM file of the certificate and its chain", required=True),
            Key(
                "key", Kind.PATH, "PEM file of its key, without a pass phrase; without it the certificate's file has it"
            ),
        ),
        repeated=True,
    ),
    Section(
        "session_timer",
        "Session timers (RFC 4028) of calls and recording sessions: whoever is refreshed in vain has gone.",
        (
            Key("enabled", Kind.BOOLEAN, "ask for them, and agree to them", True),
            Key(
                "interval",
                Kind.INTEGER,
                "seconds within which a session has to be refreshed",
                _TIMER.interval,
                low=LEAST_INTERVAL,
                high=86400,
            ),
            Key(
                "min_interval",
                Kind.INTEGER,
                "fewest seconds that a peer may ask for (Min-SE); less is answered 422",
                _TIMER.least,
                low=LEAST_INTERVAL,
                high=86400,
            ),
            Key(
                "refresher",
                Kind.CHOICE,
                "who refreshes, where the choice is ours",
                _TIMER.refresher.value,
                choices=tuple(Refresher),
            ),
        ),
    ),
    Section(
        "dns",
        "How host names of SIP servers are looked up.",
        (
            Key(
                "servers",
                Kind.TEXTS,
                "IP addresses, with a port such as 192.0.2.53:5353 or without; else the system's",
                (),
            ),
        ),
    ),
    Section(
        "media",
        "The media engine.",
        (
            Key("port_low", Kind.INTEGER, "first UDP port for media", 20000, low=1024, high=65534),
            Key("port_high", Kind.INTEGER, "last UDP port for media", 29999, low=1025, high=65535),
            Key("workers", Kind.INTEGER, "threads that move packets", 1, low=1, high=64),
            Key(
                "kernel_path",
                Kind.CHOICE,
                "let the kernel relay and fork steady calls by itself: `off`; `auto`, where the machine and the rights "
                "of the process allow it; or `require` (docs/topics/kernel-path.md)",
                KernelPath.OFF.value,
                choices=tuple(KernelPath),
            ),
            Key("socket", Kind.PATH, "the engine's Unix socket; without it one under `data_dir`"),
            Key("external", Kind.BOOLEAN, "somebody else runs the engine; needs `socket` or `address`", False),
            Key(
                "address",
                Kind.TEXT,
                "`tls://HOST:PORT` of an engine on another machine, which its certificate has to name; needs "
                "`external` and the three files",
            ),
            Key("ca", Kind.PATH, "who signs that engine's certificate, PEM"),
            Key("certificate", Kind.PATH, "our certificate toward it, PEM"),
            Key("private_key", Kind.PATH, "the private key of `certificate`, PEM"),
            Key("max_sessions", Kind.INTEGER, "calls whose media may be open", 10_000, low=1, high=100_000),
            Key(
                "max_mbit",
                Kind.NUMBER,
                "megabits of RTP a second, received and sent, from which on new calls are refused; 0: no limit",
                0,
                low=0,
                high=1_000_000,
            ),
            Key(
                "dscp",
                Kind.INTEGER,
                "mark of RTP and RTCP for the network (DSCP); 46 is expedited forwarding, 0 no mark",
                46,
                low=0,
                high=63,
            ),
            Key(
                "pacing",
                Kind.BOOLEAN,
                "handle packets of up to half a millisecond together while the load is low: less work, and that much "
                "time more on the way at most",
                True,
            ),
        ),
    ),
    Section(
        "restart",
        "What becomes of live calls when the control process ends without warning and is started again.",
        (
            Key(
                "calls",
                Kind.CHOICE,
                "`adopt`: those that the media engine still has go on; `end`: all are ended in order",
                "adopt",
                choices=("adopt", "end"),
            ),
            Key(
                "grace",
                Kind.NUMBER,
                "seconds for which the engine keeps calls, and itself alive, while no control process is there",
                60.0,
                low=1,
                high=86400,
            ),
        ),
    ),
    Section(
        "media.interfaces",
        "Addresses for media. The first is used where `media_interface` of a trunk, domain or connector names none. "
        "Without any: 127.0.0.1.",
        (
            Key("name", Kind.TEXT, "its name", required=True),
            Key("address", Kind.ADDRESS, "address to bind", required=True),
            Key("advertised", Kind.ADDRESS, "address that SDP names; needed with 0.0.0.0 and behind NAT"),
        ),
        repeated=True,
        without=({"name": "default", "address": "127.0.0.1"},),
    ),
    Section(
        "http",
        "REST API and console.",
        (
            Key("host", Kind.HOST, "address to bind", "127.0.0.1"),
            _port(8080),
            Key("public_url", Kind.URL, "what absolute URLs in answers begin with"),
        ),
    ),
    Section(
        "srs",
        "The bundled recording server.",
        (
            Key("enabled", Kind.BOOLEAN, "run it inside `serve`", True),
            Key("host", Kind.HOST, "address to bind", "127.0.0.1"),
            _port(5070),
            Key("directory", Kind.PATH, "where recordings are kept; without it recordings in `data_dir`"),
            Key(
                "tls_port",
                Kind.INTEGER,
                "port for TLS, beside the other; without it there is no TLS",
                low=0,
                high=65535,
            ),
            Key("certificate", Kind.PATH, "PEM file of its certificate and chain; without it those of `[tls]`"),
            Key("key", Kind.PATH, "PEM file of the key of that certificate"),
        ),
    ),
    Section(
        "storage",
        "The database.",
        (Key("url", Kind.TEXT, "sqlite:///PATH; without it sidestream.db in `data_dir`"),),
    ),
    Section(
        "log",
        "The log, on standard error.",
        (
            Key(
                "level",
                Kind.CHOICE,
                "how much is logged",
                "info",
                choices=("debug", "info", "warning", "error"),
            ),
            Key("json", Kind.BOOLEAN, "one JSON object a line", False),
        ),
    ),
    Section(
        "limits",
        "What the platform takes on.",
        (
            Key("calls", Kind.INTEGER, "calls at one time", 1000, low=1, high=100000),
            Key("siprec_forks_per_call", Kind.INTEGER, "forked streams of one call", 4, low=1, high=64),
            Key(
                "sip_sessions",
                Kind.INTEGER,
                "SIP sessions at one time, recording sessions included; then calls are answered 503",
                5000,
                low=1,
                high=1000000,
            ),
            Key(
                "requests_per_second",
                Kind.INTEGER,
                "SIP requests of one source, this machine and `sources` of trunks excepted; 0 for any number",
                200,
                low=0,
                high=100000,
            ),
        ),
    ),
)

SECTIONS: Mapping[str, Section] = MappingProxyType({section.name: section for section in _SECTIONS})
