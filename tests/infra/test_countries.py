from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.countries import LAN, LOCAL, UNKNOWN, country_of

ADDRESSES = st.one_of(st.ip_addresses().map(str), st.text(max_size=8))


@pytest.mark.parametrize(
    ("address", "country"),
    [
        ("49.36.0.1", "IN"),
        ("8.8.8.8", "US"),
        ("193.0.6.139", "NL"),
        ("200.160.2.3", "BR"),
        ("41.0.0.1", "ZA"),
        ("2001:67c:2e8:22::c100:68b", "NL"),
        ("2001:4860:4860::8888", "US"),
        ("::ffff:49.36.0.1", "IN"),
        ("64:ff9b::3124:1", "IN"),
        ("2002:3124:1::1", "IN"),
        ("10.1.2.3", LAN),
        ("172.31.255.255", LAN),
        ("172.32.0.1", "US"),
        ("192.168.0.1", LAN),
        ("169.254.3.4", LAN),
        ("100.64.0.1", LAN),
        ("fd00:77::21", LAN),
        ("fe80::1%eth0", LAN),
        ("::ffff:10.0.0.1", LAN),
        ("127.0.0.53", LOCAL),
        ("::1", LOCAL),
        ("0.0.0.0", UNKNOWN),
        ("::", UNKNOWN),
        ("224.0.0.251", UNKNOWN),
        ("255.255.255.255", UNKNOWN),
        ("ff02::fb", UNKNOWN),
        ("192.0.2.1", UNKNOWN),
        ("2001:db8::1", UNKNOWN),
        ("", UNKNOWN),
        ("nobody", UNKNOWN),
    ],
)
def test_an_address_is_from_a_country_or_near_or_from_nowhere(address: str, country: str) -> None:
    assert country_of([address]).tolist() == [country]


@given(st.lists(ADDRESSES, max_size=30))
def test_many_at_once_are_as_one_by_one(addresses: list[str]) -> None:
    codes = country_of(addresses).tolist()
    assert codes == [country_of([address]).item() for address in addresses]
    for code in codes:
        assert code in (LAN, LOCAL, UNKNOWN) or (len(code) == 2 and code.isupper())


@given(st.ip_addresses(v=4))
def test_a_mapped_address_is_where_the_address_is(address: IPv4Address) -> None:
    mapped = IPv6Address(b"\0" * 10 + b"\xff\xff" + address.packed)
    assert country_of([str(mapped)]).item() == country_of([str(address)]).item()


def test_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a country was asked for over the network")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert country_of(["49.36.0.1", "2001:67c:2e8:22::c100:68b"]).tolist() == ["IN", "NL"]
