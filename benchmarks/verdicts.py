"""What the service says of labelled captures, end to end: ``python -m benchmarks.verdicts CAPTURE…``.

Each capture, with its label file beside it (``docs/lab.md``), goes through a ``spanwatch up`` of its own: Kafka, flows,
classification, store, REST. What it says of each flow that is over is held against the label, beside what the same
model says of that flow alone. It prints a page of Markdown and writes nothing.
"""

from __future__ import annotations

import io
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from agents.classifier.captures import labelled_records, labels_beside
from agents.classifier.dataset import is_no_attack
from benchmarks.machine import machine, versions
from benchmarks.stack import Stack
from infra.command_help import examples
from infra.model_runtime import Model
from infra.settings import SHIPPED_MODEL
from schemas.classes import BENIGN, CLASS_NAMES
from schemas.enums import FlowEnd, ModelRole
from schemas.errors import FlowFileError
from streams.flow_rows import features_of

_NUMBERS = {name: number for number, name in enumerate(CLASS_NAMES)}


@dataclass(frozen=True)
class Judged:
    """Flows of one capture: those that are over, without those that are no attacks in themselves.

    Parameters
    ----------
    capture : str
        Name of the file.
    labels, alone, together : array (n_flows,) of int64
        What they are, what the model says of each alone, and what the service has said.
    tools : array (n_flows,) of str
    """

    capture: str
    labels: npt.NDArray[np.int64]
    alone: npt.NDArray[np.int64]
    together: npt.NDArray[np.int64]
    tools: npt.NDArray[np.str_]


def judged(stack: Stack, path: Path, model: Model) -> Judged:
    """Have a capture computed, and hold its verdicts against its labels.

    Raises
    ------
    RuntimeError
        When the service has no verdict on a flow.
    """
    records = labelled_records(path)
    records = records.filter(pc.not_equal(records.column("end_reason").cast(pa.string()), FlowEnd.INTERIM.value))
    labels = np.array([_NUMBERS[name] for name in records.column("label").to_pylist()], np.int64)
    kept = ~is_no_attack(features_of(records), labels)
    records, labels = records.filter(pa.array(kept)), labels[kept]
    said = _said(stack, path)
    flow_ids = [f"{flow_id:016x}" for flow_id in records.column("flow_id").to_pylist()]
    if missing := sum(flow_id not in said for flow_id in flow_ids):
        raise RuntimeError(f"{path.name}: the service has no verdict on {missing} of {len(flow_ids)} flows")
    return Judged(
        path.name,
        labels,
        model.predict(features_of(records)).classes,
        np.array([_NUMBERS[said[flow_id]] for flow_id in flow_ids], np.int64),
        np.array(records.column("tool").to_pylist(), np.str_),
    )


def _said(stack: Stack, path: Path) -> dict[str, str]:
    """Return the class of each flow that is over, by flow id, as the service exports it."""
    stack.compute(path)
    columns = "flow_id,role,end_reason,class_name"
    capture_id = str(stack.newest_capture()["capture_id"])
    table = pyarrow.parquet.read_table(io.BytesIO(stack.export("classifications", capture_id, columns)))
    return {
        row["flow_id"]: row["class_name"]
        for row in table.to_pylist()
        if row["role"] == ModelRole.CHAMPION.value and row["end_reason"] != FlowEnd.INTERIM.value
    }


def page(captures: Sequence[Judged]) -> str:
    """Return the page: benign flows by capture, attacks by program."""
    facts = {**machine(), **versions()}
    shown = ", ".join(f"{name}: {facts[name]}" for name in ("date", "processor", "cores", "Kafka", "chdb"))
    return "\n".join(
        [
            "# Verdicts on labelled captures, end to end",
            "",
            "<!-- Made by `python -m benchmarks.verdicts`; do not edit. -->",
            "",
            "Captures of the [lab](../lab.md) that the model has never seen, through Kafka, flows, classification, "
            "store and REST. *Alone* is what the model says of a flow by its features, *in company* what the service "
            "says, which takes the [other flows between the same two hosts](../classification.md#in-company) into "
            "account. *Named* is the share with the right name, *flagged* the share that is called any attack. Flows "
            "that are over, without those of attackers that say nothing or only ask whether the server still answers.",
            "",
            f"{shown}.",
            "",
            "## Benign flows",
            "",
            *_benign(captures),
            "",
            "## By program",
            "",
            *_programs(captures),
        ]
    )


def _benign(captures: Sequence[Judged]) -> Iterator[str]:
    yield "| capture | benign flows | flagged alone | flagged in company |"
    yield "|---|---:|---:|---:|"
    sums = np.zeros(3, np.int64)
    for one in captures:
        rows = one.labels == BENIGN
        flagged = [int((rows & (verdicts != BENIGN)).sum()) for verdicts in (one.alone, one.together)]
        counts = np.array([rows.sum(), *flagged])
        sums += counts
        yield f"| {one.capture} | {_with_shares(counts)} |"
    yield f"| **all** | {_with_shares(sums)} |"


def _with_shares(counts: npt.NDArray[np.int64]) -> str:
    of = max(int(counts[0]), 1)
    return " | ".join([f"{counts[0]:,}", *(f"{count:,} ({count / of:.2%})" for count in counts[1:])])


def _programs(captures: Sequence[Judged]) -> Iterator[str]:
    titles = ("class and program", "flows", "named alone", "in company", "flagged alone", "in company", "mistaken for")
    yield f"| {' | '.join(titles)} |"
    yield "|---|---:|---:|---:|---:|---:|---|"
    pairs = {(int(label), str(tool)) for one in captures for label, tool in zip(one.labels, one.tools, strict=True)}
    for label, tool in sorted(pairs):
        alone, together = (
            np.concatenate([getattr(one, name)[(one.labels == label) & (one.tools == tool)] for one in captures])
            for name in ("alone", "together")
        )
        cells = [
            f"{share:.1%}"
            for share in (
                (alone == label).mean(),
                (together == label).mean(),
                (alone != BENIGN).mean(),
                (together != BENIGN).mean(),
            )
        ]
        row = [f"{CLASS_NAMES[label]}: `{tool}`", f"{len(together):,}", *cells, _mistakes(together[together != label])]
        yield f"| {' | '.join(row)} |"


def _mistakes(wrong: npt.NDArray[np.int64]) -> str:
    most = Counter(wrong.tolist()).most_common(2)
    return ", ".join(f"{CLASS_NAMES[number]} {count:,}" for number, count in most)


@click.command(epilog=examples("python -m benchmarks.verdicts .local/lab/*.pcap.gz > page.md"))
@click.argument("captures", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
def main(captures: tuple[Path, ...]) -> None:
    """Print what the service says of labelled captures."""
    model = Model.load(SHIPPED_MODEL)
    with tempfile.TemporaryDirectory(prefix="spanwatch-verdicts-") as folder, Stack(Path(folder)) as stack:
        found = []
        for path in captures:
            own = Path(folder) / path.name
            own.write_bytes(path.read_bytes())
            labels = labels_beside(path)
            if labels.exists():
                labels_beside(own).write_bytes(labels.read_bytes())
            try:
                found.append(judged(stack, own, model))
            except FlowFileError as error:
                raise click.ClickException(str(error)) from error
            click.echo(f"{path.name}: {len(found[-1].labels):,} flows", err=True)
    click.echo(page(found))


if __name__ == "__main__":
    main()
