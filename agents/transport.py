"""Faust's Kafka transport, made quick to answer and quick to leave."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

import aiokafka
import faust
from faust.transport.consumer import RecordMap
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types import TP, AgentT
from mode.threads import ServiceThread, WorkerThread

from schemas.errors import BrokerError

log = logging.getLogger(__name__)

FETCH_WAIT_S = 0.05
"""How long to wait for messages of quiet partitions, s.

A partition whose agent has enough to do is left out of a fetch, and may run dry while the fetch waits for the
others: with Faust's own 1 s (and 1.5 s at the broker) a busy agent stands idle for most of a second.
"""


END_S = 0.5
"""How long a consumer's thread may take to end once its work is done, s: whoever stops it stands still meanwhile."""


class _DaemonThread(WorkerThread):
    """A consumer's thread that keeps neither the process alive nor who stops it waiting.

    Faust may fail to end it: soon after a start, and while it waits for the group or for a broker.
    """

    def __init__(self, service: ServiceThread, **options: Any) -> None:
        super().__init__(service, **options)
        self.daemon = True

    def run(self) -> None:
        try:
            super().run()
        except (RuntimeError, asyncio.CancelledError):
            # It was abandoned in the middle of its work; who waits for its end is told of it all the same.
            log.debug("a consumer's thread was ended", exc_info=True)
            with contextlib.suppress(RuntimeError):
                self.service.set_shutdown()

    def stop(self) -> None:
        self.is_stopped.wait(END_S)


class _ConsumerThread(AIOKafkaConsumerThread):
    Worker = _DaemonThread

    def abandon(self) -> None:
        """End the thread wherever it stands: without heartbeats the group goes on without this member."""
        if self._thread is not None and self._thread.is_alive():
            with contextlib.suppress(RuntimeError):
                # Its loop may be closed by now.
                self.thread_loop.call_soon_threadsafe(self._let_go)

    def _let_go(self) -> None:
        self._disconnect()
        for task in asyncio.all_tasks():
            task.cancel()
        self.thread_loop.call_later(END_S, self._stop_loop)

    def _stop_loop(self) -> None:
        self._disconnect()
        self.thread_loop.call_soon(self.thread_loop.stop)

    def _disconnect(self) -> None:
        if self._consumer is not None:
            self._consumer._closed = True
            for connection in self._consumer._client._conns.values():
                connection.close()

    def _create_worker_consumer(self, transport: Transport) -> aiokafka.AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        # Faust has no setting for it; aiokafka reads it when the consumer starts.
        consumer._fetch_max_wait_ms = round(FETCH_WAIT_S * 1000)
        return consumer

    async def getmany(self, active_partitions: set[TP] | None, timeout: float) -> RecordMap:
        return await super().getmany(active_partitions, min(timeout, FETCH_WAIT_S))


class _Consumer(Consumer):
    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)


class _Transport(Transport):
    Consumer = _Consumer


def consumer_of(app: faust.App) -> aiokafka.AIOKafkaConsumer | None:
    """Return the Kafka consumer of an application, None before its thread has made it."""
    thread = _thread_of(app)
    return None if thread is None else thread._consumer


def abandon(app: faust.App) -> None:
    """End the consumer of an application that did not stop in time, so that its group has no dead member."""
    thread = _thread_of(app)
    if thread is not None:
        thread.abandon()


def is_reading(app: faust.App) -> bool:
    """Whether an application reads its partitions: not while its group shares them out."""
    consumer = app._consumer
    return not app.rebalancing and isinstance(consumer, _Consumer) and consumer.flow_active


def _thread_of(app: faust.App) -> _ConsumerThread | None:
    thread = app._consumer._thread if isinstance(app._consumer, _Consumer) else None
    return thread if isinstance(thread, _ConsumerThread) else None


class App(faust.App):
    """A Faust application with this transport."""

    def _new_transport(self) -> Transport:
        return _Transport(self.conf.broker_consumer, self)

    async def _on_agent_error(self, agent: AgentT[Any], exc: BaseException) -> None:
        """End with an agent whose messages Kafka does not take or give.

        Faust starts it again, with the same producer, behind the message: what was refused for good stays refused.
        """
        await super()._on_agent_error(agent, exc)
        if isinstance(exc, BrokerError):
            await self.crash(exc)
