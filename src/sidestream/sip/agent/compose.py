"""Building the agent's own messages: which header fields, in which order."""

from collections.abc import Iterable, Sequence

from sidestream.sip.agent.config import AgentConfig
from sidestream.sip.dialog.dialog import Dialog
from sidestream.sip.errors import LocalError
from sidestream.sip.grammar import Params, format_params
from sidestream.sip.headers import Headers, canonical_name
from sidestream.sip.message import Request, Response
from sidestream.sip.transport import ListenerAddress, Transport
from sidestream.sip.uri import DEFAULT_PORT, DEFAULT_TLS_PORT, Uri
from sidestream.sip.values import NameAddr

MAX_FORWARDS = 70  # RFC 3261 §8.1.1.6

Fields = Iterable[tuple[str, str]]

# What the agent writes itself; an application that gives one of these has misunderstood something.
_OWN_FIELDS = frozenset(
    (
        "Via",
        "From",
        "To",
        "Call-ID",
        "CSeq",
        "Max-Forwards",
        "Contact",
        "Route",
        "Record-Route",
        "Content-Length",
        "Content-Type",
        "Session-Expires",
        "Min-SE",
        "RSeq",
        "RAck",
    )
)
# RFC 3261 table 2 and RFC 3311 §4: the methods that (re)set the remote target and tell what we understand.
TARGET_METHODS = frozenset({"INVITE", "UPDATE"})


class Composer:
    """Writes requests and responses for one agent. Via is added when a request is sent."""

    def __init__(self, config: AgentConfig) -> None:
        self._name = config.name
        self._allow = ", ".join(config.allow)
        self._accept = ", ".join(config.accept)
        self._supported = ", ".join(config.option_tags)

    def request(
        self,
        method: str,
        target: Uri,
        routes: Sequence[NameAddr],
        *,
        from_: NameAddr | str,
        to: NameAddr | str,
        call_id: str,
        seq: int,
        contact: str | None = None,
        headers: Fields = (),
        body: bytes = b"",
        content_type: str | None = None,
        max_forwards: int = MAX_FORWARDS,
        own: Fields = (),
    ) -> Request:
        """`own`: further fields of the agent itself; `headers`: those of the application."""
        fields = [
            ("Max-Forwards", str(max_forwards)),
            *[("Route", str(route)) for route in routes],
            ("From", str(from_)),
            ("To", str(to)),
            ("Call-ID", call_id),
            ("CSeq", f"{seq} {method}"),
        ]
        if contact is not None:
            fields.append(("Contact", contact))
        if method in TARGET_METHODS:
            self._capabilities(fields)
        elif method != "ACK" and self._supported:
            # RFC 4028 §7.1: who knows the session timer says so in every request but ACK.
            fields.append(("Supported", self._supported))
        if self._name:
            fields.append(("User-Agent", self._name))
        fields += own
        _content(fields, headers, body, content_type, method=method)
        return Request(method, target, Headers(fields), body)

    def in_dialog(
        self,
        method: str,
        dialog: Dialog,
        seq: int,
        *,
        contact: str | None = None,
        headers: Fields = (),
        body: bytes = b"",
        content_type: str | None = None,
        own: Fields = (),
    ) -> Request:
        """A request inside a dialog (RFC 3261 §12.2.1.1)."""
        target, routes = dialog.addressing()
        from_, to = dialog.from_and_to()
        return self.request(
            method,
            target,
            routes,
            from_=from_,
            to=to,
            call_id=dialog.call_id,
            seq=seq,
            contact=contact,
            headers=headers,
            body=body,
            content_type=content_type,
            own=own,
        )

    def response(
        self,
        request: Request,
        status: int,
        *,
        tag: str,
        reason: str | None = None,
        contact: str | None = None,
        headers: Fields = (),
        body: bytes = b"",
        content_type: str | None = None,
        own: Fields = (),
    ) -> Response:
        """A response other than 100. `contact` is given for those that make or refresh a dialog."""
        response = request.response(status, reason, to_tag=tag)
        fields: list[tuple[str, str]] = []
        if contact is not None:
            # RFC 3261 §12.1.1: what creates the dialog repeats the Record-Route, and has a Contact.
            fields += [("Record-Route", value) for value in request.headers.get_all("Record-Route")]
            fields.append(("Contact", contact))
        if (status < 300 and request.method in TARGET_METHODS) or request.method == "OPTIONS":
            self._capabilities(fields)
        # RFC 3261 §8.2.1, §8.2.3: a refusal names what would have been taken.
        if status == 405:
            fields.append(("Allow", self._allow))
        if request.method == "OPTIONS" or status == 415:
            fields.append(("Accept", self._accept))
        if status == 415:
            fields.append(("Accept-Encoding", "identity"))
        if self._name:
            fields.append(("Server", self._name))
        fields += own
        _content(fields, headers, body, content_type, method=request.method)
        for name, value in fields:
            response.headers.add(name, value)
        response.body = body
        return response

    def _capabilities(self, fields: list[tuple[str, str]]) -> None:
        fields.append(("Allow", self._allow))
        if self._supported:
            fields.append(("Supported", self._supported))


def cancel_of(invite: Request, headers: Fields) -> Request:
    """The CANCEL of a request that was sent (RFC 3261 §9.1): same Via, Route, From, To, Call-ID and number."""
    original = invite.headers
    fields = [
        ("Via", original.get_all("Via")[0]),
        ("Max-Forwards", str(MAX_FORWARDS)),
        *[("Route", value) for value in original.get_all("Route")],
        ("From", str(invite.from_)),
        ("To", str(invite.to)),
        ("Call-ID", invite.call_id),
        ("CSeq", f"{invite.cseq.number} CANCEL"),
    ]
    _content(fields, headers, b"", None)
    return Request("CANCEL", invite.uri, Headers(fields))


def trying(request: Request) -> Response:
    """The 100 of a request (RFC 3261 §8.2.6.1): no To tag, but the Timestamp."""
    response = request.response(100)
    timestamp = request.headers.get("Timestamp")
    if timestamp is not None:
        response.headers.add("Timestamp", timestamp)
    return response


def via_of(listener: ListenerAddress, branch: str) -> str:
    """A Via value of ours, with a `Core.branch`.

    Over UDP it asks for rport (RFC 3581 §3), over TLS it offers the connection for reuse.
    """
    before = ";rport" if listener.transport is Transport.UDP else ""
    after = ";alias" if listener.transport is Transport.TLS else ""  # RFC 5923 §5
    sent_by = f"SIP/2.0/{listener.transport} {_host(listener)}:{listener.port}"
    return f"{sent_by}{before};branch={branch}{after}"


def contact_value(listener: ListenerAddress, user: str | None, params: Params, *, secure: bool = False) -> str:
    """A Contact value of ours; `user` as it stands in a URI, escapes and all. `secure`: its scheme is to be sips."""
    # RFC 3261 §26.2.2 deprecates transport=tls, for sips implies it; beside sip it has no other spelling.
    transport = listener.transport
    sips = secure and transport.secure
    if transport.can_be_opened:
        usual = DEFAULT_TLS_PORT if sips else DEFAULT_PORT
    else:
        # RFC 7118 §5.5: by the scheme, for the parameter is the same.
        usual = (Transport.WSS if sips else Transport.WS).default_port
    port = "" if listener.port == usual else f":{listener.port}"
    is_plain = transport is Transport.UDP or (sips and transport is Transport.TLS)
    named = "" if is_plain else f";transport={transport.param}"
    at = "" if user is None else f"{user}@"
    return f"<{'sips' if sips else 'sip'}:{at}{_host(listener)}{port}{named}>{format_params(params)}"


def _host(listener: ListenerAddress) -> str:
    return f"[{listener.host}]" if ":" in listener.host else listener.host


def _content(
    fields: list[tuple[str, str]], extra: Fields, body: bytes, content_type: str | None, *, method: str = ""
) -> None:
    for name, value in extra:
        # RFC 3261 §10: the contacts of a REGISTER and of its answer are what it is about.
        is_payload = method == "REGISTER" and canonical_name(name) == "Contact"
        if canonical_name(name) in _OWN_FIELDS and not is_payload:
            raise LocalError(f"{name} is the agent's to write")
        fields.append((name, value))
    if body:
        if content_type is None:
            raise LocalError("a body needs a content type")
        fields.append(("Content-Type", content_type))
