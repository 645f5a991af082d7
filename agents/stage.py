"""What the stages with an operator for each capture have in common."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from agents.app import Received
from agents.open_captures import OpenCaptures
from agents.sender import Sender
from infra.settings import Settings
from schemas.enums import BatchKind
from schemas.errors import WireError
from schemas.topics import Topic
from streams.snapshots import Snapshot
from streams.wire import UNKNOWN_NS, BatchHeader


class Numbered(Protocol):
    """What knows the ``seq`` of the next message that is new to it."""

    next_seq: int


T = TypeVar("T")
N = TypeVar("N", bound=Numbered)


class CaptureStage(ABC, Generic[T]):
    """A stage that keeps something of each capture on each partition, and sends to one topic.

    Parameters
    ----------
    out : Topic
        Where its messages go.
    """

    KIND: ClassVar[str]
    """Name of its state and the version of what ``_dump`` returns; a state of another kind is refused."""

    def __init__(self, settings: Settings, out: Topic, sender: Sender) -> None:
        self._settings = settings
        self._topic = settings.topic_name(out)
        self._sender = sender
        self._captures: OpenCaptures[T] = OpenCaptures()

    @abstractmethod
    def take(self, message: Received) -> bool:
        """Process one message; see ``Stage``."""

    @abstractmethod
    def _dump(self, capture: T) -> tuple[dict[str, Any], list[bytes]]:
        """Return what is kept of a capture as facts that JSON can tell, and blobs."""

    @abstractmethod
    def _load(self, facts: dict[str, Any], blobs: list[bytes]) -> T:
        """Return what ``_dump`` was given."""

    def drop(self, partitions: set[int]) -> None:
        """Forget partitions that another worker has now."""
        self._captures.drop(partitions)

    def snapshot(self, partition: int) -> bytes | None:
        """Return everything that is kept of a partition; see ``Stage``."""
        told, blobs = [], []
        for capture_id, capture in self._captures.open_on(partition).items():
            facts, own = self._dump(capture)
            told.append({"capture_id": capture_id, "blobs": len(own), "facts": facts})
            blobs += own
        facts = {"captures": told, "ended": self._captures.ended_on(partition)}
        return Snapshot(self.KIND, {}, [json.dumps(facts).encode(), *blobs]).to_bytes()

    def restore(self, partition: int, state: bytes) -> None:
        """Go on where ``snapshot`` was taken; see ``Stage``."""
        head, *blobs = Snapshot.from_bytes(state, self.KIND).bodies
        try:
            told = json.loads(head)
            opened, start = {}, 0
            for capture in told["captures"]:
                end = start + capture["blobs"]
                opened[str(capture["capture_id"])] = self._load(capture["facts"], blobs[start:end])
                start = end
            self._captures.restore(partition, opened, told["ended"])
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise WireError(f"a state of {self.KIND} that cannot be read: {error!r}") from error


class PacketsStage(CaptureStage[N]):
    """A stage over the topic ``packets``: a capture's messages come in order, and each of them counts once."""

    @abstractmethod
    def _opened(self, header: BatchHeader, origin_ns: int) -> N:
        """Return what is kept of a capture from its first message on; its windows begin at ``origin_ns``."""

    @abstractmethod
    def _feed(self, partition: int, capture: N, header: BatchHeader, body: bytes) -> None:
        """Process a message that is new."""

    def take(self, message: Received) -> bool:
        """Process one message; see ``Stage``."""
        header, partition = BatchHeader.from_kafka(message.headers), message.partition
        capture = self._captures.get(partition, header.capture_id, lambda: self._new(header))
        if capture is not None:
            if header.seq >= capture.next_seq:
                capture.next_seq = header.seq + 1
                self._feed(partition, capture, header, message.body)
            if header.kind is BatchKind.END:
                self._captures.end(partition, header.capture_id)
        return self._captures.is_idle(partition)

    def _new(self, header: BatchHeader) -> N:
        # Of a capture that was ended by somebody else nothing may have come to this partition.
        return self._opened(header, 0 if header.origin_ns == UNKNOWN_NS else header.origin_ns)
