from __future__ import annotations

import math
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from api.line_protocol import line, lines

# The grammar of the reference, character by character: names and tag values end at an unescaped comma, blank or
# equals sign; strings stand in quotes.
_NAME = r"(?:\\[,= ]|\\(?![,= \n])|[^,= \\\n])+"
_STRING = r'"(?:\\["\\]|[^"\\\n])*"'
_VALUE = rf"(?:{_STRING}|-?\d+i|true|false|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"
LINE = re.compile(rf"({_NAME})((?:,{_NAME}={_NAME})*) ({_NAME}={_VALUE}(?:,{_NAME}={_VALUE})*) (-?\d+)\n")
TAG = re.compile(rf",({_NAME})=({_NAME})")
FIELD = re.compile(rf"({_NAME})=({_VALUE})")

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
values = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), texts)


def plain(name: str) -> str:
    return re.sub(r"\\([,= ])", r"\1", name)


def value_of(text: str) -> Any:
    if text[0] == '"':
        return re.sub(r'\\(["\\])', r"\1", text[1:-1])
    if text in ("true", "false"):
        return text == "true"
    return int(text[:-1]) if text[-1] == "i" else float(text)


def blanks(text: str) -> str:
    return re.sub(r"[\r\n\t\f\v\x00]+", " ", text)


@given(
    st.dictionaries(texts.filter(bool), texts, max_size=4),
    st.dictionaries(texts.filter(bool), values, max_size=6),
    st.integers(-(2**62), 2**62),
)
def test_every_line_obeys_the_grammar_and_says_what_it_was_made_of(
    tags: dict[str, str], fields: dict[str, Any], time_ns: int
) -> None:
    written = line("windows of, a=capture", tags, fields, time_ns)
    kept = {
        name: value
        for name, value in fields.items()
        if value is not None and not (isinstance(value, float) and not math.isfinite(value))
    }
    if not kept:
        assert written == ""
        return
    match = LINE.fullmatch(written)
    assert match, written
    assert plain(match[1]) == "windows of, a=capture"
    assert int(match[4]) == time_ns
    told = {plain(name): plain(value) for name, value in TAG.findall(match[2])}
    wanted = {blanks(name): blanks(value) for name, value in tags.items() if value}
    assert {name.rstrip("\\ "): value.rstrip("\\ ") for name, value in told.items()} == {
        name.rstrip("\\ "): value.rstrip("\\ ") for name, value in wanted.items()
    }
    for name, value in FIELD.findall(match[3]):
        found = [known for key, known in kept.items() if blanks(key).rstrip("\\ ") == plain(name).rstrip("\\ ")]
        expected = [blanks(known) if isinstance(known, str) else known for known in found]
        assert value_of(value) in expected


def test_rows_become_points_with_plain_columns_as_fields() -> None:
    row = {
        "capture_id": "c",
        "window_start_ns": 5,
        "bytes": 7,
        "is_complete": True,
        "mean": 0.5,
        "hosts": [1],
        "n": None,
    }
    assert list(lines("w", ["capture_id"], [row], "window_start_ns")) == [
        "w,capture_id=c bytes=7i,is_complete=true,mean=0.5 5\n"
    ]
