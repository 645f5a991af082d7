"""Who of a consumer group has which partitions, and which brokers lead and follow them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from confluent_kafka import ConsumerGroupState, KafkaException
from confluent_kafka.admin import AdminClient

from infra.kafka import REQUEST_TIMEOUT_S, call, client_config, reason
from infra.settings import Settings
from schemas.errors import BrokerError
from schemas.topics import Topic

DESCRIBE_TIMEOUT_S = 10.0
"""How long a group's coordinator may take to tell of it, s; before there is one, nobody ends the question."""

GIVE_UP_S = 300.0
"""When librdkafka itself gives a question up, s: later than any of its requests.

One that it gives up while it looks for the coordinator ends the process (confluentinc/librdkafka#4605).
"""


@dataclass(frozen=True)
class Group:
    """A consumer group as its coordinator sees it.

    Parameters
    ----------
    is_stable : bool
        Whether its partitions are shared out; not while it rebalances.
    coordinator : int
        Id of the broker that looks after it.
    members : dict of str to set of (str, int)
        Topics and partitions of each member, by its client id.
    """

    is_stable: bool
    coordinator: int
    members: dict[str, set[tuple[str, int]]]

    def has(self, partitions: Collection[tuple[str, int]]) -> bool:
        """Whether it is stable and somebody has each of the partitions."""
        return self.is_stable and set().union(*self.members.values()) >= set(partitions)


@dataclass(frozen=True)
class Replicas:
    """Where the replicas of a partition are, by the ids of brokers.

    Parameters
    ----------
    leader : int
        Who is read from and written to; -1 for nobody.
    brokers : frozenset of int
        Who is to have a copy.
    in_sync : frozenset of int
        Who has all of it.
    """

    leader: int
    brokers: frozenset[int]
    in_sync: frozenset[int]


class ClusterView:
    """A Kafka cluster, looked at.

    Parameters
    ----------
    settings : Settings
        Which cluster, and the prefix of groups and topics.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._admin = AdminClient(client_config(settings))

    def group(self, name: str) -> Group:
        """Return a consumer group by its name before the prefix.

        Raises
        ------
        BrokerError
            Nobody can say at the moment: its coordinator is away, or moves.
        """
        named = self._settings.group_name(name)
        # Held until the answer is there: another thread may exchange it meanwhile.
        admin = self._admin
        try:
            described = admin.describe_consumer_groups([named], request_timeout=GIVE_UP_S)[named]
            found = described.result(DESCRIBE_TIMEOUT_S)
        except TimeoutError:
            self._look_again()
            raise BrokerError(f"Kafka has not described the group {named} within {DESCRIBE_TIMEOUT_S:g} s.") from None
        except KafkaException as error:
            self._look_again()
            raise BrokerError(f"Kafka does not describe the group {named}: {reason(error)}.") from None
        members = {
            member.client_id: {(part.topic, part.partition) for part in member.assignment.topic_partitions}
            for member in found.members
        }
        return Group(found.state == ConsumerGroupState.STABLE, found.coordinator.id, members)

    def _look_again(self) -> None:
        """Have the coordinator looked for when it is asked next.

        A client keeps asking the one that it has found once, even when that is silent or answers that it is none any
        more (librdkafka forgets one that has not been used for 15 minutes). A new client looks for it.
        """
        self._admin = AdminClient(client_config(self._settings))

    def replicas(self, topics: Collection[Topic]) -> dict[tuple[str, int], Replicas]:
        """Return the replicas of every partition of topics; raises ``BrokerError`` when Kafka cannot be reached."""
        names = {self._settings.topic_name(topic) for topic in topics}
        known = call(lambda: self._admin.list_topics(timeout=REQUEST_TIMEOUT_S)).topics
        return {
            (name, number): Replicas(part.leader, frozenset(part.replicas), frozenset(part.isrs))
            for name, topic in known.items()
            if name in names
            for number, part in topic.partitions.items()
        }
