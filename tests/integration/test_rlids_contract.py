"""The RL-IDS document's requests, byte by byte, on a running stack; sample by sample it is in ``tests/api``."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import httpx
import pytest

from api.remote import url_of
from schemas.classes import CLASS_NAMES
from tests.integration.stack import Stack

ROW = [0.1, 0.2, 0.3] + [0.0] * 75
FEATURES = json.dumps(ROW)
METADATA = '{"source_ip": "192.168.1.100", "timestamp": "2025-01-27T10:30:00Z"}'

REQUESTS = (
    ("GET / HTTP/1.1", ""),
    ("GET /health HTTP/1.1", ""),
    ("GET /model/info HTTP/1.1", ""),
    ("GET /docs HTTP/1.1", ""),
    ("GET /redoc HTTP/1.1", ""),
    ("GET /openapi.json HTTP/1.1", ""),
    ("POST /predict HTTP/1.1", f'{{"features": {FEATURES}}}'),
    (
        "POST /predict HTTP/1.1",
        f'{{"features": {FEATURES}, "metadata": {METADATA}}}',
    ),
    ("POST /predict/batch HTTP/1.1", f'[{{"features": {FEATURES}}}, {{"features": {FEATURES}}}]'),
    (
        "POST /predict_batch HTTP/1.1",
        f'{{"batch": [{{"features": {FEATURES}, "id": "sample_1"}}, {{"features": {FEATURES}, "id": "sample_2"}}]}}',
    ),
)
"""In the document's order."""


@pytest.mark.parametrize(("line", "body"), REQUESTS)
def test_every_documented_request_is_answered(stack: Stack, line: str, body: str) -> None:
    method, path, _ = line.split()
    url, headers = url_of(stack.settings) + path, {"Content-Type": "application/json"}
    answer = httpx.request(method, url, content=body, headers=headers, timeout=60)
    assert answer.status_code == 200
    if path.startswith("/predict"):
        verdicts = answer.json()["predictions"] if path.endswith("_batch") else answer.json()
        for verdict in verdicts if isinstance(verdicts, list) else [verdicts]:
            assert verdict["predicted_class"] in CLASS_NAMES


def test_the_documents_program_runs_as_it_is_written(stack: Stack) -> None:
    program = f"""
import asyncio
from api.client import IDSAPIClient, benchmark_api_performance

async def main():
    client = IDSAPIClient("{url_of(stack.settings)}")
    health = await client.health_check()
    print(f"API Status: {{health['status']}}")
    prediction = await client.predict({FEATURES})
    print(f"{{prediction['predicted_class']}} {{prediction['confidence']:.1%}}")
    await client.close()
    results = await benchmark_api_performance(100, "{url_of(stack.settings)}")
    print(f"Average response time: {{results['avg_time']:.3f}}s")
    print(f"Requests per second: {{results['rps']:.1f}}")

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    said = done.stdout.splitlines()
    assert said[0] == "API Status: healthy"
    assert re.fullmatch(r"Average response time: \d+\.\d{3}s", said[2])
    assert float(said[3].rpartition(" ")[2]) > 0
