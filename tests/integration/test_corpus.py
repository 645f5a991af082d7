"""Public captures end to end: nothing lost, nothing counted twice, no crash and no hang on any of them."""

from __future__ import annotations

import csv
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.errors import SpanwatchError
from tests.integration.stack import Stack, running_stack
from tests.shared_data import shared_data

DATA = shared_data()
EVERY = 1 if os.environ.get("SPANWATCH_FULL_CORPUS") else 24
"""One file in so many is taken; the whole corpus takes minutes."""

pytestmark = [
    pytest.mark.skipif(DATA is None, reason="the public captures are not on this machine"),
    pytest.mark.timeout(1800),
]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert DATA is not None
    folder = tmp_path_factory.mktemp("corpus")
    with tarfile.open(DATA / "corpus" / "captures.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def corpus_stack(tmp_path_factory: pytest.TempPathFactory, corpus: Path) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("stack"), corpus) as stack:
        yield stack


def test_every_packet_of_the_corpus_is_counted_once(corpus_stack: Stack, corpus: Path) -> None:
    assert DATA is not None
    with (DATA / "corpus" / "INDEX.tsv").open() as index:
        expected = {row["file"]: int(row["packets"]) for row in csv.DictReader(index, delimiter="\t") if row["packets"]}
    differing = {}
    for name, n_packets in sorted(expected.items())[::EVERY]:
        found = counted(corpus_stack, corpus / name)
        if found != {"read": n_packets, "windows": n_packets, "balanced": True}:
            differing[name] = found, n_packets
    assert differing == {}


def counted(stack: Stack, file: Path) -> dict[str, int | bool | str]:
    """Return how many packets of a file are where."""
    try:
        answer = stack.compute(file)
    except SpanwatchError as refusal:
        return {"refused": str(refusal)}
    capture_id = answer["capture_id"]
    windows = stack.remote.windows(capture_id)
    ledger = stack.remote.get(f"/api/captures/{capture_id}/ledger")
    return {
        "read": answer["packets"],
        "windows": sum(window["record_count"] for window in windows),
        "balanced": ledger["is_balanced"],
    }
