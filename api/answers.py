"""Answers about the service itself: root, health, status, configuration and logs.

Each model's example is the document's own sample, extended by what we add.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict


def example(value: JsonDict) -> ConfigDict:
    """Return the configuration that gives a model its OpenAPI example."""
    return ConfigDict(json_schema_extra={"example": value}, protected_namespaces=())


class RootAnswer(BaseModel):
    """What runs here."""

    model_config = example(
        {
            "message": "PhantomNet Active Defense System: ONLINE",
            "service": "RL-based Intrusion Detection System API",
            "version": "0.1.0",
            "status": "running",
            "docs": "/docs",
        }
    )

    message: str = Field(description="The sentence PhantomNet documents.")
    service: str = Field(description="The name RL-IDS documents.")
    version: str
    status: Literal["running"]
    docs: str = Field(description="Where the interactive documentation is.")


class HealthDetails(BaseModel):
    """Figures of the running process."""

    model_config = ConfigDict(protected_namespaces=())

    model_loaded: bool = Field(description="Whether a classifier is loaded.")
    model_path: str | None = Field(description="The classifier's file.")
    model: str = Field(description="Fingerprint of the model in use; see /model/info.")
    predictions_served: int = Field(description="Flows classified over the API since the start.")
    uptime_seconds: float
    memory_usage_mb: float = Field(description="Resident memory, MiB.")


class HealthAnswer(BaseModel):
    """The service is well."""

    model_config = example(
        {
            "status": "healthy",
            "database": "connected",
            "timestamp": "2026-01-09T17:41:06.493726",
            "details": {
                "model_loaded": True,
                "model_path": "models/dqn_model_best.pt",
                "model": "5c75548c0fa6",
                "predictions_served": 1234,
                "uptime_seconds": 3600.5,
                "memory_usage_mb": 256.7,
            },
            "model_loaded": True,
            "model_path": "models/dqn_model_best.pt",
            "api_version": "0.1.0",
            "mode": "pcap",
            "version": "0.1.0",
        }
    )

    status: Literal["healthy", "ok"] = Field(description="`ok` on the Analyzer's port, else `healthy`.")
    database: str
    timestamp: str
    details: HealthDetails
    model_loaded: bool
    model_path: str | None
    api_version: str
    mode: Literal["pcap", "live"]
    version: str


class UnwellAnswer(BaseModel):
    """The store does not answer, or there is no model: `Prediction service not initialized`."""

    model_config = example(
        {
            "status": "error",
            "database": "The store does not answer.",
            "error": "Service Unavailable",
            "message": "The store does not answer.",
            "detail": "The store does not answer.",
            "timestamp": "2026-01-09T17:41:06.493726",
        }
    )

    status: Literal["error"]
    database: str = Field(description="`connected`, or what is wrong.")
    error: str
    message: str
    detail: str
    timestamp: str
    model_loaded: bool | None = Field(None, description="False where there is no model.")


class ApiStatus(BaseModel):
    """The API process, in ``/api/status``."""

    status: Literal["running"]
    version: str
    timestamp: str


class SystemStatus(BaseModel):
    """What the service was started with, in ``/api/status``."""

    mode: Literal["pcap", "live"]
    pcap_file: str | None = Field(description="The configured capture file.")
    interface: str | None = Field(description="The configured interface.")
    window_size: int | float = Field(description="Window size in seconds.")
    metrics_dir: str = Field(description="Folder that holds the store (a database, not files of ours).")
    baselines_dir: str


class DataStatus(BaseModel):
    """Which kinds of results there are."""

    metrics: bool
    baselines: bool
    anomalies: bool


class StatusAnswer(BaseModel):
    """API and system, with what data there is."""

    model_config = example(
        {
            "api": {"status": "running", "version": "0.1.0", "timestamp": "2026-01-09T17:41:06.493726"},
            "system": {
                "mode": "pcap",
                "pcap_file": "data/raw/pcapng/test_net_traffic.pcapng",
                "interface": None,
                "window_size": 10,
                "metrics_dir": ".local",
                "baselines_dir": ".local",
            },
            "data": {"metrics": True, "baselines": True, "anomalies": True},
        }
    )

    api: ApiStatus
    system: SystemStatus
    data: DataStatus


class ControlApi(BaseModel):
    """The API process, in ``/api/control/status``."""

    status: Literal["running"]
    mode: Literal["pcap", "live"]
    version: str


class ControlSystem(BaseModel):
    """The machine, in ``/api/control/status``."""

    python_version: str
    platform: str
    tshark_available: bool
    project_structure: dict[str, bool] = Field(description="Which of our packages are installed.")


class ControlData(DataStatus):
    """Which results there are, and how many."""

    metric_count: int = Field(description="Windows of the current capture.")
    anomaly_count: int = Field(description="Anomalies of the current capture.")
    baseline_count: int = Field(description="Baselines of what it was captured from.")


class ControlCapture(BaseModel):
    """The live capture, in ``/api/control/status``."""

    running: bool
    start_time: str | None
    interface: str | None


class ControlStatusAnswer(BaseModel):
    """Detailed status of system and live capture."""

    model_config = example(
        {
            "api": {"status": "running", "mode": "pcap", "version": "0.1.0"},
            "system": {
                "python_version": "3.11.7",
                "platform": "linux",
                "tshark_available": True,
                "project_structure": {"agents": True, "api": True, "streams": True},
            },
            "data": {
                "metrics": True,
                "anomalies": True,
                "baselines": True,
                "metric_count": 25,
                "anomaly_count": 12,
                "baseline_count": 4,
            },
            "capture": {"running": False, "start_time": None, "interface": None},
        }
    )

    api: ControlApi
    system: ControlSystem
    data: ControlData
    capture: ControlCapture


class Directories(BaseModel):
    """Where results are kept; all of them in the store."""

    metrics: str
    baselines: str
    anomalies: str


class ConfigAnswer(BaseModel):
    """What the API was configured with."""

    model_config = example(
        {
            "mode": "pcap",
            "pcap_file": "data/raw/pcapng/test_net_traffic.pcapng",
            "interface": None,
            "window_size": 10,
            "directories": {"metrics": ".local", "baselines": ".local", "anomalies": ".local"},
        }
    )

    mode: Literal["pcap", "live"]
    pcap_file: str | None
    interface: str | None
    window_size: int | float
    directories: Directories


class PingAnswer(BaseModel):
    """The service is there."""

    model_config = example({"pong": True, "timestamp": "2026-01-09T17:43:23.523582"})

    pong: Literal[True]
    timestamp: str


class LogsAnswer(BaseModel):
    """The last lines of a log."""

    model_config = example(
        {
            "log_file": ".local/logs/app.log",
            "limit": 100,
            "total_lines": 1250,
            "returned_lines": 1,
            "logs": ["2026-01-09 17:40:02 [INFO] API server started"],
        }
    )

    log_file: str
    limit: int
    total_lines: int = Field(description="Lines in the file.")
    returned_lines: int
    logs: list[str] = Field(description="Oldest first, without white space at their ends.")
