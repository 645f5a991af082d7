from __future__ import annotations

import os
from pathlib import Path

import pytest

from api.errors import Refusal
from api.files import default_output, find_capture_file
from infra.settings import Settings
from tests.api.stack import settings_in


@pytest.fixture
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two data roots, a working directory and a secret beside them."""
    for folder in ("one", "two", "work"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{folder}.pcap").write_bytes(b"x")
    (tmp_path / "secret.pcap").write_bytes(b"x")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def settings_of(roots: Path, **overrides: object) -> Settings:
    return settings_in(roots, data_roots=f"{roots / 'one'}{os.pathsep}{roots / 'two'}", **overrides)


def test_a_relative_name_is_looked_for_in_every_root(roots: Path) -> None:
    settings = settings_of(roots)
    assert find_capture_file("one.pcap", settings).path == roots / "one" / "one.pcap"
    assert find_capture_file("two.pcap", settings).path == roots / "two" / "two.pcap"
    assert find_capture_file("../one/one.pcap", settings).path == roots / "one" / "one.pcap"
    assert find_capture_file(str(roots / "two" / "two.pcap"), settings).name == str(roots / "two" / "two.pcap")


def test_what_lies_outside_is_answered_like_what_does_not_exist(roots: Path) -> None:
    (roots / "one" / "link.pcap").symlink_to(roots / "secret.pcap")
    (roots / "one" / "loop.pcap").symlink_to(roots / "one" / "loop.pcap")
    os.mkfifo(roots / "one" / "pipe.pcap")
    names = [
        "missing.pcap",
        "../secret.pcap",
        "link.pcap",
        "loop.pcap",
        "pipe.pcap",
        str(roots / "secret.pcap"),
        "/etc/passwd",
        "work.pcap",
        "..",
        ".",
        "one.pcap\0",
        "a" * 4000,
        "~root/x",
        "-",
    ]
    for name in names:
        with pytest.raises(Refusal) as refusal:
            find_capture_file(name, settings_of(roots))
        assert (refusal.value.status, refusal.value.error) == (400, f"PCAP file not found: {name}")


def test_a_link_between_roots_may_be_followed(roots: Path) -> None:
    (roots / "one" / "link.pcap").symlink_to(roots / "two" / "two.pcap")
    assert find_capture_file("link.pcap", settings_of(roots)).path == roots / "two" / "two.pcap"


def test_the_configured_file_may_lie_anywhere(roots: Path) -> None:
    settings = settings_of(roots, pcap=Path("../secret.pcap"))
    assert find_capture_file(None, settings).path == roots / "secret.pcap"
    assert find_capture_file("../secret.pcap", settings).path == roots / "secret.pcap"


def test_a_configured_file_that_is_gone_is_not_found(roots: Path) -> None:
    with pytest.raises(Refusal, match="PCAP file not found"):
        find_capture_file(None, settings_of(roots, pcap=roots / "gone.pcap"))


def test_a_fingerprint_follows_content_time_and_window(roots: Path) -> None:
    settings = settings_of(roots)
    file = find_capture_file("one.pcap", settings)
    first = file.fingerprint(10)
    assert find_capture_file("../one/one.pcap", settings).fingerprint(10.0) == first
    assert file.fingerprint(5) != first
    file.path.write_bytes(b"xy")
    assert file.fingerprint(10) != first


def test_a_file_that_vanishes_has_no_fingerprint(roots: Path) -> None:
    file = find_capture_file("one.pcap", settings_of(roots))
    file.path.unlink()
    with pytest.raises(Refusal, match="PCAP file not found"):
        file.fingerprint(10)


def test_a_live_capture_that_names_no_file_writes_into_the_state_folder_and_no_more_than_the_ring(roots: Path) -> None:
    settings = settings_of(roots, packet_ring_bytes=5_000_000)
    output = default_output(settings)
    assert output is not None
    assert output.path == settings.captures_folder / "live_capture.pcapng"
    assert output.path.parent.is_dir()
    assert output.limit_bytes == 5_000_000
    output.path.write_bytes(b"x")
    assert find_capture_file(output.name, settings).path == output.path
    (settings.captures_folder / "other.pcapng").write_bytes(b"x")
    with pytest.raises(Refusal):
        find_capture_file("captures/other.pcapng", settings)


def test_where_no_packets_are_kept_a_live_capture_that_names_no_file_writes_none(roots: Path) -> None:
    settings = settings_of(roots, packet_ring_bytes=0)
    assert default_output(settings) is None
    assert not settings.captures_folder.exists()
