from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from api.compute import new_capture_id
from api.errors import Refusal
from api.models import Models
from api.telemetry_models import ModelCollector
from infra.model_runtime import Model
from infra.store import Store
from schemas.enums import ModelRole
from schemas.models import MAX_BUNDLE_BYTES
from tests.api.models import insert_verdicts, stored_at_once
from tests.api.stack import Running, running, settings_in
from tests.model_variants import doubtful, stubborn


@pytest.fixture(scope="module")
def served(module_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    settings = settings_in(tmp_path_factory.mktemp("models"))
    with running(settings, module_store, send_model=stored_at_once(module_store)) as stack:
        yield stack


@pytest.fixture
def http(served: Running, store: Store) -> httpx.Client:
    """The server, whose store is emptied behind each test."""
    return served.http


def fingerprint(bundle: bytes) -> str:
    return Model.from_bytes(bundle, "test").facts.fingerprint


def add(http: httpx.Client, bundle: bytes, **asked: str) -> str:
    answer = http.post("/api/models", content=bundle, params=asked)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["fingerprint"])


def standing(http: httpx.Client) -> tuple[str | None, str | None, str | None]:
    answer = http.get("/api/models").json()
    return answer["champion"], answer["challenger"], answer["previous"]


def test_an_empty_registry_is_a_list(http: httpx.Client) -> None:
    answer = http.get("/api/models").json()
    assert (answer["models"], answer["total"], answer["history"], answer["agreement"]) == ([], 0, [], None)
    assert standing(http) == (None, None, None)


def test_a_model_is_registered_once_and_comes_back_byte_for_byte(http: httpx.Client) -> None:
    name = add(http, doubtful(), note="less sure")
    again = http.post("/api/models", content=doubtful(), params={"note": "once more"})
    assert (again.status_code, again.json()["note"]) == (200, "less sure")
    listed = http.get("/api/models").json()
    assert [model["fingerprint"] for model in listed["models"]] == [name]
    facts = Model.from_bytes(doubtful(), "test").facts
    shown = http.get(f"/api/models/{name}").json()
    assert (shown["version"], shown["role"], shown["role_since"]) == ("doubtful", None, None)
    assert (shown["metrics"], shown["flows_by_class"]) == (facts.metrics, facts.flows_by_class)
    assert (shown["classes"], shown["plan"]) == (list(facts.classes), facts.plan)
    assert shown["size_bytes"] == len(doubtful())
    assert shown["history"] == shown["agreement"] == []
    assert http.get(f"/api/models/{name}/bundle").content == doubtful()


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"", 400, "no model bundle"),
        (b"PK nothing", 400, "no model bundle"),
        (doubtful()[:-500], 400, "no model bundle"),
        (bytes(MAX_BUNDLE_BYTES + 1), 413, "16,777,216 bytes"),
    ],
)
def test_what_is_no_bundle_is_refused_and_nothing_changes(
    http: httpx.Client, body: bytes, status: int, says: str
) -> None:
    answer = http.post("/api/models", content=body)
    assert (answer.status_code, says in answer.json()["message"]) == (status, True), answer.text
    assert http.get("/api/models").json()["total"] == 0


def test_switching_and_rolling_back_walk_the_line_of_champions(http: httpx.Client) -> None:
    first, second, third = add(http, doubtful()), add(http, stubborn("Bot")), add(http, stubborn("DDoS"))
    for name, previous in ((first, None), (second, first), (third, second)):
        answer = http.post(f"/api/models/{name}/champion", params={"reason": f"try {name}"}).json()
        assert (answer["champion"], answer["previous"], answer["is_changed"]) == (name, previous, True)
    again = http.post(f"/api/models/{third}/champion").json()
    assert (again["is_changed"], again["previous"]) == (False, second)
    for name, previous in ((second, first), (first, None)):
        answer = http.post("/api/models/rollback").json()
        assert (answer["champion"], answer["previous"]) == (name, previous)
    refused = http.post("/api/models/rollback")
    assert (refused.status_code, standing(http)) == (409, (first, None, None))
    # A promotion after a rollback can be taken back, and not what was taken back before.
    http.post(f"/api/models/{third}/champion")
    assert standing(http) == (third, None, first)
    history = http.get("/api/models").json()["history"]
    assert [change["action"] for change in history] == ["promote", "rollback", "rollback"] + ["promote"] * 3
    assert history[-1]["reason"] == f"try {first}"
    assert http.get(f"/api/models/{third}").json()["role"] == "champion"


def test_a_challenger_that_is_promoted_ends_its_shadow(http: httpx.Client) -> None:
    first, second = add(http, doubtful()), add(http, stubborn("Bot"))
    http.post(f"/api/models/{first}/champion")
    assert http.post(f"/api/models/{first}/challenger").status_code == 409
    assert http.post(f"/api/models/{second}/challenger").json()["challenger"] == second
    assert not http.post(f"/api/models/{second}/challenger").json()["is_changed"]
    http.post(f"/api/models/{second}/champion")
    assert standing(http) == (second, None, first)
    http.post(f"/api/models/{first}/challenger")
    assert standing(http) == (second, first, first)
    # Back to the challenger: it is champion now, and no challenger.
    http.post("/api/models/rollback")
    assert standing(http) == (first, None, None)
    http.post(f"/api/models/{second}/challenger")
    assert http.request("DELETE", "/api/models/challenger").json()["is_changed"]
    assert not http.request("DELETE", "/api/models/challenger").json()["is_changed"]
    assert standing(http) == (first, None, None)


def test_predictions_follow_the_champion(http: httpx.Client) -> None:
    names = {"doubtful": add(http, doubtful()), "stubborn": add(http, stubborn("Bot"))}
    for version, name in names.items():
        http.post(f"/api/models/{name}/champion")
        assert http.get("/model/info").json()["model_version"] == version
    assert http.post("/predict", json={"features": [0.0] * 78}).json()["predicted_class"] == "Bot"
    http.post("/api/models/rollback")
    assert http.get("/model/info").json()["model_version"] == "doubtful"


@pytest.mark.parametrize("path", ["", "/bundle"])
def test_an_unknown_model_is_not_found(http: httpx.Client, path: str) -> None:
    assert http.get(f"/api/models/0123456789ab{path}").status_code == 404
    assert http.get(f"/api/models/nonsense{path}").status_code == 400


@pytest.mark.parametrize("role", ["champion", "challenger"])
def test_an_unknown_model_gets_no_role(http: httpx.Client, role: str) -> None:
    assert http.post(f"/api/models/0123456789ab/{role}").status_code == 404
    assert standing(http) == (None, None, None)


@pytest.fixture
def shadowed(http: httpx.Client, store: Store) -> tuple[str, str]:
    """A champion, and a challenger that disagrees with it on two of five flows."""
    first, second = add(http, doubtful()), add(http, stubborn("Bot"))
    http.post(f"/api/models/{first}/champion")
    http.post(f"/api/models/{second}/challenger")
    capture_id = new_capture_id()
    insert_verdicts(store, capture_id, ModelRole.CHAMPION, first, ["BENIGN", "BENIGN", "DDoS", "Bot", "Bot", "Bot"])
    # An interim verdict, which the newer record replaces; and the last flow's newest record it has not judged.
    insert_verdicts(store, capture_id, ModelRole.CHALLENGER, second, ["DDoS"] * 6, packets=1)
    insert_verdicts(store, capture_id, ModelRole.CHALLENGER, second, ["BENIGN", "DDoS", "Bot", "Bot", "Bot"])
    # Of a capture before it was challenger.
    insert_verdicts(store, new_capture_id(), ModelRole.CHAMPION, first, ["DDoS"])
    return first, second


def test_agreement_is_of_the_flows_that_both_have_judged(http: httpx.Client, shadowed: tuple[str, str]) -> None:
    agreement: dict[str, Any] = http.get("/api/models").json()["agreement"]
    assert (agreement["champion"], agreement["challenger"]) == shadowed
    assert (agreement["flows"], agreement["same_class"], agreement["same_verdict"]) == (5, 0.6, 0.8)
    by_class = {row["class_name"]: (row["champion"], row["challenger"], row["both"]) for row in agreement["by_class"]}
    assert by_class == {"BENIGN": (2, 1, 1), "Bot": (2, 3, 2), "DDoS": (1, 1, 0)}
    confusion = {(row["champion_class"], row["challenger_class"]): row["flows"] for row in agreement["confusion"]}
    assert confusion == {("Bot", "Bot"): 2, ("BENIGN", "BENIGN"): 1, ("BENIGN", "DDoS"): 1, ("DDoS", "Bot"): 1}


def test_agreement_of_a_time(http: httpx.Client, shadowed: tuple[str, str]) -> None:
    path = f"/api/models/{shadowed[1]}"
    [part] = http.get(path, params={"from": 1, "to": 3}).json()["agreement"]
    assert (part["flows"], part["same_class"]) == (2, 0.0)
    assert http.get(path, params={"from": 100}).json()["agreement"] == []
    assert http.get(path, params={"from": "yesterday"}).status_code == 400
    assert http.get(f"/api/models/{shadowed[0]}").json()["agreement"] == []


def test_verdicts_are_summed_by_model_and_role(http: httpx.Client, shadowed: tuple[str, str]) -> None:
    models = {model["fingerprint"]: model for model in http.get("/api/models").json()["models"]}
    champion, challenger = models[shadowed[0]]["verdicts"], models[shadowed[1]]["verdicts"]
    assert champion.keys() == {"champion"}
    said = champion["champion"]
    assert (said["verdicts"], said["attacks"], said["uncertain"]) == (7, 5, 0)
    assert (said["mean_confidence"], said["mean_outside"]) == (0.75, 0.25)
    assert challenger["challenger"]["verdicts"] == 11


def test_prometheus_shows_roles_verdicts_and_agreement(store: Store, shadowed: tuple[str, str]) -> None:
    champion, challenger = shadowed
    registry = CollectorRegistry()
    registry.register(ModelCollector(store))
    value = registry.get_sample_value
    assert value("spanwatch_model_role", {"model": champion, "role": "champion"}) == 1
    assert value("spanwatch_model_verdicts", {"model": challenger, "role": "challenger"}) == 11
    assert value("spanwatch_model_agreement", {"champion": champion, "challenger": challenger}) == 0.6
    assert value("spanwatch_model_compared_flows", {"champion": champion, "challenger": challenger}) == 5


def test_a_change_that_is_not_stored_is_told(store: Store) -> None:
    models = Models(store, lambda *_: None, lambda: None, stored_s=0.0)
    with pytest.raises(Refusal, match="not stored yet") as refused:
        models.register(doubtful(), "ann", "")
    assert refused.value.status == 503
