"""What a stage sends with: it knows whether Kafka took every message."""

from __future__ import annotations

from confluent_kafka import KafkaError, Message, Producer

from infra.kafka import flush, send
from schemas.errors import BrokerError
from streams.wire import KafkaHeaders


class Sender:
    """A stage's way into Kafka.

    The producer is shared by the agents of a process; a message that Kafka refuses for good is known to the one
    who sent it, so that no offset moves past it.

    Parameters
    ----------
    producer : confluent_kafka.Producer
        An idempotent producer with a bounded queue.
    """

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self._failure: str | None = None

    def send(self, topic: str, value: bytes | None, *, key: bytes, headers: KafkaHeaders, partition: int = -1) -> None:
        """Hand a message to the producer; see ``infra.kafka.send``.

        Raises
        ------
        BrokerError
            Kafka did not take this message or an earlier one.
        """
        self._raise_failure()
        send(
            self._producer,
            topic,
            value,
            key=key,
            partition=partition,
            headers=headers,
            on_delivery=self._delivered,
        )

    def flush(self) -> None:
        """Wait until Kafka has taken everything.

        Raises
        ------
        BrokerError
            It did not.
        """
        flush(self._producer)
        self._raise_failure()

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._failure = str(error)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise BrokerError(f"Kafka did not take a message: {self._failure}")
