from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.stack import Stack, running_stack

SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One running stack for every test that does not break it."""
    with running_stack(tmp_path_factory.mktemp("stack"), SAMPLES) as running:
        yield running


@pytest.fixture(scope="session")
def sample() -> Path:
    """The bundled capture."""
    (found,) = SAMPLES.glob("mixed.pcap*")
    return found
