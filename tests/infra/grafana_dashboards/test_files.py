from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.panel_queries import ALL, View, alert_rules, asked, boards, expanded
from infra.grafana_dashboards.__main__ import main
from infra.grafana_dashboards.files import FOLDER, text_of, written
from infra.store import Store
from tests.infra.grafana_dashboards.grafana_schema import schema_faults

DOCS = Path(__file__).resolve().parents[3] / "docs"
ASKED = list(asked())


@pytest.mark.parametrize("board", list(boards()), ids=lambda board: board["uid"])
def test_a_dashboard_is_as_grafanas_schema_has_it(board: dict[str, Any]) -> None:
    assert schema_faults(board) == []


def test_the_comparison_with_the_schema_finds_what_is_wrong() -> None:
    board = next(boards())
    board["panels"][0]["gridPos"]["h"] = "tall"
    board["panels"][1]["options"]["colour"] = "blue"
    board["templating"]["list"][0]["hide"] = 7
    assert len(schema_faults(board)) == 3


@pytest.mark.parametrize("board", list(boards()), ids=lambda board: board["uid"])
def test_panels_fill_the_grid_and_leave_no_hole(board: dict[str, Any]) -> None:
    taken = set()
    for place in (panel["gridPos"] for panel in board["panels"]):
        cells = {(place["x"] + dx, place["y"] + dy) for dx in range(place["w"]) for dy in range(place["h"])}
        assert not cells & taken
        assert all(x < 24 for x, _ in cells)
        taken |= cells
    assert {x for x, y in taken if y == 0} == set(range(24))
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert all(panel["description"].endswith(".") for panel in board["panels"])


def test_panels_read_documented_views_only() -> None:
    page = (DOCS / "grafana.md").read_text(encoding="utf-8")
    read = {name for one in ASKED for name in re.findall(r"(?:\bFROM|(?<!ARRAY) JOIN)\s+(\w+)", one.sql)}
    assert read == set(re.findall(r"^\| `(panel_\w+)", page, re.MULTILINE))


def test_links_lead_to_dashboards_that_exist_and_to_views_of_the_console() -> None:
    uids = {board["uid"] for board in boards()}
    links = re.findall(r'"url": "([^"]+)"', "".join(path.read_text() for path in (FOLDER / "dashboards").iterdir()))
    assert links
    for url in links:
        if url.startswith("/d/"):
            assert re.split(r"[/?]", url)[2] in uids
        else:
            assert re.match(r"\$\{console\}/console/(\?|(captures|anomalies|flows|hosts)/\$\{__)", url), url


def test_links_name_variables_and_columns_that_exist() -> None:
    for board in boards():
        variables = {one["name"] for one in board["templating"]["list"]}
        for shown in board["panels"]:
            columns = " ".join(target["rawSql"] for target in shown["targets"])
            text = json.dumps(shown["fieldConfig"])
            assert set(re.findall(r"\$\{(\w+):queryparam\}", text)) <= variables
            for name in re.findall(r"__data\.fields\.(\w+)", text):
                assert re.search(rf"\b{name}\b", columns)
            for override in shown["fieldConfig"]["overrides"]:
                assert re.search(rf"\b{re.escape(override['matcher']['options'])}\b", columns), override


def test_the_files_are_what_the_program_writes(tmp_path: Path) -> None:
    for name, model in written().items():
        assert (FOLDER / name).read_text(encoding="utf-8") == text_of(model), "run python -m infra.grafana_dashboards"
    main(["--console", "https://sensor.example/", str(tmp_path)])
    board = json.loads((tmp_path / "dashboards" / "spanwatch-host.json").read_text())
    console = next(one for one in board["templating"]["list"] if one["name"] == "console")
    assert console["query"] == "https://sensor.example"


def test_the_data_source_of_the_panels_is_the_one_provisioned() -> None:
    file = yaml.safe_load((FOLDER / "provisioning" / "datasources" / "spanwatch.yaml").read_text())
    [source] = file["datasources"]
    text = "".join(text_of(model) for model in written().values())
    assert set(re.findall(r'"type": "(grafana-[\w-]+)"', text)) == {source["type"]}
    assert set(re.findall(r'"uid": "(spanwatch)"', text)) == {source["uid"]}
    assert "password" not in source["jsonData"]


def test_the_dashboards_are_provisioned_and_not_changed_in_the_browser() -> None:
    file = yaml.safe_load((FOLDER / "provisioning" / "dashboards" / "spanwatch.yaml").read_text())
    [provider] = file["providers"]
    assert provider["type"] == "file"
    assert not provider["allowUiUpdates"]


def test_every_alert_has_what_grafana_asks_of_a_rule() -> None:
    rules = alert_rules()
    assert len({rule["uid"] for rule in rules}) == len(rules) >= 5
    uids = {board["uid"] for board in boards()}
    for rule in rules:
        assert rule["condition"] in {step["refId"] for step in rule["data"]}
        assert rule["noDataState"] in ("OK", "NoData", "Alerting", "KeepLast")
        assert rule["execErrState"] in ("OK", "Error", "Alerting", "KeepLast")
        assert len(rule["uid"]) <= 40
        assert rule["annotations"]["description"].split("/d/")[1].rstrip(".") in uids


def test_the_page_names_every_dashboard_and_every_alert() -> None:
    page = (DOCS / "grafana.md").read_text(encoding="utf-8")
    for board in boards():
        assert f"| **{board['title'].removeprefix('spanwatch: ')}** |" in page
    for rule in alert_rules():
        assert re.search(rf"^\| {rule['title']} \| .* \| {rule['labels']['severity']} \|$", page, re.MULTILINE)


def granted() -> set[str]:
    tree = ET.parse(FOLDER / "clickhouse" / "users.d" / "grafana.xml")
    queries = [str(query.text) for query in tree.iter("query")]
    return {re.fullmatch(r"GRANT SELECT ON spanwatch\.(\S+)", query)[1] for query in queries}  # type: ignore[index]


def test_the_user_of_the_dashboards_may_read_what_panels_read_and_nothing_else(session_store: Store) -> None:
    rows = session_store.query("SELECT name, as_select FROM system.tables WHERE database = currentDatabase()")
    behind = {str(row["name"]): set(re.findall(r"\bspanwatch\.(\w+)", str(row["as_select"]))) for row in rows}
    needed, left = set(), {name for name in behind if name.startswith("panel_")}
    while left:
        needed |= left
        left = set().union(*(behind[name] for name in left)) - needed
    assert granted() == {"panel_*"} | {name for name in needed if not name.startswith("panel_")}


def test_the_grants_and_settings_are_ones_that_clickhouse_knows(session_store: Store) -> None:
    for name in granted():
        session_store.query("SELECT formatQuery({sql:String})", {"sql": f"GRANT SELECT ON spanwatch.{name} TO grafana"})
    tree = ET.parse(FOLDER / "clickhouse" / "users.d" / "grafana.xml")
    [profile] = tree.getroot().findall("./profiles/spanwatch_grafana")
    values = {setting.tag: str(setting.text).strip() for setting in profile if setting.tag != "constraints"}
    known = session_store.query("SELECT name FROM system.settings WHERE name IN {n:Array(String)}", {"n": [*values]})
    assert {row["name"] for row in known} == set(values)
    assert values["readonly"] == "1"
    assert {"max_execution_time", "max_rows_to_read", "max_result_rows"} <= set(values)


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("$__timeFilter(at)", "at >= toDateTime(100) AND at <= toDateTime(200)"),
        ("$__timeFilter_ms(at)", "at >= fromUnixTimestamp64Milli(100000) AND at <= fromUnixTimestamp64Milli(200000)"),
        ("$__dateFilter(d)", "d >= toDate('1970-01-01') AND d <= toDate('1970-01-01')"),
        (
            "$__dateTimeFilter(d, at)",
            "(d >= toDate('1970-01-01') AND d <= toDate('1970-01-01'))"
            " AND (at >= toDateTime(100) AND at <= toDateTime(200))",
        ),
        ("$__timeInterval(f(a, b))", "toStartOfInterval(toDateTime(f(a, b)), INTERVAL 20 second)"),
        ("$__fromTime, $__toTime", "toDateTime(100), toDateTime(200)"),
        ("x / $__interval_s", "x / 20"),
        ("$__conditionalAll(a IN (${a:singlequote}), $a)", "1=1"),
        ("$__conditionalAll(b IN (${b:singlequote}), $b)", "b IN ('x','y\\'s')"),
    ],
)
def test_macros_become_what_the_plugin_documents(sql: str, says: str) -> None:
    assert expanded(sql, View(100, 200, 20, {"a": (ALL,), "b": ("x", "y's")})) == says


def test_an_unknown_macro_is_refused() -> None:
    with pytest.raises(ValueError, match="no macro"):
        expanded("$__timeFilterr(at)", View(0, 1))
