from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from api.serve import listen, with_ports_of
from schemas.errors import PortTakenError, SettingsError
from tests.api.stack import settings_in
from tests.ports import free_ports

ROOT = Path(__file__).resolve().parents[2]


def test_every_port_gets_a_socket_and_port_0_a_free_one(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    sockets = listen(settings)
    try:
        first, second = with_ports_of(settings, sockets).ports
        assert first != second
        assert [one.getsockname()[1] for one in sockets] == [first, second]
    finally:
        for one in sockets:
            one.close()


def test_answers_are_sent_at_once(tmp_path: Path) -> None:
    # asyncio sets TCP_NODELAY on connections of sockets that name TCP; an answer's body waits 40 ms for an ACK without.
    sockets = listen(settings_in(tmp_path))
    try:
        assert {one.proto for one in sockets} == {socket.IPPROTO_TCP}
    finally:
        for one in sockets:
            one.close()


def test_a_taken_port_is_named_and_the_others_are_let_go(tmp_path: Path) -> None:
    [first] = free_ports(1)
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        with pytest.raises(PortTakenError, match=str(taken)):
            listen(settings_in(tmp_path, ports=(first, taken)))
        socket.create_server(("127.0.0.1", first)).close()


def test_a_host_that_is_not_ours_is_a_settings_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"192\.0\.2\.1"):
        listen(settings_in(tmp_path, host="192.0.2.1"))


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_api_imports_nothing_that_computes() -> None:
    told = python(
        "-c",
        "import sys, api.app, api.serve, api.api_server\n"
        "print(sorted({n.partition('.')[0] for n in sys.modules} & {'streams', 'agents', 'faust', 'numba', 'torch', "
        "'onnx'}))",
    )
    assert told.stdout.strip() == "[]", told.stderr


@pytest.mark.parametrize("script", ["api/api_server.py", "run_api.py"])
def test_a_script_starts_from_the_checkout(script: str) -> None:
    told = python(script, "--help")
    assert "--mode" in told.stdout, told.stderr


def test_a_script_says_in_a_sentence_that_its_port_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        told = python("api/api_server.py", "--port", port, SPANWATCH_STATE=str(tmp_path))
    assert told.returncode == 1
    assert f"Port {port} of 127.0.0.1 is taken" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_script_says_in_a_sentence_that_its_capture_is_missing() -> None:
    told = python("api/api_server.py", "--mode", "pcap", "--pcap", "no/such.pcap")
    assert told.returncode == 2
    assert "no/such.pcap" in told.stderr


def test_an_application_alone_opens_migrates_and_closes_its_store(tmp_path: Path) -> None:
    # In a process of its own: an embedded store is one per process.
    told = python(
        "-c",
        "import asyncio\n"
        "from api.app import create_app\n"
        "async def main():\n"
        "    app = create_app()\n"
        "    async with app.router.lifespan_context(app) as state:\n"
        "        services = state['services']\n"
        "        print(services.store.query('SELECT count() AS n FROM windows'))\n"
        "    try:\n"
        "        services.store.query('SELECT 1')\n"
        "    except Exception as error:\n"
        "        print(type(error).__name__)\n"
        "asyncio.run(main())",
        SPANWATCH_STATE=str(tmp_path),
        SPANWATCH_KAFKA="127.0.0.1:1",
    )
    assert told.stdout.splitlines() == ["[{'n': 0}]", "StoreError"], told.stderr
