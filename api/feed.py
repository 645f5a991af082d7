"""What is new in the store, to everyone who wants to know: one poller, many subscribers.

ClickHouse is the only way from the stream to the reader, and it does not call back: it is asked. One task asks for
all subscribers together, a few times a second, and only while there are any.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from api import queries_feed
from api.cursor import Cursor, Kind, Position
from api.events import Event, event_of
from api.subscription import Filter, Subscription
from infra.store import Store
from schemas.errors import SpanwatchError, StoreError

log = logging.getLogger(__name__)

POLL_S = 0.25
"""Pause between two looks at the store: an eighth of the 2 s within which an anomaly is to be seen."""

RETRY_S = 2.0
"""Pause after a look that the store did not answer."""

HEARTBEAT_S = 15.0
"""A subscriber hears something at least so often; proxies close connections that are silent for a minute."""

PAGE = 500
"""Rows read at once."""

MAX_SUBSCRIBERS = 256
"""Subscribers at once."""


class FeedFullError(SpanwatchError):
    """No more subscribers fit."""

    can_retry = True


class Feed:
    """Reads new rows for all subscribers of one process; everything but the reading runs in one event loop.

    Parameters
    ----------
    store : Store
        Where rows appear.
    heartbeat_s, poll_s : float
        See ``HEARTBEAT_S`` and ``POLL_S``.
    """

    def __init__(self, store: Store, *, heartbeat_s: float = HEARTBEAT_S, poll_s: float = POLL_S) -> None:
        self.heartbeat_s = heartbeat_s
        self.dropped = 0
        """Subscribers dropped so far because they were too slow."""
        self.read = dict.fromkeys(Kind, 0)
        """Rows handed on so far."""
        self._store = store
        self._poll_s = poll_s
        self._open = 0
        self._members: set[Subscription] = set()
        self._at: dict[Kind, Position] = {}
        self._poller: asyncio.Task[None] | None = None

    @property
    def subscribers(self) -> int:
        """Subscriptions that are open."""
        return self._open

    @property
    def live(self) -> int:
        """Those that get what is new as it comes; the others still catch up."""
        return len(self._members)

    @property
    def is_polling(self) -> bool:
        """Whether the store is being looked at."""
        return self._poller is not None

    async def subscribe(self, wanted: Filter, cursor: Cursor | None = None) -> Subscription:
        """Return a subscription to what is new, or to what came behind a cursor.

        Parameters
        ----------
        wanted : Filter
            What to hear of.
        cursor : Cursor or None
            The last event seen; None begins now.

        Raises
        ------
        FeedFullError
            There are ``MAX_SUBSCRIBERS`` already.
        StoreError
            The store does not answer.
        """
        if self._open >= MAX_SUBSCRIBERS:
            raise FeedFullError(f"There are {MAX_SUBSCRIBERS} subscribers already. Try again later.")
        self._open += 1
        try:
            name = await asyncio.to_thread(queries_feed.store_id, self._store)
            heads = {kind: await asyncio.to_thread(queries_feed.head, self._store, kind) for kind in Kind}
        except BaseException:
            self._open -= 1
            raise
        at = {kind: heads[kind] for kind in Kind if kind in wanted.kinds}
        is_lost = cursor is not None and (
            cursor.store != name or any(place.block > heads[kind].block for kind, place in cursor.at.items())
        )
        if cursor is not None and not is_lost:
            at |= {kind: place for kind, place in cursor.at.items() if kind in wanted.kinds}
        return Subscription(self, wanted, Cursor(name, at), is_lost=is_lost)

    async def page(self, kind: Kind, behind: Position) -> list[Event]:
        """Return the next events of a kind behind a position, ``PAGE`` at most.

        Raises
        ------
        StoreError
            The store does not answer.
        """
        return await asyncio.to_thread(self._read, kind, behind)

    def _read(self, kind: Kind, behind: Position) -> list[Event]:
        rows = queries_feed.new_rows(self._store, kind, behind, PAGE)
        return [event_of(kind, position, row) for position, row in rows]

    def join(self, member: Subscription, at: dict[Kind, Position]) -> bool:
        """Let a subscription have what is read from now on; False when it must catch up with the poller first."""
        if any(self._at.get(kind, place) > place for kind, place in at.items()):
            return False
        self._at = {**at, **self._at}
        self._members.add(member)
        if self._poller is None:
            self._poller = asyncio.get_running_loop().create_task(self._poll())
        return True

    def leave(self, member: Subscription) -> None:
        """Let a subscription go; the last one ends the polling."""
        self._open -= 1
        self.dropped += member.is_dropped
        self._members.discard(member)

    async def _poll(self) -> None:
        try:
            while self._members:
                pause_s = self._poll_s
                try:
                    for kind in list(self._at):
                        await self._advance(kind)
                except StoreError as error:
                    log.warning("new rows cannot be read: %s", error)
                    pause_s = RETRY_S
                await asyncio.sleep(pause_s)
        finally:
            # No await between the last look at the members and here: who joins now starts another task.
            self._poller = None
            self._at = {}

    async def _advance(self, kind: Kind) -> None:
        """Hand on what is new of one kind; forget the kind when nobody wants it any more."""
        while True:
            if not any(kind in member.wanted.kinds for member in self._members):
                del self._at[kind]
                return
            events = await self.page(kind, self._at[kind])
            self._publish(events)
            if events:
                self._at[kind] = events[-1].position
            if len(events) < PAGE:
                return

    def _publish(self, events: Iterable[Event]) -> None:
        for event in events:
            self.read[event.kind] += 1
            for member in self._members:
                member.offer(event)
