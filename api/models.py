"""What is done with the registry of models: register, switch, shadow and roll back.

The API sends what is to happen to the topic ``models`` and waits until the store has it, as with everything else it
asks for; the workers follow the same topic.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from api import queries_models
from api.errors import Refusal
from infra.model_runtime import Model
from infra.model_topic import SendModels, row_of, send_bundle, send_role
from infra.store import Store
from schemas.enums import ModelRole
from schemas.errors import ModelError
from schemas.models import MAX_BUNDLE_BYTES, ModelRow, RoleAction, RoleChange

STORED_S = 30.0
"""How long a change may take until the store has it, s."""

MAX_UPLOAD_BYTES = MAX_BUNDLE_BYTES + 1
"""Largest body that is read at all: one byte more than a bundle may have, so that its sentence is told."""

_POLL_S = 0.05


@dataclass(frozen=True)
class Standing:
    """Who has which role.

    Parameters
    ----------
    champion, challenger : str
        Fingerprints; empty for nobody.
    previous : str
        Whom a rollback would make the champion; empty for nobody.
    """

    champion: str = ""
    challenger: str = ""
    previous: str = ""


def line_of_champions(history: Sequence[RoleChange]) -> list[str]:
    """Return the champions that a rollback can go back to, the current one last.

    Parameters
    ----------
    history : sequence of RoleChange
        Every change of the champion, the oldest first: a rollback takes back the newest promotion that none has
        taken back yet.
    """
    line: list[str] = []
    for change in history:
        if change.action is RoleAction.ROLLBACK:
            line = [*line[:-2], change.fingerprint]
        else:
            line.append(change.fingerprint)
    return line


class Models:
    """Changes the registry, one change at a time; every call may take seconds and belongs into a thread.

    Parameters
    ----------
    store : Store
        Where changes appear.
    send : SendModels
        Hands a message to the broker.
    on_switch : callable
        Called when there is another champion.
    stored_s : float
        See ``STORED_S``.
    """

    def __init__(
        self, store: Store, send: SendModels, on_switch: Callable[[], None], stored_s: float = STORED_S
    ) -> None:
        self._store = store
        self._send = send
        self._on_switch = on_switch
        self._stored_s = stored_s
        self._lock = threading.Lock()

    def standing(self) -> Standing:
        """Return who has which role now."""
        line = line_of_champions(queries_models.history(self._store, ModelRole.CHAMPION))
        challenger = queries_models.roles(self._store).get(ModelRole.CHALLENGER)
        return Standing(
            champion=line[-1] if line else "",
            challenger=challenger.fingerprint if challenger else "",
            previous=line[-2] if len(line) > 1 else "",
        )

    def register(self, bundle: bytes, by: str, note: str) -> tuple[ModelRow, bool]:
        """Register a model; return its row, and whether it is new.

        Raises
        ------
        Refusal
            413 when it is too large, 400 when it is no bundle that this version can use, 503 when nothing is stored.
        """
        if len(bundle) > MAX_BUNDLE_BYTES:
            raise Refusal(413, "Content Too Large", f"A bundle has at most {MAX_BUNDLE_BYTES:,} bytes.")
        try:
            model = Model.from_bytes(bundle, "upload")
        except ModelError as error:
            raise Refusal(400, "Bad Request", str(error)) from error
        with self._lock:
            known = queries_models.model(self._store, model.facts.fingerprint)
            if known is not None:
                return known, False
            row = row_of(model.facts, by, note)
            send_bundle(self._send, row, bundle)
            self._until(lambda: queries_models.model(self._store, row.fingerprint) is not None)
        return row, True

    def promote(self, fingerprint: str, by: str, reason: str) -> bool:
        """Make a model the champion, and end its shadow if it has one; return whether anything changed.

        Raises
        ------
        Refusal
            404 when it is not registered, 503 when nothing is stored.
        """
        self._known(fingerprint)
        with self._lock:
            now = self.standing()
            if now.champion != fingerprint:
                self._change(ModelRole.CHAMPION, fingerprint, now.champion, RoleAction.PROMOTE, by, reason)
            elif now.challenger != fingerprint:
                return False
            if now.challenger == fingerprint:
                self._change(ModelRole.CHALLENGER, "", fingerprint, RoleAction.END, by, "it is the champion")
        return True

    def shadow(self, fingerprint: str, by: str, reason: str) -> bool:
        """Make a model the challenger; return whether anything changed.

        Raises
        ------
        Refusal
            404 when it is not registered, 409 when it is the champion, 503 when nothing is stored.
        """
        self._known(fingerprint)
        with self._lock:
            now = self.standing()
            if now.champion == fingerprint:
                raise Refusal(409, "Conflict", f"The model {fingerprint} is the champion: it has no need to challenge.")
            if now.challenger == fingerprint:
                return False
            self._change(ModelRole.CHALLENGER, fingerprint, now.challenger, RoleAction.SHADOW, by, reason)
        return True

    def end_shadow(self, by: str, reason: str) -> bool:
        """Have no challenger any more; return whether there was one; raises ``Refusal`` 503 when nothing is stored."""
        with self._lock:
            challenger = self.standing().challenger
            if challenger:
                self._change(ModelRole.CHALLENGER, "", challenger, RoleAction.END, by, reason)
        return challenger != ""

    def rollback(self, by: str, reason: str) -> None:
        """Bring back the champion before.

        Raises
        ------
        Refusal
            409 when there was none before, 503 when nothing is stored.
        """
        with self._lock:
            now = self.standing()
            if not now.previous:
                raise Refusal(409, "Conflict", "There was no champion before this one.")
            self._change(ModelRole.CHAMPION, now.previous, now.champion, RoleAction.ROLLBACK, by, reason)
            if now.challenger == now.previous:
                self._change(ModelRole.CHALLENGER, "", now.challenger, RoleAction.END, by, "it is the champion")

    def _known(self, fingerprint: str) -> None:
        if queries_models.model(self._store, fingerprint) is None:
            raise unknown_model(fingerprint)

    def _change(
        self, role: ModelRole, fingerprint: str, previous: str, action: RoleAction, by: str, reason: str
    ) -> None:
        known = queries_models.roles(self._store).get(role)
        change = RoleChange(
            role=role,
            # The newest counts, also when a clock was set back.
            changed_ns=max(time.time_ns(), known.changed_ns + 1 if known else 0),
            fingerprint=fingerprint,
            previous=previous,
            changed_by=by,
            action=action,
            reason=reason,
        )
        send_role(self._send, change)
        self._until(lambda: self._has(change))
        if role is ModelRole.CHAMPION:
            self._on_switch()

    def _has(self, change: RoleChange) -> bool:
        stored = queries_models.roles(self._store).get(change.role)
        return stored is not None and stored.changed_ns >= change.changed_ns

    def _until(self, is_stored: Callable[[], bool]) -> None:
        end_s = time.monotonic() + self._stored_s
        while not is_stored():
            if time.monotonic() > end_s:
                raise Refusal(503, "Service Unavailable", "The change was sent, but is not stored yet. Look again.")
            time.sleep(_POLL_S)


def unknown_model(fingerprint: str) -> Refusal:
    """Return the refusal of a fingerprint that no registered model has."""
    return Refusal(404, "Model not found", f"No model {fingerprint} is registered.", model=fingerprint)
