"""The commands that train and judge models; PyTorch is loaded when one of them runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from infra.command_help import examples
from schemas.classes import CLASS_NAMES
from schemas.errors import SpanwatchError

if TYPE_CHECKING:
    from agents.classifier.dataset import LabelledFlows
    from agents.classifier.fitting import Fitted
    from agents.classifier.training import Epoch

notes = Console(stderr=True)
out = Console()

_FILES = click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))


def _use_threads(threads: int | None) -> None:
    """Give PyTorch its threads; all processors unless told.

    Raises
    ------
    click.ClickException
        When PyTorch is not installed: only those who train need its gigabytes.
    """
    if find_spec("torch") is None:
        raise click.ClickException(
            "PyTorch is not installed. Training needs it: .venv/bin/pip install -c constraints.txt -e '.[classifier]'"
        )
    import torch

    torch.set_num_threads(threads or torch.get_num_threads())


class _Epochs:
    """Shows training as it goes."""

    def __init__(self, total: int) -> None:
        self._bar = Progress(
            TextColumn("{task.description:<24}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[now]}"),
            console=notes,
        )
        self._total = total
        self._what = ""
        self._task: Any = None

    def __enter__(self) -> _Epochs:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def say(self, what: str) -> None:
        """Begin something new."""
        self._what = what
        self._task = self._bar.add_task(what, total=None, now="")

    def show(self, phase: str, epoch: Epoch) -> None:
        """Show an epoch; see ``fitting.Progress``."""
        if self._task is None or epoch.number == 1:
            self.say(phase if self._what in ("", "selection", "training") else self._what)
        now = f"loss {epoch.loss:.4f}  reward {epoch.reward:.3f}"
        if epoch.validation_loss == epoch.validation_loss:  # not NaN
            now += f"  set aside: loss {epoch.validation_loss:.4f}, macro-F1 {epoch.validation_f1:.3f}"
        self._bar.update(self._task, completed=epoch.number, total=self._total, now=now)


@click.command("train", epilog=examples("spanwatch train flows.parquet --out new.pt"))
@_FILES
@click.option("--out", "model", type=click.Path(path_type=Path, dir_okay=False), required=True, help="Bundle to write.")
@click.option("--epochs", type=click.IntRange(1), help="At most so many epochs.")
@click.option("--patience", type=click.IntRange(0), help="Epochs to wait for a better one; 0: take all epochs.")
@click.option("--seed", type=int, default=0, help="Of all random numbers; 0 unless told.")
@click.option("--version", default="1.0.0", help="What the model is to be called.")
@click.option("--device", help="Of PyTorch; a GPU when there is one.")
@click.option("--threads", type=click.IntRange(1), help="Threads to use; all processors unless told.")
def train_command(
    files: tuple[Path, ...], model: Path, version: str, device: str | None, threads: int | None, **numbers: int | None
) -> None:
    """Train a model on labelled flows.

    What is written is its bundle, and its learning curve beside it.

    FILES are Parquet or CSV with the columns of CICIDS2017 as published or as corrected, records of our own flow meter
    with a column that labels them, or captures with their label files beside them; several are mixed.
    """
    try:
        given = {name: number for name, number in numbers.items() if number is not None}
        _train(files, model, given, version, device, threads)
    except SpanwatchError as error:
        raise click.ClickException(str(error)) from error


def _train(
    files: tuple[Path, ...], model: Path, options: dict[str, int], version: str, device: str | None, threads: int | None
) -> None:
    _use_threads(threads)
    import torch

    from agents.classifier.dataset import load_flows
    from agents.classifier.fitting import fit
    from agents.classifier.plan import TrainingPlan
    from agents.classifier.plots import draw_learning_curves

    plan = TrainingPlan(**options)  # type: ignore[arg-type]
    flows = load_flows(files, with_interim=True)
    _tell(flows)
    with _Epochs(plan.epochs) as shown:
        place = device or ("cuda" if torch.cuda.is_available() else "cpu")
        fitted = fit(flows, plan, device=place, progress=shown.show)
    bundle = _packed(fitted, flows, version)
    bundle.save(model)
    draw_learning_curves(fitted.history, model.with_suffix(".png"))
    notes.print(f"{model}: {bundle.fingerprint}, {fitted.n_epochs} epochs; learning curve beside it")


def _tell(flows: LabelledFlows) -> None:
    left_out = ", ".join(f"{count:,} {reason}" for reason, count in flows.skipped.items() if count)
    notes.print(f"{len(flows):,} flows" + (f"; left out: {left_out}" if left_out else ""))


def _packed(fitted: Fitted, flows: LabelledFlows, version: str) -> Any:
    """Return the bundle of a fitted model."""
    from agents.classifier.bundle import About, Bundle
    from agents.classifier.report import plan_rows

    best = fitted.history["selection"][fitted.n_epochs - 1]
    about = About(
        version=version,
        trained_at=datetime.now(UTC).isoformat(timespec="seconds"),
        data_sha256=flows.digest,
        flows_by_class=dict(zip(CLASS_NAMES, flows.counts().tolist(), strict=True)),
        n_epochs=fitted.n_epochs,
        metrics={"validation_macro_f1": best.validation_f1, "validation_loss": best.validation_loss},
        plan=plan_rows(fitted.plan),
    )
    return Bundle(fitted.network, fitted.scaler, fitted.calibration, about)


@click.command("evaluate", epilog=examples("spanwatch evaluate flows.parquet --model new.pt"))
@_FILES
@click.option("--model", type=click.Path(path_type=Path, dir_okay=False), help="A bundle; the shipped one unless told.")
@click.option(
    "--labels", type=click.Path(path_type=Path, exists=True), help="What whole captures are: CSV of file, class, tool."
)
@click.option(
    "--unseen",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="With --page: flows of our own that no model was trained on; several.",
)
@click.option("--page", type=click.Path(path_type=Path, dir_okay=False), help="Write the full report here.")
@click.option("--quick", is_flag=True, help="With --page: the main split only, one seed.")
@click.option("--patience", type=click.IntRange(0), help="With --page: epochs to wait for a better one; 0: take all.")
@click.option("--again", is_flag=True, help="With --page: from the figures that an earlier run has left beside it.")
@click.option("--threads", type=click.IntRange(1), help="Threads to use; all processors unless told.")
def evaluate_command(
    files: tuple[Path, ...],
    model: Path | None,
    labels: Path | None,
    unseen: tuple[Path, ...],
    page: Path | None,
    quick: bool,
    patience: int | None,
    again: bool,
    threads: int | None,
) -> None:
    """Judge a model on labelled flows.

    FILES are what `train` reads.

    Without --page: what the model says of these flows, which should not be those it was trained on; by program, where
    the files name it. With --page: its recipe, trained on the earlier flows and judged on the later ones beside trees,
    over seeds and splits, and on the flows that are --unseen.
    """
    _use_threads(threads)
    try:
        if page is None:
            _judge(files, model, labels)
        else:
            plan = {} if patience is None else {"patience": patience}
            _report(files, model, page, unseen, plan, quick, again)
    except SpanwatchError as error:
        raise click.ClickException(str(error)) from error


def _judge(files: tuple[Path, ...], model: Path | None, labels: Path | None) -> None:
    from agents.classifier.by_tool import scores_by_tool
    from agents.classifier.captures import read_whole_labels
    from agents.classifier.dataset import load_flows
    from agents.classifier.report import scores_table, tools_table
    from agents.classifier.scores import scores
    from infra.model_runtime import Model
    from infra.settings import SHIPPED_MODEL

    served = Model.load(model or SHIPPED_MODEL)
    flows = load_flows(files, whole=read_whole_labels(labels) if labels else None)
    _tell(flows)
    if flows.digest == served.facts.data_sha256:
        notes.print("[yellow]The model was trained on these very flows: this says nothing about others.[/yellow]")
    named = served.predict(flows.features)
    out.print(Markdown(scores_table(scores(flows.labels, named.probabilities))))
    if flows.tools.astype(bool).any():
        out.print(Markdown(tools_table({"": scores_by_tool(flows, named.classes)})))


def _report(
    files: tuple[Path, ...],
    model: Path | None,
    page: Path,
    unseen: tuple[Path, ...],
    options: dict[str, int],
    quick: bool,
    again: bool,
) -> None:
    from agents.classifier.bundle import Bundle
    from agents.classifier.dataset import load_flows
    from agents.classifier.experiments import Questions, investigate, load_findings, save_findings
    from agents.classifier.plan import TrainingPlan
    from agents.classifier.report import write_report
    from infra.settings import SHIPPED_MODEL

    plan = TrainingPlan(**options)  # type: ignore[arg-type]
    figures = page.with_suffix("") / "figures.json"
    others = load_flows(unseen) if unseen else None
    if not again:
        flows = load_flows(files, with_interim=True)
        _tell(flows)
        questions = Questions(other_fractions=(), n_seeds=1, ablates=False) if quick else Questions()
        questions = replace(questions, unseen=others)
        figures.parent.mkdir(parents=True, exist_ok=True)
        with _Epochs(plan.epochs) as shown:
            investigate(flows, plan, questions, shown.show, shown.say, partial(save_findings, path=figures))
    path = model or SHIPPED_MODEL
    write_report(load_findings(figures), plan, Bundle.load(path) if path.exists() else None, page, others)
    notes.print(f"{page} and pictures in {page.with_suffix('')}")
