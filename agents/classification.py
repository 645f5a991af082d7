"""The classification agent: flow records to verdicts, in the order in which they come."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from confluent_kafka import Producer

from agents.app import FaustApp
from agents.flows import flow_rules
from agents.merge import LEDGER_ROWS
from agents.model_roles import ModelRoles
from agents.sender import Sender
from agents.stage import PacketsStage
from agents.stateful import add_stateful_agent
from agents.verdicts import Company, Judged, judge
from infra.model_runtime import Model
from infra.settings import Settings
from schemas.captures import LedgerRow
from schemas.classifications import STEP_NS
from schemas.enums import BatchKind, Hop, ModelRole
from schemas.flows import FLOW_SCHEMA
from schemas.topics import CLASSIFICATIONS, FLOWS
from streams.flow_rules import SECOND_NS
from streams.flow_steps import FlowSteps, Windows
from streams.pair_priors import PairPriors
from streams.wire import BatchHeader, decode_table, encode_table

log = logging.getLogger(__name__)

NO_MODEL = "no_model"
"""Reason in the ledger of packets whose flows came while there was no model to judge them."""

BAD_FEATURES = "bad_features"
"""Reason in the ledger of packets whose flows have a feature that is no finite number."""


@dataclass
class _OpenCapture:
    """One capture on one partition."""

    next_seq: int = 0
    judged: int = 0
    """Packets that are new in the records that were judged."""
    unjudged: dict[str, int] = field(default_factory=dict)
    """Packets that are new in the records that could not be judged, by reason."""
    steps: FlowSteps = field(default_factory=FlowSteps)
    """Records that wait for the others of their step."""
    priors: dict[ModelRole, PairPriors] = field(default_factory=dict)
    """What each role has lately said of the flows between two hosts."""

    def leave_out(self, reason: str, packets: int) -> None:
        """Count packets whose flows get no verdict."""
        if packets:
            self.unjudged[reason] = self.unjudged.get(reason, 0) + packets


class ClassificationStage(PacketsStage[_OpenCapture]):
    """Judges flow records by the models of the moment and sends the verdicts.

    Records are judged in steps of the capture's clock (``streams.flow_steps``), together with the others between the
    same two hosts (``streams.pair_priors``). Verdicts have the header of the message of flows behind which they come,
    its ``seq`` included, and go to the same partition: what a message is called depends on the flows topic alone, also
    when a model comes or goes.

    Parameters
    ----------
    sender : Sender
        Where verdicts go.
    roles : ModelRoles
        Who judges.
    """

    KIND = "classification stage 2"

    def __init__(self, settings: Settings, sender: Sender, roles: ModelRoles) -> None:
        super().__init__(settings, CLASSIFICATIONS, sender)
        self._roles = roles
        self._rules = flow_rules(settings)
        self._half_life_ns = round(settings.classify_memory_s * SECOND_NS)

    def _opened(self, header: BatchHeader, origin_ns: int) -> _OpenCapture:
        return _OpenCapture()

    def _dump(self, capture: _OpenCapture) -> tuple[dict[str, Any], list[bytes]]:
        facts = {name: getattr(capture, name) for name in ("next_seq", "judged", "unjudged")}
        facts |= {"done": capture.steps.done, "roles": list(capture.priors)}
        return facts, [capture.steps.to_bytes(), *(priors.to_bytes() for priors in capture.priors.values())]

    def _load(self, facts: dict[str, Any], blobs: list[bytes]) -> _OpenCapture:
        waiting, *remembered = blobs
        steps = FlowSteps.from_bytes(facts.pop("done"), waiting)
        roles = [ModelRole(role) for role in facts.pop("roles")]
        priors = {role: PairPriors.from_bytes(blob) for role, blob in zip(roles, remembered, strict=True)}
        return _OpenCapture(**facts, steps=steps, priors=priors)

    def _feed(self, partition: int, capture: _OpenCapture, header: BatchHeader, body: bytes) -> None:
        is_end = header.kind is BatchKind.END
        came = decode_table(body, FLOW_SCHEMA) if header.kind is BatchKind.DATA else FLOW_SCHEMA.empty_table()
        windows = Windows(header.window_ns, header.origin_ns)
        # Without memory no flow has company to wait for.
        takes_all = is_end or not self._half_life_ns
        flows, steps = capture.steps.take(came, header.clock_ns, windows, self._rules, is_end=takes_all)
        verdicts = self._verdicts(capture, header.capture_id, flows, steps) if flows.num_rows else None
        if verdicts is not None:
            self._send(partition, replace(header, kind=BatchKind.DATA), encode_table(verdicts))
        if is_end:
            ledger = _ledger(header.capture_id, partition, capture, LEDGER_ROWS.validate_json(body))
            self._send(partition, header, LEDGER_ROWS.dump_json(ledger))

    def _verdicts(
        self, capture: _OpenCapture, capture_id: str, flows: pa.Table, steps: npt.NDArray[np.int64]
    ) -> pa.Table | None:
        """Judge flow records by the champion, then by the challenger; None without a champion."""
        roles, packets = self._roles.current(), _new_packets(flows)
        if roles.champion is None:
            if NO_MODEL not in capture.unjudged:
                log.warning("Capture %s: there is no model, so its flows get no verdicts", capture_id)
            capture.leave_out(NO_MODEL, int(packets.sum()))
            return None
        judged = self._judged(capture, flows, steps, roles.champion, ModelRole.CHAMPION)
        capture.judged += int(packets[judged.is_judged].sum())
        capture.leave_out(BAD_FEATURES, int(packets[~judged.is_judged].sum()))
        if roles.challenger is None:
            return judged.rows
        second = self._judged(capture, flows, steps, roles.challenger, ModelRole.CHALLENGER)
        return pa.concat_tables([judged.rows, second.rows])

    def _judged(
        self, capture: _OpenCapture, flows: pa.Table, steps: npt.NDArray[np.int64], model: Model, role: ModelRole
    ) -> Judged:
        """Judge flow records by one model, in the company of those that it has judged before."""
        company = None
        if self._half_life_ns:
            company = Company(capture.priors.setdefault(role, PairPriors()), steps * STEP_NS, self._half_life_ns)
        return judge(flows, model, role, self._settings.classify_confidence, company)

    def _send(self, partition: int, header: BatchHeader, body: bytes) -> None:
        key = header.capture_id.encode()
        self._sender.send(self._topic, body, key=key, headers=header.to_kafka(), partition=partition)


def _new_packets(flows: pa.Table) -> npt.NDArray[np.int64]:
    """Return how many packets each record is the first to have (n_flows,)."""
    forward, backward = (flows.column(f"new_{side}_packets").to_numpy() for side in ("fwd", "bwd"))
    return np.asarray(forward + backward, np.int64)


def _ledger(capture_id: str, partition: int, capture: _OpenCapture, flows: list[LedgerRow]) -> list[LedgerRow]:
    """Return what the flows stage handed on, and what has a verdict or a reason to have none."""
    came = sum(row.packets_out for row in flows if not row.reason)
    without_flow = {row.reason: row.packets_out for row in flows if row.reason}
    without = {**without_flow, **capture.unjudged}
    total = LedgerRow(
        capture_id=capture_id,
        hop=Hop.CLASSIFICATIONS,
        partition=partition,
        packets_in=came,
        packets_out=capture.judged + sum(without.values()),
        version=came + 1,
    )
    reasons = [
        total.model_copy(update={"reason": reason, "packets_in": packets, "packets_out": packets})
        for reason, packets in without.items()
    ]
    return [total, *reasons]


def add_classification_agent(app: FaustApp, settings: Settings, producer: Producer) -> None:
    """Add the agent from ``flows`` to ``classifications``."""
    sender, roles = Sender(producer), ModelRoles(settings)
    add_stateful_agent(app, settings, FLOWS, ClassificationStage(settings, sender, roles), sender)

    async def close(*_told: Any, **_more: Any) -> None:
        await asyncio.get_running_loop().run_in_executor(None, roles.stop)

    app.on_before_shutdown.connect(close, weak=False)
    roles.start()
