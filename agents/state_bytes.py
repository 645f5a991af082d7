"""The analysis state as bytes: JSON, compressed, with what is needed to tell that it can be read."""

from __future__ import annotations

import json
import struct
import zlib
from importlib.metadata import version
from typing import Any

import pyarrow as pa

from schemas.errors import WireError

_HEADER = struct.Struct("<4sH16sIQ")
"""Magic, format version, River's version, CRC-32 and bytes of the body before compression."""

_MAGIC = b"swan"
FORMAT_VERSION = 1
"""Raised with every change of what the state means."""

_CODEC = "zstd"
_RIVER = version("river").encode()[:16]


def dump_state(state: dict[str, Any]) -> bytes:
    """Return a state, made of JSON values, as bytes."""
    plain = json.dumps(state, separators=(",", ":")).encode()
    packed = bytes(pa.compress(plain, codec=_CODEC, asbytes=True))
    return _HEADER.pack(_MAGIC, FORMAT_VERSION, _RIVER, zlib.crc32(plain), len(plain)) + packed


def load_state(snapshot: bytes) -> dict[str, Any]:
    """Return the state that ``dump_state`` wrote.

    Raises
    ------
    WireError
        When the bytes are no state, are damaged, or were written by another format or another River: its statistics
        are restored field by field, which only the same version is sure to understand.
    """
    try:
        magic, version, library, checksum, length = _HEADER.unpack_from(snapshot)
        if magic != _MAGIC or version != FORMAT_VERSION:
            raise WireError(f"analysis state of format {version}, this version reads {FORMAT_VERSION}")
        library = library.rstrip(b"\0")
        if library != _RIVER:
            raise WireError(f"analysis state of River {library.decode('ascii', 'replace')}, this is {_RIVER.decode()}")
        plain = pa.decompress(snapshot[_HEADER.size :], length, codec=_CODEC, asbytes=True)
        if zlib.crc32(plain) != checksum:
            raise WireError("analysis state that is damaged")
        state: dict[str, Any] = json.loads(plain)
    except (struct.error, pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise WireError(f"analysis state that cannot be read: {error}") from error
    return state
