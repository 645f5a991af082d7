from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from infra.command_errors import plainly
from schemas.errors import StoreError


@click.command()
@click.argument("fault")
@plainly()
def command(fault: str) -> None:
    """Do something."""
    if fault == "ours":
        raise StoreError("The store is gone.")
    if fault == "theirs":
        raise KeyError(fault)
    click.echo("done")


def test_an_error_of_ours_is_one_sentence_and_exit_status_1() -> None:
    for _ in range(2):
        result = CliRunner().invoke(command, ["ours"])
        assert (result.exit_code, result.output) == (1, "Error: The store is gone.\n")


def test_any_other_error_is_a_fault_of_the_program_and_shows_where() -> None:
    assert isinstance(CliRunner().invoke(command, ["theirs"]).exception, KeyError)


def test_what_goes_well_is_left_alone() -> None:
    result = CliRunner().invoke(command, ["none"])
    assert (result.exit_code, result.output) == (0, "done\n")


def test_it_is_a_context_as_well() -> None:
    with pytest.raises(click.ClickException, match="The store is gone"), plainly():
        raise StoreError("The store is gone.")
