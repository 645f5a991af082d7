"""Settings of our own broker, and of the topics on any."""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict, Field, field_validator

from infra.settings_paths import ROOT, Folder
from schemas.topics import Topic


class BrokerSettings(BaseModel):
    """What Kafka keeps, and where; part of the settings. Docs: ``docs/operating.md``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    partitions: int = Field(
        2, ge=1, le=128, description="Partitions of the packets topic; the most workers that share the load."
    )
    topic_prefix: str = Field(
        "spanwatch-",
        max_length=64,
        description="What every topic and consumer group of this stack begins with.",
    )
    kafka_port: int = Field(
        0,
        ge=0,
        le=65535,
        description="Port of our own broker; 0 takes 9092 or else the next free one, and keeps to it.",
    )
    kafka_heap_mb: int = Field(512, ge=128, le=65536, description="Java heap of our own broker, MiB.")
    kafka_home: Folder = Field(
        ROOT / ".local" / "kafka", description="Folder of Kafka's jars, one folder inside per version."
    )
    kafka_replication: int = Field(1, ge=1, le=10, description="Replicas of each topic; 3 is usual on a cluster.")
    packets_max_gb: float = Field(
        20.0,
        ge=0,
        le=1_000_000,
        description="Most disk the packets topic may take on the broker, GB (10⁹ bytes); 0 sets no bound.",
    )

    @field_validator("topic_prefix")
    @classmethod
    def _check_prefix(cls, value: str) -> str:
        # Kafka's legal characters of a topic name, org.apache.kafka.common.internals.Topic.
        if not re.fullmatch(r"[A-Za-z0-9._-]*", value):
            raise ValueError("only letters, digits, '.', '_' and '-' may stand in a topic's name")
        return value

    def topic_name(self, topic: Topic) -> str:
        """Name of a topic on the broker."""
        return self.topic_prefix + topic.name

    def group_name(self, agent: str) -> str:
        """Name of an agent's consumer group on the broker."""
        return self.topic_prefix + agent
