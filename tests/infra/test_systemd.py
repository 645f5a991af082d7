"""The units of a sensor without containers, held to what systemd itself says of them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra.settings import unknown_names
from tests.commands import assert_is_a_command

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "infra" / "systemd"
SERVICES = sorted(FOLDER.glob("*.service"))
EXPOSURE = 3.0
"""Of 10 at most. A capture needs its capabilities and sockets; the others come to 1.7."""


def systemd(program: str) -> str:
    """Return a program of systemd's; `infra/setup.sh test` installs it."""
    found = shutil.which(program)
    assert found, f"{program} is missing: infra/setup.sh test"
    return found


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The units with this checkout and this interpreter in the place of /opt/spanwatch: programs must be there."""
    folder = tmp_path_factory.mktemp("units")
    for unit in (*SERVICES, *FOLDER.glob("*.timer")):
        text = unit.read_text().replace("/opt/spanwatch/.venv/bin/spanwatch", sys.executable)
        (folder / unit.name).write_text(text.replace("/opt/spanwatch", str(ROOT)))
    return folder


def test_systemd_has_nothing_to_say_against_the_units(units: Path) -> None:
    files = [str(unit) for unit in sorted(units.iterdir())]
    done = subprocess.run([systemd("systemd-analyze"), "verify", *files], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_finds_a_unit_that_is_wrong(units: Path, tmp_path: Path) -> None:
    """So that the test above can fail."""
    wrong = tmp_path / "wrong.service"
    wrong.write_text((units / "spanwatch.service").read_text().replace("NoNewPrivileges", "NoNewPriviliges"))
    command = [systemd("systemd-analyze"), "verify", str(wrong)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "NoNewPriviliges" in done.stderr


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_a_unit_is_exposed_no_more_than_it_must_be(unit: Path, units: Path) -> None:
    command = [systemd("systemd-analyze"), "security", "--offline=true", "--no-pager", str(units / unit.name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found, done.stderr
    assert float(found[1]) <= EXPOSURE


def values(unit: Path, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", unit.read_text(), re.MULTILINE)


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_a_unit_runs_a_real_command_with_real_settings(unit: Path) -> None:
    [command] = values(unit, "ExecStart")
    program, *words = command.split()
    assert program == "/opt/spanwatch/.venv/bin/spanwatch"
    assert_is_a_command(words)
    names = {value.partition("=")[0]: "" for value in values(unit, "Environment")}
    assert "SPANWATCH_STATE" in names
    assert unknown_names(names) == []


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_what_captures_has_capabilities_and_nothing_else_has(unit: Path) -> None:
    may_capture = unit.name.startswith(("spanwatch.", "spanwatch-capture", "spanwatch-api"))
    wanted = "CAP_NET_RAW CAP_NET_ADMIN CAP_SYS_NICE" if may_capture else ""
    assert values(unit, "CapabilityBoundingSet") == [wanted]
    assert values(unit, "AmbientCapabilities") == ([wanted] if may_capture else [])
    assert values(unit, "NoNewPrivileges") == ["yes"]
    assert values(unit, "User") == ["spanwatch"]


def test_the_example_of_the_settings_names_settings_only() -> None:
    names = re.findall(r"^#?(SPANWATCH_[A-Z_]+)=", (FOLDER / "spanwatch.env").read_text(), re.MULTILINE)
    assert len(names) >= 8
    assert unknown_names(dict.fromkeys(names, "")) == []


def test_the_user_of_the_units_is_made_by_sysusers() -> None:
    program = systemd("systemd-sysusers")
    command = [program, "--dry-run", str(FOLDER / "spanwatch.sysusers")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_unit_and_file_is_explained() -> None:
    page = (ROOT / "docs" / "installing.md").read_text()
    assert [file.name for file in sorted(FOLDER.iterdir()) if file.name not in page] == []
