from __future__ import annotations

from dataclasses import replace

import numpy as np

from agents.classifier.by_tool import benign_by_capture, scores_by_tool
from agents.classifier.report import tools_table
from tests.agents.classifier.labelled import flows_of


def test_verdicts_are_counted_by_program() -> None:
    flows = replace(flows_of(np.array([0, 0, 6, 6, 6, 6])), tools=np.array(["", "", "nmap", "nmap", "other", "nmap"]))
    benign, nmap, other = scores_by_tool(flows, np.array([0, 9, 6, 0, 6, 4]))
    assert (benign.n_flows, benign.n_right, benign.n_flagged) == (2, 1, 1)
    assert (nmap.tool, nmap.n_flows, nmap.n_right, nmap.n_flagged) == ("nmap", 3, 1, 2)
    assert nmap.mistaken_for == {"BENIGN": 1, "FTP-Patator": 1}
    assert (other.n_flows, other.n_right) == (1, 1)
    lines = tools_table({"one": [benign, nmap, other], "two": [benign, nmap, other]}).splitlines()
    assert lines[3] == "| PortScan: `nmap` | 3 | 33.3% | 66.7% | BENIGN 1, FTP-Patator 1 | 33.3% |"


def test_benign_flows_are_counted_by_capture() -> None:
    flows = replace(flows_of(np.array([0, 0, 0, 6])), captures=np.array(["a", "a", "b", "c"]))
    found = benign_by_capture(flows, np.array([0, 9, 6, 6]), np.array([0.9, 0.4, 0.8, 1.0]), 0.5)
    assert found == [("a", 2, 1, 0), ("b", 1, 1, 1)]
