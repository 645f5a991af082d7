"""What happened at a honeypot, under one name for all of them."""

from __future__ import annotations

import re
from functools import lru_cache

from schemas.honeypots import LogAction

_COWRIE = "cowrie."

_NAMES: dict[LogAction, tuple[str, ...]] = {
    LogAction.CONNECT: ("cowrie.session.connect", "connect", "connected", "connection", "session_start"),
    LogAction.LOGIN_ATTEMPT: ("login_attempt", "auth_attempt", "attempt", "login", "cowrie.client.fingerprint"),
    LogAction.LOGIN_FAILED: ("cowrie.login.failed", "login_failed", "login_failure", "auth_failed", "failed"),
    LogAction.LOGIN_SUCCESS: ("cowrie.login.success", "login_success", "auth_success", "success"),
    LogAction.COMMAND: ("cowrie.command.input", "command", "cmd", "command_executed"),
    LogAction.FILE: (
        *("cowrie.session.file_download", "cowrie.session.file_upload", "upload", "download"),
        *("file_upload", "file_download"),
    ),
    LogAction.REQUEST: (
        *("cowrie.direct-tcpip.request", "request", "http_request"),
        *("get", "post", "put", "head", "delete", "options", "patch", "trace"),
    ),
    LogAction.DISCONNECT: ("cowrie.session.closed", "disconnect", "disconnected", "close", "closed", "session_end"),
}  # fmt: skip
"""Events by what they are. Cowrie's: "Output Event Code Reference" of its documentation; the others are those that
honeypots write in the common form."""

_ACTIONS = {name: action for action, names in _NAMES.items() for name in names}
_SEPARATORS = re.compile(r"[\s.\-]+")


@lru_cache(4096)
def action_of(event: str) -> LogAction:
    """Return what an event is.

    Examples
    --------
    >>> action_of("cowrie.login.failed").value, action_of("Login-Failed").value, action_of("cowrie.client.kex").value
    ('login_failed', 'login_failed', 'other')
    """
    if event.startswith(_COWRIE):
        return _ACTIONS.get(event, LogAction.OTHER)
    return _ACTIONS.get(_SEPARATORS.sub("_", event.strip().lower()), LogAction.OTHER)
