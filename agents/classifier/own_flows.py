"""Labelled captures as one small table of flows, which training can be repeated from without them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from agents.classifier.captures import labelled, labelled_records, labels_beside, metered, packets_of, read_label_rows
from agents.classifier.links import over_another_link
from infra.command_help import examples
from schemas.errors import SpanwatchError
from streams.packets import Packets

KEPT = ("start_ns", "end_reason", "features", "label", "tool")
"""Columns of a record that training and judging need."""

BENIGN_TIMES = 8
"""So many times as many benign flows of a capture are kept as of an attack's."""


def write_own_flows(
    captures: Sequence[Path], path: Path, at_most: int, links: int = 0, without: Sequence[str] = ()
) -> int:
    """Write the flows of labelled captures as Parquet, and return their number.

    Parameters
    ----------
    captures : sequence of Path
    path : Path
    at_most : int
        Records of a program in a capture that are kept, chosen by chance: a flood has thousands that are alike.
    links : int
        How often each capture is metered once more, as if over other links; see ``links.over_another_link``.
    without : sequence of str
        Programs whose flows are left out.
    """
    chance, parts = np.random.default_rng(0), []
    for capture in sorted(captures, key=lambda one: one.name):
        records = _over_links(capture, links, chance)
        tools, labels = (np.array(records.column(name).to_pylist(), np.str_) for name in ("tool", "label"))
        kept = np.zeros(len(tools), np.bool_)
        for tool in sorted({*tools.tolist()} - {*without}):
            rows = np.flatnonzero(tools == tool)
            most = at_most * (BENIGN_TIMES if (labels[rows] == "BENIGN").all() else 1)
            kept[chance.permutation(rows)[:most]] = True
        part = records.filter(pa.array(kept)).select(KEPT).cast(_SCHEMA)
        parts.append(part.append_column("capture", pa.array([capture.name] * part.num_rows)))
    table = pa.concat_tables(parts)
    # Values of one feature beside each other compress well, those of one flow do not.
    pyarrow.parquet.write_table(
        table, path, compression="zstd", compression_level=19, use_byte_stream_split=["features.list.element"]
    )
    return int(table.num_rows)


def _over_links(capture: Path, links: int, chance: np.random.Generator) -> pa.Table:
    """Return the labelled records of a capture as it is, and of what it would be over other links."""
    takes = [labelled_records(capture)]
    if links:
        packets = Packets(*(np.concatenate(column) for column in zip(*packets_of(capture), strict=True)))
        begins = takes[0].column("start_ns").combine_chunks()
        for _ in range(links):
            records = metered([over_another_link(packets, chance)])
            # A conversation cut elsewhere would be looked for in the labels at another time than it was labelled.
            is_known = pc.is_in(records.column("start_ns"), value_set=begins)
            takes.append(labelled(records.filter(is_known), read_label_rows(labels_beside(capture))))
    return pa.concat_tables(takes)


_SCHEMA = pa.schema(
    [
        ("start_ns", pa.int64()),
        ("end_reason", pa.string()),
        ("features", pa.list_(pa.float32())),
        ("label", pa.string()),
        ("tool", pa.string()),
    ]
)


@click.command("label", epilog=examples("spanwatch label lab/*.pcap.gz --out flows.parquet"))
@click.argument("captures", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--out", "path", required=True, type=click.Path(path_type=Path, dir_okay=False), help="Parquet to write.")
@click.option("--at-most", type=click.IntRange(1), default=300, show_default=True, help="Of a program in a capture.")
@click.option("--links", type=click.IntRange(0), default=0, help="Meter each once more, so often, as over other links.")
@click.option("--without", multiple=True, help="Name of a program whose flows are left out; several.")
def label_command(captures: tuple[Path, ...], path: Path, at_most: int, links: int, without: tuple[str, ...]) -> None:
    """Write the flows of labelled captures.

    CAPTURES are files with their labels beside them; what is written is one table to train with, features and classes.
    """
    try:
        count = write_own_flows(captures, path, at_most, links, without)
    except SpanwatchError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{path}: {count:,} records of flows, {path.stat().st_size / 1e6:.1f} MB")
