from __future__ import annotations

from pathlib import Path

import pyarrow as pa
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
from tests.agents.messages import header, take, unconnected_producer

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


def stage_of(folder: Path, *models: Model) -> ClassificationStage:
    settings = load_settings(state=folder)
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


def feed(stage: ClassificationStage, flows: pa.Table, seq: int) -> None:
    assert not take(stage, 3, header(seq=seq), encode_table(flows))


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
    assert verdicts(stage).column("flow_id").to_pylist() == flows.column("flow_id").to_pylist()
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
    rest = flows.slice(10).column("flow_id").to_pylist()
    assert found.column("flow_id").to_pylist() == rest * 2
    assert found.column("role").to_pylist() == ["champion"] * len(rest) + ["challenger"] * len(rest)


def test_features_that_are_no_numbers_are_in_the_ledger(tmp_path: Path, model: Model, flows: pa.Table) -> None:
    rows = flows.to_pylist()
    rows[4]["features"][0] = float("nan")
    bad = rows[4]["fwd_packets"] + rows[4]["bwd_packets"]
    stage = stage_of(tmp_path, model)
    feed(stage, pa.Table.from_pylist(rows, schema=FLOW_SCHEMA), 0)
    take(stage, 3, header(BatchKind.END, seq=1), end_of_flows(packets_in(flows)))
    count = packets_in(flows)
    assert ledger(stage) == [f"total {count} {count}", f"{BAD_FEATURES} {bad} {bad}"]


def test_a_restored_stage_goes_on_with_numbers_and_counts(tmp_path: Path, model: Model, flows: pa.Table) -> None:
    stage = stage_of(tmp_path, model)
    feed(stage, flows.slice(0, 25), 0)
    state = stage.snapshot(3)
    assert state is not None
    restored = stage_of(tmp_path, model)
    restored.restore(3, state)
    for each in (stage, restored):
        feed(each, flows.slice(0, 25), 0)
        feed(each, flows.slice(25), 1)
        take(each, 3, header(BatchKind.END, seq=2), end_of_flows(packets_in(flows)))
    count = packets_in(flows)
    assert ledger(stage) == [f"total {count} {count}"]
    assert sent(restored) == sent(stage)[1:]


def guesses(flows: pa.Table, count: int) -> pa.Table:
    """Return one record as ``count`` flows between the same two hosts."""
    record = flows.slice(0, 1).to_pylist()[0]
    return pa.Table.from_pylist([{**record, "flow_id": number} for number in range(count)], schema=FLOW_SCHEMA)


def test_flows_are_judged_in_the_company_of_those_before(tmp_path: Path, model: Model, flows: pa.Table) -> None:
    stage = stage_of(tmp_path, model)
    for seq in range(3):
        feed(stage, guesses(flows, 1), seq)
    first, second, third = verdicts(stage).column("confidence").to_pylist()
    assert first == pytest.approx(float(model.predict(features_of(guesses(flows, 1))).confidence[0]), rel=1e-5)
    assert first < second < third


def test_a_memory_of_no_time_judges_every_flow_by_itself(tmp_path: Path, model: Model, flows: pa.Table) -> None:
    settings = load_settings(state=tmp_path, classify_memory_s=0)
    stage = ClassificationStage(settings, KeepingSender(unconnected_producer()), GivenRoles(settings, model))
    feed(stage, guesses(flows, 5), 0)
    alone = model.predict(features_of(guesses(flows, 5))).confidence
    assert verdicts(stage).column("confidence").to_numpy().tolist() == alone.tolist()


def test_champion_and_challenger_keep_company_of_their_own(tmp_path: Path, model: Model, flows: pa.Table) -> None:
    stage = stage_of(tmp_path, model, model)
    feed(stage, flows, 0)
    rows = verdicts(stage)
    half = flows.num_rows
    assert rows.slice(0, half).column("confidence").equals(rows.slice(half).column("confidence"))


def test_a_partition_that_was_taken_away_is_forgotten(tmp_path: Path, model: Model, flows: pa.Table) -> None:
    stage = stage_of(tmp_path, model)
    feed(stage, flows, 0)
    stage.drop({3})
    assert take(stage, 3, header(BatchKind.END, seq=1), end_of_flows(5))
    assert ledger(stage) == ["total 5 0"]
