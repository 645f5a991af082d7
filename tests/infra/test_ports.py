from __future__ import annotations

import os
import socket

import pytest

from infra.ports import FIRST_PORT, HOST, LAST_PORT, Reservation, describe_owner, is_free, reserve
from schemas.errors import PortTakenError
from tests.ports import free_ports


def test_a_port_is_free_only_while_nobody_listens() -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        assert not is_free(port)
        assert describe_owner(port).endswith(f"(process {os.getpid()})")
    assert is_free(port)
    assert describe_owner(port) == ""


def test_a_port_taken_on_all_addresses_is_not_free() -> None:
    with socket.create_server(("", 0)) as server:
        assert not is_free(server.getsockname()[1])


def test_two_stacks_that_look_at_the_same_time_get_four_ports() -> None:
    one, other = Reservation(0, None), Reservation(0, None)
    ports = [one.port, one.controller_port, other.port, other.controller_port]
    one.release()
    other.release()
    assert len(set(ports)) == 4
    assert FIRST_PORT <= min(ports) <= max(ports) <= LAST_PORT


def test_a_server_can_listen_on_the_port_reserved_for_it() -> None:
    ports = Reservation(0, None)
    with socket.create_server((HOST, ports.port)):
        assert not is_free(ports.port)
        ports.release()
        assert not is_free(ports.port)


def test_the_remembered_port_is_taken_again_unless_somebody_has_it() -> None:
    (remembered,) = free_ports(1)
    again = Reservation(0, remembered)
    again.release()
    assert again.port == remembered
    with socket.create_server((HOST, remembered)):
        moved = Reservation(0, remembered)
        moved.release()
    assert remembered not in (moved.port, moved.controller_port)


def test_a_port_with_lingering_connections_is_taken_again() -> None:
    (port,) = free_ports(1)
    with socket.create_server((HOST, port)) as server:
        client = socket.create_connection((HOST, port))
        accepted, _ = server.accept()
        accepted.close()
        client.close()
    assert reserve(port) is None
    again = Reservation(0, port)
    again.release()
    assert again.port == port


def test_the_wanted_port_wins_and_is_not_given_to_the_controller() -> None:
    wanted, remembered = free_ports(2)
    ports = Reservation(wanted, remembered)
    ports.release()
    assert ports.port == wanted != ports.controller_port


def test_a_wanted_port_that_is_taken_is_named_with_its_owner_and_a_way_out() -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortTakenError, match=rf"{port} is taken by .*{os.getpid()}.*SPANWATCH_KAFKA_PORT"):
            Reservation(port, None)


def test_a_full_range_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setattr("infra.ports.FIRST_PORT", port)
        monkeypatch.setattr("infra.ports.LAST_PORT", port)
        with pytest.raises(PortTakenError, match="SPANWATCH_KAFKA_PORT"):
            Reservation(0, None)
