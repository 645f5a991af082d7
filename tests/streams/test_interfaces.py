from __future__ import annotations

import pytest

from schemas.errors import NoInterfaceError
from streams.interfaces import NicCounts, find_interface, interface_names


def test_the_loopback_interface_is_found_and_known_as_such() -> None:
    assert "lo" in interface_names()
    found = find_interface("lo")
    assert (found.name, found.link_type, found.is_loopback) == ("lo", 1, True)
    assert found.index > 0


@pytest.mark.parametrize("name", ["nonesuch", "", "../lo"])
def test_an_unknown_interface_is_told_with_those_there_are(name: str) -> None:
    with pytest.raises(NoInterfaceError, match=r"there are .*\blo\b"):
        find_interface(name)


def test_counts_are_those_since_an_earlier_look() -> None:
    assert NicCounts(10, 3, 1).since(NicCounts(4, 1, 1)) == NicCounts(6, 2, 0)


def test_an_interface_counts_what_it_received() -> None:
    assert find_interface("lo").counts().received >= 0


def test_the_loopback_interface_has_no_clock_of_its_own() -> None:
    assert not find_interface("lo").start_hardware_time()
