"""Faust's Kafka transport, made quick to answer and quick to leave."""

from __future__ import annotations

from typing import Any

import aiokafka
import faust
from faust.transport.consumer import RecordMap
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types import TP
from mode.threads import ServiceThread, WorkerThread

FETCH_WAIT_S = 0.05
"""How long to wait for messages of quiet partitions, s.

A partition whose agent has enough to do is left out of a fetch, and may run dry while the fetch waits for the
others: with Faust's own 1 s (and 1.5 s at the broker) a busy agent stands idle for most of a second.
"""


class _DaemonThread(WorkerThread):
    """A consumer's thread that cannot keep the process alive: soon after a start Faust may fail to end it."""

    def __init__(self, service: ServiceThread, **options: Any) -> None:
        super().__init__(service, **options)
        self.daemon = True


class _ConsumerThread(AIOKafkaConsumerThread):
    Worker = _DaemonThread

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


class App(faust.App):
    """A Faust application with this transport."""

    def _new_transport(self) -> Transport:
        return _Transport(self.conf.broker_consumer, self)
