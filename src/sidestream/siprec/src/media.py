"""What is agreed on about the streams of one recording session: our offers, the server's, and the forks that result."""

from collections.abc import Sequence

from sidestream.base.ids import Ids
from sidestream.sdp.crypto import CryptoSuite
from sidestream.sdp.error import SdpError
from sidestream.sdp.keying import new_cryptos
from sidestream.sdp.lines import Origin
from sidestream.sdp.session import SessionDescription
from sidestream.sip.message import Message
from sidestream.siprec.body import parse_body
from sidestream.siprec.src.actions import ConfigureFork
from sidestream.siprec.src.lines import (
    Cryptos,
    LineState,
    OfferedFork,
    answer_of,
    kept_cryptos,
    offer_of,
    states_of_answer,
)


class SrcMedia:
    """The m-lines of a session, one a fork. `host` is our address in SDP.

    `lines`: what is in force; `local`: the last description that we sent; `cryptos`: what the next offer of each line
    holds, () for plain RTP.
    """

    def __init__(self, host: str, ids: Ids) -> None:
        self._host = host
        self._ids = ids
        self.forks: tuple[OfferedFork, ...] = ()
        self.lines: tuple[LineState, ...] = ()
        self.cryptos: tuple[Cryptos, ...] = ()
        self.local: SessionDescription | None = None

    def begin(self, forks: Sequence[OfferedFork], suites: tuple[CryptoSuite, ...]) -> None:
        """Nothing is agreed on yet; `suites` are those of SRTP, none for plain RTP."""
        self.forks = tuple(forks)
        self.lines = (LineState(),) * len(self.forks)
        if suites:
            # M2: keys of its own for each line, and C40: never one of the call.
            self.cryptos = tuple(new_cryptos(self._ids, suites) for _ in self.forks)

    @property
    def streams(self) -> tuple[tuple[str, str], ...]:
        """Label and stream id of each fork that the server takes."""
        lines = zip(self.forks, self.lines, strict=True)
        return tuple((fork.label, fork.stream_id) for fork, line in lines if not line.refused)

    def offer(self) -> SessionDescription:
        """Our next offer."""
        made = offer_of(self.forks, self._host, self._origin(), self.lines, self.cryptos)
        self.local = made.succeeding(self.local)
        return self.local

    def answered(self, message: Message) -> tuple[LineState, ...]:
        """What the answer in `message` to our last offer means; `apply` takes it into force. Raises SdpError."""
        assert self.local is not None  # nothing is answered before it is offered
        sdp = parse_body(message).sdp
        if sdp is None:
            raise SdpError("there is no SDP")
        return states_of_answer(self.forks, self.local, SessionDescription.parse(sdp))

    def answer(self, offered: SessionDescription) -> tuple[SessionDescription, tuple[LineState, ...]]:
        """Our answer to an offer of the server, and what it means; `apply` takes it into force. Raises SdpError."""
        made, lines = answer_of(
            self.forks,
            offered,
            self._host,
            self._origin(),
            states=self.lines,
            cryptos=self.cryptos,
            ids=self._ids,
        )
        self.local = made.succeeding(self.local)
        return self.local, lines

    def apply(self, lines: tuple[LineState, ...]) -> list[ConfigureFork]:
        """C43: take `lines` into force; returns what the forks have to do about it."""
        changed = [
            ConfigureFork(fork.label, new.remote, new.active, new.formats, new.keying)
            for fork, old, new in zip(self.forks, self.lines, lines, strict=True)
            if new != old
        ]
        self.lines = lines
        if self.cryptos and self.local is not None:
            kept = zip(self.local.media, lines, self.cryptos, strict=False)
            self.cryptos = tuple(kept_cryptos(*line) for line in kept)
        return changed

    def silence(self) -> list[ConfigureFork]:
        """What lets no fork send any more."""
        return [
            ConfigureFork(fork.label, line.remote, False, line.formats, line.keying)
            for fork, line in zip(self.forks, self.lines, strict=True)
            if line.active
        ]

    def _origin(self) -> Origin:
        """The origin of our first description; `succeeding` keeps it in the later ones."""
        return Origin("-", self._ids.integer(1, 2**62), 1, self._host)
