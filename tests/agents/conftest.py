from __future__ import annotations

from collections.abc import Iterator

import pytest

from infra.broker import Broker
from infra.settings import Settings, load_settings
from infra.topics import create_topics


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings of a running Kafka with every topic; tests keep apart by stages and topics of their own."""
    settings = load_settings(state=tmp_path_factory.mktemp("kafka"), kafka="", partitions=2)
    with Broker(settings):
        create_topics(settings)
        yield settings
