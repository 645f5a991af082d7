from __future__ import annotations

from schemas.protocols import services
from streams.names import NAME_TABLES, UNDECODED_ID, UNDECODED_NAME


def test_every_name_stands_once() -> None:
    assert len(set(NAME_TABLES.names)) == len(NAME_TABLES.names)
    assert NAME_TABLES.names[UNDECODED_ID] == UNDECODED_NAME


def test_the_tables_say_what_the_registry_says() -> None:
    tables = {"tcp": NAME_TABLES.tcp, "udp": NAME_TABLES.udp, "sctp": NAME_TABLES.sctp}
    for (transport, port), name in services().items():
        assert NAME_TABLES.names[tables[transport][port]] == name


def test_every_protocol_and_ether_type_has_a_name() -> None:
    assert NAME_TABLES.names[NAME_TABLES.protocols[6]] == "tcp"
    assert NAME_TABLES.names[NAME_TABLES.protocols[255]] == "ip-255"
    assert NAME_TABLES.names[NAME_TABLES.ether_types[0x0806]] == "arp"
    assert NAME_TABLES.names[NAME_TABLES.ether_types[0x1234]] == "other"
