from __future__ import annotations

from api.rows import CaptureNow, WindowRow
from schemas.captures import CAPTURE_COLUMNS
from schemas.windows import WINDOW_COLUMNS

EVIDENCE = {"host_traffic", "scan_sources", "contacts", "service_clients", "responders", "conversations"}


def test_a_window_row_has_the_columns_of_its_table_but_the_evidence() -> None:
    assert list(WindowRow.model_fields) == [column.name for column in WINDOW_COLUMNS if column.name not in EVIDENCE]


def test_a_capture_row_has_the_columns_of_its_table_and_whether_it_is_stored() -> None:
    assert set(CaptureNow.model_fields) == {column.name for column in CAPTURE_COLUMNS} | {"is_stored"}
