"""The task beside the API that blocks by policy, and keeps the firewall as the store says."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from api import queries_defence as queries
from api.defence import Defence
from api.defence_policy import HOUR_NS, POLICY, Order, Past, Rules, decide
from api.filters import NS_PER_S
from api.telemetry import Telemetry
from infra.audit import write_audit
from infra.settings import Settings
from infra.store import Store
from schemas.audit import AuditEntry, AuditOutcome
from schemas.blocks import FirewallKind
from schemas.errors import SpanwatchError

log = logging.getLogger(__name__)

TICK_S = 2.0
"""How often the policy looks at what is new."""

RECONCILE_S = 30.0
"""How often the firewall is compared with the store."""

OUTCOMES = ("blocked", "failed", "protected", "let_go", "budget")


class AutomaticDefence(Collector):
    """Looks at verdicts and anomalies again and again; ``run`` it until it is cancelled.

    Parameters
    ----------
    defence : Defence
        What blocks.
    settings : Settings
        Whether, and by which rules.
    store : Store
        Where verdicts and anomalies are.
    clock : callable
        Wall clock, ns since the epoch.
    """

    def __init__(
        self, defence: Defence, settings: Settings, store: Store, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._defence = defence
        self._settings = settings
        self._store = store
        self._clock = clock
        self._rules = Rules.of(settings)
        self._outcomes: Counter[str] = Counter()
        self._said: dict[str, str] = {}
        self._is_on = settings.defence_auto != "off"
        self.kind = defence.kind if settings.defence_auto == "on" else FirewallKind.DRY_RUN

    async def run(self, tick_s: float = TICK_S) -> None:
        """Look and set right, until cancelled."""
        checked_s = time.monotonic()
        while True:
            await asyncio.sleep(tick_s)
            if self._is_on:
                await self._try(self.look, "automatic blocking waits")
            await self._try(self._defence.note_ends, "ended blocks are not written down")
            if time.monotonic() - checked_s >= RECONCILE_S:
                await self._try(self._defence.reconcile, "the firewall is not looked after")
                checked_s = time.monotonic()

    async def _try(self, action: Callable[[], object], failing: str) -> None:
        said = self._said.pop(failing, "")
        try:
            await asyncio.to_thread(action)
        except SpanwatchError as error:
            self._said[failing] = str(error)
            if str(error) != said:  # once, not every two seconds
                log.warning("%s: %s", failing, error)

    def look(self) -> list[Order]:
        """Block who is to be blocked by now; return these orders, carried out or refused by the firewall.

        Raises
        ------
        StoreError
            The store does not answer.
        """
        now_ns = self._clock()
        # What happened in a window is known when the window has closed.
        late_s = self._settings.window_s + self._settings.lateness_s
        from_ns = now_ns - round((self._rules.within_s + late_s) * NS_PER_S)
        found = queries.suspects(self._store, from_ns, self._settings.defence_auto_confidence)
        if not found:
            return []
        rows = queries.blocks_since(self._store, self._settings.sensor, now_ns - HOUR_NS)
        decision = decide(found, self._rules, Past.of(rows, self.kind, now_ns), self._defence.guard.why_not)
        self._outcomes.update(decision.passed_over)
        for order in decision.orders:
            self._carry_out(order)
        return list(decision.orders)

    def _carry_out(self, order: Order) -> None:
        details = {
            "seconds": order.duration_s,
            "firewall": self.kind.value,
            "reason": order.reason,
            "evidence": order.evidence,
        }
        outcome = AuditOutcome.DONE
        try:
            self._defence.block(order, self.kind)
        except SpanwatchError as error:
            log.warning("%s is not blocked: %s", order.address, error)
            outcome = AuditOutcome.FAILED
        self._outcomes["blocked" if outcome is AuditOutcome.DONE else "failed"] += 1
        entry = AuditEntry(action="block.add", target=str(order.address), who=POLICY, outcome=outcome, details=details)
        write_audit(self._store, entry)

    def collect(self) -> Iterator[Metric]:
        """Yield what the policy decided."""
        family = CounterMetricFamily(
            "spanwatch_automatic_blocks", "Sources that the policy found worth a block, by outcome.", labels=["outcome"]
        )
        for outcome in OUTCOMES:
            family.add_metric([outcome], self._outcomes[outcome])
        yield family


@asynccontextmanager
async def defending(defence: Defence, settings: Settings, store: Store, telemetry: Telemetry) -> AsyncIterator[None]:
    """Restore blocks, then block by policy and look after the firewall as long as the context is open."""
    await asyncio.to_thread(defence.restore)
    automatic = AutomaticDefence(defence, settings, store)
    with telemetry.collecting(automatic):
        task = asyncio.create_task(automatic.run())
        task.add_done_callback(_say_why)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})


def _say_why(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.error("active defence has ended", exc_info=error)
