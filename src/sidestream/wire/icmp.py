"""ICMP errors about datagrams of ours, as Linux queues them on a socket (ip(7), IP_RECVERR)."""

import errno
import os
import select
import socket
import struct
import sys

# <linux/in.h>, <linux/in6.h>; the socket module does not name them.
_IP_RECVERR = 11
_IPV6_RECVERR = 25
_EXTENDED_ERROR = struct.Struct("=IBBBBII")  # sock_extended_err: errno, origin, type, code, pad, info, data
_ORIGIN_ICMP, _ORIGIN_ICMP6 = 2, 3
_ANCILLARY_SIZE = 512
MAX_QUEUED = 64  # errors read at one time; the rest comes with the next wake-up

# RFC 3261 §18.4: unreachable and parameter problem are failures; too big, source quench and time exceeded are not.
_V4_UNREACHABLE, _V4_PARAMETER_PROBLEM, _V4_TOO_BIG = 3, 12, 4
_V6_UNREACHABLE, _V6_PARAMETER_PROBLEM = 1, 4


def enable(sock: socket.socket) -> None:
    """Let the kernel queue ICMP errors on `sock`; elsewhere than on Linux nothing happens."""
    if sys.platform == "linux":
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)


def watchable(sock: socket.socket) -> "select.epoll | socket.socket":
    """What an event loop is to watch for `sock`.

    libuv takes an error condition on a watched socket for the end of it and stops watching. An epoll object around the
    socket has no error condition of its own: it is just readable.
    """
    if sys.platform == "linux":
        epoll = select.epoll()
        epoll.register(sock.fileno(), select.EPOLLIN | select.EPOLLERR)
        return epoll
    return sock


def read_errors(sock: socket.socket) -> list[tuple[str, int, str]]:
    """The failures that are queued: host and port the datagram went to, and the reason for people."""
    found: list[tuple[str, int, str]] = []
    if sys.platform != "linux":
        return found
    for _ in range(MAX_QUEUED):
        try:
            _, ancillary, _, address = sock.recvmsg(0, _ANCILLARY_SIZE, socket.MSG_ERRQUEUE)
        except OSError:
            break  # empty
        for level, kind, data in ancillary:
            if (level, kind) not in ((socket.IPPROTO_IP, _IP_RECVERR), (socket.IPPROTO_IPV6, _IPV6_RECVERR)):
                continue
            number, origin, icmp_type, code = _EXTENDED_ERROR.unpack_from(data)[:4]
            if address and is_failure(origin, icmp_type, code):
                found.append((address[0], address[1], f"ICMP: {os.strerror(number).lower()}"))
    return found


def is_failure(origin: int, icmp_type: int, code: int) -> bool:
    """Whether this error says that the datagram's like will not arrive."""
    if origin == _ORIGIN_ICMP:
        return icmp_type == _V4_PARAMETER_PROBLEM or (icmp_type == _V4_UNREACHABLE and code != _V4_TOO_BIG)
    return origin == _ORIGIN_ICMP6 and icmp_type in (_V6_UNREACHABLE, _V6_PARAMETER_PROBLEM)


def is_pending(error: OSError) -> bool:
    """Whether a call failed for an older datagram's error and not for its own sake."""
    return error.errno in (
        errno.ECONNREFUSED,
        errno.EHOSTUNREACH,
        errno.ENETUNREACH,
        errno.EPROTO,
        errno.ENOPROTOOPT,
        errno.EMSGSIZE,
        errno.EHOSTDOWN,
        errno.ENONET,
        errno.EOPNOTSUPP,
        errno.EACCES,
    )
