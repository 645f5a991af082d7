from __future__ import annotations

from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from api.commands_notify import notify_command
from tests.api.receivers import Webhook, serving


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    server = Webhook()
    with serving(server):
        yield server


def test_a_test_message_arrives(webhook: Webhook) -> None:
    done = CliRunner().invoke(notify_command, ["--test", webhook.url])
    assert (done.exit_code, done.output) == (0, "1. JSON at 127.0.0.1: the message was taken\n")
    assert webhook.titles == ["spanwatch: a test message"]


def test_what_failed_is_said_plainly_and_without_secrets(webhook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    webhook.statuses = [404]
    urls = f"{webhook.url} json://127.0.0.1:9/T0PSECRETPATH nonsense://T0PSECRETPATH"
    monkeypatch.setenv("SPANWATCH_NOTIFY_URLS", urls)
    done = CliRunner().invoke(notify_command, ["--test"])
    assert done.exit_code == 1
    lines = done.output.splitlines()
    assert "404" in lines[0]
    assert "onnection" in lines[1]
    assert lines[2] == "3. A notification URL is not one that apprise understands. It begins with nonsense://."
    assert lines[3] == "Error: 3 of 3 could not be told."
    assert "hunter2secret" not in done.output
    assert "T0PSECRETPATH" not in done.output


def test_without_the_flag_nothing_is_sent(webhook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPANWATCH_NOTIFY_URLS", webhook.url)
    done = CliRunner().invoke(notify_command, [])
    assert (done.exit_code, done.output, webhook.posted) == (0, "1. JSON at 127.0.0.1\n", [])
    monkeypatch.setenv("SPANWATCH_NOTIFY_URLS", "")
    assert "Nobody is told" in CliRunner().invoke(notify_command, []).output
