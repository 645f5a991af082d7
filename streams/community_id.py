"""Community IDs of flows, many at a time.

The specification is that of Corelight, version 1: SHA-1 (FIPS 180-4) over seed, addresses, protocol, a zero and ports,
the smaller endpoint first, in Base64 behind ``1:``. What is hashed fits one block of SHA-1.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from schemas.protocols import ICMP, ICMPV6, SCTP, TCP, UDP
from streams.arrays import UInt8s, UInt16s
from streams.jit import kernel
from streams.tcp_state import I64

ID_BYTES = 30
"""``1:`` and 28 characters."""

_BLOCK_WORDS = 80
_MASK = 0xFFFFFFFF
_NO_ANSWER = 255
_MAPPED = 12
"""Bytes of an IPv4-mapped address before the IPv4 address."""

Block: TypeAlias = NDArray[np.int64]

_ALPHABET = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", np.uint8)


def _answers(pairs: tuple[tuple[int, int], ...]) -> UInt8s:
    table = np.full(256, _NO_ANSWER, np.uint8)
    for asked, answered in pairs:
        table[asked], table[answered] = answered, asked
    return table


_ICMP_ANSWERS = _answers(((8, 0), (10, 9), (13, 14), (15, 16), (17, 18)))
_ICMPV6_ANSWERS = _answers(((128, 129), (130, 131), (133, 134), (135, 136), (139, 140), (144, 145)))
"""ICMP messages that belong to one exchange; the one's type stands for the port of the other's side."""


@kernel
def _rotated(word: I64, bits: I64) -> I64:
    return ((word << bits) | (word >> (32 - bits))) & _MASK


@kernel
def _digest(block: Block) -> tuple[I64, I64, I64, I64, I64]:
    """Return the SHA-1 of one padded block, whose first 16 words are filled."""
    for at in range(16, _BLOCK_WORDS):
        block[at] = _rotated(block[at - 3] ^ block[at - 8] ^ block[at - 14] ^ block[at - 16], 1)
    a: I64 = 0x67452301
    b: I64 = 0xEFCDAB89
    c: I64 = 0x98BADCFE
    d: I64 = 0x10325476
    e: I64 = 0xC3D2E1F0
    for at in range(_BLOCK_WORDS):
        if at < 20:
            mixed, constant = (b & c) | (~b & d), 0x5A827999
        elif at < 40:
            mixed, constant = b ^ c ^ d, 0x6ED9EBA1
        elif at < 60:
            mixed, constant = (b & c) | (b & d) | (c & d), 0x8F1BBCDC
        else:
            mixed, constant = b ^ c ^ d, 0xCA62C1D6
        rotated = (_rotated(a, 5) + (mixed & _MASK) + e + constant + block[at]) & _MASK
        a, b, c, d, e = rotated, a, _rotated(b, 30), c, d
    return (
        (a + 0x67452301) & _MASK,
        (b + 0xEFCDAB89) & _MASK,
        (c + 0x98BADCFE) & _MASK,
        (d + 0x10325476) & _MASK,
        (e + 0xC3D2E1F0) & _MASK,
    )


@kernel
def _put(block: Block, at: I64, octet: I64) -> I64:
    """Write an octet of the message; return where the next one goes."""
    block[at >> 2] |= octet << (24 - 8 * (at & 3))
    return at + 1


@kernel
def _is_mapped(address: UInt8s) -> bool:
    for at in range(10):
        if address[at] != 0:
            return False
    return bool(address[10] == 0xFF and address[11] == 0xFF)


@kernel
def _is_flipped(src_ip: UInt8s, dst_ip: UInt8s, src_port: I64, dst_port: I64) -> bool:
    """Return whether the destination is the smaller endpoint."""
    for at in range(16):
        if src_ip[at] != dst_ip[at]:
            return bool(src_ip[at] > dst_ip[at])
    return bool(src_port > dst_port)


@kernel
def _fill(block: Block, seed: I64, low: UInt8s, high: UInt8s, protocol: I64, ports: I64) -> None:
    """Write the message and its padding; ``ports`` is -1 without ports."""
    block[:16] = 0
    at = _put(block, _put(block, 0, seed >> 8), seed & 255)
    begin = _MAPPED if _is_mapped(low) and _is_mapped(high) else 0
    for octet in range(begin, 16):
        at = _put(block, at, np.int64(low[octet]))
    for octet in range(begin, 16):
        at = _put(block, at, np.int64(high[octet]))
    at = _put(block, _put(block, at, protocol), 0)
    if ports >= 0:
        for shift in (24, 16, 8, 0):
            at = _put(block, at, (ports >> shift) & 255)
    _put(block, at, 0x80)
    block[15] = 8 * at


@kernel
def _write_base64(words: tuple[I64, I64, I64, I64, I64], alphabet: UInt8s, text: UInt8s) -> None:
    text[0], text[1] = 49, 58
    for group in range(7):
        bits: I64 = 0
        for octet in range(3 * group, 3 * group + 3):
            value = (words[octet >> 2] >> (24 - 8 * (octet & 3))) & 255 if octet < 20 else 0
            bits = (bits << 8) | value
        for character in range(4):
            text[2 + 4 * group + character] = alphabet[(bits >> (18 - 6 * character)) & 63]
    text[ID_BYTES - 1] = 61


@kernel
def _write_ids(
    src_ip: UInt8s, dst_ip: UInt8s, src_port: UInt16s, dst_port: UInt16s, protocol: UInt8s,
    icmp_type: UInt8s, icmp_code: UInt8s, seed: I64, answers: tuple[UInt8s, UInt8s], alphabet: UInt8s, text: UInt8s,
) -> None:  # fmt: skip
    block = np.zeros(_BLOCK_WORDS, np.int64)
    for row in range(len(protocol)):
        kind = np.int64(protocol[row])
        source, target, is_one_way = np.int64(src_port[row]), np.int64(dst_port[row]), False
        if kind == ICMP or kind == ICMPV6:
            source = np.int64(icmp_type[row])
            target = np.int64((answers[0] if kind == ICMP else answers[1])[icmp_type[row]])
            if target == _NO_ANSWER:
                target, is_one_way = np.int64(icmp_code[row]), True
        has_ports = kind == ICMP or kind == TCP or kind == UDP or kind == ICMPV6 or kind == SCTP
        if is_one_way or not _is_flipped(src_ip[row], dst_ip[row], source, target):
            _fill(block, seed, src_ip[row], dst_ip[row], kind, (source << 16) | target if has_ports else -1)
        else:
            _fill(block, seed, dst_ip[row], src_ip[row], kind, (target << 16) | source if has_ports else -1)
        _write_base64(_digest(block), alphabet, text[row])


def community_ids(
    src_ip: UInt8s,
    dst_ip: UInt8s,
    src_port: UInt16s,
    dst_port: UInt16s,
    protocol: UInt8s,
    icmp_type: UInt8s,
    icmp_code: UInt8s,
    seed: int = 0,
) -> UInt8s:
    """Return the Community IDs of flows as ASCII, uint8 of shape (n_flows, 30).

    Parameters
    ----------
    src_ip, dst_ip : ndarray of uint8, shape (n_flows, 16)
        Addresses, IPv4 mapped; which of them began does not matter but for ICMP without an answer.
    src_port, dst_port : ndarray of uint16, shape (n_flows,)
        Ports; not read for ICMP.
    protocol : ndarray of uint8, shape (n_flows,)
        IANA protocol numbers.
    icmp_type, icmp_code : ndarray of uint8, shape (n_flows,)
        Of the first packet; not read for other protocols.
    seed : int
        16 bits.
    """
    text = np.empty((len(protocol), ID_BYTES), np.uint8)
    answers = (_ICMP_ANSWERS, _ICMPV6_ANSWERS)
    _write_ids(
        src_ip, dst_ip, src_port, dst_port, protocol, icmp_type, icmp_code, seed, answers, _ALPHABET, text
    )  # fmt: skip
    return text
