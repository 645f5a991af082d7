from __future__ import annotations

import json
import subprocess
from pathlib import Path

from api.openapi_types import schema_document

CONSOLE = Path(__file__).parents[2] / "console"


def test_the_console_knows_the_answers_as_they_are() -> None:
    # Needs what `make console` installs.
    done = subprocess.run(
        ["node", "node_modules/openapi-typescript/bin/cli.js"],
        cwd=CONSOLE,
        input=json.dumps(schema_document()),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == (CONSOLE / "src" / "schema.d.ts").read_text(), "run `npm run types` in console/"


def test_what_says_nothing_of_the_shape_is_left_out() -> None:
    capture = schema_document()["components"]["schemas"]["CaptureAnswer"]
    assert capture["properties"]["packets"] == {"type": "integer"}
    assert set(capture["required"]) == set(capture["properties"])
    assert "example" not in capture
