"""Requests on their way to the broker."""

from __future__ import annotations

import threading

from confluent_kafka import KafkaError, Message, Producer

from infra.kafka import flush, producer, send
from infra.model_topic import Headers
from infra.settings import Settings
from schemas.analysis import AnalysisRequest
from schemas.captures import CaptureRequest
from schemas.errors import BrokerError
from schemas.topics import ANALYSIS_REQUESTS, CAPTURE_REQUESTS, MODELS, Topic

ACKNOWLEDGE_S = 10.0
"""How long the broker may take to acknowledge a request."""


class BrokerRequests:
    """Puts requests on their topics; the producer is made with the first one.

    Parameters
    ----------
    settings : Settings
        Which broker, and the topics' prefix.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._producer: Producer | None = None

    def __call__(self, request: CaptureRequest) -> None:
        """Send one request and wait until the broker has it; any thread may call.

        Raises
        ------
        BrokerError
            It was not acknowledged in time.
        """
        self._send(CAPTURE_REQUESTS, request.capture_id, request.model_dump_json().encode())

    def send_windows(self, request: AnalysisRequest, windows: bytes) -> None:
        """Send one part of a request to judge or learn windows again, and wait until the broker has it.

        Parameters
        ----------
        windows : bytes
            Rows of ``WINDOW_SCHEMA`` as an Arrow IPC stream.

        Raises
        ------
        BrokerError
            It was not acknowledged in time.
        """
        headers: list[tuple[str, str | bytes | None]] = [("request", request.model_dump_json().encode())]
        self._send(ANALYSIS_REQUESTS, request.source, windows, headers)

    def send_model(self, key: str, body: bytes, headers: Headers) -> None:
        """Send a message on the topic of models, and wait until the broker has it; see ``infra.model_topic``.

        Raises
        ------
        BrokerError
            It was not acknowledged in time.
        """
        self._send(MODELS, key, body, headers)

    def _send(
        self, topic: Topic, key: str, body: bytes, headers: list[tuple[str, str | bytes | None]] | None = None
    ) -> None:
        errors: list[KafkaError] = []

        def on_delivery(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                errors.append(error)

        out = self._open()
        name = self._settings.topic_name(topic)
        send(out, name, body, key=key.encode(), headers=headers, on_delivery=on_delivery)
        flush(out, ACKNOWLEDGE_S)
        if errors:
            raise BrokerError(f"Kafka did not take the request: {errors[0].str()}.")

    def _open(self) -> Producer:
        with self._lock:
            if self._producer is None:
                self._producer = producer(self._settings)
            return self._producer

    def close(self) -> None:
        """Wait a moment for what is still under way."""
        if self._producer is not None:
            self._producer.flush(1.0)
