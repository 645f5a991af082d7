"""Writes what Grafana is provisioned with: ``python -m infra.grafana_dashboards [--console URL] [FOLDER]``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from infra.grafana_dashboards.files import CONSOLE, FOLDER, text_of, written


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.grafana_dashboards", description="Writes what Grafana is provisioned with."
    )
    parser.add_argument("--console", default=CONSOLE, help="address of the console (default: %(default)s)")
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER, help="where to (default: %(default)s)")
    given = parser.parse_args(arguments)
    for name, model in written(given.console).items():
        path = given.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text_of(model), encoding="utf-8")


if __name__ == "__main__":
    main()
