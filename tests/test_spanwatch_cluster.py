from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from infra.settings import load_settings
from schemas.errors import SettingsError, SpanwatchError
from spanwatch_cluster import comparison
from spanwatch_local_cluster import cluster_settings, wait_until


def test_a_cluster_gets_three_replicas_and_two_partitions_for_each_worker(tmp_path: Path) -> None:
    given = load_settings(state=tmp_path, kafka="")
    assert cluster_settings(given, 3, 3) == {"partitions": 6, "kafka_replication": 3, "kafka_heap_mb": 384}
    assert cluster_settings(given, 5, 1) == {"partitions": 2, "kafka_replication": 3, "kafka_heap_mb": 384}
    assert cluster_settings(given, 1, 4)["kafka_replication"] == 1


def test_what_somebody_has_set_stays(tmp_path: Path) -> None:
    given = load_settings(state=tmp_path, kafka="", partitions=3, kafka_replication=2, kafka_heap_mb=512)
    assert cluster_settings(given, 3, 3) == {}


def test_brokers_of_somebody_else_are_not_started_here(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="SPANWATCH_KAFKA"):
        cluster_settings(load_settings(state=tmp_path, kafka="a.example:9092"), 3, 3)


def test_what_was_waited_for_in_vain_is_said() -> None:
    assert wait_until(lambda: True, 1.0, "nothing") < 1.0
    with pytest.raises(SpanwatchError, match="in vain until the moon is blue"):
        wait_until(lambda: False, 0.0, "the moon is blue")


def test_the_tables_whose_rows_differ_are_named() -> None:
    one: dict[str, list[dict[str, object]]] = {
        "windows": [{"n": 31, "hash": "123456789"}],
        "ledger": [{"hop": "read", "packets_in": 1}],
        "captures": [{"packets": 5}],
    }
    other = {**one, "windows": [{"n": 31, "hash": "123456780"}]}
    console = Console(width=120)
    with console.capture() as captured:
        console.print(comparison("one worker", one, "three", other))
    lines = {line.split()[0]: line.split()[-1] for line in captured.get().splitlines()[1:]}
    assert lines == {"windows": "DIFFER", "ledger": "equal", "captures": "equal"}
