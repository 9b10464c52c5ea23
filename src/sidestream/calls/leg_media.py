"""One leg's audio: what was offered and answered, and the engine's endpoint that carries it."""

from dataclasses import dataclass
from ipaddress import ip_address

from sidestream.base.ids import Ids
from sidestream.calls.image import MediaImage
from sidestream.media.engine import (
    Address,
    EndpointStatistics,
    Format,
    Latch,
    LocalPorts,
    MediaEngine,
    MediaEngineError,
    SrtpKey,
)
from sidestream.media.together import together
from sidestream.sdp.answer import answer, usable_lines
from sidestream.sdp.content import RTP_PROTOCOL, SRTP_PROTOCOL
from sidestream.sdp.crypto import Crypto, MasterKey
from sidestream.sdp.direction import Direction
from sidestream.sdp.error import SdpError
from sidestream.sdp.formats import EVENTS, PCMA, PCMU, TELEPHONE_EVENT
from sidestream.sdp.formats import Format as SdpFormat
from sidestream.sdp.keying import Keying, answering_crypto, keying, new_cryptos
from sidestream.sdp.layout import answering, following
from sidestream.sdp.lines import Origin
from sidestream.sdp.numbering import both_laws, pairs
from sidestream.sdp.offer import AudioLine, offer
from sidestream.sdp.relay import relayed
from sidestream.sdp.remote import RemoteAddress, remote_address
from sidestream.sdp.security import MediaSecurity, admitted
from sidestream.sdp.session import SessionDescription

NOT_ACCEPTABLE = 488  # RFC 3261 §21.4.26: the description cannot be carried
OWN_FORMATS = (PCMU, PCMA, EVENTS)  # what we can play and say, in order of preference

_ORIGIN_ID_DIGITS = 9  # RFC 8866 §5.2: a number; nine digits are unique enough for a host and fit 32 bits


@dataclass(frozen=True, slots=True)
class _Terms:
    """What two descriptions agree on. `remote_sends`, `remote_receives`: the direction as the peer has it.

    `formats` have the numbers that we gave, `sent` those that the peer wants. `muxed`: RTCP shares the
    RTP port.
    """

    address: RemoteAddress | None
    keying: Keying | None
    formats: tuple[Format, ...]
    sent: tuple[Format, ...]
    remote_sends: bool
    remote_receives: bool
    muxed: bool


class LegMedia:
    """The audio m-line of one leg. Descriptions are kept as sent and received; the engine learns what they agree on.

    `local` is the last description we sent, `remote` the last one accepted from the peer. Not for concurrent use.
    `security`: what the peer may or must do; it says nothing of the other leg, which has keys and a profile of its own.
    `interface`: the engine's, by name; None: its first. `latch`: whose packets are taken for the peer's. RTCP shares
    the RTP port if the peer wants it (RFC 5761); we never ask for it, since it spares the platform no port, and peers
    that do not know it are none the worse.
    """

    def __init__(
        self,
        engine: MediaEngine,
        ids: Ids,
        *,
        session: str,
        endpoint: str,
        interface: str | None = None,
        security: MediaSecurity = MediaSecurity.NONE,
        latch: Latch = Latch.EACH,
    ) -> None:
        self._engine = engine
        self._ids = ids
        self._security = security
        self._is_muxed = False
        self.latch = latch
        self._keying: Keying | None = None
        self._address: RemoteAddress | None = None  # where the peer was last
        self._interface = interface
        self._origin_id = ids.integer(10 ** (_ORIGIN_ID_DIGITS - 1), 10**_ORIGIN_ID_DIGITS - 1)
        self._is_released = False
        self.session = session
        self.endpoint = endpoint
        self._before: SessionDescription | None = None  # what the peer had of us before this negotiation
        self.ports: LocalPorts | None = None
        self.local: SessionDescription | None = None
        self.remote: SessionDescription | None = None
        self.formats: tuple[Format, ...] = ()
        self.remote_sends = True
        self.remote_receives = True

    @property
    def is_agreed(self) -> bool:
        """Whether offer and answer have met, so that there is something to hear, play or record."""
        return bool(self.formats)

    @property
    def takes_events(self) -> bool:
        """Whether keys go to the peer, and come from it, as telephone events (RFC 4733)."""
        return any(f.encoding == TELEPHONE_EVENT for f in self.formats)

    @property
    def security(self) -> MediaSecurity:
        """What the same peer may or must do in another negotiation: what it has, it keeps."""
        return MediaSecurity.REQUIRED if self.is_secure else self._security

    @property
    def is_secure(self) -> bool:
        """Whether SRTP was agreed on."""
        return self._keying is not None

    @property
    def narrowed(self) -> tuple[SdpFormat, ...]:
        """What another leg may be offered when the peer took less than we offered; () when `local` says it all.

        Only G.711 is converted, so any other codec that this peer did not take must not reach the other.
        """
        lines = usable_lines(self.local) if self.local is not None else ()
        if self.local is None or not lines:
            return ()
        ours = self.local.media[lines[0]].rtpmaps()
        agreed = {f.payload_type for f in self.formats}
        kept = tuple(f for f in ours if f.payload_type in agreed)
        return _single_codec(kept) if agreed and len(kept) < len(ours) else ()

    @property
    def agreed(self) -> tuple[SdpFormat, ...]:
        """The formats that offer and answer have in common, as SDP names them."""
        lines = usable_lines(self.local) if self.local is not None else ()
        if self.local is None or not lines:
            return ()
        agreed = {f.payload_type for f in self.formats}
        return tuple(f for f in self.local.media[lines[0]].rtpmaps() if f.payload_type in agreed)

    def successor(
        self, ids: Ids, security: MediaSecurity = MediaSecurity.NONE, latch: Latch = Latch.EACH
    ) -> "LegMedia":
        """A negotiation with somebody else about the same endpoint, which takes effect with its first `apply`."""
        media = LegMedia(
            self._engine,
            ids,
            session=self.session,
            endpoint=self.endpoint,
            interface=self._interface,
            security=security,
            latch=latch,
        )
        media.ports = self.ports
        return media

    def follow(self, former: "LegMedia") -> None:
        """Go on in the dialog of `former`, whose peer has to be told of another endpoint."""
        self._before, self._origin_id = former.local or former._before, former._origin_id

    async def open(self) -> LocalPorts:
        """Allocate the endpoint if it has none yet. Raises MediaEngineError."""
        if self._is_released:
            raise MediaEngineError("no-session", "the leg is over")
        if self.ports is None:
            _, ports = await together(
                self._engine.open_session(self.session),
                self._engine.open_endpoint(self.session, self.endpoint, interface=self._interface),
            )
            self.ports = ports
        return self.ports

    async def release(self, *, with_session: bool) -> EndpointStatistics | None:
        """Give the endpoint back, and with it the session if that is this leg's own. Raises MediaEngineError.

        Returns the endpoint's last statistics, if there was one. After it nothing can be opened again: a task that is a
        moment late must not bring the session back to life.
        """
        self._is_released = True
        had_ports, self.ports = self.ports is not None, None
        if with_session:
            last = await self._engine.close_session(self.session)  # its endpoints go with it
            return last.endpoints.get(self.endpoint)
        if had_ports:
            return await self._engine.close_endpoint(self.session, self.endpoint)
        return None

    def admitted(self, description: SessionDescription) -> SessionDescription:
        """The peer's description without the lines that its security forbids. Everything else here wants it so."""
        return admitted(description, self._security)

    async def describe_relayed(
        self, other: SessionDescription, *, answers: SessionDescription | None
    ) -> SessionDescription:
        """The other leg's description as ours toward this leg's peer; `answers` is that peer's offer, if it made one.

        Raises SdpError (488) if `other` has no audio line that the platform can carry.
        """
        ports = await self.open()
        lines = usable_lines(other)
        if not lines:
            raise SdpError("no audio line that can be carried", status=NOT_ACCEPTABLE)
        # Each leg has streams of its own, such as the video that one phone offered and the other never heard of.
        other = self._following(other) if answers is None else answering(other, answers)
        index = usable_lines(other)[0]
        keys = self._offered_cryptos() if answers is None else self._answered_cryptos(answers, index)
        description = relayed(
            other,
            ports.host,
            {index: ports.rtp},
            self._origin(ports.host),
            offered=answers,
            known=self._known(),
            cryptos={index: keys} if keys else {},
            muxed=[index] if self._wants_mux(answers, index) else [],
        )
        return self._sent(description)

    async def describe_answer(self, offered: SessionDescription, *, held: bool = False) -> SessionDescription:
        """Our own answer to the peer's offer: one codec, the first of the offer that we can play, and DTMF.

        A single codec, so that the other leg can be offered exactly what this one speaks. If the offer has none that
        we can play, its first audio codec is taken: such a call can be bridged but not spoken to.
        Raises SdpError (488) if nothing of the offer can be carried.
        """
        ports = await self.open()
        lines = usable_lines(offered)
        if not lines:
            raise SdpError("no audio line that can be carried", status=NOT_ACCEPTABLE)
        direction = Direction.INACTIVE if held else Direction.SENDRECV
        keys = self._answered_cryptos(offered, lines[0])
        description = answer(
            offered,
            host=ports.host,
            ports={lines[0]: ports.rtp},
            formats=_single_codec(offered.media[lines[0]].rtpmaps()),
            direction=direction,
            origin=self._origin(ports.host),
            cryptos=dict.fromkeys(lines[:1], keys[0]) if keys else {},
            rtcp_mux=True,
        )
        if description is None:
            raise SdpError("no audio codec in common", status=NOT_ACCEPTABLE)
        return self._sent(description)

    async def describe_offer(self, formats: tuple[SdpFormat, ...] = OWN_FORMATS) -> SessionDescription:
        """An offer of our own; with one law of G.711 the other is offered too, for the engine converts."""
        ports = await self.open()
        keys = self._offered_cryptos()
        protocol = SRTP_PROTOCOL if keys else RTP_PROTOCOL
        line = AudioLine(
            ports.rtp,
            both_laws(formats),
            Direction.SENDRECV,
            protocol=protocol,
            cryptos=keys,
            rtcp_mux=self._is_muxed,
        )
        return self._sent(self._following(offer(ports.host, [line], self._origin(ports.host))))

    async def apply(self, remote: SessionDescription) -> None:
        """Take the peer's half of an exchange into force; ours is `local`. Raises SdpError, MediaEngineError."""
        terms = self._terms(remote)
        address, keys = terms.address, terms.keying
        await self._engine.configure_endpoint(
            self.session,
            self.endpoint,
            remote=None if address is None else Address(address.host, address.rtp_port),
            remote_rtcp=None if address is None else Address(address.rtcp_host, address.rtcp_port),
            # Who gave a codec another number in its answer may send it under either.
            formats=(*terms.formats, *_unnumbered(terms.sent, terms.formats)),
            send_formats=() if terms.sent == terms.formats else terms.sent,
            latch=self.latch,
            send=terms.remote_receives,
            receive=terms.remote_sends,
            rtcp_mux=terms.muxed,
            send_key=None if keys is None else _to_engine(keys.send),
            receive_key=None if keys is None else _to_engine(keys.receive),
        )
        self._agree(remote, terms)

    def image(self) -> MediaImage | None:
        """The negotiation as `restore` takes it; None before offer and answer have met."""
        if self.ports is None or self.local is None or self.remote is None or not self.is_agreed:
            return None
        return MediaImage(
            self.session,
            self.endpoint,
            self._interface,
            self._origin_id,
            self._security,
            self.ports,
            self.local.to_bytes(),
            self.remote.to_bytes(),
            self._address,
            self.latch,
        )

    def restore(self, image: MediaImage) -> None:
        """Go on with what the engine has from before a restart. Raises SdpError."""
        self._origin_id, self._address = image.origin_id, image.address
        self.ports = image.ports
        self.local = SessionDescription.parse(image.local)
        remote = SessionDescription.parse(image.remote)
        self._agree(remote, self._terms(remote))

    def _agree(self, remote: SessionDescription, terms: _Terms) -> None:
        self.remote, self.formats, self._is_muxed = remote, terms.formats, terms.muxed
        self._keying, self._address = terms.keying, terms.address or self._address
        self.remote_sends, self.remote_receives = terms.remote_sends, terms.remote_receives

    def _terms(self, remote: SessionDescription) -> _Terms:
        """What `local` and the peer's description agree on. Raises SdpError."""
        lines = usable_lines(remote)
        if not lines:
            raise SdpError("the peer accepted no audio line", status=NOT_ACCEPTABLE)
        index = lines[0]
        address = remote_address(remote, index)
        if address is not None and self.ports is not None and not _reaches(address, self.ports.host):
            raise SdpError(f"media over IPv{address.family} does not reach {self.ports.host}", status=NOT_ACCEPTABLE)
        agreed = self._agreed_keys(remote, index)
        direction = remote.direction(index)
        common = self._common(remote, index)
        formats = tuple(_format(ours) for ours, _ in common)
        sent = tuple(_format(theirs) for _, theirs in common)
        local = self.local.direction(index) if self.local is not None else Direction.SENDRECV
        remote_sends = direction.sends and local.receives
        remote_receives = direction.receives and local.sends
        # RFC 5761 §5.1.1: only if both descriptions say so.
        ours = self.local.media[index] if self.local is not None and index < len(self.local.media) else None
        muxed = ours is not None and ours.rtcp_mux and remote.media[index].rtcp_mux
        return _Terms(address, agreed, formats, sent, remote_sends, remote_receives, muxed)

    def _wants_mux(self, answers: SessionDescription | None, index: int) -> bool:
        """Whether RTCP is to share the port of a line: if the peer's offer asks for it, or as it was agreed on."""
        if answers is None:
            return self._is_muxed
        return index < len(answers.media) and answers.media[index].can_mux

    def _offered_cryptos(self) -> tuple[Crypto, ...]:
        """The keys of an offer of ours; () for plain RTP."""
        # RFC 4568 §7.1.4: the same key as long as our address is the same, and it never changes.
        if self._security is MediaSecurity.REQUIRED or self.is_secure:
            return self._own_cryptos() or new_cryptos(self._ids)
        return ()

    def _answered_cryptos(self, offered: SessionDescription, index: int) -> tuple[Crypto, ...]:
        """The key of our answer to a line of the peer's offer; () for plain RTP. Raises SdpError (488)."""
        if index >= len(offered.media) or not offered.media[index].is_secure:
            return ()
        address = remote_address(offered, index)
        # RFC 4568 §7.1.4: who has moved may be another, which knows nothing of our packets so far: a new key.
        moved = None not in (address, self._address) and address != self._address
        mine = () if moved else self._own_cryptos()
        crypto = answering_crypto(offered.media[index], self._ids, mine=mine)
        if crypto is None:
            raise SdpError("no crypto suite in common", status=NOT_ACCEPTABLE)
        return (crypto,)

    def _own_cryptos(self) -> tuple[Crypto, ...]:
        """Those of our last description; once they are agreed on, the one that is in use."""
        lines = [line.cryptos for line in self.local.media if line.cryptos] if self.local is not None else []
        ours = lines[0] if lines else ()
        used = tuple(crypto for crypto in ours if self._keying is not None and crypto.key == self._keying.send)
        return used or ours

    def _agreed_keys(self, remote: SessionDescription, index: int) -> Keying | None:
        """What the two descriptions protect the line with; None for plain RTP. Raises SdpError (488)."""
        theirs = remote.media[index]
        ours = self.local.media[index] if self.local is not None and index < len(self.local.media) else None
        if not theirs.is_secure and (ours is None or not ours.is_secure):
            return None
        agreed = None if ours is None else keying(ours, theirs)
        if agreed is None:
            raise SdpError("no keys for SRTP in common", status=NOT_ACCEPTABLE)
        return agreed

    def _common(self, remote: SessionDescription, index: int) -> tuple[tuple[SdpFormat, SdpFormat], ...]:
        """The formats that both lines have, as (ours, theirs); in the peer's order (RFC 3264 §6.1)."""
        theirs = remote.media[index].rtpmaps()
        if self.local is None or index >= len(self.local.media):
            return tuple(zip(theirs, theirs, strict=True))
        return pairs(theirs, self.local.media[index].rtpmaps())

    def _known(self) -> tuple[SdpFormat, ...]:
        """What payload types have meant so far in this session (RFC 3264 §8.3.2); what we said comes first."""
        known: dict[int, SdpFormat] = {}
        for description in (self.local or self._before, self.remote):
            if description is not None:
                for index in usable_lines(description)[:1]:
                    for format_ in description.media[index].rtpmaps():
                        known.setdefault(format_.payload_type, format_)
        return tuple(known.values())

    def _sent(self, description: SessionDescription) -> SessionDescription:
        self.local = description.succeeding(self.local or self._before)
        return self.local

    def _following(self, description: SessionDescription) -> SessionDescription:
        """An offer in the order of what we sent before."""
        before = self.local or self._before
        return description if before is None else following(description, before)

    def _origin(self, host: str) -> Origin:
        return Origin("-", self._origin_id, 1, host)


def _reaches(address: RemoteAddress, host: str) -> bool:
    """Whether packets of an interface that is advertised as `host` can have that destination, as far as is known."""
    try:
        return address.family == ip_address(host).version
    except ValueError:
        return True  # it is advertised by a name


def check_offer(offered: SessionDescription) -> None:
    """Raises SdpError (488) if nothing of the offer can be carried, whoever answers it."""
    lines = usable_lines(offered)
    if not lines:
        raise SdpError(_why_not(offered), status=NOT_ACCEPTABLE)
    remote_address(offered, lines[0])


def _why_not(offered: SessionDescription) -> str:
    """What is wrong with an offer of which no line can be carried, for who has to set up the peer."""
    audio = [media for media in offered.media if media.media == "audio" and not media.is_refused]
    # RFC 5764 §8: DTLS says so in the profile; what has no fingerprint there is meant all the same.
    if any(media.protocol.upper().startswith("UDP/TLS/") for media in audio):
        return "it asks for DTLS-SRTP, which is not spoken; SRTP with keys in a=crypto is"
    if any(media.is_secure for media in audio):
        return "its SRTP has no a=crypto line that can be used"
    return "no audio line that can be carried"


def _format(format_: SdpFormat) -> Format:
    return Format(format_.payload_type, format_.encoding, format_.clock_rate, format_.channels or 1)


def _unnumbered(sent: tuple[Format, ...], formats: tuple[Format, ...]) -> tuple[Format, ...]:
    """What the peer numbers otherwise, where we gave that number to nothing."""
    taken = {f.payload_type for f in formats}
    return tuple(f for f in sent if f.payload_type not in taken)


def _to_engine(key: MasterKey) -> SrtpKey:
    return SrtpKey(key.suite.value, key.key, key.mki)


def _single_codec(offered: tuple[SdpFormat, ...]) -> tuple[SdpFormat, ...]:
    codecs = [f for f in offered if f.is_audio_codec]
    playable = [f for f in codecs if any(f.is_same_codec(ours) for ours in OWN_FORMATS)]
    chosen = (playable or codecs)[:1]
    return (*chosen, *(f for f in offered if f.encoding == TELEPHONE_EVENT))
