"""``/api/control``: status, configuration and logs."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import sys
from typing import Literal

from fastapi import APIRouter

from api.access import needs
from api.answers import (
    ConfigAnswer,
    ControlApi,
    ControlCapture,
    ControlData,
    ControlStatusAnswer,
    ControlSystem,
    Directories,
    LogsAnswer,
    PingAnswer,
)
from api.errors import documented, iso_now
from api.live_answers import start_time
from api.parameters import LogLines
from api.routers.root import data_counts
from api.services import Shared, shown
from infra.logging import LogFile, read_tail

router = APIRouter(prefix="/api/control", tags=["control"])

_PACKAGES = ("schemas", "infra", "streams", "agents", "api")


@router.get("/status", response_model=ControlStatusAnswer, responses=documented(), summary="Detailed status")
def read_control_status(services: Shared) -> ControlStatusAnswer:
    """Say how the service, its machine and the live capture are."""
    counts = data_counts(services.store)
    live = services.live.running()
    return ControlStatusAnswer(
        api=ControlApi(status="running", mode=services.settings.mode, version=services.version),
        system=ControlSystem(
            python_version=platform.python_version(),
            platform=sys.platform,
            tshark_available=shutil.which("tshark") is not None,
            # Looked up, not imported: this process needs only some of them.
            project_structure={name: importlib.util.find_spec(name) is not None for name in _PACKAGES},
        ),
        data=ControlData(
            **counts.status.model_dump(),
            metric_count=counts.windows,
            anomaly_count=counts.anomalies,
            baseline_count=counts.baselines,
        ),
        capture=ControlCapture(
            running=live is not None,
            start_time=None if live is None else start_time(live),
            interface=None if live is None else live.row.name,
        ),
    )


@router.get("/config", response_model=ConfigAnswer, responses=documented(), summary="Configuration")
def read_config(services: Shared) -> ConfigAnswer:
    """Say what the service was configured with."""
    folder = services.folder
    return ConfigAnswer(
        mode=services.settings.mode,
        pcap_file=services.configured_file,
        interface=services.settings.interface or None,
        window_size=services.window_size,
        directories=Directories(metrics=folder, baselines=folder, anomalies=folder),
    )


@router.get("/ping", response_model=PingAnswer, responses=documented(), summary="Ping")
@needs(None)
def ping() -> PingAnswer:
    """Answer, without asking anything of the store."""
    return PingAnswer(pong=True, timestamp=iso_now())


@router.get("/logs", response_model=LogsAnswer, responses=documented(400), summary="Recent log lines")
def read_logs(
    services: Shared,
    type: Literal["app", "analysis"] = "app",
    limit: LogLines = 100,
) -> LogsAnswer:
    """Return the last lines of a log, oldest first; `app` is the service's, `analysis` the agents'."""
    which = LogFile(type)
    tail = read_tail(services.settings, which, limit)
    return LogsAnswer(
        log_file=shown(which.path(services.settings)),
        limit=limit,
        total_lines=tail.total,
        returned_lines=len(tail.lines),
        logs=list(tail.lines),
    )
