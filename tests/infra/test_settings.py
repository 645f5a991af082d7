from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from infra.settings import (
    SHIPPED_MODEL,
    Settings,
    environment_of,
    load_settings,
    unknown_names,
)
from infra.settings_names import environment_names, without_password
from infra.settings_page import setting_rows, settings_page
from schemas.errors import SettingsError
from schemas.topics import PACKETS


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, field in Settings.model_fields.items():
        for variable in environment_names(name, field):
            monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_defaults_are_those_of_the_contract(tmp_path: Path) -> None:
    settings = load_settings()
    assert settings.state == tmp_path / ".local"
    assert settings.clickhouse == f"chdb://{tmp_path}/.local/clickhouse"
    assert settings.data_roots == (tmp_path,)
    assert (settings.host, settings.ports) == ("127.0.0.1", (8000, 5000))
    assert (settings.window_s, settings.window_ns, settings.lateness_ns) == (10, 10**10, 2 * 10**9)
    assert settings.sensor == socket.gethostname()
    assert settings.has_own_broker
    assert settings.has_embedded_store
    assert settings.topic_name(PACKETS) == "spanwatch-packets"
    assert settings.group_name("windows") == "spanwatch-windows"


def test_an_override_wins_over_the_environment_and_that_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("SPANWATCH_WINDOW_S=30\nSPANWATCH_PARTITIONS=8\nSPANWATCH_LATENESS_S=1\nOTHER=x\n")
    monkeypatch.setenv("SPANWATCH_WINDOW_S", "20")
    monkeypatch.setenv("SPANWATCH_PARTITIONS", "")
    settings = load_settings(lateness_s=0.5, interface=None)
    assert (settings.window_s, settings.partitions, settings.lateness_s) == (20, 8, 0.5)


def test_lists_are_written_with_commas_and_path_separators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPANWATCH_PORTS", "8001, 5001")
    monkeypatch.setenv("SPANWATCH_DATA_ROOTS", os.pathsep.join(["/srv/a", "b"]))
    settings = load_settings()
    assert settings.ports == (8001, 5001)
    assert settings.data_roots == (Path("/srv/a"), Path.cwd() / "b")


def test_the_names_of_the_other_contract_are_honoured_and_ours_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLIDS_API_HOST", "0.0.0.0")
    monkeypatch.setenv("RLIDS_API_PORT", "9000")
    monkeypatch.setenv("RLIDS_LOG_LEVEL", "warning")
    monkeypatch.setenv("RLIDS_MODEL_PATH", "models/dqn_model_best.pt")
    settings = load_settings()
    assert (settings.host, settings.ports, settings.log_level) == ("0.0.0.0", (9000,), "WARNING")
    assert settings.model_path == SHIPPED_MODEL
    monkeypatch.setenv("SPANWATCH_PORTS", "8001")
    monkeypatch.setenv("RLIDS_DEBUG", "true")
    assert load_settings().ports == (8001,)
    assert load_settings().log_level == "DEBUG"
    assert load_settings(host="::1").host == "::1"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("window_s", "ten", "SPANWATCH_WINDOW_S cannot be 'ten': .*number"),
        ("window_s", "0.5", "SPANWATCH_WINDOW_S cannot be '0.5': .*1"),
        ("window_s", "301", "SPANWATCH_WINDOW_S cannot be '301': .*300"),
        ("window_s", "nan", "SPANWATCH_WINDOW_S cannot be 'nan'"),
        ("ports", "http", "SPANWATCH_PORTS cannot be 'http'"),
        ("ports", "70000", "SPANWATCH_PORTS cannot be '70000': .*65535"),
        ("ports", "8000,8000", "SPANWATCH_PORTS cannot be '8000,8000': .*twice"),
        ("ports", ",", "SPANWATCH_PORTS cannot be"),
        ("kafka", "broker", "SPANWATCH_KAFKA cannot be 'broker': write host:port"),
        ("clickhouse", "tcp://h:9000", "SPANWATCH_CLICKHOUSE cannot be .*chdb://"),
        ("limit_act", "60/day", "SPANWATCH_LIMIT_ACT cannot be '60/day': write how often"),
        ("cors_origins", "https://a.example/x", "SPANWATCH_CORS_ORIGINS cannot be .*: write scheme and host"),
        ("trusted_proxies", "proxy.example", "SPANWATCH_TRUSTED_PROXIES cannot be .*: write addresses"),
        ("tls_key", "key.pem", "SPANWATCH_TLS_CERTIFICATE and SPANWATCH_TLS_KEY go together"),
        ("data_roots", os.pathsep, "SPANWATCH_DATA_ROOTS cannot be .*one folder"),
        ("mode", "file", "SPANWATCH_MODE cannot be 'file': .*'pcap' or 'live'"),
        ("log_level", "loud", "SPANWATCH_LOG_LEVEL cannot be 'loud': it is one of DEBUG"),
        ("topic_prefix", "a b", "SPANWATCH_TOPIC_PREFIX cannot be 'a b'"),
        ("state", "/dev/null", "SPANWATCH_STATE cannot be '/dev/null': it is not a folder"),
    ],
)
def test_a_value_that_cannot_work_is_refused_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    with pytest.raises(SettingsError, match=words):
        load_settings(**{name: value})
    monkeypatch.setenv(f"SPANWATCH_{name.upper()}", value)
    with pytest.raises(SettingsError, match=words):
        load_settings()


def test_an_error_does_not_show_a_password() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(clickhouse="tcp://me:secret@h/db")
    assert "secret" not in str(caught.value)
    assert without_password("http://me:secret@h:8123/db") == "http://me:***@h:8123/db"


def test_a_misspelt_variable_is_named_with_the_nearest_setting() -> None:
    assert unknown_names({"SPANWATCH_WINDOWS_S": "5", "SPANWATCH_STATE": ".", "HOME": "/"}) == [
        "SPANWATCH_WINDOWS_S is not a setting. Did you mean SPANWATCH_WINDOW_S?"
    ]
    with pytest.raises(SettingsError, match="no setting named 'windows'"):
        load_settings(windows=5)


def test_every_setting_has_a_sentence_and_its_value_in_force() -> None:
    rows = {row.names[0]: row for row in setting_rows(load_settings(clickhouse="http://u:pw@h:8123/d", ports="1,2"))}
    assert len(rows) == len(Settings.model_fields)
    assert all(row.doc.endswith(".") for row in rows.values())
    assert rows["SPANWATCH_PORTS"].value == "1,2"
    assert rows["SPANWATCH_CLICKHOUSE"].value == "http://u:***@h:8123/d"
    assert all(f"`{name}`" in settings_page() for name in rows)


def test_a_child_process_gets_the_same_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"state": tmp_path, "data_roots": f"{tmp_path}:/", "ports": (1, 2), "pcap": tmp_path / "a.pcap"}
    settings = load_settings(**given, filter="not port 22", port_scan_ports=7, sensor="probe-1")
    for name, value in environment_of(settings).items():
        monkeypatch.setenv(name, value)
    assert load_settings() == settings
