from __future__ import annotations

import click
from click.testing import CliRunner

from infra.command_help import examples


def test_examples_stand_below_the_options_a_line_each() -> None:
    @click.command(epilog=examples("spanwatch one --two", "spanwatch three"))
    def command() -> None:
        """Do something."""

    shown = CliRunner().invoke(command, ["--help"]).output
    assert shown.endswith("  Examples:\n    spanwatch one --two\n    spanwatch three\n")
