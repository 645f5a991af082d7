"""The RL-IDS document, sample by sample, on the real server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from infra.model_runtime import Model
from infra.settings import SHIPPED_MODEL
from infra.store import Store
from schemas.classes import CLASS_NAMES
from schemas.flows import FEATURE_NAMES, N_FEATURES
from tests.api.samples import lacks
from tests.api.stack import Running, running, settings_in, until

ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}")
DOCUMENTED_CLASSES = [
    *("BENIGN", "Web Attack – Brute Force", "Web Attack – XSS", "Web Attack – Sql Injection", "FTP-Patator"),
    *("SSH-Patator", "PortScan", "DoS slowloris", "DoS Slowhttptest", "DoS Hulk", "DoS GoldenEye", "Heartbleed"),
    *("Bot", "DDoS", "Infiltration"),
]

RNG = np.random.default_rng(0)
ROWS = (10 ** RNG.uniform(0, 6, (100, N_FEATURES))).astype(np.float32)
ITEMS = [{"features": row.tolist()} for row in ROWS]

FIRST_HALF = json.loads(
    """{"prediction": 9, "confidence": 0.87,
    "class_probabilities": [0.01, 0.02, 0.01, 0.02, 0.01, 0.02, 0.01, 0.01, 0.02, 0.87, 0.01, 0.01, 0.01, 0.01, 0.01],
    "predicted_class": "DoS Hulk", "is_attack": true, "processing_time_ms": 12.5,
    "timestamp": "2025-06-27T10:30:45.123456"}"""
)
SECOND_HALF = json.loads(
    """{"is_attack": true, "predicted_class": "DoS Hulk", "confidence": 0.87, "model_version": "dqn_v1",
    "timestamp": "2025-01-27T10:30:00Z", "features_count": 78}"""
)
BATCH_OF_SECOND_HALF = json.loads(
    """{"predictions": [
    {"id": "sample_1", "is_attack": false, "predicted_class": "benign", "confidence": 0.92},
    {"id": "sample_2", "is_attack": true, "predicted_class": "Port Scan", "confidence": 0.78}],
    "processed_count": 2}"""
)
MODEL_INFO = json.loads(
    """{"model_name": "DQN_IDS_Model", "model_version": "1.0.0", "model_type": "Deep Q-Network",
    "input_features": 78, "output_classes": 15, "training_episodes": null, "model_size_mb": 2.5,
    "class_names": ["BENIGN"], "classification_type": "multi-class"}"""
)


@pytest.fixture(scope="module")
def served(module_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(settings_in(tmp_path_factory.mktemp("served")), module_store) as stack:
        yield stack


def post(stack: Running, path: str, body: object, status: int = 200) -> Any:
    answer = stack.http.post(path, json=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def test_model_info_is_the_documented_one(served: Running) -> None:
    got = served.http.get("/model/info").json()
    assert lacks(MODEL_INFO, got) == []
    same = MODEL_INFO.keys() - {"model_version", "model_size_mb", "class_names"}
    assert {key: got[key] for key in same} == {key: MODEL_INFO[key] for key in same}
    assert got["class_names"] == DOCUMENTED_CLASSES
    assert got["feature_names"] == list(FEATURE_NAMES)
    assert got["model_size_mb"] == round(SHIPPED_MODEL.stat().st_size / 1e6, 3)


def test_a_prediction_has_what_both_halves_of_the_document_say(served: Running) -> None:
    metadata = {"source_ip": "192.168.1.100", "timestamp": "2025-01-27T10:30:00Z"}
    got = post(served, "/predict", {**ITEMS[0], "metadata": metadata})
    assert lacks(FIRST_HALF, got) == []
    assert lacks(SECOND_HALF, got) == []
    assert len(got["class_probabilities"]) == 15
    assert abs(sum(got["class_probabilities"]) - 1) < 1e-4
    assert got["class_probabilities"][got["prediction"]] == got["confidence"] == max(got["class_probabilities"])
    assert got["predicted_class"] == CLASS_NAMES[got["prediction"]]
    assert got["is_attack"] == (got["predicted_class"] != "BENIGN")
    assert ISO.fullmatch(got["timestamp"])
    assert got["processing_time_ms"] > 0


def test_every_way_to_ask_says_what_the_model_says(served: Running) -> None:
    named = Model.load(SHIPPED_MODEL).predict(ROWS)
    listed = post(served, "/predict/batch", ITEMS)
    batch = post(served, "/predict_batch", {"batch": [{**item, "id": f"s{n}"} for n, item in enumerate(ITEMS)]})
    singles = [post(served, "/predict", item) for item in ITEMS[:10]]
    assert [one["prediction"] for one in listed] == named.classes.tolist()
    assert [one["prediction"] for one in singles] == named.classes[:10].tolist()
    assert np.allclose([one["class_probabilities"] for one in listed], named.probabilities, atol=2e-5)
    assert batch["processed_count"] == 100
    for place, (one, other) in enumerate(zip(listed, batch["predictions"], strict=True)):
        assert lacks(FIRST_HALF, one) == []
        assert other["id"] == f"s{place}"
        same = one.keys() - {"processing_time_ms", "timestamp"}
        assert {key: one[key] for key in same} == {key: other[key] for key in same}


def test_a_batch_with_ids_has_the_documented_shape(served: Running) -> None:
    items = [{**ITEMS[0], "id": "sample_1"}, {**ITEMS[1], "id": "sample_2"}]
    got = post(served, "/predict_batch", {"batch": items})
    assert lacks(BATCH_OF_SECOND_HALF, got) == []
    assert [one["id"] for one in got["predictions"]] == ["sample_1", "sample_2"]
    assert got["processed_count"] == 2
    assert post(served, "/predict_batch", {"batch": ITEMS[:1]})["predictions"][0]["id"] is None


def test_an_empty_batch_is_answered_with_nothing(served: Running) -> None:
    assert post(served, "/predict/batch", []) == []
    assert post(served, "/predict_batch", {"batch": []})["processed_count"] == 0


@pytest.mark.parametrize("path", ["/predict/", "/predict/batch/", "/predict_batch/", "/model/info/"])
def test_both_slash_forms_of_a_path_work(served: Running, path: str) -> None:
    answer = served.http.request("GET" if "info" in path else "POST", path, json=ITEMS[0])
    assert (answer.status_code, answer.headers["location"]) == (308, path.rstrip("/"))


def test_a_wrong_count_is_refused_in_the_words_of_both_halves(served: Running) -> None:
    got = post(served, "/predict", {"features": [0.0] * 77}, 422)
    assert got["detail"] == "Invalid input data: Expected 78 features, got 77"
    assert (got["error"], got["details"]) == ("Invalid feature count", "Expected 78 features, received 77")
    assert ISO.fullmatch(got["timestamp"])
    assert post(served, "/predict", {"features": [0.0] * 75}, 422)["detail"].endswith("Expected 78 features, got 75")


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "true", '"1"', "null", "1e39"])
def test_a_value_that_is_no_number_is_refused_in_the_documented_words(served: Running, value: str) -> None:
    row = f'{{"features": [{value}, {", ".join(["0"] * 77)}]}}'
    for path, body in (("/predict", row), ("/predict/batch", f"[{row}]"), ("/predict_batch", f'{{"batch": [{row}]}}')):
        answer = served.http.post(path, content=body)
        assert answer.status_code == 422
        assert answer.json()["detail"] == "Invalid input data: All features must be numeric"
        assert "Destination Port" in answer.json()["details"]


@pytest.mark.parametrize(("path", "body"), [("/predict/batch", [*ITEMS, ITEMS[0]]), ("/predict_batch", None)])
def test_a_batch_of_more_than_a_hundred_is_refused(served: Running, path: str, body: Any) -> None:
    got = post(served, path, body or {"batch": [*ITEMS, ITEMS[0]]}, 413)
    assert got["detail"] == "Batch size too large. Maximum 100 requests allowed."
    assert ISO.fullmatch(got["timestamp"])


def test_other_errors_are_json_as_well(served: Running) -> None:
    assert post(served, "/predict", {}, 422)["error"] == "Validation Error"
    assert served.http.get("/predict").status_code == 405
    wrong = served.http.post("/predict", content=b"x", headers={"content-type": "text/csv"})
    assert (wrong.status_code, wrong.json()["error"]) == (415, "Unsupported Media Type")


def test_health_counts_what_was_predicted(served: Running) -> None:
    before = served.http.get("/health").json()["details"]["predictions_served"]
    post(served, "/predict", ITEMS[0])
    post(served, "/predict/batch", ITEMS[:7])
    post(served, "/predict", {}, 422)
    health = served.http.get("/health").json()
    assert health["details"]["predictions_served"] == before + 8
    assert health["model_loaded"] is health["details"]["model_loaded"] is True
    assert health["model_path"] == health["details"]["model_path"] == "models/dqn_model_best.pt"
    assert health["details"]["model"] == served.http.get("/model/info").json()["model"]


def test_prometheus_is_told_of_predictions(served: Running) -> None:
    post(served, "/predict", ITEMS[0])
    text = served.http.get("/metrics").text
    assert 'spanwatch_predictions_total{class="BENIGN"}' in text
    assert 'spanwatch_prediction_pass_rows_bucket{le="1.0"}' in text


def test_without_a_model_the_service_says_so(tmp_path: Path, store: Store) -> None:
    with running(settings_in(tmp_path, model_path=tmp_path / "none.pt"), store) as stack:
        for answer in (
            stack.http.post("/predict", json=ITEMS[0]),
            stack.http.post("/predict/batch", json=ITEMS[:1]),
            stack.http.get("/model/info"),
            stack.http.get("/health"),
            stack.analyzer.get("/health"),
        ):
            assert (answer.status_code, answer.json()["detail"]) == (503, "Prediction service not initialized")
            assert ISO.fullmatch(answer.json()["timestamp"])
        assert stack.http.post("/predict", json={}).status_code == 422
        assert stack.http.get("/").status_code == 200


def test_successful_predictions_are_not_logged_one_by_one(served: Running, caplog: pytest.LogCaptureFixture) -> None:
    # Marked, since a line is written once the answer is sent: that of another test's request may come only now.
    marked = "/predict?asked=here"

    def lines() -> list[str]:
        seen = (record for record in caplog.records if record.name == "api.access")
        return [record.getMessage() for record in seen if vars(record)["query"] == "asked=here"]

    with caplog.at_level("INFO", "api.access"):
        post(served, marked, ITEMS[0])
        post(served, marked, {}, 422)
        until(lambda: "POST /predict 422" in lines())
    assert lines() == ["POST /predict 422"]
