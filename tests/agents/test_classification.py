from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from confluent_kafka import Producer

from agents.classification import BAD_FEATURES, NO_MODEL, ClassificationStage
from agents.merge import LEDGER_ROWS
from agents.model_roles import ModelRoles, Roles
from agents.sender import Sender
from infra.model_runtime import Model
from infra.settings import SHIPPED_MODEL, Settings, load_settings
from schemas.captures import LedgerRow
from schemas.classifications import CLASSIFICATION_SCHEMA
from schemas.enums import BatchKind, Hop
from schemas.flows import FLOW_SCHEMA
from streams.flow_rows import features_of
from streams.wire import BatchHeader, KafkaHeaders, decode_table, encode_table
from tests.agents.flow_records import flow_records
from tests.agents.messages import SECOND, header, take, unconnected_producer

Sent = tuple[BatchHeader, int, bytes]
"""Header, partition and body."""


class KeepingSender(Sender):
    """Keeps what a stage sends, where a sender hands it to Kafka."""

    def __init__(self, producer: Producer) -> None:
        super().__init__(producer)
        self.sent: list[Sent] = []

    def send(self, topic: str, value: bytes | None, *, key: bytes, headers: KafkaHeaders, partition: int = -1) -> None:
        assert value is not None
        assert (topic.endswith("classifications"), key) == (True, b"c")
        texts = {name: content for name, content in headers if isinstance(content, bytes)}
        self.sent.append((BatchHeader.from_kafka(texts), partition, value))


class GivenRoles(ModelRoles):
    """Has the models that a test gives it."""

    def __init__(self, settings: Settings, *models: Model) -> None:
        super().__init__(settings)
        self.now = Roles(*models)

    def current(self) -> Roles:
        return self.now


@pytest.fixture(scope="module")
def model() -> Model:
    return Model.load(SHIPPED_MODEL)


@pytest.fixture(scope="module")
def flows() -> pa.Table:
    return flow_records(40)


def stage_of(folder: Path, *models: Model, memory_s: float = 0) -> ClassificationStage:
    """Return a stage that judges at once, unless it has a memory."""
    settings = load_settings(state=folder, classify_memory_s=memory_s)
    return ClassificationStage(settings, KeepingSender(unconnected_producer()), GivenRoles(settings, *models))


def sent(stage: ClassificationStage) -> list[Sent]:
    sender = stage._sender
    assert isinstance(sender, KeepingSender)
    return sender.sent


def verdicts(stage: ClassificationStage) -> pa.Table:
    """Return the verdicts that were sent."""
    bodies = [decode_table(body, CLASSIFICATION_SCHEMA) for told, _, body in sent(stage) if told.kind is BatchKind.DATA]
    return pa.concat_tables([CLASSIFICATION_SCHEMA.empty_table(), *bodies])


def ledger(stage: ClassificationStage) -> list[str]:
    """Return what the last message says of the packets."""
    told, _, body = sent(stage)[-1]
    assert told.kind is BatchKind.END
    rows = LEDGER_ROWS.validate_json(body)
    assert {(row.hop, row.partition) for row in rows} == {(Hop.CLASSIFICATIONS, 3)}
    return [f"{row.reason or 'total'} {row.packets_in} {row.packets_out}" for row in rows]


def packets_in(flows: pa.Table) -> int:
    return sum(sum(flows.column(name).to_pylist()) for name in ("fwd_packets", "bwd_packets"))


def end_of_flows(packets: int, without_ip: int = 0) -> bytes:
    """Return the ledger with which the flows of a partition end."""
    came = packets + without_ip
    rows = [LedgerRow(capture_id="c", hop=Hop.FLOWS, partition=3, packets_in=came, packets_out=came)]
    if without_ip:
        told = {"reason": "without_ip", "packets_in": without_ip, "packets_out": without_ip}
        rows.append(rows[0].model_copy(update=told))
    return LEDGER_ROWS.dump_json(rows)


def feed(stage: ClassificationStage, flows: pa.Table, seq: int, clock_s: int = 0) -> None:
    assert not take(stage, 3, header(seq=seq, clock_ns=clock_s * SECOND), encode_table(flows))


def ids(flows: pa.Table) -> list[int]:
    return sorted(flows.column("flow_id").to_pylist())


def test_verdicts_have_the_number_and_the_partition_of_their_flows(
    tmp_path: Path, model: Model, flows: pa.Table
) -> None:
    stage = stage_of(tmp_path, model)
    feed(stage, flows.slice(0, 25), 0)
    feed(stage, flows.slice(25), 1)
    assert take(stage, 3, header(BatchKind.END, seq=2), end_of_flows(packets_in(flows), without_ip=2))
    assert [(told.kind, told.seq, partition) for told, partition, _ in sent(stage)] == [
        (BatchKind.DATA, 0, 3),
        (BatchKind.DATA, 1, 3),
        (BatchKind.END, 2, 3),
    ]
    assert ids(verdicts(stage)) == ids(flows)
    total = packets_in(flows) + 2
    assert ledger(stage) == [f"total {total} {total}", "without_ip 2 2"]


def test_flows_that_are_sent_again_are_judged_once(tmp_path: Path, model: Model, flows: pa.Table) -> None:
    stage = stage_of(tmp_path, model)
    for _ in range(2):
        feed(stage, flows, 0)
    assert verdicts(stage).num_rows == flows.num_rows


def test_a_message_of_flows_that_is_missing_is_missing_in_the_ledger(
    tmp_path: Path, model: Model, flows: pa.Table
) -> None:
    stage = stage_of(tmp_path, model)
    feed(stage, flows.slice(0, 10), 0)
    take(stage, 3, header(BatchKind.END, seq=2), end_of_flows(packets_in(flows)))
    assert ledger(stage) == [f"total {packets_in(flows)} {packets_in(flows.slice(0, 10))}"]


def test_a_flow_that_goes_on_is_judged_each_time_and_each_packet_counts_once(
    tmp_path: Path, model: Model, flows: pa.Table
) -> None:
    record = flows.slice(0, 1).to_pylist()[0]
    stage = stage_of(tmp_path, model)
    for seq, (reason, packets) in enumerate((("interim", 4), ("interim", 6), ("fin", 9))):
        told = {"end_reason": reason, "fwd_packets": packets, "new_fwd_packets": packets - (0, 4, 6)[seq]}
        told |= {"bwd_packets": 1, "new_bwd_packets": int(seq == 0)}
        feed(stage, pa.Table.from_pylist([{**record, **told}], schema=FLOW_SCHEMA), seq)
    take(stage, 3, header(BatchKind.END, seq=3), end_of_flows(10))
    assert verdicts(stage).column("end_reason").to_pylist() == ["interim", "interim", "fin"]
    assert ledger(stage) == ["total 10 10"]


def test_without_a_model_the_ledger_says_why_there_are_no_verdicts(
    tmp_path: Path, flows: pa.Table, caplog: pytest.LogCaptureFixture
) -> None:
    stage = stage_of(tmp_path)
    feed(stage, flows.slice(0, 10), 0)
    feed(stage, flows.slice(10), 1)
    assert take(stage, 3, header(BatchKind.END, seq=2), end_of_flows(packets_in(flows)))
    count = packets_in(flows)
    assert ledger(stage) == [f"total {count} {count}", f"{NO_MODEL} {count} {count}"]
    assert [told.seq for told, _, _ in sent(stage)] == [2]
    assert caplog.text.count("there is no model") == 1


def test_a_model_that_comes_later_judges_from_then_on(tmp_path: Path, model: Model, flows: pa.Table) -> None:
    stage = stage_of(tmp_path)
    feed(stage, flows.slice(0, 10), 0)
    assert isinstance(stage._roles, GivenRoles)
    stage._roles.now = Roles(model, model)
    feed(stage, flows.slice(10), 1)
    found = verdicts(stage)
    assert [told.seq for told, _, _ in sent(stage)] == [1]
    count = flows.num_rows - 10
    assert ids(found.slice(0, count)) == ids(found.slice(count)) == ids(flows.slice(10))
    assert found.column("role").to_pylist() == ["champion"] * count + ["challenger"] * count


def test_features_that_are_no_numbers_are_in_the_ledger(tmp_path: Path, model: Model, flows: pa.Table) -> None:
    rows = flows.to_pylist()
    rows[4]["features"][0] = float("nan")
    bad = rows[4]["fwd_packets"] + rows[4]["bwd_packets"]
    stage = stage_of(tmp_path, model)
    feed(stage, pa.Table.from_pylist(rows, schema=FLOW_SCHEMA), 0)
    take(stage, 3, header(BatchKind.END, seq=1), end_of_flows(packets_in(flows)))
    count = packets_in(flows)
    assert ledger(stage) == [f"total {count} {count}", f"{BAD_FEATURES} {bad} {bad}"]


@pytest.mark.parametrize("memory_s", [0, 60])
def test_a_restored_stage_goes_on_where_it_was(tmp_path: Path, model: Model, flows: pa.Table, memory_s: float) -> None:
    stage = stage_of(tmp_path, model, memory_s=memory_s)
    feed(stage, flows.slice(0, 25), 0, clock_s=14)
    before, state = len(sent(stage)), stage.snapshot(3)
    assert state is not None
    restored = stage_of(tmp_path, model, memory_s=memory_s)
    restored.restore(3, state)
    for each in (stage, restored):
        feed(each, flows.slice(0, 25), 0, clock_s=14)
        feed(each, flows.slice(25), 1, clock_s=20)
        take(each, 3, header(BatchKind.END, seq=2, clock_ns=20 * SECOND), end_of_flows(packets_in(flows)))
    count = packets_in(flows)
    assert ledger(stage) == [f"total {count} {count}"]
    assert ids(verdicts(stage)) == ids(flows)
    assert sent(restored) == sent(stage)[before:]


def test_verdicts_wait_for_the_others_of_their_step_and_the_end_brings_the_rest(
    tmp_path: Path, model: Model, flows: pa.Table
) -> None:
    stage = stage_of(tmp_path, model, memory_s=60)
    is_reset = pc.equal(flows.column("end_reason").cast(pa.string()), "rst")
    feed(stage, flows, 0, clock_s=11)
    assert sent(stage) == []
    # A reset flow is over 10 s after its last packet, and all of its two seconds are there 2 s later.
    assert not take(stage, 3, header(BatchKind.PROGRESS, seq=1, clock_ns=14 * SECOND), b"")
    assert ids(verdicts(stage)) == ids(flows.filter(is_reset))
    take(stage, 3, header(BatchKind.END, seq=2, clock_ns=14 * SECOND), end_of_flows(packets_in(flows)))
    assert [(told.kind, told.seq) for told, *_ in sent(stage)] == [
        (BatchKind.DATA, 1),
        (BatchKind.DATA, 2),
        (BatchKind.END, 2),
    ]
    assert ids(verdicts(stage)) == ids(flows)
    assert ledger(stage) == [f"total {packets_in(flows)} {packets_in(flows)}"]


@pytest.mark.parametrize("cuts", [[], [1], [7, 8, 30], list(range(1, 40))])
def test_how_flows_are_cut_into_messages_does_not_change_their_verdicts(
    tmp_path: Path, model: Model, flows: pa.Table, cuts: list[int]
) -> None:
    def judged(ends: list[int]) -> dict[int, tuple[str, float]]:
        stage = stage_of(tmp_path, model, memory_s=60)
        for seq, (begin, end) in enumerate(pairwise([0, *ends, flows.num_rows])):
            feed(stage, flows.slice(begin, end - begin), seq, clock_s=10 + seq // 20)
        last = len(ends) + 1
        take(stage, 3, header(BatchKind.PROGRESS, seq=last, clock_ns=14 * SECOND), b"")
        assert sent(stage), "nothing was judged before the end"
        last += 1
        take(stage, 3, header(BatchKind.END, seq=last, clock_ns=20 * SECOND), end_of_flows(packets_in(flows)))
        rows = verdicts(stage).to_pylist()
        return {row["flow_id"]: (row["class_name"], row["confidence"]) for row in rows}

    whole, parts = judged([]), judged(cuts)
    assert {flow: name for flow, (name, _) in parts.items()} == {flow: name for flow, (name, _) in whole.items()}
    assert [parts[flow][1] for flow in whole] == pytest.approx([sure for _, sure in whole.values()], abs=1e-4)


def guesses(flows: pa.Table, count: int) -> pa.Table:
    """Return one record as ``count`` flows between the same two hosts."""
    record = flows.slice(0, 1).to_pylist()[0]
    return pa.Table.from_pylist([{**record, "flow_id": number} for number in range(count)], schema=FLOW_SCHEMA)


def test_flows_are_judged_in_the_company_of_those_before(tmp_path: Path, model: Model, flows: pa.Table) -> None:
    stage = stage_of(tmp_path, model, memory_s=60)
    for seq in range(3):
        at_ns = 10 * seq * SECOND
        record = {**flows.slice(1, 1).to_pylist()[0], "flow_id": seq, "start_ns": at_ns, "end_ns": at_ns + 1}
        feed(stage, pa.Table.from_pylist([record], schema=FLOW_SCHEMA), seq, clock_s=10 * seq + 1)
    take(stage, 3, header(BatchKind.END, seq=3, clock_ns=60 * SECOND), end_of_flows(6))
    first, second, third = verdicts(stage).sort_by("flow_id").column("confidence").to_pylist()
    assert first == pytest.approx(float(model.predict(features_of(flows.slice(1, 1))).confidence[0]), rel=1e-5)
    assert first < second < third


def test_a_memory_of_no_time_judges_every_flow_by_itself(tmp_path: Path, model: Model, flows: pa.Table) -> None:
    stage = stage_of(tmp_path, model)
    feed(stage, guesses(flows, 5), 0)
    alone = model.predict(features_of(guesses(flows, 5))).confidence
    assert verdicts(stage).column("confidence").to_numpy().tolist() == alone.tolist()


def test_champion_and_challenger_keep_company_of_their_own(tmp_path: Path, model: Model, flows: pa.Table) -> None:
    stage = stage_of(tmp_path, model, model, memory_s=60)
    feed(stage, flows, 0)
    take(stage, 3, header(BatchKind.END, seq=1), end_of_flows(packets_in(flows)))
    rows = verdicts(stage)
    half = flows.num_rows
    assert rows.slice(0, half).column("confidence").equals(rows.slice(half).column("confidence"))


def test_a_partition_that_was_taken_away_is_forgotten(tmp_path: Path, model: Model, flows: pa.Table) -> None:
    stage = stage_of(tmp_path, model)
    feed(stage, flows, 0)
    stage.drop({3})
    assert take(stage, 3, header(BatchKind.END, seq=1), end_of_flows(5))
    assert ledger(stage) == ["total 5 0"]
