from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.verdicts import MAX_EXPLAINED, chosen, judge
from infra.model_runtime import Model
from infra.settings import SHIPPED_MODEL
from schemas.classes import BENIGN, CLASS_NAMES, N_CLASSES
from schemas.classifications import CLASSIFICATION_SCHEMA, FLOW_PARTS, TOP_REASONS
from schemas.enums import ModelRole
from schemas.flows import FEATURE_NAMES, FLOW_SCHEMA
from streams.flow_rows import features_of
from tests.agents.flow_records import flow_records


@pytest.fixture(scope="module")
def model() -> Model:
    return Model.load(SHIPPED_MODEL)


@pytest.fixture(scope="module")
def flows() -> pa.Table:
    """Records of web traffic and of a scan."""
    return flow_records(400)


def test_a_verdict_names_its_flow_and_the_likeliest_class(model: Model, flows: pa.Table) -> None:
    judged = judge(flows, model, ModelRole.CHAMPION, 0.5)
    assert judged.is_judged.all()
    assert judged.rows.schema == CLASSIFICATION_SCHEMA
    named = model.predict(features_of(flows))
    rows = judged.rows.to_pylist()
    assert [row["class_name"] for row in rows] == [CLASS_NAMES[number] for number in named.classes]
    for name in ("flow_id", *FLOW_PARTS):
        assert judged.rows.column(name).to_pylist() == flows.column(name).to_pylist()
    attacks = 1 - named.probabilities[:, BENIGN]
    assert np.allclose(judged.rows.column("attack_probability").to_numpy(), attacks)
    assert {row["model"] for row in rows} == {model.facts.fingerprint}
    assert len({row["class_name"] for row in rows}) > 1, "the records are all alike: they show nothing"


@settings(max_examples=20)
@given(st.lists(st.integers(1, 399), max_size=6, unique=True))
def test_any_split_of_the_flows_gives_the_same_verdicts(model: Model, flows: pa.Table, cuts: list[int]) -> None:
    whole = judge(flows, model, ModelRole.CHAMPION, 0.5).rows
    ends = [0, *sorted(cuts), flows.num_rows]
    parts = [judge(flows.slice(a, b - a), model, ModelRole.CHAMPION, 0.5).rows for a, b in pairwise(ends)]
    joined = pa.concat_tables(parts)
    for name in ("flow_id", "class_name", "is_uncertain"):
        assert joined.column(name).to_pylist() == whole.column(name).to_pylist()
    # A matrix product adds up in another order for another number of rows.
    assert np.allclose(joined.column("confidence").to_numpy(), whole.column("confidence").to_numpy(), atol=1e-5)


def test_a_verdict_below_the_set_confidence_is_uncertain(model: Model, flows: pa.Table) -> None:
    confidence = judge(flows, model, ModelRole.CHAMPION, 0).rows.column("confidence").to_numpy()
    bound = float(np.median(confidence))
    rows = judge(flows, model, ModelRole.CHAMPION, bound).rows
    assert rows.column("is_uncertain").to_pylist() == (confidence < np.float32(bound)).tolist()
    assert 0 < sum(rows.column("is_uncertain").to_pylist()) < flows.num_rows


def test_attacks_are_explained_by_the_features_that_speak_most_for_them(model: Model, flows: pa.Table) -> None:
    rows = judge(flows, model, ModelRole.CHAMPION, 0.5).rows.to_pylist()
    explained = [place for place, row in enumerate(rows) if row["reason_features"]]
    assert 0 < len(explained) <= MAX_EXPLAINED
    features = features_of(flows)
    for place in explained:
        row = rows[place]
        assert row["class_name"] != "BENIGN" or row["is_uncertain"]
        assert len(row["reason_features"]) == len(set(row["reason_features"])) == TOP_REASONS
        number = np.array([CLASS_NAMES.index(row["class_name"])])
        parts = dict(zip(FEATURE_NAMES, model.contributions(features[[place]], number)[0], strict=True))
        assert row["reason_contributions"] == sorted(row["reason_contributions"], reverse=True)
        assert row["reason_contributions"][0] == pytest.approx(max(parts.values()), rel=1e-3)
        values = dict(zip(FEATURE_NAMES, features[place], strict=True))
        assert row["reason_values"] == [values[name] for name in row["reason_features"]]


def test_a_challenger_explains_nothing(model: Model, flows: pa.Table) -> None:
    rows = judge(flows, model, ModelRole.CHALLENGER, 0.5).rows
    assert set(rows.column("role").to_pylist()) == {"challenger"}
    assert not any(rows.column("reason_features").to_pylist())


def test_a_flow_whose_features_are_no_numbers_gets_no_verdict_and_the_others_do(model: Model, flows: pa.Table) -> None:
    broken = flows.slice(0, 3).to_pylist()
    broken[1]["features"][7] = float("inf")
    judged = judge(pa.Table.from_pylist(broken, schema=FLOW_SCHEMA), model, ModelRole.CHAMPION, 0.5)
    assert judged.is_judged.tolist() == [True, False, True]
    assert judged.rows.column("flow_id").to_pylist() == [broken[0]["flow_id"], broken[2]["flow_id"]]


def test_no_flows_get_no_verdicts(model: Model, flows: pa.Table) -> None:
    assert judge(flows.slice(0, 0), model, ModelRole.CHAMPION, 0.5).rows.num_rows == 0


@given(st.lists(st.tuples(st.integers(0, N_CLASSES - 1), st.booleans()), max_size=200))
def test_what_is_explained_gives_every_class_its_turn(verdicts: list[tuple[int, bool]]) -> None:
    classes = np.array([number for number, _ in verdicts], np.int64)
    is_uncertain = np.array([doubt for _, doubt in verdicts], np.bool_)
    places = chosen(classes, is_uncertain).tolist()
    wanted = [place for place, (number, doubt) in enumerate(verdicts) if number != BENIGN or doubt]
    assert places == sorted(set(places))
    assert set(places) <= set(wanted)
    assert len(places) == min(len(wanted), MAX_EXPLAINED)
    # Nobody gets a further turn while another class of the batch has had fewer and has more.
    turns = {number: sum(classes[place] == number for place in places) for number in set(classes[wanted].tolist())}
    waiting = {number for number in turns if turns[number] < sum(classes[place] == number for place in wanted)}
    assert all(turns[number] >= max(turns.values()) - 1 for number in waiting)
