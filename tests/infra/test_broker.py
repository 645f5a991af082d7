from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from infra.broker import Broker, bootstrap_servers, read_record
from infra.broker_files import format_once, kafka_version, server_properties
from infra.broker_node import BrokerRecord, Node
from infra.settings import Settings, load_settings
from schemas.errors import BrokerError, MissingProgramError, PortTakenError
from tests.ports import free_ports


def settings_in(folder: Path, **overrides: object) -> Settings:
    return load_settings(state=folder / "state", kafka="", **overrides)


def at_a_port_of_its_own(settings: Settings) -> Settings:
    """Let the stack's broker have been where nobody else looks for a free port while it is down."""
    settings.kafka_folder.mkdir(parents=True)
    BrokerRecord(*free_ports(1)).write(settings.kafka_folder)
    return settings


def topics_at(bootstrap: str) -> set[str]:
    return set(AdminClient({"bootstrap.servers": bootstrap}).list_topics(timeout=10).topics)


def test_a_broker_answers_once_started_and_is_gone_once_stopped(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    with Broker(settings) as broker:
        assert broker.is_alive
        assert bootstrap_servers(settings) == broker.bootstrap
        assert topics_at(broker.bootstrap) == set()
        process = psutil.Process(broker.pid)
        listening = [c for c in process.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
        assert {c.laddr.ip.removeprefix("::ffff:") for c in listening if c.laddr} == {"127.0.0.1"}
    assert not process.is_running()
    assert not broker.is_alive
    broker.stop()
    with pytest.raises(BrokerError, match="No broker runs"):
        bootstrap_servers(settings)


def test_a_killed_broker_starts_again_at_the_same_port_with_its_topics(tmp_path: Path) -> None:
    broker = Broker(at_a_port_of_its_own(settings_in(tmp_path)))
    first = broker.start()
    admin = AdminClient({"bootstrap.servers": first})
    admin.create_topics([NewTopic("kept", 1, 1)])["kept"].result(10)
    assert broker.pid
    os.kill(broker.pid, signal.SIGKILL)
    assert broker.wait() == -signal.SIGKILL
    assert not broker.is_alive
    try:
        assert broker.start() == first
        assert topics_at(first) == {"kept"}
    finally:
        broker.stop()


def test_no_broker_is_left_when_its_parent_is_killed(tmp_path: Path) -> None:
    settings = at_a_port_of_its_own(settings_in(tmp_path))
    code = (
        "import sys, time; from pathlib import Path; from infra.broker import Broker;"
        "from infra.settings import load_settings;"
        "Broker(load_settings(state=Path(sys.argv[1]))).start(); print('up', flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", code, str(settings.state)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        assert parent.stdout.readline() == b"up\n"
        record = read_record(settings)
        assert record
        process = record.process()
        assert process
        parent.kill()
    process.wait(30)
    # What is left on disk is no hindrance: lock, record and storage.
    with Broker(settings) as broker:
        assert broker.bootstrap == record.bootstrap


def test_a_broker_left_from_an_earlier_run_is_ended_first(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    lost = Broker(settings)
    lost.start()
    record = read_record(settings)
    assert record
    assert lost._lock_file
    lost._lock_file.close()
    with Broker(settings) as broker:
        assert broker.pid != record.pid
        assert not lost.is_alive


def test_a_second_broker_on_the_same_state_folder_is_refused(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    with Broker(settings) as broker:
        with pytest.raises(BrokerError, match=rf"runs already .*{broker.bootstrap}.*SPANWATCH_STATE"):
            Broker(settings).start()
        assert broker.is_alive
        assert bootstrap_servers(settings) == broker.bootstrap


def test_two_stacks_with_different_state_folders_live_side_by_side(tmp_path: Path) -> None:
    with Broker(settings_in(tmp_path / "a")) as one, Broker(settings_in(tmp_path / "b")) as other:
        assert one.bootstrap != other.bootstrap
        assert topics_at(one.bootstrap) == topics_at(other.bootstrap) == set()


def test_what_is_formatted_names_no_controller(tmp_path: Path) -> None:
    """A first start once registered with the controller of another stack, and made its topics there."""
    settings = settings_in(tmp_path)
    settings.kafka_folder.mkdir(parents=True)
    format_once(settings, Node(settings.kafka_folder))
    files = [path for path in (settings.kafka_folder / "data").rglob("*") if path.is_file()]
    assert files
    assert not any(b"127.0.0.1" in path.read_bytes() for path in files)


def test_a_taken_port_is_named_with_its_owner_and_a_way_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortTakenError, match=rf"{port} is taken by .*{os.getpid()}.*SPANWATCH_KAFKA_PORT"):
            Broker(settings_in(tmp_path, kafka_port=port)).start()


def test_a_broker_that_cannot_start_quotes_its_own_words(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    settings.kafka_folder.mkdir(parents=True)
    format_once(settings, Node(settings.kafka_folder))
    meta = settings.kafka_folder / "data" / "meta.properties"
    meta.write_text(meta.read_text().replace("node.id=1", "node.id=7"))
    with pytest.raises(BrokerError, match=r"(?s)ended with status.*Stored node id 7.*kafka\.log"):
        Broker(settings).start()


def test_an_interrupted_format_is_done_again(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    settings.kafka_folder.mkdir(parents=True)
    format_once(settings, Node(settings.kafka_folder))
    (settings.kafka_folder / "data" / "meta.properties").unlink()
    with Broker(settings) as broker:
        assert broker.is_alive


def test_missing_jars_say_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(MissingProgramError, match=r"setup\.sh"):
        Broker(settings_in(tmp_path, kafka_home=tmp_path / "none")).start()


def test_a_cluster_in_the_settings_is_used_as_it_is(tmp_path: Path) -> None:
    settings = load_settings(state=tmp_path, kafka="a.example:9092,b.example:9093")
    assert bootstrap_servers(settings) == "a.example:9092,b.example:9093"


def test_the_configuration_listens_on_this_machine_only(tmp_path: Path) -> None:
    text = server_properties(Node(tmp_path), 9092, 9093)
    assert "listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093\n" in text
    assert kafka_version().startswith("4.")


def test_stopping_a_broker_that_never_ran_is_harmless(tmp_path: Path) -> None:
    broker = Broker(settings_in(tmp_path))
    broker.stop()
    assert not broker.is_alive
    assert broker.wait() == 0
    with pytest.raises(BrokerError, match="not been started"):
        _ = broker.bootstrap
