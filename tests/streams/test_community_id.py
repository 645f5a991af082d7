"""Community IDs against the reference implementation."""

from __future__ import annotations

import communityid
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.community_id import community_ids

V4 = bytes(10) + b"\xff\xff"
addresses = st.one_of(st.binary(min_size=4, max_size=4).map(lambda end: V4 + end), st.binary(min_size=16, max_size=16))
ports = st.integers(0, 65_535)


def ours(src: bytes, dst: bytes, src_port: int, dst_port: int, protocol: int, kind: int, code: int, seed: int) -> str:
    source, target = (np.frombuffer(address, np.uint8).reshape(1, 16) for address in (src, dst))
    source_port, target_port = (np.array([port], np.uint16) for port in (src_port, dst_port))
    number, icmp_type, icmp_code = (np.array([value], np.uint8) for value in (protocol, kind, code))
    text = community_ids(source, target, source_port, target_port, number, icmp_type, icmp_code, seed)
    return text.tobytes().decode()


def theirs(src: bytes, dst: bytes, src_port: int, dst_port: int, protocol: int, kind: int, code: int, seed: int) -> str:
    is_v4 = src.startswith(V4) and dst.startswith(V4)
    ends = [address[12:] if is_v4 else address for address in (src, dst)]
    numbers: list[int] = []
    if protocol in (1, 58):
        numbers = [kind, code]
    elif protocol in (6, 17, 132):
        numbers = [src_port, dst_port]
    text: str = communityid.CommunityID(seed=seed).calc(communityid.FlowTuple(protocol, *ends, *numbers))
    return text


protocols = st.sampled_from([1, 6, 17, 47, 58, 132]) | st.integers(0, 254)
octets = st.integers(0, 255)
flows = st.tuples(addresses, addresses, ports, ports, protocols, octets, octets, st.sampled_from([0, 1, 65_535]))


@settings(max_examples=200)
@given(flows)
def test_any_flow_has_the_id_of_the_reference(flow: tuple[bytes, bytes, int, int, int, int, int, int]) -> None:
    assert ours(*flow) == theirs(*flow)


@pytest.mark.parametrize("protocol", [1, 58])
def test_every_icmp_message_has_the_id_of_the_reference(protocol: int) -> None:
    for kind in range(256):
        flow = (V4 + b"\1\2\3\4", V4 + b"\1\2\3\3", 0, 0, protocol, kind, 3, 0)
        assert ours(*flow) == theirs(*flow), kind


def test_both_directions_have_the_same_id() -> None:
    low, high = V4 + b"\x0a\0\0\1", V4 + b"\x0a\0\0\2"
    assert ours(low, high, 40_000, 80, 6, 0, 0, 0) == ours(high, low, 80, 40_000, 6, 0, 0, 0)


def test_many_flows_at_once_have_the_ids_that_each_has_alone() -> None:
    sources = np.stack([np.frombuffer(V4 + bytes([10, 0, 0, number]), np.uint8) for number in range(4)])
    ports_of = np.array([1, 2, 3, 4], np.uint16)
    zeros, tcp = np.zeros(4, np.uint8), np.full(4, 6, np.uint8)
    together = community_ids(sources, sources[::-1].copy(), ports_of, ports_of, tcp, zeros, zeros)
    for row, text in enumerate(together):
        alone = ours(bytes(sources[row]), bytes(sources[3 - row]), row + 1, row + 1, 6, 0, 0, 0)
        assert text.tobytes().decode() == alone
