"""The API's predictions follow the champion: whoever is it in the store predicts."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from api import queries_models
from api.predictor import Predictor
from infra.model_runtime import Model
from infra.store import Store
from schemas.enums import ModelRole
from schemas.errors import ModelError, StoreError

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""Pause between two looks at the store, s."""


class ChampionFollower:
    """Hands the champion to whoever predicts, each time that it is another one.

    Until the store names a champion, and when its bundle cannot be used, the model before goes on.

    Parameters
    ----------
    store : Store
        Where the roles stand.
    use : callable
        Takes the model; called in a thread.
    in_use : str
        Fingerprint of the model that is in use already; empty for none.
    """

    def __init__(self, store: Store, use: Callable[[Model], None], in_use: str = "") -> None:
        self._store = store
        self._use = use
        self._seen = in_use
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="champion", daemon=True)

    def start(self) -> None:
        """Look once, then go on in the background."""
        self.look()
        self._thread.start()

    def close(self) -> None:
        """Stop following."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> None:
        """Use the champion if it is another one than at the last look; any thread may call."""
        with self._lock:
            try:
                change = queries_models.roles(self._store).get(ModelRole.CHAMPION)
                if change is None or change.fingerprint in ("", self._seen):
                    return
                bundle = queries_models.bundle(self._store, change.fingerprint)
                if bundle is None:
                    return  # It comes before its role on the topic, so the next look finds it.
                self._seen = change.fingerprint
                self._use(Model.from_bytes(bundle, change.fingerprint))
                log.info("predictions come from the model %s", change.fingerprint)
            except StoreError as error:
                log.debug("the champion is not known: %s", error)
            except ModelError as error:
                log.error("the champion cannot predict: %s", error)  # noqa: TRY400 - the sentence says it

    def _follow(self) -> None:
        while not self._stopped.wait(LOOK_S):
            self.look()


@contextmanager
def following_champion(store: Store, predictor: Predictor) -> Iterator[ChampionFollower]:
    """Have a predictor use whoever is champion, as long as the context is open; yields who looks."""
    in_use = predictor.model
    follower = ChampionFollower(store, predictor.use, "" if in_use is None else in_use.facts.fingerprint)
    follower.start()
    try:
        yield follower
    finally:
        follower.close()
