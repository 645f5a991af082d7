from __future__ import annotations

import pytest

from agents.classifier.labels import ATTEMPTED, class_number
from schemas.classes import CLASS_NAMES
from schemas.errors import FlowFileError


@pytest.mark.parametrize("name", CLASS_NAMES)
def test_every_class_is_its_own_number_in_any_case(name: str) -> None:
    assert CLASS_NAMES[class_number(name)] == name
    assert CLASS_NAMES[class_number(f" {name.upper()} ")] == name


@pytest.mark.parametrize("dash", ["–", "-", "\x96", "\ufffd", "ï¿½", "â€“"])
def test_the_dash_may_have_been_through_any_encoding(dash: str) -> None:
    assert CLASS_NAMES[class_number(f"Web Attack {dash} Sql Injection")] == "Web Attack – Sql Injection"


def test_the_scan_from_within_is_a_port_scan() -> None:
    assert CLASS_NAMES[class_number("Infiltration - PortScan")] == "PortScan"


def test_an_attempted_attack_is_no_class() -> None:
    assert class_number("DoS Hulk - Attempted") == ATTEMPTED


def test_an_unknown_label_is_refused_by_name() -> None:
    with pytest.raises(FlowFileError, match="Mirai"):
        class_number("Mirai")
