"""Real captures: found where it is, silent where it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.judge import Judge
from benchmarks.capture_windows import capture_windows
from benchmarks.detection import lab_outcomes, outcome_of
from benchmarks.detection_expected import EXPECTED, Expected
from tests.shared_data import shared_data

_YEARS_LONG = ("botnet_malware/emotet.pcap", "botnet_malware/malware.pcap")
"""Weeks and years of empty windows; the benchmark runs them."""

SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "mixed.pcap.gz"
MISSED_WITHOUT_BASELINE = {"http_flood goldeneye", "hydra http-post-form", "ab"}


@pytest.mark.parametrize("expected", EXPECTED, ids=lambda expected: expected.path)
def test_an_attack_capture_raises_what_is_in_it_and_nothing_else(expected: Expected) -> None:
    folder = shared_data()
    path = folder / "attacks" / expected.path if folder else None
    if path is None or not path.is_file() or expected.path in _YEARS_LONG:
        pytest.skip("needs the public captures")
    anomalies = Judge(expected.path).judge(capture_windows(path), is_live=False).anomalies.to_pylist()
    outcome = outcome_of(expected, anomalies)
    assert (outcome.verdict, outcome.false) == ("found" if expected.types else "silent", 0), outcome


def test_the_samples_attacks_are_found_from_the_first_packet_and_its_work_is_not() -> None:
    outcomes = {one.name.partition(": ")[2]: one for one in lab_outcomes([])}
    missed = {name for name, one in outcomes.items() if one.verdict == "missed"}
    assert missed == MISSED_WITHOUT_BASELINE
    assert outcomes["the rest"].false == 0


@pytest.mark.parametrize("name", ["", "portscan/nmap-vsn.pcap"])
def test_partitions_make_no_difference_to_what_is_found(name: str) -> None:
    folder = shared_data()
    path = folder / "attacks" / name if name and folder else SAMPLE
    if name and path == SAMPLE:
        pytest.skip("needs the public captures")
    found = [
        Judge("s")
        .judge(capture_windows(path, partitions=partitions), is_live=False)
        .anomalies.sort_by([("window_id", "ascending"), ("anomaly_id", "ascending")])
        for partitions in (1, 4)
    ]
    assert found[0].equals(found[1])
