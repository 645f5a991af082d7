"""Guards over the house itself: what no single module can see."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

from infra.broker_files import kafka_version
from infra.settings_page import settings_page

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("schemas", "infra", "streams", "agents", "api")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def modules(folder: str) -> list[Path]:
    return [path for path in sorted((ROOT / folder).rglob("*.py")) if not path.name.startswith("__")]


@pytest.mark.parametrize("name", [*FOLDERS, "spanwatch", "run_api"])
def test_no_foreign_package_shadows_one_of_ours(name: str) -> None:
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin).is_relative_to(ROOT)


def nouns(name: str) -> list[str]:
    """Return what a name may be a part of: ``store_clients`` of itself and of ``store``."""
    words = name.split("_")
    return ["_".join(words[:count]) for count in range(len(words), 0, -1)]


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_test_module_names_what_it_tests(folder: str) -> None:
    for test in sorted((ROOT / "tests" / folder).rglob("test_*.py")):
        place = ROOT / test.parent.relative_to(ROOT / "tests")
        names = nouns(test.stem.removeprefix("test_"))
        assert any((place / name).is_dir() or (place / f"{name}.py").exists() for name in names), test


def is_tested(module: Path) -> bool:
    """Whether a module has a test module: its own, that of the noun it is a part of, or that of its package."""
    tests = ROOT / "tests" / module.relative_to(ROOT).parent
    own = [tests / f"test_{name}.py" for name in nouns(module.stem)]
    return any(path.exists() for path in [*own, tests.parent / f"test_{tests.name}.py"])


@pytest.mark.parametrize("folder", ["infra"])
def test_every_module_has_tests(folder: str) -> None:
    assert [str(path.relative_to(ROOT)) for path in modules(folder) if not is_tested(path)] == []


def test_every_setting_is_documented() -> None:
    assert (ROOT / "docs" / "settings.md").read_text() == settings_page(), "run `make docs`"


def test_every_dependency_is_pinned_by_version_alone() -> None:
    pins = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line.startswith("#"):
            continue
        pin = re.fullmatch(r"([A-Za-z0-9._-]+)==[0-9A-Za-z.+!]+", line)
        assert pin, line
        pins[normal(pin.group(1))] = line
    wanted = [
        *PROJECT["dependencies"],
        *(name for names in PROJECT["optional-dependencies"].values() for name in names),
    ]
    assert [name for name in wanted if normal(re.split(r"[\[<>=!~; ]", name)[0]) not in pins] == []


def normal(name: str) -> str:
    """Return a package's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_make_target_is_explained() -> None:
    text = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^\.PHONY: (\S+)$", text, re.MULTILINE))
    explained = set(re.findall(r"^([a-z-]+):[^=\n]*## \S", text, re.MULTILINE))
    assert targets == explained
    assert targets >= {"help", "run", "test", "check", "bench", "lab", "clean"}


def test_ci_runs_the_test_command_of_the_readme() -> None:
    assert "\nmake test\n" in (ROOT / ".ci" / "run").read_text()
    assert "make test" in (ROOT / "README.md").read_text()


def test_the_broker_is_pinned_to_a_release_of_kafka_4() -> None:
    assert re.fullmatch(r"4\.\d+\.\d+", kafka_version())
