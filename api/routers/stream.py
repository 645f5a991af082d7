"""``/api/stream``: windows and anomalies as they come, over a WebSocket or as server-sent events."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from typing import cast

from fastapi import APIRouter, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from api.cursor import Cursor
from api.errors import Refusal, envelope
from api.feed import Feed, FeedFullError
from api.services import Services, Shared
from api.stream_parameters import cursor_of, filter_of
from api.subscription import Filter, Message, Subscription
from schemas.errors import StoreError

log = logging.getLogger(__name__)

router = APIRouter(prefix="/api/stream", tags=["stream"])

SEND_S = 10.0
"""How long a client may take to accept an event; then its connection is closed."""

_TRY_AGAIN_LATER = 1013
"""WebSocket close code (IANA registry, RFC 6455): the server drops the client, which may come back."""


class EventStream(EventSourceResponse):
    """Server-sent events; a client that does not read is dropped, which is no fault of the service."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events until the client or the service goes."""
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            log.warning("a subscriber did not read for %s s and was dropped", SEND_S)


async def _subscribed(feed: Feed, wanted: Filter, cursor: Cursor | None) -> Subscription:
    try:
        return await feed.subscribe(wanted, cursor)
    except FeedFullError as error:
        raise Refusal(503, "Service Unavailable", str(error)) from error


# Without an end, so nothing that a tool could try out from the OpenAPI document.
@router.get("/events", include_in_schema=False)
async def stream_events(request: Request, services: Shared) -> EventStream:
    """Send what is new as server-sent events."""
    asked = request.query_params
    cursor = cursor_of(asked.get("last_event_id") or request.headers.get("last-event-id"))
    subscription = await _subscribed(services.feed, filter_of(asked.multi_items()), cursor)
    return EventStream(_server_sent(subscription), ping=0, send_timeout=SEND_S, sep="\n")


async def _server_sent(subscription: Subscription) -> AsyncIterator[ServerSentEvent]:
    try:
        async with aclosing(subscription.messages()) as messages:
            async for message in messages:
                if message.name == "heartbeat":
                    # A comment for proxies; an event without data only moves the client's id.
                    yield ServerSentEvent(comment="heartbeat", id=message.id)
                else:
                    yield ServerSentEvent(message.data, event=message.name, id=message.id)
    finally:
        subscription.close()


@router.websocket("")
async def stream_socket(socket: WebSocket) -> None:
    """Send what is new over a WebSocket, one JSON object a message."""
    services = cast(Services, socket.state.services)
    try:
        asked = socket.query_params
        cursor = cursor_of(asked.get("last_event_id") or socket.headers.get("last-event-id"))
        subscription = await _subscribed(services.feed, filter_of(asked.multi_items()), cursor)
    except Refusal as refusal:
        await _deny(socket, refusal)
        return
    except StoreError:
        await _deny(socket, Refusal(503, "Service Unavailable", "A part of the service does not answer. Try again."))
        return
    try:
        await socket.accept()
        await _send_until_gone(socket, subscription)
    finally:
        subscription.close()


async def _deny(socket: WebSocket, refusal: Refusal) -> None:
    body = envelope(refusal.error, str(refusal), **refusal.keys)
    await socket.send_denial_response(JSONResponse(body, status_code=refusal.status))


async def _send_until_gone(socket: WebSocket, subscription: Subscription) -> None:
    """Send messages until the client goes or is dropped."""
    sending = asyncio.ensure_future(_send_all(socket, subscription))
    leaving = asyncio.ensure_future(_until_disconnect(socket))
    try:
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sending, leaving):
            task.cancel()
        for ended in await asyncio.gather(sending, leaving, return_exceptions=True):
            if isinstance(ended, Exception) and not isinstance(ended, WebSocketDisconnect):
                raise ended


async def _send_all(socket: WebSocket, subscription: Subscription) -> None:
    async with aclosing(subscription.messages()) as messages:
        async for message in messages:
            try:
                async with asyncio.timeout(SEND_S):
                    await socket.send_text(_as_json(message))
            except TimeoutError:
                log.warning("a subscriber did not read for %s s and was dropped", SEND_S)
                break
            if message.name == "dropped":
                log.warning("a subscriber was too slow and was dropped")
    # Not waited for long: who does not read does not read this either.
    with suppress(TimeoutError, RuntimeError):
        async with asyncio.timeout(1.0):
            await socket.close(_TRY_AGAIN_LATER, "too slow; connect again with the last id")


def _as_json(message: Message) -> str:
    # The data is JSON already: made once, not once for every subscriber.
    return f'{{"event":{json.dumps(message.name)},"id":{json.dumps(message.id)},"data":{message.data}}}'


async def _until_disconnect(socket: WebSocket) -> None:
    """Read and ignore what the client sends: that is how its going is noticed."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass
