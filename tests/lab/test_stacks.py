from __future__ import annotations

import random
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.network import network
from lab.programs import ALWAYS, missing_programs, require_privileges
from lab.stacks import TcpStack, drawn, give

SYSTEM = Path("/proc/sys/net/ipv4/tcp_timestamps")


def test_stacks_differ_and_a_good_part_is_linux_as_it_comes() -> None:
    chance = random.Random(7)
    stacks = [drawn(chance) for _ in range(300)]
    assert 70 < stacks.count(TcpStack()) < 150
    assert len(set(stacks)) > 30


def test_a_host_gets_its_stack_and_the_machine_keeps_its_own() -> None:
    try:
        require_privileges()
    except LabError as error:
        pytest.skip(str(error))
    if missing := missing_programs(ALWAYS):
        pytest.skip(f"not installed: {', '.join(missing)}")
    before = SYSTEM.read_text()
    with network() as net:
        web, alice = net.host("web"), net.host("alice")
        give(web, TcpStack(has_timestamps=False, has_selective_acks=False, scales_window=False, buffer_bytes=8_192))
        names = ("tcp_timestamps", "tcp_sack", "tcp_window_scaling", "tcp_rmem")
        said = [web.run("cat", f"/proc/sys/net/ipv4/{name}", check=True).stdout.split() for name in names]
        assert said == [["0"], ["0"], ["0"], ["4096", "8192", "6291456"]]
        assert alice.run("cat", "/proc/sys/net/ipv4/tcp_timestamps", check=True).stdout.strip() != "0"
    assert SYSTEM.read_text() == before
