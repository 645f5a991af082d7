from __future__ import annotations

import pytest
from rich.table import Table

from infra.terminal import console

ODD = ("2001:db8:ab:b:1::5", "fe80::a:x:1", "night[/b].pcap", "[red]x[/red]", ":warning:")


@pytest.mark.parametrize("text", ODD)
def test_texts_are_printed_as_they_are(capsys: pytest.CaptureFixture[str], text: str) -> None:
    table = Table(box=None, show_header=False)
    table.add_row(text)
    console().print(table)
    console(is_stderr=True).print(text)
    told = capsys.readouterr()
    assert told.out.strip() == told.err.strip() == text
