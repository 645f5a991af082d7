"""Active defence: blocks as they are asked for, kept in the store and carried out by a firewall.

The store says what is to be in force, the firewall is made to follow: at the start, with every change, and every half
a minute, in case that somebody else has emptied it.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

import pyarrow as pa

from api import queries_defence as queries
from api.defence_ends import Ends
from api.defence_policy import Order
from api.filters import NS_PER_S
from infra.firewall import Address, DryRun, Firewall, InForce
from infra.firewall_guard import AddressGuard
from infra.firewall_nft import nftables_of
from infra.settings import Settings
from infra.store import Store
from schemas.blocks import BLOCK_SCHEMA, BlockRow, BlockState, FirewallKind
from schemas.errors import SpanwatchError, StoreError

log = logging.getLogger(__name__)

_SLACK_S = 2.0
"""A firewall's time-outs are whole seconds, rounded up: it lets go a little later than the store says."""


_SEEN_S = 1.0
"""For so long an answer of the firewall is given again."""


class TooManyBlocksError(SpanwatchError):
    """As many addresses are blocked as the settings allow."""


@dataclass(frozen=True)
class Standing:
    """A block in force.

    Parameters
    ----------
    row : BlockRow
        As the store has it.
    held : InForce or None
        As the firewall has it; None when it has it not, or does not answer.
    """

    row: BlockRow
    held: InForce | None


def firewalls_of(settings: Settings) -> Mapping[FirewallKind, Firewall]:
    """Return every firewall there is; to make one changes nothing."""
    return {FirewallKind.DRY_RUN: DryRun(), FirewallKind.NFTABLES: nftables_of(settings)}


class Defence:
    """Blocks addresses and lets them go; every call may block, and any thread may make it.

    Parameters
    ----------
    settings : Settings
        Which firewall, whom never, how many.
    store : Store
        Where blocks are kept.
    clock : callable
        Wall clock, ns since the epoch.
    """

    def __init__(self, settings: Settings, store: Store, clock: Callable[[], int] = time.time_ns) -> None:
        self.guard = AddressGuard(settings)
        self.kind = settings.defence_firewall
        self._settings = settings
        self._store = store
        self._clock = clock
        self._firewalls = firewalls_of(settings)
        # Two changes at a time could end in a firewall that says another thing than the store.
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        self._seen: dict[FirewallKind, tuple[float, Mapping[Address, InForce]]] = {}
        self._ends = Ends(store, settings.sensor)

    @property
    def kinds(self) -> tuple[FirewallKind, ...]:
        """The firewalls that follow the store: the one in the settings, and the one that touches nothing."""
        return tuple(dict.fromkeys((self.kind, FirewallKind.DRY_RUN)))

    def restore(self) -> None:
        """Bring back what was in force before a restart, for the time that is left; what fails is said in the log."""
        with self._lock:
            try:
                rows = self._standing()
            except StoreError as error:
                log.error("blocks are not in force until the store answers: %s", error)  # noqa: TRY400 - it says all
                return
            for kind in self.kinds:
                try:
                    self._firewalls[kind].replace(self._timeouts_s(rows, kind))
                except SpanwatchError as error:
                    log.error("blocks are not in force: %s", error)  # noqa: TRY400 - it says all there is to say
        others = sum(row.firewall not in self.kinds for row in rows)
        if others:
            log.warning(
                "%d blocks made with another firewall may be in force until they expire; "
                "`spanwatch defence clear` takes them away",
                others,
            )

    def reconcile(self) -> None:
        """Make the firewalls have what the store says, should somebody else have changed them.

        Raises
        ------
        FirewallError, StoreError
            One of them does not answer.
        """
        with self._lock:
            rows = self._standing()
            for kind in self.kinds:
                wanted = self._timeouts_s(rows, kind)
                held = self._firewalls[kind].blocked()
                foreign = [a for a in held.keys() - wanted.keys() if held[a].remaining_s > _SLACK_S]
                if wanted.keys() - held.keys() or foreign:
                    log.warning("the firewall (%s) was changed by somebody else, and is set right", kind.value)
                    self._firewalls[kind].replace(wanted)

    def block(self, order: Order, kind: FirewallKind | None = None) -> tuple[BlockRow, bool]:
        """Block an address that the guard lets pass; one that is blocked already stays so for longer, never shorter.

        Parameters
        ----------
        order : Order
            Whom, for how long and why.
        kind : FirewallKind or None
            With which firewall; None for the one in the settings.

        Returns
        -------
        BlockRow, bool
            The block, and whether it is a new one.

        Raises
        ------
        TooManyBlocksError
            As many are blocked as the settings allow.
        FirewallError, MissingProgramError
            The firewall refuses; the store says so.
        StoreError
            The store does not answer; nothing was blocked.
        """
        with self._lock:
            firewall = self._firewalls[kind or self.kind]
            rows = [r for r in self._standing() if r.firewall is firewall.kind]
            known = next((row for row in rows if row.ip == str(order.address)), None)
            if known is None and len(rows) >= self._settings.defence_max_blocks:
                raise TooManyBlocksError(f"{len(rows)} addresses are blocked already, as many as the settings allow.")
            row = self._renewed(known, order) if known else self._made(order, firewall.kind)
            # Written first: what a crash leaves behind is brought back by the next start.
            self._save(row)
            self._ends.expect(row)
            try:
                firewall.block(order.address, self._remaining_s(row))
            except SpanwatchError as error:
                self._save(self._failed(row, known, str(error)))
                raise
            self._seen.clear()
        log.info("%s is blocked by %s (%s): %s", row.ip, order.blocked_by, row.firewall.value, order.reason or "-")
        return row, known is None

    def note_ends(self) -> list[BlockRow]:
        """Write down which blocks have ended because their time was over, each once; return them.

        The firewall ends them by itself. It costs nothing as long as none is due.

        Raises
        ------
        StoreError
            The store does not answer; the next call continues.
        """
        with self._lock:
            ended = self._ends.note(self._clock(), self._save)
        for row in ended:
            log.info("%s is let go: its time is over", row.ip)
        return ended

    def unblock(self, address: Address, by: str) -> list[BlockRow]:
        """Let an address go; return its blocks that were in force, none when there were none.

        Raises
        ------
        FirewallError, MissingProgramError, StoreError
            It stays blocked.
        """
        with self._lock:
            rows = self._standing()
            of_address = [row for row in rows if row.ip == str(address)]
            for kind in dict.fromkeys((*self.kinds, *(row.firewall for row in of_address))):
                # Also without a row: somebody may have blocked it by hand.
                self._firewalls[kind].unblock(address)
            lifted = [self._lifted(row, by) for row in of_address]
            self._save(*lifted)
        log.info("%s is let go by %s", address, by)
        return lifted

    def clear(self, by: str) -> list[BlockRow]:
        """Let everybody go and take everything of ours out of the firewall; return the blocks that were in force.

        Raises
        ------
        FirewallError, MissingProgramError, StoreError
            What is blocked stays so.
        """
        with self._lock:
            rows = self._standing()
            used = queries.firewalls_used(self._store, self._settings.sensor)
            for kind in {*self.kinds, *used}:
                self._firewalls[kind].clear()
            lifted = [self._lifted(row, by) for row in rows]
            self._save(*lifted)
        log.info("all %d blocks are lifted by %s", len(lifted), by)
        return lifted

    def standing(self) -> list[Standing]:
        """Return what is in force, newest first; raises ``StoreError``."""
        rows = self._standing()
        held = {kind: self._held(kind) for kind in {row.firewall for row in rows}}
        return [Standing(row, held[row.firewall].get(ip_address(row.ip))) for row in rows]

    def _standing(self) -> list[BlockRow]:
        return queries.standing_blocks(self._store, self._settings.sensor)

    def _held(self, kind: FirewallKind) -> Mapping[Address, InForce]:
        """Return what a firewall has, as it was at most a second ago: anybody may ask, and each time is a process."""
        with self._asking:
            seen_s, held = self._seen.get(kind, (-_SEEN_S, {}))
            if time.monotonic() - seen_s < _SEEN_S:
                return held
            try:
                held = self._firewalls[kind].blocked()
            except SpanwatchError as error:
                log.warning("the firewall does not say what is in force: %s", error)
                held = {}
            self._seen[kind] = (time.monotonic(), held)
            return held

    def _timeouts_s(self, rows: list[BlockRow], kind: FirewallKind) -> dict[Address, float]:
        return {ip_address(row.ip): self._remaining_s(row) for row in rows if row.firewall is kind}

    def _remaining_s(self, row: BlockRow) -> float:
        return max(0.0, (row.expires_ns - self._clock()) / NS_PER_S)

    def _made(self, order: Order, kind: FirewallKind) -> BlockRow:
        now_ns = self._clock()
        return BlockRow(
            block_id=f"{now_ns:016x}{secrets.token_hex(2)}",
            version=now_ns,
            sensor=self._settings.sensor,
            firewall=kind,
            ip=str(order.address),
            reason=order.reason,
            blocked_by=order.blocked_by,
            is_automatic=order.is_automatic,
            evidence=order.evidence,
            blocked_ns=now_ns,
            expires_ns=now_ns + round(order.duration_s * NS_PER_S),
        )

    def _renewed(self, row: BlockRow, order: Order) -> BlockRow:
        expires_ns = max(row.expires_ns, self._clock() + round(order.duration_s * NS_PER_S))
        return self._changed(row, expires_ns=expires_ns, reason=order.reason or row.reason)

    def _failed(self, row: BlockRow, known: BlockRow | None, why: str) -> BlockRow:
        """Return what the store says after a refusal: what was in force before is still."""
        if known is not None:
            return self._changed(row, expires_ns=known.expires_ns, reason=known.reason)
        return self._changed(row, state=BlockState.FAILED, ended_ns=self._clock(), error=why)

    def _lifted(self, row: BlockRow, by: str) -> BlockRow:
        return self._changed(row, state=BlockState.LIFTED, ended_ns=self._clock(), ended_by=by)

    def _changed(self, row: BlockRow, **changes: object) -> BlockRow:
        return row.model_copy(update={**changes, "version": max(self._clock(), row.version + 1)})

    def _save(self, *rows: BlockRow) -> None:
        self._seen.clear()
        for row in rows:
            table = pa.Table.from_pylist([row.model_dump(mode="json")], schema=BLOCK_SCHEMA)
            self._store.insert("blocks", table, f"{row.block_id}:{row.version}")
