"""What a route needs: the scopes of keys, how a route says which it needs, and who calls.

A route says what it needs with ``@needs(Scope.CAPTURE)`` on its endpoint. One that says nothing needs ``read`` for
GET and for a WebSocket, and ``admin`` for everything else. ``api.guard`` holds every request to it;
``docs/access.md`` lists all routes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from fastapi import Depends
from starlette.requests import HTTPConnection
from starlette.types import Scope as AsgiScope

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
"""Methods that change nothing (RFC 9110, section 9.2.1)."""

_MARK = "_spanwatch_scope"
_CALLER = "spanwatch.caller"
_NOTE = "spanwatch.note"


class Scope(StrEnum):
    """What a key allows."""

    READ = "read"
    """Ask for what is stored and for streams of it, exports and evidence included."""
    PREDICT = "predict"
    """Have flows classified; nothing is kept of it."""
    CAPTURE = "capture"
    """Start and stop captures, compute files, judge and learn again."""
    BLOCK = "block"
    """Block addresses and let them go again."""
    ADMIN = "admin"
    """Everything: all the above, models, deletions, backups and the audit."""

    @property
    def acts(self) -> bool:
        """Whether it changes something: in the store, on this machine or in the network."""
        return self not in (Scope.READ, Scope.PREDICT)


@dataclass(frozen=True)
class Mark:
    """What an endpoint says it needs; see ``needs``."""

    scope: Scope | None
    body_bytes: int | None = None


def needs(scope: Scope | None, *, body_bytes: int | None = None) -> Callable[[Endpoint], Endpoint]:
    """Mark an endpoint with what it needs.

    Parameters
    ----------
    scope : Scope or None
        None for a route that never needs a key: it says that the service runs, and nothing of the traffic.
    body_bytes : int or None
        Largest body of its requests; that of the settings when None.
    """

    def mark(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _MARK, Mark(scope, body_bytes))
        return endpoint

    return mark


def is_marked(endpoint: Callable[..., Any]) -> bool:
    """Whether an endpoint says itself what it needs."""
    return hasattr(endpoint, _MARK)


def scope_of(endpoint: Callable[..., Any], method: str) -> Scope | None:
    """Return the scope that an endpoint needs, None when it never needs a key.

    Parameters
    ----------
    endpoint : callable
        What the route calls.
    method : str
        HTTP method; ``GET`` for a WebSocket.
    """
    unmarked = Scope.READ if method in SAFE_METHODS else Scope.ADMIN
    mark: Mark | None = getattr(endpoint, _MARK, None)
    return unmarked if mark is None else mark.scope


def body_bytes_of(endpoint: Callable[..., Any] | None) -> int | None:
    """Return the largest body that an endpoint asks for; None when it leaves that to the settings."""
    mark: Mark | None = getattr(endpoint, _MARK, None)
    return None if mark is None else mark.body_bytes


@dataclass(frozen=True)
class Caller:
    """Who sent a request.

    Parameters
    ----------
    address : str
        Address of the client; empty when it has none.
    key : str
        Name of the key it showed; empty without one.
    key_id : str
        Id of that key.
    scopes : frozenset of Scope
        What that key allows.
    """

    address: str
    key: str = ""
    key_id: str = ""
    scopes: frozenset[Scope] = frozenset()

    @property
    def who(self) -> str:
        """Name of its key, or else its address."""
        return self.key or self.address

    def may(self, scope: Scope) -> bool:
        """Whether its key allows something."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


@dataclass
class AuditNote:
    """What the audit row of a request will say besides who, when and with which outcome; endpoints fill it in.

    Parameters
    ----------
    action : str
        What was done, as in ``capture.start``; the endpoint's name when empty.
    target : str
        What it was done to: an interface, a file, an address, a model; the path when empty.
    details : mapping of str to object
        Whatever else is worth keeping, JSON; never a secret.
    """

    action: str = ""
    target: str = ""
    details: Mapping[str, object] = field(default_factory=dict)


def caller_of(connection: HTTPConnection) -> Caller:
    """Return who sent a request."""
    return caller_in(connection.scope)


def caller_in(scope: AsgiScope) -> Caller:
    """Return who sent the request of an ASGI scope."""
    found: Caller | None = scope.get(_CALLER)
    client = scope.get("client")
    return found or Caller(client[0] if client else "")


def set_caller(scope: AsgiScope, caller: Caller) -> None:
    """Note who sent a request."""
    scope[_CALLER] = caller


def note_of(connection: HTTPConnection) -> AuditNote:
    """Return what the audit row of a request will say."""
    return note_in(connection.scope)


def note_in(scope: AsgiScope) -> AuditNote:
    """Return what the audit row of an ASGI scope's request will say; the same object for the whole request."""
    note: AuditNote = scope.setdefault(_NOTE, AuditNote())
    return note


Called = Annotated[Caller, Depends(caller_of)]
"""The parameter by which an endpoint learns who calls."""

Noted = Annotated[AuditNote, Depends(note_of)]
"""The parameter by which an acting endpoint says more for the audit."""
