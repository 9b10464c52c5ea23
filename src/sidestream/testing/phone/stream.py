"""One RTP stream of a phone: its port pair, its talker, and all that passed."""

import socket
import struct
import time
from pathlib import Path
from typing import Protocol

from sidestream.base.ids import Ids
from sidestream.testing.phone.schedule import Schedule
from sidestream.testing.phone.talker import PACKET_SECONDS, Talk, Talker
from sidestream.testing.phone.tracks import Heard
from sidestream.testing.rtp import RtpError, goodbye, parse_rtp, sender_report
from sidestream.testing.speech import read_speech

Target = tuple[str, int]

REPORT_SECONDS = 5.0  # RFC 3550 §6.2: the smallest recommended interval
FIRST_REPORT_SECONDS = 1.0  # sooner, so that a short test sees one
PAIR_ATTEMPTS = 100
RECEIVE_BUFFER = 1 << 20  # octets: a second of many packets may wait while a loaded machine runs others
LARGEST_DATAGRAM = 2048

SO_TIMESTAMPNS = 35  # Linux; Python does not name it: the kernel stamps arrivals, whenever we come to read them
_TIMESPEC = struct.Struct("@ll")
_ANCILLARY = socket.CMSG_SPACE(_TIMESPEC.size)


class Cipher(Protocol):
    """What protects a stream (SRTP, RFC 3711). What cannot be opened is None."""

    def protect(self, packet: bytes) -> bytes: ...
    def protect_rtcp(self, packet: bytes) -> bytes: ...
    def unprotect(self, packet: bytes) -> bytes | None: ...
    def unprotect_rtcp(self, packet: bytes) -> bytes | None: ...


class RtpStream:
    """Made on the event loop, then owned by an `AudioThread`, which calls `run` and the two receivers.

    From the loop only these are used: `direct`, `press`, and the reading of `sent`, `received` and `received_reports`,
    to which the thread appends (and takes back from `sent` at once what could not be sent). RTCP: a sender report with
    CNAME after a second of sending and then every five, and BYE at the end; no receiver reports.
    """

    def __init__(
        self, host: str, ids: Ids, *, speech: Path | None, loop_speech: bool, cname: str, secure: bool = False
    ) -> None:
        """Raises `OSError` when no port pair can be bound, `SpeechError` when the speech cannot be used.

        A `secure` one takes nothing before it has a key: SRTP that overtakes the answer is not RTP.
        """
        samples = read_speech(speech) if speech is not None else None
        self.talker = Talker(
            samples,
            loop=loop_speech,
            ssrc=ids.integer(1, 0xFFFFFFFF),
            sequence=ids.integer(0, 0x7FFF),  # RFC 4568 §6.4: below 2^15, should it go by SRTP
            timestamp=ids.integer(0, 0xFFFFFFFF),
        )
        self.rtp, self.rtcp = _bind_pair(host)
        self.host = host
        self.port: int = self.rtp.getsockname()[1]
        self.cname = cname
        self.sent: list[Heard] = []
        self.received: list[Heard] = []
        self.received_reports: list[bytes] = []
        self.unparsable = 0
        self.send_errors = 0
        self.refused = 0  # packets that the key does not fit
        self.early = 0  # packets that came before the key
        self._secure = secure
        self._way: tuple[Talk | None, Target | None, Target | None] = (None, None, None)
        self._cipher: Cipher | None = None
        self._schedule: Schedule | None = None
        self._next_report: float | None = None
        self._octets = 0

    def direct(
        self,
        talk: Talk | None,
        remote: Target | None = None,
        remote_rtcp: Target | None = None,
        cipher: Cipher | None = None,
    ) -> None:
        """Send as `talk` to `remote` from the next packet on, or (None) nothing; RTCP to `remote_rtcp`, if any.

        All that passes from then on is SRTP and SRTCP if there is a `cipher`.
        """
        self._cipher = cipher
        self._way = (talk, remote, remote_rtcp)

    def press(self, digits: str) -> None:
        """Queue digits; ValueError for characters that are none."""
        self.talker.press(digits)

    # On the thread

    def run(self, now: float) -> float:
        """Send what is due; returns when to be called again. `now`: `time.monotonic()`."""
        if self._schedule is None:
            self._schedule = Schedule(now, PACKET_SECONDS)
        talk, remote, remote_rtcp = self._way
        for _ in range(self._schedule.take(now)):
            packet = self.talker.tick(talk if remote is not None else None)
            if packet is None or remote is None:
                continue
            # Noted first: whoever sees it arrive must find it here.
            self.sent.append(Heard(time.time_ns(), packet))
            data = packet.to_bytes()
            if self._send(self.rtp, data if self._cipher is None else self._cipher.protect(data), remote):
                self._octets += len(packet.payload)
            else:
                self.sent.pop()
        self._report(now, remote_rtcp)
        return self._schedule.next_due

    def receive_rtp(self) -> None:
        for data, at_ns in _drain(self.rtp):
            if self._secure and self._cipher is None:
                self.early += 1
                continue
            opened = data if self._cipher is None else self._cipher.unprotect(data)
            if opened is None:
                self.refused += 1
                continue
            try:
                self.received.append(Heard(at_ns, parse_rtp(opened)))
            except RtpError:
                self.unparsable += 1

    def receive_rtcp(self) -> None:
        for data, _ in _drain(self.rtcp):
            if self._secure and self._cipher is None:
                self.early += 1
                continue
            opened = data if self._cipher is None else self._cipher.unprotect_rtcp(data)
            if opened is None:
                self.refused += 1
            else:
                self.received_reports.append(opened)

    def close(self) -> None:
        """Say goodbye, where that has an address, and close the sockets."""
        _, _, remote_rtcp = self._way
        if remote_rtcp is not None and self.sent:
            self._send_report(goodbye(self.talker.ssrc, self.cname), remote_rtcp)
        self.rtp.close()
        self.rtcp.close()

    def _report(self, now: float, remote: Target | None) -> None:
        if not self.sent or remote is None:
            return
        if self._next_report is None:
            self._next_report = now + FIRST_REPORT_SECONDS
        if now < self._next_report:
            return
        self._next_report = now + REPORT_SECONDS
        last = self.sent[-1]
        wall_ns = time.time_ns()
        # RFC 3550 §6.4.1: the RTP time that corresponds to the NTP time of the report
        timestamp = last.packet.timestamp + (wall_ns - last.at_ns) * 8 // 1_000_000 & 0xFFFFFFFF
        report = sender_report(
            self.talker.ssrc,
            self.cname,
            wall_ns=wall_ns,
            timestamp=timestamp,
            packets=len(self.sent),
            octets=self._octets,
        )
        self._send_report(report, remote)

    def _send_report(self, report: bytes, remote: Target) -> None:
        self._send(self.rtcp, report if self._cipher is None else self._cipher.protect_rtcp(report), remote)

    def _send(self, through: socket.socket, data: bytes, target: Target) -> bool:
        try:
            through.sendto(data, target)
        except OSError:
            # A full buffer, or the ICMP error of an earlier packet: this one is lost, as it would be on a phone.
            self.send_errors += 1
            return False
        return True


def _drain(through: socket.socket) -> list[tuple[bytes, int]]:
    """The datagrams that wait, each with its arrival in ns since 1970."""
    datagrams: list[tuple[bytes, int]] = []
    while True:
        try:
            data, ancillary, _, _ = through.recvmsg(LARGEST_DATAGRAM, _ANCILLARY)
        except BlockingIOError:
            return datagrams
        except ConnectionRefusedError:
            # The ICMP error of something we sent; what was received waits behind it.
            continue
        at_ns = time.time_ns()
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
                seconds, nanoseconds = _TIMESPEC.unpack(content[: _TIMESPEC.size])
                at_ns = seconds * 1_000_000_000 + nanoseconds
        datagrams.append((data, at_ns))


def _bind_pair(host: str) -> tuple[socket.socket, socket.socket]:
    """An even port for RTP and the one above for RTCP (RFC 3550 §11)."""
    for _ in range(PAIR_ATTEMPTS):
        rtp = _bind(host, 0)
        port: int = rtp.getsockname()[1]
        if port % 2 == 0:
            try:
                return rtp, _bind(host, port + 1)
            except OSError:
                pass
        rtp.close()
    raise OSError(f"no free port pair on {host}")


def _bind(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        bound.setblocking(False)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        bound.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound
