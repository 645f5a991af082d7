"""Whether an application has its place in its consumer group; who has lost it for good is told of."""

from __future__ import annotations

import time

import faust
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import KafkaError

from agents.transport import consumer_of, is_reading
from infra.kafka import wait_until_reachable
from infra.settings import Settings
from schemas.errors import BrokerError

STUCK_S = 90.0
"""How long an application may be without its partitions, s: longer than a request that nobody answers and a rebalance
that waits for its slowest member take together (``agents.app`` says how long they may take)."""

ASK_S = 2.0
"""How long Kafka may take to answer before it counts as away, s."""


class Membership:
    """An application's place in its consumer group, as its own client sees it.

    A member that aiokafka has given up stays given up: after an error that it does not try again its coordination
    waits until the consumer's ``getmany`` has raised that error, and Faust never calls it: it reads from the fetcher
    beneath. The process lives, and is in no group for ever (aio-libs/aiokafka#1154, faust-streaming/faust#594).

    Parameters
    ----------
    app : faust.App
        Being started, or running.
    settings : Settings
        Where its Kafka is.
    """

    def __init__(self, app: faust.App, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._settled_s = time.monotonic()

    def check(self) -> None:
        """Return while the application has its partitions, or may still get them.

        Blocks for ``ASK_S`` at most, when it has had none for long: its event loop has nothing to do by then.

        Raises
        ------
        BrokerError
            It will get none any more.
        """
        consumer = consumer_of(self._app)
        coordinator = consumer and consumer._coordinator
        if isinstance(coordinator, GroupCoordinator):
            _raise_failure(coordinator)
            if self._is_settled(coordinator):
                self._settled_s = time.monotonic()
                return
        silent_s = time.monotonic() - self._settled_s
        if silent_s < STUCK_S:
            return
        # While Kafka is away nobody has a place in a group, and a new application would not get one either.
        if self._is_kafka_there():
            raise BrokerError(f"{self._app.conf.id} has had no place in its consumer group for {silent_s:.0f} s.")
        self._settled_s = time.monotonic()

    def _is_settled(self, coordinator: GroupCoordinator) -> bool:
        """Whether it has partitions, or has been told that there are none for it, and reads them."""
        subscription = coordinator._subscription.subscription
        return (
            subscription is not None
            and coordinator.coordinator_id is not None
            and not coordinator.need_rejoin(subscription)
            and is_reading(self._app)
        )

    def _is_kafka_there(self) -> bool:
        try:
            wait_until_reachable(self._settings, ASK_S)
        except BrokerError:
            return False
        return True


def _raise_failure(coordinator: GroupCoordinator) -> None:
    """Raise what has ended the coordination of a group, or has it wait for ever for a reader of the error."""
    task = coordinator._coordination_task
    error: BaseException | None = coordinator._pending_exception
    if task.done() and not task.cancelled():
        error = task.exception() or (None if coordinator._closing.done() else KafkaError("its coordination has ended"))
    if error is not None:
        raise BrokerError(f"{coordinator.group_id} is a member of its consumer group no more: {error}.") from error
