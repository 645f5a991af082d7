from __future__ import annotations

from ipaddress import IPv6Address, ip_address

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streams.hosts import Hosts, address_text


@given(st.ip_addresses(v=4))
def test_a_mapped_address_is_shown_dotted(address: object) -> None:
    number = int(ip_address(str(address)))
    assert address_text(0, 0xFFFF << 32 | number) == str(address)


@given(st.integers(1, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_any_other_address_is_shown_as_python_shows_it(high: int, low: int) -> None:
    assert address_text(high, low) == str(IPv6Address(high << 64 | low))


def test_groups_are_multicast_and_the_broadcast_address() -> None:
    texts = ["224.0.0.1", "239.1.2.3", "255.255.255.255", "10.0.0.255", "223.255.255.255", "240.0.0.1"]
    numbers = [0xFFFF << 32 | int(ip_address(text)) for text in texts]
    numbers += [int(ip_address(text)) for text in ("ff02::fb", "fe80::1", "::1")]
    nothing = np.zeros(len(numbers), np.int64)
    hosts = Hosts(
        high=np.array([number >> 64 for number in numbers], np.uint64),
        low=np.array([number & 2**64 - 1 for number in numbers], np.uint64),
        sent_bytes=nothing,
        received_bytes=nothing,
        conversations=nothing,
        has_ip=np.ones(len(numbers), np.bool_),
        ends=np.zeros((2, 0), np.int64),
    )
    assert hosts.is_group.tolist() == [True, True, True, False, False, False, True, False, False]
