from __future__ import annotations

import pytest

from schemas.errors import WireError
from streams.snapshots import Snapshot

WHOLE = Snapshot("a thing 1", {"count": 3, "rate": 0.5, "nothing": None, "list": [1, 2]}, [b"abc", b"", b"d"])


def test_a_snapshot_comes_back_as_it_was() -> None:
    assert Snapshot.from_bytes(WHOLE.to_bytes(), "a thing 1") == WHOLE


@pytest.mark.parametrize("damaged", [b"", b"swop", b"x" * 100, WHOLE.to_bytes()[:-1], WHOLE.to_bytes() + b"x"])
def test_what_is_no_whole_snapshot_is_refused(damaged: bytes) -> None:
    with pytest.raises(WireError):
        Snapshot.from_bytes(damaged, "a thing 1")


def test_a_snapshot_of_something_else_is_refused() -> None:
    with pytest.raises(WireError, match="a thing 2"):
        Snapshot.from_bytes(WHOLE.to_bytes(), "a thing 2")
