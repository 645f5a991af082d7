"""``spanwatch model``: the registry of models of a running stack; add, switch, shadow, roll back."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from api.remote import Answer, RemoteStack
from infra.command_errors import plainly
from infra.command_help import examples
from infra.settings import load_settings
from infra.terminal import console
from schemas.errors import ModelError
from schemas.models import FINGERPRINT, MAX_BUNDLE_BYTES

out = console(highlight=False)

_HELP = """Show the models, and say which of them judges.

\b
The CHAMPION judges: its verdicts count, and /predict answers by it.
The CHALLENGER judges the same flows in its shadow: what it says is compared, and counts nowhere.

\b
A new model, step by step:
  spanwatch model add new.pt             register it; it gets no role by that
  spanwatch model challenger a01b        let it judge in the shadow
  spanwatch model show a01b              does it agree with the champion, and where not?
  spanwatch model champion a01b          switch to it; nothing is restarted
  spanwatch model rollback               and back, if it was a mistake

MODEL is a fingerprint or its first digits, as `spanwatch model list` shows them.
"""


def _with_the_stack(command: Callable[..., Any]) -> Callable[..., Any]:
    """Hand a command the running stack, before its arguments."""

    @wraps(command)
    @plainly()
    def run(*arguments: Any, **options: Any) -> Any:
        with RemoteStack(load_settings()) as stack:
            return command(stack, *arguments, **options)

    return run


_reason = click.option("--reason", default="", help="Why; it stands in the history.")
_model = click.argument("model", metavar="MODEL")


@click.group("model", help=_HELP)
def model_command() -> None:
    """Hold the commands together."""


@model_command.command("list", epilog=examples("spanwatch model list"))
@_with_the_stack
def list_command(stack: RemoteStack) -> None:
    """List the registered models.

    With their roles, verdicts and drift, and how far the challenger agrees.
    """
    answer = stack.get("/api/models", limit=1000)
    if not answer["models"]:
        out.print("No model is registered yet: `spanwatch model add FILE`.")
        return
    table = Table("model", "version", "role", "registered", "verdicts", "uncertain", "drift", box=None)
    for column in table.columns[:4]:
        column.no_wrap = True
    for model in answer["models"]:
        verdicts = sum(row["verdicts"] for row in model["verdicts"].values())
        uncertain = sum(row["uncertain"] for row in model["verdicts"].values())
        share = f"{uncertain / verdicts:.1%}" if verdicts else ""
        named = (model["fingerprint"], model["version"], model["role"] or "", _time(model["registered_at"]))
        table.add_row(*named, f"{verdicts:,}", share, _drift(model))
    out.print(table)
    if answer["agreement"]:
        out.print(_agreement(answer["agreement"]))
    if answer["previous"]:
        out.print(f"A rollback brings back {answer['previous']}.")


@model_command.command("show", epilog=examples("spanwatch model show a01b"))
@_model
@click.option("--from", "from_", help="Agreement on flows from this time on: seconds since the epoch, or ISO 8601.")
@click.option("--to", help="Agreement on flows before this time.")
@_with_the_stack
def show_command(stack: RemoteStack, model: str, **asked: str | None) -> None:
    """Show a model, and where it disagrees with the champion.

    Where it comes from, what it said and how it drifts as well.
    """
    wanted = {name.rstrip("_"): value for name, value in asked.items() if value is not None}
    answer = stack.get(f"/api/models/{_fingerprint(stack, model)}", **wanted)
    out.print(f"{answer['fingerprint']}  version {answer['version']}  {answer['role'] or 'no role'}")
    out.print(f"trained {answer['trained_at']} in {answer['epochs']} epochs on data {answer['data_sha256'][:12]}…")
    out.print(f"registered {_time(answer['registered_at'])} by {answer['registered_by']}  {answer['note']}")
    for name, value in answer["metrics"].items():
        out.print(f"{name}: {value:.4f}")
    for role, row in answer["verdicts"].items():
        out.print(
            f"as {role}: {row['verdicts']:,} verdicts, {row['attacks']:,} attacks, {row['uncertain']:,} uncertain, "
            f"mean confidence {row['mean_confidence']:.3f}"
        )
    out.print(f"drift: {_drift(answer)}")
    for both in answer["agreement"]:
        out.print(_agreement(both))
        out.print(_disagreement(both))
    for change in answer["history"]:
        out.print(f"{_time(change['at'])}  {change['role']} ({change['action']}) by {change['by']}  {change['reason']}")


@model_command.command("add", epilog=examples('spanwatch model add new.pt --note "retrained on March"'))
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--note", default="", help="What is worth knowing of it.")
@_with_the_stack
def add_command(stack: RemoteStack, file: Path, note: str) -> None:
    """Register the model in FILE; it gets no role by that."""
    try:
        size = file.stat().st_size
        bundle = file.read_bytes() if size <= MAX_BUNDLE_BYTES else b""
    except OSError as error:
        raise ModelError(f"{file} cannot be read: {error.strerror}.") from error
    if size > MAX_BUNDLE_BYTES:
        raise ModelError(f"{file} has more than {MAX_BUNDLE_BYTES:,} bytes: that is no model of ours.")
    answer = stack.act("POST", "/api/models", bundle, note=note)
    name = answer["fingerprint"]
    out.print(f"The model {name} (version {answer['version']}) is registered.")
    if answer["role"] is None:
        out.print(f"Next: `spanwatch model challenger {name}`, or at once `spanwatch model champion {name}`.")


@model_command.command(
    "champion", epilog=examples("spanwatch model champion a01b", "spanwatch model rollback            takes it back")
)
@_model
@_reason
@_with_the_stack
def champion_command(stack: RemoteStack, model: str, reason: str) -> None:
    """Switch to a model: it judges from the next flows on."""
    name = _fingerprint(stack, model)
    answer = stack.act("POST", f"/api/models/{name}/champion", reason=reason)
    was = f"; before it was {answer['previous']}" if answer["is_changed"] and answer["previous"] else ""
    out.print(f"The champion is {name}{was}." if answer["is_changed"] else f"The champion was {name} already.")


@model_command.command(
    "challenger", epilog=examples("spanwatch model challenger a01b", "spanwatch model challenger --end")
)
@click.argument("model", metavar="[MODEL]", required=False)
@click.option("--end", is_flag=True, help="Have no challenger any more.")
@_reason
@_with_the_stack
def challenger_command(stack: RemoteStack, model: str | None, end: bool, reason: str) -> None:
    """Let a model judge in the champion's shadow, or end it."""
    if end == (model is not None):
        raise click.UsageError("Name a model, or say --end.")
    if model is None:
        answer = stack.act("DELETE", "/api/models/challenger", reason=reason)
        out.print("There is no challenger any more." if answer["is_changed"] else "There was no challenger.")
        return
    name = _fingerprint(stack, model)
    answer = stack.act("POST", f"/api/models/{name}/challenger", reason=reason)
    out.print(f"The model {name} judges in the shadow of {answer['champion']}.")
    out.print(f"Where they agree: `spanwatch model show {name}`.")


@model_command.command("rollback", epilog=examples('spanwatch model rollback --reason "false alarms"'))
@_reason
@_with_the_stack
def rollback_command(stack: RemoteStack, reason: str) -> None:
    """Bring back the champion before the current one.

    Repeated, the one before that.
    """
    answer = stack.act("POST", "/api/models/rollback", reason=reason)
    out.print(f"The champion is {answer['champion']} again.")


@model_command.command("export", epilog=examples("spanwatch model export a01b old.pt"))
@_model
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@_with_the_stack
def export_command(stack: RemoteStack, model: str, file: Path) -> None:
    """Write a model's bundle to FILE.

    Byte for byte as it was registered.
    """
    with stack.download(f"/api/models/{_fingerprint(stack, model)}/bundle") as answer:
        bundle = answer.read()
    try:
        file.write_bytes(bundle)
    except OSError as error:
        raise ModelError(f"{file} cannot be written: {error.strerror}.") from error
    out.print(f"{file}: {len(bundle):,} bytes")


def _fingerprint(stack: RemoteStack, text: str) -> str:
    """Return the fingerprint that a text is, or begins."""
    if re.fullmatch(FINGERPRINT, text):
        return text
    known = [str(model["fingerprint"]) for model in stack.get("/api/models", limit=1000)["models"]]
    found = [name for name in known if text and name.startswith(text)]
    if len(found) == 1:
        return found[0]
    which = f"several models: {', '.join(found)}" if found else "no registered model; `spanwatch model list` shows them"
    raise ModelError(f"{text!r} begins the fingerprint of {which}.")


def _time(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%MZ")


def _drift(model: Answer) -> str:
    """Return in a few words whether a model's signals have changed."""
    changed = [row for row in model["drift"] if row["changes"]]
    if not changed:
        return "none" if model["drift"] else "-"
    return ", ".join(f"{row['signal']} {row['before']:.2f} → {row['mean']:.2f}" for row in changed)


def _agreement(both: Answer) -> str:
    return (
        f"{both['challenger']} agrees with {both['champion']} on the class of {both['same_class']:.1%} and on whether "
        f"it is an attack of {both['same_verdict']:.1%} of {both['flows']:,} flows."
    )


def _disagreement(both: Answer) -> Table:
    """Return where both differ, most flows first."""
    table = Table("champion says", "challenger says", "flows", box=None)
    for pair in both["confusion"]:
        if pair["champion_class"] != pair["challenger_class"]:
            table.add_row(pair["champion_class"], pair["challenger_class"], f"{pair['flows']:,}")
    return table
