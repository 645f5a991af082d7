from __future__ import annotations

import pytest

from infra.model_topic import BundleMessage, Headers, parsed, send_bundle, send_configured, send_role
from schemas.enums import ModelRole
from schemas.errors import WireError
from schemas.models import ModelRow, RoleAction, RoleChange

ROW = ModelRow(
    fingerprint="0123456789ab",
    version="1",
    registered_ns=7,
    registered_by="ann",
    n_features=78,
    classes=["BENIGN"],
    metrics={"f1": 0.5},
    size_bytes=3,
)
CHANGE = RoleChange(
    role=ModelRole.CHALLENGER, changed_ns=8, fingerprint="0123456789ab", changed_by="ann", action=RoleAction.SHADOW
)


class Sent:
    """What was sent, by key."""

    def __init__(self) -> None:
        self.messages: dict[str, tuple[dict[str, bytes], bytes]] = {}

    def __call__(self, key: str, body: bytes, headers: Headers) -> None:
        self.messages[key] = {name: value for name, value in headers if isinstance(value, bytes)}, body


def test_what_is_sent_is_what_is_read() -> None:
    sent = Sent()
    send_bundle(sent, ROW, b"abc")
    send_role(sent, CHANGE)
    send_configured(sent, "0123456789ab")
    read = {key: parsed(headers, body) for key, (headers, body) in sent.messages.items()}
    assert read == {
        "model/0123456789ab": BundleMessage(ROW, b"abc"),
        "role/challenger": CHANGE,
        "configured": "0123456789ab",
    }


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, b"{}"),
        ({"kind": b"other"}, b"{}"),
        ({"kind": b"role"}, b"{}"),
        ({"kind": b"role"}, b"\xff"),
        ({"kind": b"bundle"}, b"abc"),
        ({"kind": b"bundle", "facts": b'{"fingerprint": "../../etc"}'}, b"abc"),
        ({"kind": b"configured"}, b"\xff"),
    ],
)
def test_what_cannot_be_read_is_refused(headers: dict[str, bytes], body: bytes) -> None:
    with pytest.raises(WireError):
        parsed(headers, body)
