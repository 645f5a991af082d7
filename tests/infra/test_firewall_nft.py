from __future__ import annotations

import time
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from infra.firewall_nft import Nftables
from schemas.errors import FirewallError, FirewallPermissionError, MissingProgramError
from tests.infra.namespaces import Gateway, gateway, until, why_no_firewall

REASON = why_no_firewall()
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)


@pytest.fixture(scope="module")
def net() -> Iterator[Gateway]:
    with gateway() as made:
        yield made


@pytest.fixture
def firewall(net: Gateway) -> Iterator[Nftables]:
    made = Nftables(net.nft)
    yield made
    made.clear()


@pytest.mark.parametrize("version", [4, 6])
def test_a_blocked_hosts_packets_stop_in_both_directions_and_the_others_go_on(
    net: Gateway, firewall: Nftables, version: int
) -> None:
    ways = (("attacker", "server"), ("server", "attacker"), ("attacker", "gate"), ("gate", "attacker"))
    others = (("neighbour", "server"), ("server", "neighbour"), ("gate", "server"))
    assert all(net.passes(*way, version) for way in (*ways, *others))
    attacker = ip_address(net.hosts["attacker"].address(version))
    firewall.block(attacker, 600)
    assert [net.passes(*way, version) for way in ways] == [False] * 4
    assert all(net.passes(*way, version) for way in others)
    held = firewall.blocked()
    assert held.keys() == {attacker}
    assert 0 < held[attacker].remaining_s <= 600
    assert (held[attacker].packets or 0) >= 4
    firewall.unblock(attacker)
    assert firewall.blocked() == {}
    assert all(net.passes(*way, version) for way in ways)


def test_a_block_ends_by_itself(net: Gateway, firewall: Nftables) -> None:
    begun_s = time.monotonic()
    firewall.block(ip_address(net.hosts["attacker"].address(4)), 1.5)
    until(lambda: net.passes("attacker", "server"))
    # It was held up: the kernel is never early. Whole seconds, rounded up.
    assert time.monotonic() - begun_s >= 2
    until(lambda: firewall.blocked() == {})


def test_every_call_may_be_repeated_and_the_newest_time_counts(firewall: Nftables) -> None:
    attacker, other = ip_address("203.0.113.7"), ip_address("2001:db8::7")
    for timeout_s in (5, 5, 5000, 60):
        firewall.block(attacker, timeout_s)
        firewall.block(other, 5000)
    assert 5 < firewall.blocked()[attacker].remaining_s <= 60
    assert firewall.blocked()[other].remaining_s > 4000
    for _ in range(2):
        firewall.unblock(attacker)
        assert firewall.blocked().keys() == {other}


def test_the_rules_are_there_once_however_often_somebody_is_blocked(net: Gateway, firewall: Nftables) -> None:
    for last in range(5):
        firewall.block(ip_address(f"203.0.113.{last}"), 60)
    assert net.rules().count("drop") == 8


def test_to_replace_leaves_exactly_what_was_given(firewall: Nftables) -> None:
    firewall.block(ip_address("203.0.113.7"), 60)
    wanted = {ip_address("203.0.113.8"): 100.0, ip_address("2001:db8::8"): 0.25}
    firewall.replace(wanted)
    assert firewall.blocked().keys() <= wanted.keys()
    assert ip_address("203.0.113.8") in firewall.blocked()
    firewall.replace({})
    assert firewall.blocked() == {}


def test_to_clear_removes_everything_of_ours_and_nothing_else(net: Gateway, firewall: Nftables) -> None:
    net.do("add", "table", "inet", "somebody_elses")
    before = net.rules()
    firewall.block(ip_address(net.hosts["attacker"].address(4)), 600)
    assert net.rules() != before
    for _ in range(2):
        firewall.clear()
        assert net.rules() == before
    assert firewall.blocked() == {}
    assert net.passes("attacker", "server")
    net.do("delete", "table", "inet", "somebody_elses")


def test_what_cannot_be_done_is_said_in_plain_words(net: Gateway) -> None:
    attacker = ip_address("203.0.113.7")
    with pytest.raises(MissingProgramError, match="'no-such-nft' is not installed"):
        Nftables(["no-such-nft"]).block(attacker, 1)
    with pytest.raises(FirewallPermissionError, match="CAP_NET_ADMIN"):
        Nftables([*net.nft[:-1], "setpriv", "--bounding-set", "-net_admin", "nft"]).block(attacker, 1)
    with pytest.raises(FirewallError, match="Cannot open network namespace"):
        Nftables(["ip", "netns", "exec", "no-such-namespace", "nft"]).blocked()
