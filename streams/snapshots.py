"""The state of an operator as bytes: a few values and some bodies."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from schemas.errors import WireError

Value: TypeAlias = int | float | str | list[int] | None

_MAGIC = b"swop"
_HEADER = struct.Struct("<4sI")
"""Magic; bytes of the JSON that follows, which names the kind, the values and the length of each body."""


@dataclass(frozen=True)
class Snapshot:
    """What an operator needs to go on where it stopped.

    Parameters
    ----------
    kind : str
        Which operator's state it is, and the version of its layout.
    values : dict
        Plain values by name.
    bodies : sequence of bytes
        The rest, one behind the other.
    """

    kind: str
    values: dict[str, Value]
    bodies: Sequence[bytes]

    def to_bytes(self) -> bytes:
        """Return it as bytes, for ``from_bytes``."""
        described = {"kind": self.kind, "values": self.values, "lengths": [len(body) for body in self.bodies]}
        head = json.dumps(described).encode()
        return b"".join([_HEADER.pack(_MAGIC, len(head)), head, *self.bodies])

    @classmethod
    def from_bytes(cls, data: bytes, kind: str) -> Snapshot:
        """Read a snapshot back.

        Raises
        ------
        WireError
            When the bytes are no whole snapshot of this kind.
        """
        try:
            magic, length = _HEADER.unpack_from(data)
            if magic != _MAGIC:
                raise WireError(f"what is no snapshot was given as one of {kind}")
            described = json.loads(data[_HEADER.size : _HEADER.size + length])
            lengths = [int(n_bytes) for n_bytes in described["lengths"]]
        except (struct.error, ValueError, KeyError, TypeError) as error:
            raise WireError(f"a snapshot of {kind} that cannot be read: {error}") from error
        begin = _HEADER.size + length
        if described["kind"] != kind or len(data) != begin + sum(lengths):
            raise WireError(f"a snapshot that is not a whole one of {kind}")
        bodies = []
        for n_bytes in lengths:
            bodies.append(data[begin : begin + n_bytes])
            begin += n_bytes
        return cls(kind, described["values"], bodies)
