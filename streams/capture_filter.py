"""Capture filters: tcpdump's language, compiled by libpcap to what the kernel runs (pcap-filter(7)).

An interface's own libpcap handle compiles, and not a dead one: only so ``vlan`` looks at the tag that the kernel has
taken off the frame.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import NamedTuple

from schemas.errors import CaptureError, CaptureFilterError, MissingProgramError

_NAMES = ("libpcap.so.1", "libpcap.so.0.8", "libpcap.so")
_ERROR_BYTES = 256
"""``PCAP_ERRBUF_SIZE``."""
_NO_NETMASK = 0xFFFFFFFF
_RETURN = 0x06
"""``BPF_RET | BPF_K``: how many bytes of the frame to keep."""


class Instruction(NamedTuple):
    """One instruction of the classic BPF machine (``struct sock_filter``)."""

    code: int
    if_true: int
    if_false: int
    k: int


NOTHING = (Instruction(_RETURN, 0, 0, 0),)
"""The filter that lets no frame pass."""


def everything(snap_bytes: int) -> tuple[Instruction, ...]:
    """Return the filter that keeps so many bytes of every frame."""
    return (Instruction(_RETURN, 0, 0, snap_bytes),)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint), ("instructions", ctypes.POINTER(ctypes.c_ubyte)))


@cache
def _libpcap() -> ctypes.CDLL:
    for name in _NAMES:
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        library.pcap_create.restype = ctypes.c_void_p
        library.pcap_create.argtypes = (ctypes.c_char_p, ctypes.c_char_p)
        library.pcap_geterr.restype = ctypes.c_char_p
        library.pcap_statustostr.restype = ctypes.c_char_p
        return library
    raise MissingProgramError("A capture filter needs libpcap: install it (Debian: apt install libpcap0.8).")


def compile_filter(expression: str, interface: str, snap_bytes: int) -> tuple[Instruction, ...]:
    """Return the program of a filter for an interface.

    Parameters
    ----------
    expression : str
        As for tcpdump; empty lets everything pass.
    interface : str
        Its name; its link type decides where in a frame to look.
    snap_bytes : int
        Bytes to keep of a frame that passes.

    Raises
    ------
    CaptureFilterError
        The expression is wrong; with libpcap's own message.
    CaptureError
        libpcap cannot open the interface.
    MissingProgramError
        There is no libpcap.
    """
    if not expression.strip():
        return everything(snap_bytes)
    library = _libpcap()
    said = ctypes.create_string_buffer(_ERROR_BYTES)
    handle = ctypes.c_void_p(library.pcap_create(interface.encode(), said))
    if not handle:
        raise CaptureError(f"libpcap cannot open {interface}: {_text(said.value)}.")
    try:
        library.pcap_set_snaplen(handle, snap_bytes)
        # Warnings are positive (no promiscuous mode …) and do not matter here.
        if (status := library.pcap_activate(handle)) < 0:
            raise CaptureError(f"libpcap cannot open {interface}: {_text(library.pcap_statustostr(status))}.")
        return _compiled(library, handle, expression)
    finally:
        library.pcap_close(handle)


def _compiled(library: ctypes.CDLL, handle: ctypes.c_void_p, expression: str) -> tuple[Instruction, ...]:
    program = _Program()
    text = expression.encode()
    if library.pcap_compile(handle, ctypes.byref(program), text, 1, ctypes.c_uint32(_NO_NETMASK)) != 0:
        raise CaptureFilterError(f"The capture filter {expression!r} is wrong: {_text(library.pcap_geterr(handle))}.")
    try:
        code = ctypes.string_at(program.instructions, 8 * program.length)
    finally:
        library.pcap_freecode(ctypes.byref(program))
    return tuple(
        Instruction(
            int.from_bytes(code[at : at + 2], "little"),
            code[at + 2],
            code[at + 3],
            int.from_bytes(code[at + 4 : at + 8], "little"),
        )
        for at in range(0, len(code), 8)
    )


def _text(said: bytes) -> str:
    return said.decode(errors="replace").strip().rstrip(".")
