from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from api.errors import Refusal
from api.files import find_capture_file
from api.uploads import Uploads, file_name
from infra.settings import Settings
from tests.api.stack import settings_in

PCAP = b"\xd4\xc3\xb2\xa1" + bytes(60)


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def take(settings: Settings, name: str, *parts: bytes, length: int | None = None) -> Path:
    file = asyncio.run(Uploads(settings).take(name, length, pieces(*parts)))
    # What a compute, and the evidence of an anomaly, will look for.
    assert find_capture_file(file.name, settings).path == file.path.resolve()
    return file.path


def left_over(settings: Settings) -> list[Path]:
    return list(settings.uploads_folder.glob(".part-*"))


def test_a_file_is_kept_whole_however_it_comes_in_pieces(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    path = take(settings, "office.pcap", PCAP[:1], PCAP[1:3], b"", PCAP[3:])
    assert path.read_bytes() == PCAP
    assert path.is_relative_to(settings.uploads_folder)
    assert left_over(settings) == []


def test_the_same_content_is_the_same_file_and_is_left_as_it_was(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    first = take(settings, "office.pcap", PCAP)
    changed_ns = first.stat().st_mtime_ns
    assert take(settings, "office.pcap", PCAP) == first
    assert first.stat().st_mtime_ns == changed_ns
    assert take(settings, "office.pcap", PCAP + b"x") != first


@pytest.mark.parametrize("content", [b"", b"\xd4\xc3", b"GET / HTTP/1.1", b"PK\x03\x04"])
def test_what_is_no_capture_is_refused_and_nothing_of_it_stays(tmp_path: Path, content: bytes) -> None:
    settings = settings_in(tmp_path)
    with pytest.raises(Refusal, match="not a capture file") as refusal:
        take(settings, "x.pcap", content)
    assert refusal.value.status == 400
    assert list(settings.uploads_folder.iterdir()) == []


def test_a_file_that_is_too_long_is_refused_by_what_it_says_and_by_what_comes(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, upload_max_bytes=1_000_000)
    for length, parts in ((1_000_001, ()), (None, (PCAP, bytes(1_000_000)))):
        with pytest.raises(Refusal, match="1000000 bytes at most") as refusal:
            take(settings, "x.pcap", *parts, length=length)
        assert refusal.value.status == 413
    assert list(settings.uploads_folder.iterdir()) == []


def test_a_disk_without_room_is_said_before_anything_is_written(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, upload_max_bytes=10**12)
    with pytest.raises(Refusal, match="no room") as refusal:
        take(settings, "x.pcap", length=10**12)
    assert refusal.value.status == 507


def test_a_disk_that_fills_up_on_the_way_ends_the_upload_and_nothing_of_it_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_in(tmp_path)
    megabyte = bytes(1_000_000)
    written = 0

    def usage(folder: Path) -> SimpleNamespace:
        return SimpleNamespace(free=1_020_000_000 - written)

    async def body() -> AsyncIterator[bytes]:
        nonlocal written
        yield PCAP
        for _ in range(100):
            written += len(megabyte)
            yield megabyte

    monkeypatch.setattr(shutil, "disk_usage", usage)
    with pytest.raises(Refusal, match="no room") as refusal:
        asyncio.run(Uploads(settings).take("x.pcap", None, body()))
    assert refusal.value.status == 507
    assert written < 50_000_000
    assert list(settings.uploads_folder.iterdir()) == []


def test_what_a_killed_process_left_is_removed_and_what_another_still_writes_is_not(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    program = f"""
import asyncio
from api.uploads import Uploads
from tests.api.stack import settings_in
from pathlib import Path

async def body():
    yield {PCAP!r}
    print("begun", flush=True)
    await asyncio.sleep(600)
    yield b""

asyncio.run(Uploads(settings_in(Path({str(tmp_path)!r}))).take("x.pcap", None, body()))
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as writing:
        try:
            assert writing.stdout is not None
            assert writing.stdout.readline() == "begun\n"
            (part,) = left_over(settings)
            Uploads(settings).tidy()
            assert left_over(settings) == [part]
        finally:
            writing.kill()
    assert left_over(settings) == [part]
    Uploads(settings).tidy()
    assert left_over(settings) == []


def test_an_upload_goes_on_while_its_own_process_tidies(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)

    async def body() -> AsyncIterator[bytes]:
        yield PCAP
        Uploads(settings).tidy()
        yield b"x"

    file = asyncio.run(Uploads(settings).take("x.pcap", None, body()))
    assert file.path.read_bytes() == PCAP + b"x"
    assert left_over(settings) == []


def test_a_file_is_kept_for_its_days_since_it_was_last_uploaded(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, uploads_ttl_days=2)
    old, young, again = (take(settings, "x.pcap", PCAP, bytes([number])) for number in range(3))
    for path, days in ((old, 2.1), (young, 1.9), (again, 2.1)):
        moment_s = time.time() - days * 86_400
        for changed in (path, path.parent):
            os.utime(changed, (moment_s, moment_s))
    take(settings, "x.pcap", PCAP, bytes([2]))
    foreign = settings.uploads_folder / "mine"
    foreign.mkdir()
    os.utime(foreign, (0, 0))
    Uploads(settings).tidy()
    assert (old.parent.exists(), young.exists(), again.exists(), foreign.exists()) == (False, True, True, True)


def test_a_state_folder_without_uploads_is_left_alone(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    Uploads(settings).tidy()
    assert not settings.uploads_folder.exists()


def test_a_name_is_kept_as_far_as_it_is_safe() -> None:
    assert file_name("office 2026-01.pcapng") == "office_2026-01.pcapng"
    assert file_name("../../etc/passwd") == "passwd"
    assert file_name("C:\\captures\\a.pcap") == "a.pcap"
    assert file_name("...") == file_name("") == "capture"
    assert file_name("\0a\n.pcap") == "_a_.pcap"
    assert len(file_name("a" * 500 + ".pcap")) <= 120


def test_nothing_else_of_the_state_folder_can_be_named(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, data_roots=str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    settings.uploads_folder.mkdir(parents=True)
    (settings.state / "keys.json").write_text("{}")
    (settings.uploads_folder / "link").symlink_to(settings.state / "keys.json")
    for name in ("keys.json", "uploads/../keys.json", "uploads/link", "uploads"):
        with pytest.raises(Refusal):
            find_capture_file(name, settings)
