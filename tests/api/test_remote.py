from __future__ import annotations

import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from api.access import Scope
from api.keys import own_key
from api.remote import NoAnswerError, RemoteStack, url_of
from api.serve import tls_context
from infra.store import Store
from schemas.errors import SettingsError, SpanwatchError
from tests.api.keys import make_key
from tests.api.stack import running, settings_in
from tests.ports import free_ports


@pytest.fixture
def certificate(tmp_path: Path) -> dict[str, Path]:
    """A self-signed certificate for this machine, and its key."""
    files = {"tls_certificate": tmp_path / "cert.pem", "tls_key": tmp_path / "key.pem"}
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=probe"
    command += f" -addext subjectAltName=IP:127.0.0.1 -keyout {files['tls_key']} -out {files['tls_certificate']}"
    subprocess.run(command.split(), check=True, capture_output=True)
    return files


def test_all_ports_speak_tls_and_commands_trust_the_certificate(
    store: Store, tmp_path: Path, certificate: dict[str, Path]
) -> None:
    with running(settings_in(tmp_path, **certificate), store) as stack:
        first, second = stack.settings.ports
        for ports in ((first, second), (second, first)):
            with RemoteStack(stack.settings.model_copy(update={"ports": ports})) as remote:
                assert remote.url == f"https://127.0.0.1:{ports[0]}"
                assert remote.get("/health")["database"] == "connected"
        stranger = settings_in(tmp_path, api_url=f"https://127.0.0.1:{first}")
        with RemoteStack(stranger) as remote, pytest.raises(NoAnswerError, match="not trusted"):
            remote.get("/health")
        trusting = settings_in(tmp_path, api_url=f"https://127.0.0.1:{first}", api_ca=certificate["tls_certificate"])
        with RemoteStack(trusting) as remote:
            assert remote.is_up()


def test_a_certificate_that_cannot_be_used_is_told_in_a_sentence(tmp_path: Path, certificate: dict[str, Path]) -> None:
    for files in (
        {**certificate, "tls_key": tmp_path / "none.pem"},
        {"tls_certificate": certificate["tls_key"], "tls_key": certificate["tls_certificate"]},
    ):
        with pytest.raises(SettingsError, match=r"Certificate .* cannot be used"):
            tls_context(settings_in(tmp_path, **files))
    with pytest.raises(SettingsError, match="go together"):
        settings_in(tmp_path, tls_key=certificate["tls_key"])
    with pytest.raises(SettingsError, match="authorities"):
        RemoteStack(settings_in(tmp_path, api_ca=certificate["tls_key"]))


def test_a_stack_that_is_slow_to_answer_is_up(tmp_path: Path) -> None:
    class Slow(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(3)
            self.send_response(200)
            self.end_headers()

    with HTTPServer(("127.0.0.1", free_ports(1)[0]), Slow) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with RemoteStack(settings_in(tmp_path, ports=str(server.server_port))) as remote:
            assert remote.is_up()
        server.shutdown()
    with RemoteStack(settings_in(tmp_path, ports=str(server.server_port))) as remote:
        assert not remote.is_up()


def test_commands_show_their_key(store: Store, tmp_path: Path) -> None:
    with running(settings_in(tmp_path, local_needs_key=True), store) as stack:
        for key, says in (
            ("", "needs an API key"),
            ("sw_0123456789_x", "wrong"),
            (make_key(stack.settings, Scope.READ), "lacks the scope capture"),
            (make_key(stack.settings, Scope.CAPTURE), "No capture currently running"),
            (own_key(), "No capture currently running"),
        ):
            with RemoteStack(stack.settings, key=key) as remote, pytest.raises(SpanwatchError, match=says):
                remote.post("/api/control/capture/stop", {})
        known = stack.settings.model_copy(update={"api_key": type(stack.settings.api_key)(own_key())})
        with RemoteStack(known) as remote, pytest.raises(SpanwatchError, match="No capture currently running"):
            remote.post("/api/control/capture/stop", {})


def test_the_address_follows_the_settings(tmp_path: Path) -> None:
    assert url_of(settings_in(tmp_path, ports=(8000,))) == "http://127.0.0.1:8000"
    assert url_of(settings_in(tmp_path, ports=(8000,), host="0.0.0.0")) == "http://127.0.0.1:8000"
    assert url_of(settings_in(tmp_path, ports=(8000,), host="::1")) == "http://[::1]:8000"
    assert url_of(settings_in(tmp_path, api_url="https://probe.example:8000/")) == "https://probe.example:8000"
