from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.firewall import DryRun, whole_seconds
from infra.firewall_guard import AddressGuard, next_hops, own_addresses, parse_address
from infra.settings import load_settings
from schemas.errors import AddressRefusedError, SettingsError

ADDRESSES = [ip_address(text) for text in ("203.0.113.7", "203.0.113.8", "2001:db8::7")]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("block"), st.sampled_from(ADDRESSES), st.floats(0, 10)),
        st.tuples(st.just("unblock"), st.sampled_from(ADDRESSES), st.just(0.0)),
        st.tuples(st.just("wait"), st.just(ADDRESSES[0]), st.floats(0, 5)),
        st.tuples(st.just("replace"), st.sampled_from(ADDRESSES), st.floats(0, 10)),
    )
)


@given(STEPS)
def test_a_dry_run_remembers_and_forgets_as_a_firewall_does(steps: list[tuple[str, object, float]]) -> None:
    now_s = 0.0
    firewall = DryRun(lambda: now_s)
    ends_s: dict[object, float] = {}
    for what, address, seconds in steps:
        assert isinstance(address, type(ADDRESSES[0]) | type(ADDRESSES[2]))
        if what == "block":
            firewall.block(address, seconds)
            ends_s[address] = now_s + whole_seconds(seconds)
        elif what == "unblock":
            firewall.unblock(address)
            ends_s.pop(address, None)
        elif what == "replace":
            firewall.replace({address: seconds})
            ends_s = {address: now_s + whole_seconds(seconds)}
        else:
            now_s += seconds
        held = firewall.blocked()
        assert held.keys() == {one for one, end_s in ends_s.items() if end_s > now_s}
        assert all(one.remaining_s > 0 and one.packets is None for one in held.values())
    firewall.clear()
    assert firewall.blocked() == {}


@given(st.floats(0, 1e6))
def test_a_time_out_is_never_cut_short(timeout_s: float) -> None:
    assert max(1, timeout_s) <= whole_seconds(timeout_s) <= max(1, timeout_s + 1)


@given(st.ip_addresses())
def test_every_form_of_an_address_is_read_as_the_same(address: object) -> None:
    text = str(address)
    assert parse_address(text) == parse_address(text.upper())
    if "." in text and ":" not in text:
        assert parse_address(f"::ffff:{text}") == parse_address(text) == address


def guard(allow: str = "", **settings: str) -> AddressGuard:
    return AddressGuard(load_settings(defence_allow=allow, **settings))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("127.0.0.1", "Cannot block localhost"),
        ("127.255.0.3", "Cannot block localhost"),
        ("::1", "Cannot block localhost"),
        ("0.0.0.0", "Cannot block an address that no host has"),
        ("0.1.2.3", "Cannot block an address that no host has"),
        ("::", "Cannot block an address that no host has"),
        ("224.0.0.251", "Cannot block an address that no host has"),
        ("ff02::1", "Cannot block an address that no host has"),
        ("255.255.255.255", "Cannot block an address that no host has"),
        ("192.168.7.7", "Cannot block an allow-listed address (192.168.0.0/16)"),
        ("::ffff:192.168.7.7", "Cannot block an allow-listed address (192.168.0.0/16)"),
        ("2001:db8::7", "Cannot block an allow-listed address (2001:db8::/32)"),
        ("203.0.113.7", ""),
        ("192.169.0.1", ""),
        ("2001:db9::7", ""),
        ("64:ff9b::cb00:7107", ""),
    ],
)
def test_what_is_never_blocked_is_refused_with_the_reason(text: str, why: str) -> None:
    assert guard("192.168.0.0/16, 2001:db8::/32").why_not(parse_address(text)) == why


def test_this_machines_own_addresses_are_never_blocked() -> None:
    assert ip_address("127.0.0.1") in own_addresses()
    for address in [one for one in own_addresses() if not one.is_loopback]:
        assert guard().why_not(address) == "Cannot block this machine's own address"


def test_gateways_are_read_from_the_kernels_tables_and_never_blocked(tmp_path: Path) -> None:
    (tmp_path / "route").write_text(
        "Iface\tDestination\tGateway \tFlags\neth0\t00000000\t010200C0\t0003\neth0\t000200C0\t00000000\t0001\n"
    )
    none, hop = "0" * 32, f"fe80{'1':0>28}"
    lines = [f"{none} 00 {none} 00 {hop} 0 eth0", f"fd{'':0>30} 40 {none} 00 {none} 0 eth0", ""]
    (tmp_path / "ipv6_route").write_text("\n".join(lines))
    hops = {ip_address("192.0.2.1"), ip_address("fe80::1")}
    assert next_hops(tmp_path) == hops
    for hop in hops:
        found = AddressGuard(load_settings(), tmp_path).why_not(hop)
        assert found == "Cannot block the gateway"
    assert next_hops(tmp_path / "nowhere") == set()


def test_the_stacks_servers_and_who_asks_are_never_blocked() -> None:
    stack = guard(kafka="203.0.113.9:9092,[2001:db8::9]:9092", clickhouse="http://a:b@203.0.113.10:8123/x")
    for text in ("203.0.113.9", "2001:db8::9", "203.0.113.10"):
        assert stack.why_not(parse_address(text)) == "Cannot block a server that spanwatch itself needs"
    attacker = parse_address("203.0.113.7")
    stack.check(attacker, asked_from="203.0.113.8")
    with pytest.raises(AddressRefusedError, match="this request comes from"):
        stack.check(attacker, asked_from="::ffff:203.0.113.7")


@pytest.mark.parametrize(
    "text", ["", "10.0.0", "10.0.0.256", "010.0.0.1", "1", "0x7f.1", "a.example", "::g", "10.0.0.0/8"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(AddressRefusedError):
        parse_address(text)


def test_settings_that_cannot_work_are_refused() -> None:
    for wrong in (
        {"defence_allow": "10.0.0.1/8"},
        {"defence_auto_classes": "PortScan,BENIGN"},
        {"defence_nft": "ssh 'gate"},
        {"defence_table": "a b"},
        {"defence_firewall": "iptables"},
    ):
        with pytest.raises(SettingsError):
            load_settings(**wrong)
    known = load_settings(defence_auto_classes="portscan, Web Attack - XSS", defence_nft="ssh -i 'a key' gate nft")
    assert known.defence_auto_classes == ("PortScan", "Web Attack – XSS")
    assert known.defence_command == ("ssh", "-i", "a key", "gate", "nft")
