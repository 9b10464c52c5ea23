"""SIP over WebSocket, as a server (RFC 7118, RFC 6455): one message of either kind is one SIP message."""

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    RejectConnection,
    Request,
    TextMessage,
)
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from sidestream.base.logs import get_logger
from sidestream.sip.framing import KeepAlive
from sidestream.sip.message import MAX_MESSAGE_SIZE
from sidestream.sip.transport import Transport
from sidestream.wire.stream import PONG_LIMIT_S, Connection, Keeper

SUBPROTOCOL = "sip"  # RFC 7118 §4.1

_BAD_REQUEST, _FORBIDDEN = 400, 403
_PING, _PONG = b"\r\n\r\n", b"\r\n"

log = get_logger("wire")


class WebSocketConnection(Connection):
    """A connection that begins with a handshake. `origins`: the web sites whose pages may open one."""

    def __init__(self, pool: Keeper, transport: Transport, listener: str, origins: tuple[str, ...] = ()) -> None:
        super().__init__(pool, transport, listener)
        self._machine = WSConnection(ConnectionType.SERVER)
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)
        self._is_open = False
        self._parts = bytearray()  # of a message that is not whole yet

    def data_received(self, data: bytes) -> None:
        try:
            self._machine.receive_data(data)
            for event in self._machine.events():
                if self._transport is None or self._transport.is_closing():
                    return
                self._take_event(event)
        except RemoteProtocolError as error:
            log.warning("! unreadable WebSocket", peer=str(self.peer), reason=str(error))
            if error.event_hint is not None:
                self._say(error.event_hint)
            self.close("the peer does not speak WebSocket")
            return
        self._watch_unfinished()

    @property
    def _pending(self) -> int:
        return len(self._parts) if self._is_open else 1

    def _put(self, data: bytes) -> None:
        # RFC 7118 §4.2 leaves the kind free; bodies need not be UTF-8.
        if self._is_open:
            self._say(BytesMessage(data))

    def _say(self, event: Event) -> None:
        if self._transport is None:
            return
        try:
            self._transport.write(self._machine.send(event))
        except LocalProtocolError:
            log.info("! WebSocket is closed already", peer=str(self.peer))

    def _take_event(self, event: Event) -> None:
        match event:
            case Request():
                self._greet(event)
            case TextMessage() | BytesMessage():
                self._take_part(event)
            case Ping():
                self._touch()
                self._say(event.response())
            case Pong():
                self._stop("pong")
            case CloseConnection():
                self._say(event.response())
                self.close()
            case _:
                pass

    def _greet(self, request: Request) -> None:
        origin = next((value for name, value in request.extra_headers if name.lower() == b"origin"), None)
        status = 0
        if SUBPROTOCOL not in request.subprotocols:
            status = _BAD_REQUEST
        elif origin is not None and origin.decode("latin-1").lower().rstrip("/") not in self._origins:
            # RFC 6455 §10.2: else any page that somebody here looks at could call as this machine may.
            status = _FORBIDDEN
        if status:
            log.warning("! WebSocket refused", peer=str(self.peer), status=status)
            self._say(RejectConnection(status_code=status))
            self.close("it was refused")
            return
        # No extensions: what is compressed may be larger than it looks.
        self._say(AcceptConnection(subprotocol=SUBPROTOCOL))
        self._is_open = True
        self._ping()

    def _take_part(self, event: TextMessage | BytesMessage) -> None:
        data = event.data if isinstance(event, BytesMessage) else event.data.encode()
        if len(self._parts) + len(data) > MAX_MESSAGE_SIZE:
            self._say(CloseConnection(CloseReason.MESSAGE_TOO_BIG))
            self.close("the peer sent too large a message")
            return
        self._parts += data
        if not event.message_finished:
            return
        message = bytes(self._parts)
        self._parts.clear()
        if message == _PING:
            self._take(KeepAlive.PING)  # RFC 7118 §6 lets clients ping as on other streams
        elif message.strip(_PONG):
            self._take(message)

    def _ping(self) -> None:
        """RFC 6455 §5.5.2: every client has to answer, and a NAT on the way keeps the path open."""
        if self._transport is None or self._transport.is_closing():
            return
        self._say(Ping())
        self._after("ping", self._pool.ping_interval, self._ping)
        if "pong" not in self._timers:
            self._after("pong", PONG_LIMIT_S, self._miss_pong)
