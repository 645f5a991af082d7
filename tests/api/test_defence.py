"""Blocks in earnest: a gateway in a network namespace, changed by the real service over the real store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from api.commands_block import block_command, blocks_command, defence_command, unblock_command
from api.defence import Defence
from infra.settings import Settings
from infra.store import Store
from tests.api.stack import Running, running, settings_in
from tests.infra.namespaces import Gateway, gateway, until, why_no_firewall

REASON = why_no_firewall()
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)

BLOCK = "/active-defense/block"


@pytest.fixture(scope="module")
def net() -> Iterator[Gateway]:
    with gateway() as made:
        yield made


@pytest.fixture
def earnest(net: Gateway, tmp_path: Path) -> Settings:
    """Settings of a service that blocks on the gateway."""
    return settings_in(tmp_path, defence_firewall="nftables", defence_nft=" ".join(net.nft))


@contextmanager
def serving(settings: Settings, store: Store) -> Iterator[Running]:
    with running(settings, store) as stack:
        yield stack


def test_over_rest_a_host_is_cut_off_on_the_gateway_until_it_is_let_go_and_a_restart_changes_nothing(
    net: Gateway, earnest: Settings, store: Store
) -> None:
    attackers = {version: net.hosts["attacker"].address(version) for version in (4, 6)}
    with serving(earnest, store) as stack:
        for ip in attackers.values():
            assert stack.http.post(f"{BLOCK}/{ip}", params={"duration": 900}).json()["status"] == "success"
        for version in attackers:
            assert not net.passes("attacker", "server", version)
            assert net.passes("neighbour", "server", version)
        listed = stack.http.get(BLOCK).json()
        assert (listed["firewall"], listed["is_dry_run"], listed["total"]) == ("nftables", False, 2)
        assert all(block["is_in_force"] for block in listed["blocks"])
        until(lambda: all(block["packets_dropped"] > 0 for block in stack.http.get(BLOCK).json()["blocks"]))
    assert not net.passes("attacker", "server")  # the service may go, the block stays
    net.do("flush", "ruleset")  # as after a restart of the machine
    assert net.passes("attacker", "server")
    with serving(earnest, store) as stack:
        assert not any(net.passes("attacker", "server", version) for version in attackers)
        for block in stack.http.get(BLOCK).json()["blocks"]:
            assert 0 < block["remaining_s"] < 900
        assert stack.http.delete(f"{BLOCK}/{attackers[4]}").json()["was_blocked"]
        assert net.passes("attacker", "server", 4)
        assert not net.passes("attacker", "server", 6)
        assert stack.http.delete(BLOCK).json()["message"] == "1 block lifted"
    assert net.rules() == ""
    assert net.passes("attacker", "server", 6)


def test_a_block_ends_when_its_time_is_over(net: Gateway, earnest: Settings, store: Store) -> None:
    attacker = net.hosts["attacker"].address(4)
    with serving(earnest, store) as stack:
        stack.http.post(f"{BLOCK}/{attacker}", params={"duration": 1})
        until(lambda: net.passes("attacker", "server"))
        assert stack.http.get(BLOCK).json()["total"] == 0
        assert stack.http.get(f"{BLOCK}/{attacker}").json()["block"]["state"] == "expired"
        stack.http.delete(BLOCK)


def test_what_somebody_else_changed_in_our_table_is_set_right(net: Gateway, earnest: Settings, store: Store) -> None:
    attacker = net.hosts["attacker"].address(4)
    with serving(earnest, store) as stack:
        stack.http.post(f"{BLOCK}/{attacker}")
        defence = Defence(earnest, store)
        net.do("flush", "ruleset")
        defence.reconcile()
        assert not net.passes("attacker", "server")
        neighbour = net.hosts["neighbour"].address(4)
        net.do("add", "element", "inet", "spanwatch", "blocked4", f"{{ {neighbour} timeout 1h }}")
        defence.reconcile()
        assert net.passes("neighbour", "server")
        rules = net.rules()
        defence.reconcile()
        assert net.rules().count("drop") == rules.count("drop")
        stack.http.delete(BLOCK)


def run(stack: Running, monkeypatch: pytest.MonkeyPatch, command: Any, *arguments: str) -> str:
    monkeypatch.setenv("SPANWATCH_PORTS", f"{stack.settings.ports[0]}")
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 0, done.output
    return str(done.output)


def test_the_command_line_blocks_lists_and_lets_go(
    net: Gateway, earnest: Settings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    attacker = net.hosts["attacker"].address(6)
    with serving(earnest, store) as stack:
        assert run(stack, monkeypatch, blocks_command) == "Nobody is blocked.\n"
        said = run(stack, monkeypatch, block_command, attacker, "--for", "10m", "--reason", "it scans")
        assert said.startswith(f"{attacker} is blocked until 20")
        assert not net.passes("attacker", "server", 6)
        listed = run(stack, monkeypatch, blocks_command)
        assert attacker in listed
        assert "it scans" in listed
        assert "had to do with 0 hosts" in run(stack, monkeypatch, defence_command, "preview", attacker)
        assert run(stack, monkeypatch, unblock_command, attacker) == f"{attacker} is let go.\n"
        assert net.passes("attacker", "server", 6)
        run(stack, monkeypatch, block_command, attacker)
        assert run(stack, monkeypatch, defence_command, "clear").startswith("1 block is lifted")
    assert net.rules() == ""


def test_blocks_are_cleared_also_when_no_service_runs(net: Gateway, earnest: Settings, store: Store) -> None:
    with serving(earnest, store) as stack:
        stack.http.post(f"{BLOCK}/{net.hosts['attacker'].address(4)}")
    assert len(Defence(earnest, store).clear("command line")) == 1
    assert net.rules() == ""
    with serving(earnest, store) as stack:
        assert stack.http.get(BLOCK).json()["total"] == 0
        assert net.passes("attacker", "server")
        stack.http.delete(BLOCK)
