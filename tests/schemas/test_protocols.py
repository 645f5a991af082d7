from __future__ import annotations

import pytest

from schemas.protocols import ether_type_name, protocol_name, services


@pytest.mark.parametrize(
    ("transport", "port", "name"),
    [("tcp", 22, "ssh"), ("tcp", 80, "http"), ("tcp", 443, "https"), ("udp", 53, "dns"), ("udp", 123, "ntp")],
)
def test_well_known_ports_have_their_names(transport: str, port: int, name: str) -> None:
    assert services()[transport, port] == name


def test_ports_that_clients_are_given_have_no_name() -> None:
    # IANA's dynamic ports; WireGuard's habitual one is the exception that people look for.
    assert {port for _, port in services() if port >= 49_152} <= {51_820}


def test_numbers_without_a_common_name_stay_numbers() -> None:
    assert protocol_name(6) == "tcp"
    assert protocol_name(253) == "ip-253"
    assert ether_type_name(0x0806) == "arp"
    assert ether_type_name(0x0026) == "llc"
    assert ether_type_name(0xBEEF) == "0xbeef"
