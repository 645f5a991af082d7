"""Snapshots: what a stage remembers of one input partition, kept in Kafka with the offset it stands for."""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata

import pyarrow as pa

from agents.sender import Sender
from infra.settings import Settings
from infra.topic_reader import headers_of, octets, read_partition
from schemas.errors import WireError
from schemas.topics import OPERATOR_STATE
from streams.wire import KafkaHeaders

log = logging.getLogger(__name__)

FORMAT = 1
"""Version of how snapshots stand in the topic; what is inside has versions of its own."""

CHUNK_BYTES = 4 * 1024 * 1024
"""Most bytes of a snapshot in one message: well below what a topic takes, and below a segment that is compacted."""

SLOTS = 2
"""A new snapshot never overwrites the newest whole one: they take turns."""

_CODEC = "zstd"


@dataclass(frozen=True)
class Snapshot:
    """A stage's state of one partition.

    Parameters
    ----------
    offset : int
        Of the last input message that is in it; -1 before the first.
    state : bytes
        What ``Stage.snapshot`` returned.
    """

    offset: int
    state: bytes


@dataclass(frozen=True)
class _ChunkHeader:
    """What travels beside a chunk of a snapshot.

    Parameters
    ----------
    snapshot_id : str
        The same for all chunks of one snapshot.
    offset : int
        See ``Snapshot``.
    chunk, chunks : int
        Number of the chunk, from 0, and how many there are.
    state_bytes : int
        Size before compression.
    checksum : str
        BLAKE2b of the compressed state, 16 bytes, hexadecimal.
    format, software : int, str
        Version of this layout, and of the program that wrote it.
    """

    snapshot_id: str
    offset: int
    chunk: int
    chunks: int
    state_bytes: int
    checksum: str
    format: int
    software: str

    def to_kafka(self) -> KafkaHeaders:
        return [(name, str(value).encode()) for name, value in asdict(self).items()]

    @classmethod
    def from_kafka(cls, headers: Mapping[str, bytes]) -> _ChunkHeader:
        texts = {name: value.decode() for name, value in headers.items()}
        try:
            numbers = {name: int(texts[name]) for name in ("offset", "chunk", "chunks", "state_bytes", "format")}
            words = {name: texts[name] for name in ("snapshot_id", "checksum", "software")}
        except (KeyError, ValueError) as error:
            raise WireError(f"a snapshot without a usable header: {error}") from error
        return cls(**numbers, **words)  # type: ignore[arg-type]


@dataclass(frozen=True)
class _Chunk:
    headers: Mapping[str, bytes]
    body: bytes


class Snapshots:
    """The snapshots of one stage.

    Parameters
    ----------
    stage : str
        Its name in the keys.
    sender : Sender
        What the stage's own output goes through.
    """

    def __init__(self, settings: Settings, stage: str, sender: Sender) -> None:
        self._settings = settings
        self._stage = stage
        self._sender = sender
        self._topic = settings.topic_name(OPERATOR_STATE)
        self._slot: dict[int, int] = {}
        self._chunks: defaultdict[tuple[int, int], int] = defaultdict(int)

    def save(self, partition: int, snapshot: Snapshot, *, is_only: bool) -> None:
        """Write a snapshot; return once Kafka has it, and everything that the stage sent before.

        Parameters
        ----------
        is_only : bool
            Whether the one before is removed: it is large and what was open then has ended.

        Raises
        ------
        BrokerError
            Kafka did not take it; the one before is still there.
        """
        # A snapshot that is there while output before it is lost would lose that output for good.
        self._sender.flush()
        slot = (self._slot.get(partition, -1) + 1) % SLOTS
        chunks = _chunks_of(snapshot)
        for header, body in chunks:
            self._send(partition, slot, header.chunk, body, header.to_kafka())
        self._sender.flush()
        self._slot[partition] = slot
        self._remove(partition, slot, len(chunks))
        if is_only:
            self._remove(partition, (slot + 1) % SLOTS, 0)

    def load(self, partition: int) -> Snapshot | None:
        """Return the newest whole snapshot of a partition, or None when there has never been one.

        Raises
        ------
        WireError
            There are snapshots, and this version can read none of them.
        BrokerError
            Kafka cannot be reached.
        """
        by_slot = self._read(partition)
        found: list[tuple[Snapshot, int]] = []
        problems = []
        for slot, chunks in by_slot.items():
            try:
                if (snapshot := _whole(chunks)) is not None:
                    found.append((snapshot, slot))
            except WireError as error:
                problems.append(str(error))
        if found:
            newest, self._slot[partition] = max(found, key=lambda pair: pair[0].offset)
            return newest
        if problems:
            raise WireError("; ".join(problems))
        return None

    def _read(self, partition: int) -> dict[int, list[_Chunk]]:
        """Return the newest chunks by slot, and remember how many messages each slot has."""
        newest: dict[tuple[int, int], _Chunk] = {}
        for message in read_partition(self._settings, self._topic, partition):
            stage, _, rest = octets(message.key()).decode(errors="replace").partition("/")
            if stage != self._stage:
                continue
            slot, chunk = (int(number) for number in rest.split("/"))
            body = message.value()
            if body is None:
                newest.pop((slot, chunk), None)
            else:
                newest[slot, chunk] = _Chunk(headers_of(message), octets(body))
        by_slot: defaultdict[int, list[_Chunk]] = defaultdict(list)
        for slot, chunk in sorted(newest):
            self._chunks[partition, slot] = chunk + 1
            by_slot[slot].append(newest[slot, chunk])
        return by_slot

    def _remove(self, partition: int, slot: int, first: int) -> None:
        """Write tombstones for a slot's chunks from ``first`` on."""
        for number in range(first, self._chunks[partition, slot]):
            self._send(partition, slot, number, None, [])
        self._chunks[partition, slot] = first

    def _send(self, partition: int, slot: int, number: int, body: bytes | None, headers: KafkaHeaders) -> None:
        key = f"{self._stage}/{slot}/{number}".encode()
        self._sender.send(self._topic, body, key=key, headers=headers, partition=partition)


def _chunks_of(snapshot: Snapshot) -> list[tuple[_ChunkHeader, bytes]]:
    packed = bytes(pa.compress(snapshot.state, codec=_CODEC, asbytes=True))
    bodies = [packed[start : start + CHUNK_BYTES] for start in range(0, len(packed), CHUNK_BYTES)]
    snapshot_id, checksum, software = uuid.uuid4().hex, _checksum(packed), metadata.version("spanwatch")
    size = len(snapshot.state)
    return [
        (_ChunkHeader(snapshot_id, snapshot.offset, number, len(bodies), size, checksum, FORMAT, software), body)
        for number, body in enumerate(bodies)
    ]


def _whole(chunks: list[_Chunk]) -> Snapshot | None:
    """Return the snapshot that a slot's chunks make, None when its writing was broken off.

    Raises
    ------
    WireError
        When they are all there and still cannot be read.
    """
    headers = [_ChunkHeader.from_kafka(chunk.headers) for chunk in chunks]
    first = headers[0]
    own = [number for number, header in enumerate(headers) if header.snapshot_id == first.snapshot_id]
    if own != list(range(first.chunks)):
        return None
    written = f"a snapshot written by spanwatch {first.software}"
    if first.format != FORMAT:
        raise WireError(f"{written} in format {first.format}; this version reads {FORMAT}")
    packed = b"".join(chunks[number].body for number in own)
    if _checksum(packed) != first.checksum:
        raise WireError(f"{written} whose checksum is wrong")
    try:
        state = pa.decompress(packed, first.state_bytes, codec=_CODEC, asbytes=True)
    except (pa.ArrowException, OSError) as error:
        raise WireError(f"{written} that cannot be unpacked: {error}") from error
    return Snapshot(first.offset, bytes(state))


def _checksum(packed: bytes) -> str:
    return hashlib.blake2b(packed, digest_size=16).hexdigest()
