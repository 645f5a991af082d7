from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from infra.programs import (
    JAVA,
    MAVEN,
    MIN_JAVA,
    TSHARK,
    find_java,
    how_to_install,
    java_version,
    missing_programs,
    require_java,
)
from schemas.errors import MissingProgramError


def java_home(folder: Path, text: str) -> Path:
    """Make a Java installation that says of itself what ``java -version`` would, and does nothing else."""
    java = folder / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho '{text}' >&2\n")
    java.chmod(0o755)
    return java


def test_the_java_of_this_machine_is_found_and_new_enough() -> None:
    java = require_java()
    assert java == find_java()
    assert java_version(java) >= MIN_JAVA


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('openjdk version "21" 2023-09-19', 21),
        ('java version "1.8.0_402"', 8),
        ("no such thing", 0),
    ],
)
def test_the_version_of_a_java_is_read_from_what_it_says(tmp_path: Path, text: str, version: int) -> None:
    assert java_version(str(java_home(tmp_path, text))) == version


def test_the_version_of_a_java_is_read_from_its_release_file_where_it_has_one(tmp_path: Path) -> None:
    java = java_home(tmp_path, "nothing")
    (tmp_path / "release").write_text('IMPLEMENTOR="Debian"\nJAVA_VERSION="17.0.15"\n')
    assert java_version(str(java)) == 17


def test_java_home_wins_and_an_old_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    java = java_home(tmp_path, 'openjdk version "11.0.2" 2019-01-15')
    with pytest.raises(MissingProgramError, match=r"is Java 11; 17 or newer"):
        require_java()
    assert JAVA in missing_programs()
    java.unlink()
    assert find_java() == shutil.which("java")


def test_what_is_missing_is_named_with_its_purpose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert missing_programs() == [JAVA, MAVEN, TSHARK]
    with pytest.raises(MissingProgramError, match=r"Java is not installed"):
        require_java()
    sentence = how_to_install([JAVA, TSHARK])
    assert "java (needed to run the local Kafka broker)" in sentence
    apt = tmp_path / "apt-get"
    apt.write_text("#!/bin/sh\n")
    apt.chmod(0o755)
    assert how_to_install([JAVA, TSHARK]) == ("Install with: sudo apt-get install default-jre-headless tshark.")
