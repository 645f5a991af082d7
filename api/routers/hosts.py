"""``/api/hosts``: single hosts of a capture, with whom they spoke, and when."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from api import queries_baselines, queries_hosts
from api.analysis import source_of
from api.baseline_answers import BaselineFigures
from api.errors import Refusal, documented
from api.filters import NS_PER_S, TimeRange, Times, address
from api.host_answers import (
    HostListedAnswer,
    HostPeerAnswer,
    HostPointAnswer,
    HostPortAnswer,
    HostSeenAnswer,
    HostsSeenAnswer,
    total_of,
)
from api.host_rows import HostStep
from api.parameters import Capture, Limit, Offset
from api.queries_hosts import HostOrder, OfHost
from api.routers.metrics import chosen_capture
from api.rows import CaptureNow
from api.services import Shared
from infra.countries import country_of

router = APIRouter(prefix="/api/hosts", tags=["hosts"])

MAX_PEERS, MAX_PORTS = 50, 20
"""Peers, and services of either kind, that an answer names."""

_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
"""Lengths of a step that people read easily."""

Order = Annotated[HostOrder, Query(description="Which come first: those with most of it.")]
Points = Annotated[int, Query(ge=10, le=1000, description="Most steps of the time line.")]
Ip = Annotated[str, Path(max_length=64, description="IP address.", examples=["203.0.113.7"])]


@router.get("/", response_model=HostsSeenAnswer, responses=documented(400, 404), summary="List hosts of a capture")
def list_hosts_seen(
    services: Shared,
    times: Times,
    capture: Capture = None,
    order: Order = "bytes",
    limit: Limit = 50,
    offset: Offset = 0,
) -> HostsSeenAnswer:
    """List the hosts that had flows in the newest capture, or in the one named, with what is said of them."""
    store, current = services.store, chosen_capture(services.store, capture)
    rows = [] if current is None else queries_hosts.hosts(store, current.capture_id, times, order, limit, offset)
    return HostsSeenAnswer(
        count=len(rows),
        total=0 if current is None else queries_hosts.host_count(store, current.capture_id, times),
        offset=offset,
        limit=limit,
        capture_id=None if current is None else current.capture_id,
        hosts=HostListedAnswer.listed(rows),
    )


@router.get("/{ip}", response_model=HostSeenAnswer, responses=documented(400, 404), summary="Read one host")
def read_host_seen(
    services: Shared, ip: Ip, times: Times, capture: Capture = None, points: Points = 120
) -> HostSeenAnswer:
    """Say what a host did in the newest capture, or in the one named: in sum, over time, with whom.

    `from` and `to` take the flows that had a packet in between, whole; by default it is the whole capture. A host
    without any flow there is no error: everything is 0.
    """
    store, known = services.store, address(ip, "ip")
    current = chosen_capture(store, capture)
    if current is None:
        raise Refusal(404, "Capture not found", "There is no capture yet.")
    within = _within(current, times)
    step_s = _step_s((within.to_ns - within.from_ns) / NS_PER_S, points)
    steps = -(-(within.to_ns - within.from_ns) // (step_s * NS_PER_S))
    host = OfHost(current.capture_id, known, within)
    total = queries_hosts.totals(store, host)
    ports = queries_hosts.ports(store, host, MAX_PORTS)
    line = queries_hosts.series(store, host, step_s * NS_PER_S, steps)
    learnt = queries_baselines.baselines(store, source_of(current), known)
    return HostSeenAnswer.model_validate(
        {
            "ip": known,
            "country": country_of([known]).tolist()[0],
            "capture_id": current.capture_id,
            "from": within.from_ns / NS_PER_S,
            "to": within.to_ns / NS_PER_S,
            "step_s": step_s,
            "total": total_of(total),
            "peer_count": total.peers,
            "series": _filled(line, within.from_ns, step_s, steps),
            "peers": HostPeerAnswer.listed(queries_hosts.peers(store, host, MAX_PEERS)),
            "offers": [HostPortAnswer.of(row) for row in ports if row.is_own],
            "uses": [HostPortAnswer.of(row) for row in ports if not row.is_own],
            "baselines": {row.kind: BaselineFigures.of(row) for row in learnt},
        }
    )


def _within(current: CaptureNow, times: TimeRange) -> TimeRange:
    """Return the range asked for, cut to the capture; one that lies outside of it becomes a second there."""
    from_ns = max(times.from_ns, current.first_ts_ns or 0)
    to_ns = min(times.to_ns, (current.last_ts_ns or 0) + 1)
    return TimeRange(from_ns, max(to_ns, from_ns + NS_PER_S))


def _step_s(span_s: float, points: int) -> int:
    """Return how long a step is, so that there are no more than so many."""
    fitting = (step_s for step_s in _STEPS_S if span_s <= step_s * points)
    return next(fitting, -(-int(span_s + 1) // points))


def _filled(line: list[HostStep], from_ns: int, step_s: int, steps: int) -> list[HostPointAnswer]:
    """Return every step, those without traffic as 0."""
    known = {row.step: row for row in line}
    empty = HostStep(step=0, bytes_sent=0.0, bytes_received=0.0, flows=0)
    shown = ((step, known.get(step, empty)) for step in range(steps))
    return [
        HostPointAnswer(
            time=from_ns / NS_PER_S + step * step_s,
            bytes_sent=row.bytes_sent,
            bytes_received=row.bytes_received,
            flows_begun=row.flows,
        )
        for step, row in shown
    ]
