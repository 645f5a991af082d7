"""The subscription: one client's view of the feed, from a cursor on, with a bounded memory of what it has to read."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from api.cursor import Cursor, Kind, Position
from api.events import Event
from schemas.errors import StoreError

MAX_WAITING = 1_000
"""Events that may wait for one subscriber: some 3 MB, shared with the others. Who is further behind is dropped."""

RETRY_S = 2.0
"""Pause after the store did not answer while a subscriber catches up."""

RESET = "What came behind this id cannot be told: it is of another store. What is new from now on follows."
DROPPED = f"Too slow: more than {MAX_WAITING} events were waiting. Connect again with this id to go on behind it."


@dataclass(frozen=True)
class Filter:
    """What a subscriber wants to hear of; an empty set does not restrict.

    Parameters
    ----------
    kinds : frozenset of Kind
        Windows, anomalies, classifications; each of them unless told otherwise.
    types, severities, source_ips : frozenset of str
        Of anomalies.
    captures : frozenset of str
        Of all kinds.
    classes : frozenset of str
        Of classifications.
    """

    kinds: frozenset[Kind] = frozenset(Kind)
    types: frozenset[str] = frozenset()
    severities: frozenset[str] = frozenset()
    source_ips: frozenset[str] = frozenset()
    captures: frozenset[str] = frozenset()
    classes: frozenset[str] = frozenset()

    def wants(self, event: Event) -> bool:
        """Whether an event passes."""
        if event.kind not in self.kinds or (self.captures and event.capture_id not in self.captures):
            return False
        if event.kind is Kind.CLASSIFICATION:
            return not self.classes or event.type in self.classes
        if event.kind is not Kind.ANOMALY:
            return True
        asked = ((self.types, event.type), (self.severities, event.severity), (self.source_ips, event.source_ip))
        return all(not wanted or value in wanted for wanted, value in asked)


@dataclass(frozen=True)
class Message:
    """What a subscriber gets.

    Parameters
    ----------
    name : str
        ``window``, ``anomaly`` or ``classification``; or about the stream itself: ``ready``, ``heartbeat``, ``reset``,
        ``dropped``.
    id : str
        Cursor behind it: what to send when connecting again.
    data : str
        JSON.
    """

    name: str
    id: str
    data: str


class Source(Protocol):
    """What a subscription reads from: the feed."""

    heartbeat_s: float

    async def page(self, kind: Kind, behind: Position) -> list[Event]:
        """Return the next events of a kind behind a position."""

    def join(self, member: Subscription, at: dict[Kind, Position]) -> bool:
        """Let a subscription have what is read from now on, if it has caught up."""

    def leave(self, member: Subscription) -> None:
        """Let a subscription go."""


class Subscription:
    """One subscriber; iterate over ``messages`` once, then ``close``.

    Parameters
    ----------
    source : Source
        Where events come from.
    wanted : Filter
        What to hear of.
    cursor : Cursor
        What has been seen.
    is_lost : bool
        Whether the client's own cursor could not be used.
    """

    def __init__(self, source: Source, wanted: Filter, cursor: Cursor, *, is_lost: bool = False) -> None:
        self.wanted = wanted
        self._source = source
        self._store = cursor.store
        self._at = dict(cursor.at)
        """Last row of each kind that the client has got, or that was not for it."""
        self._offered: dict[Kind, Position] = {}
        self._is_lost = is_lost
        self._waiting: deque[Event] = deque()
        self._wake = asyncio.Event()
        self.is_dropped = False
        self._is_closed = False

    def offer(self, event: Event) -> None:
        """Take an event of the feed; one event too many drops the subscriber."""
        if event.kind not in self._offered or event.position <= self._offered[event.kind] or self.is_dropped:
            return
        if not self.wanted.wants(event):
            self._offered[event.kind] = event.position
        elif len(self._waiting) < MAX_WAITING:
            self._offered[event.kind] = event.position
            self._waiting.append(event)
            self._wake.set()
        else:
            self.is_dropped = True
            self._waiting.clear()
            self._wake.set()

    def close(self) -> None:
        """Take no more events."""
        if not self._is_closed:
            self._is_closed = True
            self._source.leave(self)

    async def messages(self) -> AsyncGenerator[Message, None]:
        """Yield what comes: ``ready`` first, a heartbeat when nothing else did, ``dropped`` last if it must be."""
        yield self._told("reset", RESET) if self._is_lost else self._told("ready", "")
        async for event in self._catch_up():
            yield self._message(event)
        while not self.is_dropped:
            try:
                await asyncio.wait_for(self._wake.wait(), self._source.heartbeat_s)
            except TimeoutError:
                if not self._waiting and not self.is_dropped:
                    # Whatever was offered since was not for this subscriber.
                    self._at |= self._offered
                    yield self._told("heartbeat", "")
            self._wake.clear()
            while self._waiting:
                yield self._message(self._waiting.popleft())
        yield self._told("dropped", DROPPED)

    async def _catch_up(self) -> AsyncIterator[Event]:
        """Yield what came behind the cursor, at the client's pace, until the feed can go on from there."""
        is_joined = False
        while not is_joined:
            for kind in self._at:
                async for event in self._until_empty_page(kind):
                    yield event
            is_joined = self._source.join(self, self._at)
        self._offered = dict(self._at)

    async def _until_empty_page(self, kind: Kind) -> AsyncIterator[Event]:
        while True:
            try:
                events = await self._source.page(kind, self._at[kind])
            except StoreError:
                await asyncio.sleep(RETRY_S)
                continue
            for event in events:
                if self.wanted.wants(event):
                    yield event
                self._at[kind] = event.position
            if not events:
                return

    def _message(self, event: Event) -> Message:
        self._at[event.kind] = event.position
        return Message(event.kind.value, self.id, event.data)

    def _told(self, name: str, sentence: str) -> Message:
        return Message(name, self.id, json.dumps({"message": sentence} if sentence else {}))

    @property
    def id(self) -> str:
        """Cursor behind the last message."""
        return str(Cursor(self._store, self._at))
