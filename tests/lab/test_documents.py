from __future__ import annotations

import re
from pathlib import Path

from lab.labels import CLASSES
from lab.mix import TIMELINE
from lab.network import HOSTS
from lab.programs import PACKAGES
from lab.record import SCENARIOS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "lab.md").read_text(encoding="utf-8")


def test_the_package_list_installs_every_program() -> None:
    listed = (ROOT / "lab" / "packages.txt").read_text().split()
    assert listed == sorted(set(PACKAGES.values()))


def test_every_scenario_needs_only_programs_whose_package_is_known() -> None:
    assert {name for scenario in SCENARIOS.values() for name in scenario.programs} <= PACKAGES.keys()


def test_the_page_describes_every_scenario_with_its_classes() -> None:
    rows = dict(re.findall(r"^\| `([a-z0-9-]+)` \| ([^|]+) \|", PAGE, re.MULTILINE))
    assert {name: ", ".join(scenario.classes) for name, scenario in SCENARIOS.items()} == {
        name: classes.strip() for name, classes in rows.items() if name in SCENARIOS
    }


def test_the_page_names_every_host() -> None:
    for host in HOSTS:
        assert re.search(rf"`{host.name}`[^\n]*\.{host.numbers[0]}\b", PAGE), host.name


def test_every_class_has_a_scenario_and_a_place_in_the_mixed_capture() -> None:
    recorded = {name for scenario in SCENARIOS.values() for name in scenario.classes}
    assert recorded == set(CLASSES)
    played = {SCENARIOS[name].classes[0] for _, name in TIMELINE}
    assert played | {"BENIGN", "Bot"} == set(CLASSES)
