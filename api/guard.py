"""The guard: every request is held to what its route needs, before anything else of it is looked at.

Who needs which key is in ``docs/access.md``.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Mapping
from functools import lru_cache

from starlette.types import Scope as AsgiScope

from api.access import Caller, Scope, note_in, set_caller
from api.errors import Refusal
from api.keys import KeyRecord, KeyRing
from api.limits import Limit, counted_as
from api.route_table import WEBSOCKET, GuardedRoute
from infra.settings_access import AccessSettings

SUBPROTOCOL = "spanwatch"
"""The subprotocol of our WebSockets: browsers can send a key in no other way than beside it, see ``KEY_PROTOCOL``."""

KEY_PROTOCOL = "spanwatch.key."
"""What a subprotocol begins with that is a key: it is sent as a header, so it is in no log of addresses."""

_FORWARDED = frozenset({b"forwarded", b"x-forwarded-for", b"x-real-ip"})
_SHOWN = frozenset({b"authorization", b"x-api-key", b"sec-websocket-protocol"})
_WANTED = frozenset({b"host", b"origin"}) | _FORWARDED | _SHOWN


class NotAdmitted(Refusal):
    """A request that is answered before its route is asked.

    Parameters
    ----------
    is_audited : bool
        Whether the audit shall know of it, if it would have acted.
    """

    def __init__(
        self,
        status: int,
        error: str,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        is_audited: bool = True,
    ) -> None:
        super().__init__(status, error, message, headers=headers)
        self.is_audited = is_audited


class Guard:
    """What every request is held to.

    Parameters
    ----------
    settings : AccessSettings
        Who needs a key, and how often anybody may ask.
    host : str
        Address that the API listens on.
    keys : KeyRing
        The keys that count.
    """

    def __init__(self, settings: AccessSettings, host: str, keys: KeyRing) -> None:
        self._keys = keys
        self._is_local_only = is_loopback(host) and not settings.local_needs_key
        self._open = {Scope.READ: not settings.read_needs_key, Scope.PREDICT: not settings.predict_needs_key}
        self._reading = Limit(settings.limit_read)
        self._predicting = Limit(settings.limit_predict)
        self._acting = Limit(settings.limit_act)
        limits = {Scope.READ: self._reading, Scope.PREDICT: self._predicting}
        self._free = frozenset(scope for scope, limit in limits.items() if self._open[scope] and limit.is_none)
        self._origins = frozenset(settings.cors_origins)

    def admit(self, scope: AsgiScope, route: GuardedRoute) -> bool:
        """Let a request through, or refuse it; note who calls.

        Returns
        -------
        bool
            Whether the request is to be audited.

        Raises
        ------
        NotAdmitted
            401 without a key that counts, 403 when the key does not allow it, 429 when it asks too often.
        """
        needed = route.scope
        if needed is None:
            return False
        headers = {name: value for name, value in scope["headers"] if name in _WANTED}
        shown = key_in(headers)
        if not shown and needed in self._free and route.method != WEBSOCKET:
            return False
        record = self._keys.find(shown) if shown else None
        caller = _caller(scope, record)
        set_caller(scope, caller)
        is_local = not shown and self._is_local(scope, headers)
        if route.method == WEBSOCKET or (is_local and route.acts):
            self._check_origin(headers)
        if is_local:
            return route.acts
        self._count(scope, route, caller)
        if shown and record is None:
            raise _unknown("The API key is wrong, or counts no longer.", error="invalid_token")
        if self._open.get(needed, False):
            return route.acts
        if record is None:
            raise _unknown(f"This needs an API key with the scope {needed.value}.")
        if not caller.may(needed):
            raise _forbidden(needed)
        return route.acts

    def _is_local(self, scope: AsgiScope, headers: Mapping[bytes, bytes]) -> bool:
        """Whether a request needs no key because only this machine can have sent it.

        Not one that a proxy on this machine passed on, and not one whose Host is a name: a page of another site may
        have its name point at this machine (DNS rebinding).
        """
        if not self._is_local_only or not _FORWARDED.isdisjoint(headers):
            return False
        client, server = scope.get("client"), scope.get("server")
        if not client or not server or not is_loopback(client[0]) or not is_loopback(server[0]):
            return False
        return is_loopback(_host_of(headers.get(b"host", b"")))

    def _check_origin(self, headers: Mapping[bytes, bytes]) -> None:
        """Refuse pages of other sites: a browser names the page's site in Origin, and asks for it all the same."""
        origin = headers.get(b"origin")
        if origin is None or not self._origins.isdisjoint(("*", origin.decode("latin-1"))):
            return
        if origin.partition(b"://")[2] != headers.get(b"host"):
            raise NotAdmitted(403, "Forbidden", "A page of another site may not use this.", headers=None)

    def _count(self, scope: AsgiScope, route: GuardedRoute, caller: Caller) -> None:
        limit = self._acting if route.acts else self._predicting if route.scope is Scope.PREDICT else self._reading
        wait = limit.ask(caller.key_id or counted_as(caller.address)) if not limit.is_none else None
        if wait is None:
            return
        seconds = math.ceil(wait.seconds)
        note_in(scope).details = {"limit": limit.rate}
        raise NotAdmitted(
            429,
            "Too Many Requests",
            f"{limit.rate} are allowed. Ask again in {seconds} s.",
            headers={"Retry-After": str(seconds)},
            # Of a caller that goes on asking the audit has the first refusal.
            is_audited=wait.is_first,
        )


@lru_cache(maxsize=1024)
def is_loopback(host: str) -> bool:
    """Whether an address, or ``localhost``, is this machine's loopback; no other name is, wherever it leads."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def key_in(headers: Mapping[bytes, bytes]) -> str:
    """Return the key that a request shows: as a bearer token, in X-API-Key, or as a subprotocol; empty without one."""
    if _SHOWN.isdisjoint(headers):
        return ""
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    shown = token.strip() if scheme.lower() == b"bearer" else b""
    shown = shown or headers.get(b"x-api-key", b"").strip()
    if not shown and b"sec-websocket-protocol" in headers:
        offered = headers[b"sec-websocket-protocol"].decode("latin-1").split(",")
        keys = (one.strip().removeprefix(KEY_PROTOCOL) for one in offered if one.strip().startswith(KEY_PROTOCOL))
        return next(keys, "")
    return shown.decode("latin-1")


def _host_of(header: bytes) -> str:
    """Return the host that a Host header names, without its port."""
    # A host name has 253 characters at most (RFC 1035); what is longer is not worth remembering.
    text = header[:255].decode("latin-1").lower()
    return text[1:].partition("]")[0] if text.startswith("[") else text.partition(":")[0]


def _caller(scope: AsgiScope, record: KeyRecord | None) -> Caller:
    client = scope.get("client")
    address = client[0] if client else ""
    return Caller(address) if record is None else Caller(address, record.name, record.key_id, record.scopes)


def _unknown(message: str, **challenge: str) -> NotAdmitted:
    return NotAdmitted(401, "Unauthorized", message, headers={"WWW-Authenticate": _challenge(**challenge)})


def _forbidden(needed: Scope) -> NotAdmitted:
    challenge = _challenge(error="insufficient_scope", scope=needed.value)
    return NotAdmitted(
        403, "Forbidden", f"The API key lacks the scope {needed.value}.", headers={"WWW-Authenticate": challenge}
    )


def _challenge(**parts: str) -> str:
    """Return a challenge as in RFC 6750, section 3."""
    return ", ".join(f'{name}="{value}"' for name, value in ({"realm": "spanwatch"} | parts).items()).join(
        ("Bearer ", "")
    )
