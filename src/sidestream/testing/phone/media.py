"""A phone's side of offer/answer (RFC 3264) for one audio stream, which it directs by what was agreed."""

from collections.abc import Sequence

from sidestream.base.ids import Ids
from sidestream.sdp.answer import agreed_formats, answer, usable_lines
from sidestream.sdp.content import RTP_PROTOCOL, SRTP_PROTOCOL
from sidestream.sdp.crypto import Crypto, CryptoSuite
from sidestream.sdp.direction import Direction
from sidestream.sdp.error import SdpError
from sidestream.sdp.formats import TELEPHONE_EVENT, Format
from sidestream.sdp.keying import answering_crypto, keying, new_cryptos
from sidestream.sdp.lines import Origin
from sidestream.sdp.offer import AudioLine, offer
from sidestream.sdp.remote import remote_address
from sidestream.sdp.session import SessionDescription
from sidestream.testing import g711
from sidestream.testing.g711 import Samples
from sidestream.testing.phone import tracks
from sidestream.testing.phone.stream import Cipher, RtpStream
from sidestream.testing.phone.talker import Talk


class PhoneMedia:
    """`local` and `remote` are the descriptions in force; `wanted` is the direction that this phone asks for.

    `suites`: the phone speaks SRTP and nothing else, by one of these; without any it speaks plain RTP and nothing else.
    """

    def __init__(
        self,
        stream: RtpStream,
        formats: Sequence[Format],
        session_id: int,
        *,
        suites: Sequence[CryptoSuite] = (),
        ids: Ids | None = None,
    ) -> None:
        self.stream = stream
        self._suites = tuple(suites)
        self._ids = ids or Ids()
        self._cryptos: tuple[Crypto, ...] = ()
        self._cipher: tuple[object, Cipher] | None = None
        self.formats = tuple(formats)
        self.wanted = Direction.SENDRECV
        self.local: SessionDescription | None = None
        self.remote: SessionDescription | None = None
        self._origin = Origin("-", session_id, 1, stream.host)
        self._line = 0
        self._encodings = {one.payload_type: one.encoding for one in formats if one.encoding in g711.LAWS}
        self._sent_encodings: dict[int, str] = {}
        self._events = next((one.payload_type for one in formats if one.encoding == TELEPHONE_EVENT), None)

    def offer(self) -> bytes:
        """Our offer in `wanted`; a repeated one raises its version only if it changed."""
        protocol = SRTP_PROTOCOL if self._suites else RTP_PROTOCOL
        self._cryptos = self._cryptos or new_cryptos(self._ids, self._suites)
        line = AudioLine(
            self.stream.port,
            self.formats,
            self.wanted,
            protocol=protocol,
            cryptos=self._cryptos if self._suites else (),
        )
        self.local = offer(self.stream.host, (line,), self._origin, name="Phone").succeeding(self.local)
        return self.local.to_bytes()

    def answer(self, body: bytes) -> bytes | None:
        """Take an offer, direct the stream by it and return our answer; None when nothing in it fits us (488).

        Raises `SdpError` for a body that is no description.
        """
        offered = SessionDescription.parse(body)
        fitting = [
            index
            for index in usable_lines(offered)
            if offered.media[index].is_secure is bool(self._suites)
            and agreed_formats(offered.media[index], self.formats)
        ]
        if not fitting:
            return None
        self._line = fitting[0]
        crypto = answering_crypto(
            offered.media[self._line], self._ids, mine=self._cryptos, suites=self._suites or tuple(CryptoSuite)
        )
        if self._suites and crypto is None:
            return None
        made = answer(
            offered,
            host=self.stream.host,
            ports={self._line: self.stream.port},
            formats=self.formats,
            direction=self.wanted,
            origin=self._origin,
            name="Phone",
            cryptos={} if crypto is None else {self._line: crypto},
        )
        assert made is not None, "a line that fits is accepted"
        self.local, self.remote = made.succeeding(self.local), offered
        for one in self.local.media[self._line].rtpmaps():
            if one.encoding in g711.LAWS:
                self._encodings[one.payload_type] = one.encoding
            elif one.encoding == TELEPHONE_EVENT:
                self._events = one.payload_type
        self._direct()
        return self.local.to_bytes()

    def take_answer(self, body: bytes) -> None:
        """Direct the stream by the answer to our last offer. Raises `SdpError` when it is none."""
        description = SessionDescription.parse(body)
        if not description.media:
            raise SdpError("an answer without an m= line")
        self._line, self.remote = 0, description
        self._direct()

    @property
    def is_held(self) -> bool:
        """The peer wants nothing from us."""
        return self.remote is not None and not self.remote.direction(self._line).receives

    def sent_samples(self) -> Samples:
        """All the audio that was sent, as its receiver decodes it, without the pauses in which nothing was sent."""
        return tracks.spoken(list(self.stream.sent), self._sent_encodings)

    def heard_samples(self) -> Samples:
        """All the audio that arrived, at its places in RTP time, with zeros where packets are missing."""
        return tracks.heard(list(self.stream.received), self._encodings)

    def heard_digits(self) -> str:
        return tracks.digits(list(self.stream.received), self._events)

    def _direct(self) -> None:
        if self.local is None or self.remote is None:
            return
        cipher = self._agree()
        address = remote_address(self.remote, self._line)
        if address is None:
            self.stream.direct(None, cipher=cipher)
            return
        rtp, rtcp = (address.host, address.rtp_port), (address.rtcp_host, address.rtcp_port)
        sends = self.remote.direction(self._line).receives and self.local.direction(self._line).sends
        self.stream.direct(self._talk() if sends else None, rtp, rtcp, cipher)

    def _agree(self) -> Cipher | None:
        """What protects the stream by the descriptions in force. Raises `SdpError` when they agree on nothing."""
        assert self.local is not None
        assert self.remote is not None
        if not self._suites:
            return None
        ours = self.local.media[self._line]
        agreed = keying(ours, self.remote.media[self._line])
        if agreed is None:
            raise SdpError("no keys for SRTP", status=488)
        self._cryptos = tuple(crypto for crypto in ours.cryptos if crypto.key == agreed.send)
        if self._cipher is None or self._cipher[0] != agreed:
            # Only a phone that speaks SRTP needs libsrtp.
            from sidestream.testing.phone.srtp import SrtpCipher

            self._cipher = (agreed, SrtpCipher(agreed))
        return self._cipher[1]

    def _talk(self) -> Talk | None:
        """RFC 3264 §5.1, §7: we send with the first codec of the peer's list that we have, and with its numbers."""
        assert self.remote is not None
        theirs = agreed_formats(self.remote.media[self._line], self.formats)
        codec = next((one for one in theirs if one.encoding in g711.LAWS), None)
        if codec is None:
            return None
        events = next((one.payload_type for one in theirs if one.encoding == TELEPHONE_EVENT), None)
        self._sent_encodings[codec.payload_type] = codec.encoding
        return Talk(codec.encoding, codec.payload_type, events)
