"""eBPF programs that are attached to interfaces by tcx: how many there are, and one of somebody else."""

import ctypes
import errno
import os
import platform
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from .network import inside

_LIBC = ctypes.CDLL(None, use_errno=True)
_BPF = {"x86_64": 321, "aarch64": 280}  # bpf(2), which has no wrapper
_PROG_LOAD, _PROG_QUERY, _LINK_CREATE = 5, 16, 28  # linux/bpf.h
_SCHED_CLS = 3
_TCX_INGRESS, _TCX_EGRESS = 46, 47
_BEFORE = 8  # BPF_F_BEFORE: with nothing beside it, before all
_PASS = 0  # TCX_PASS: the packet goes on, and no program after this one sees it
_MOST = 64  # BPF_MPROG_MAX, programs in a row
_ATTRIBUTES = 128  # octets, enough for any union bpf_attr that is used here


def attached(namespace: str, link: str) -> int:
    """How many programs are attached to an interface."""
    with inside(namespace):
        index = socket.if_nametoindex(link)
        return sum(_query(index, kind) for kind in (_TCX_INGRESS, _TCX_EGRESS))


@contextmanager
def passing(namespace: str, link: str, *, first: bool = False, many: bool = False) -> Iterator[None]:
    """A program on what leaves an interface that lets all of it pass, and ends the row of programs there; or as many as
    there is room for."""
    # r0 = TCX_PASS; exit
    code = ctypes.create_string_buffer(struct.pack("<BBhiBBhi", 0xB7, 0, 0, _PASS, 0x95, 0, 0, 0))
    licence = ctypes.create_string_buffer(b"GPL")
    fields = (_SCHED_CLS, 2, ctypes.addressof(code), ctypes.addressof(licence))
    opened: list[int] = []
    try:
        with inside(namespace):
            index = socket.if_nametoindex(link)
            for _ in range(_MOST if many else 1):
                opened.append(_bpf(_PROG_LOAD, struct.pack("IIQQ", *fields)))
                fields_of_link = (opened[-1], index, _TCX_EGRESS, _BEFORE * first)
                try:
                    opened.append(_bpf(_LINK_CREATE, struct.pack("IIII", *fields_of_link)))
                except OSError as error:
                    if not many or error.errno != errno.ERANGE:
                        raise
                    break
        yield
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _query(index: int, kind: int) -> int:
    # interface, kind, flags, attach flags, where program numbers go, how many
    attributes = ctypes.create_string_buffer(struct.pack("IIIIQI", index, kind, 0, 0, 0, 0), _ATTRIBUTES)
    _call(_PROG_QUERY, attributes)
    return int(struct.unpack_from("I", attributes, 24)[0])


def _bpf(command: int, fields: bytes) -> int:
    return _call(command, ctypes.create_string_buffer(fields, _ATTRIBUTES))


def _call(command: int, attributes: "ctypes.Array[ctypes.c_char]") -> int:
    result: int = _LIBC.syscall(_BPF[platform.machine()], command, attributes, ctypes.sizeof(attributes))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result
