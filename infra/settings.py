"""Every setting: its default, its bounds and one sentence; read from the environment and ``.env``."""

from __future__ import annotations

import difflib
import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from infra.settings_access import AccessSettings
from infra.settings_broker import BrokerSettings
from infra.settings_classify import ClassifySettings
from infra.settings_console import ConsoleSettings
from infra.settings_defence import DefenceSettings
from infra.settings_flows import FlowSettings
from infra.settings_honeypots import HoneypotSettings
from infra.settings_live import LiveSettings
from infra.settings_names import PREFIX, also, sentences
from infra.settings_notify import NotifySettings
from infra.settings_paths import ROOT, Folder
from schemas.errors import SettingsError
from schemas.thresholds import Thresholds

SHIPPED_MODEL = ROOT / "models" / "dqn_model_best.pt"
"""The model that comes with the project."""

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class Settings(
    BaseSettings,
    DefenceSettings,
    Thresholds,
    ClassifySettings,
    AccessSettings,
    HoneypotSettings,
    NotifySettings,
    FlowSettings,
    LiveSettings,
    ConsoleSettings,
    BrokerSettings,
):
    """The settings of one stack; two stacks with different ``state`` and ``ports`` do not meet."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        validate_by_name=True,
        validate_by_alias=True,
        validate_default=True,
    )

    kafka: str = Field("", description="Kafka cluster, host:port[,host:port…]; empty starts our own broker.")
    clickhouse: str = Field(
        "",
        description="Store, chdb://PATH (embedded) or http[s]://USER:PASSWORD@HOST:8123/DATABASE; "
        "empty embeds it in the state folder.",
    )
    state: Folder = Field(Path(".local"), description="Folder of everything that is written.")
    data_roots: Annotated[tuple[Path, ...], NoDecode] = Field(
        (Path(),), description="Folders that file parameters may name, separated like PATH."
    )
    host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="Address the API listens on.",
        validation_alias=also("HOST", "RLIDS_API_HOST"),
    )
    ports: Annotated[tuple[int, ...], NoDecode] = Field(
        (8000, 5000),
        min_length=1,
        description="Ports the API listens on, separated by commas.",
        validation_alias=also("PORTS", "RLIDS_API_PORT"),
    )
    mode: Literal["pcap", "live"] = Field(
        "pcap", description="Where packets come from: pcap (files) or live (an interface)."
    )
    pcap: Path | None = Field(None, description="Capture file that is read at the start.")
    sensor: str = Field("", max_length=255, description="Name of this capturing machine; empty takes the host name.")
    window_s: float = Field(10.0, ge=1, le=300, description="Size of a window, seconds.")
    lateness_s: float = Field(
        2.0,
        ge=0,
        le=300,
        description="How long a window waits for packets that come late, seconds of event time.",
    )
    snapshot_s: float = Field(
        10.0,
        ge=0.05,
        le=300,
        description="Least time between two snapshots of what the agents keep of a partition, seconds: what a restart "
        "computes again.",
    )
    capture_timeout_s: float = Field(
        60.0,
        ge=5,
        le=86_400,
        description="A capture that has not reported for so long is taken for dead and ended, seconds.",
    )
    packets_ttl_days: int = Field(7, ge=1, le=3650, description="How long single packets stay in the store, days.")
    windows_ttl_days: int = Field(
        365, ge=1, le=3650, description="How long windows and rollups stay in the store, days."
    )
    flows_ttl_days: int = Field(30, ge=1, le=3650, description="How long flows stay in the store, days.")
    stream_heartbeat_s: float = Field(
        15.0,
        ge=1,
        le=300,
        description="Longest silence towards who listens to the stream of events, seconds; proxies close silent "
        "connections after a minute or so.",
    )
    log_level: str = Field(
        "INFO",
        description="Least severe log lines to keep: DEBUG, INFO, WARNING, ERROR or CRITICAL.",
        validation_alias=also("LOG_LEVEL", "RLIDS_LOG_LEVEL"),
    )
    log_format: Literal["json", "text"] = Field(
        "json", description="Form of the lines in log files: json (an object a line) or text (for people)."
    )
    debug: bool = Field(
        False,
        description="Whether everything is logged, as with the log level DEBUG.",
        validation_alias=also("DEBUG", "RLIDS_DEBUG"),
    )
    model_path: Path = Field(
        SHIPPED_MODEL,
        description="Model bundle that names flows; a relative path is looked for here, then in the checkout.",
        validation_alias=also("MODEL_PATH", "RLIDS_MODEL_PATH"),
    )

    @field_validator("data_roots", mode="before")
    @classmethod
    def _split_roots(cls, value: object) -> object:
        return tuple(part for part in value.split(os.pathsep) if part) if isinstance(value, str) else value

    @field_validator("ports", mode="before")
    @classmethod
    def _split_ports(cls, value: object) -> object:
        if isinstance(value, int):
            return (value,)
        return tuple(part for part in re.split(r"[,\s]+", value) if part) if isinstance(value, str) else value

    @field_validator("ports")
    @classmethod
    def _check_ports(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(not 0 <= port <= 65535 for port in value):
            raise ValueError("a port is a number from 0 (any free one) to 65535")
        fixed = [port for port in value if port]
        if len(set(fixed)) < len(fixed):
            raise ValueError("a port is named twice")
        return value

    @field_validator("data_roots")
    @classmethod
    def _resolve_roots(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        if not value:
            raise ValueError("at least one folder is needed")
        return tuple(path.expanduser().resolve() for path in value)

    @field_validator("model_path")
    @classmethod
    def _find_model(cls, value: Path) -> Path:
        path = value.expanduser()
        return ROOT / path if not path.exists() and (ROOT / path).exists() else path.absolute()

    @field_validator("kafka")
    @classmethod
    def _check_kafka(cls, value: str) -> str:
        servers = [part.strip() for part in value.split(",") if part.strip()]
        for server in servers:
            host, separator, port = server.rpartition(":")
            if not host or not separator or not port.isdigit() or not 0 < int(port) <= 65535:
                raise ValueError(f"write host:port, as in kafka.example:9092, not {server!r}")
        return ",".join(servers)

    @field_validator("clickhouse")
    @classmethod
    def _check_clickhouse(cls, value: str) -> str:
        if value and not re.match(r"(chdb|https?)://.", value):
            raise ValueError("write chdb://PATH or http://USER:PASSWORD@HOST:8123/DATABASE")
        return value

    @field_validator("log_level")
    @classmethod
    def _check_level(cls, value: str) -> str:
        level = "WARNING" if value.upper() == "WARN" else value.upper()
        if level not in LOG_LEVELS:
            raise ValueError(f"it is one of {', '.join(LOG_LEVELS)}")
        return level

    @model_validator(mode="after")
    def _fill_in(self) -> Self:
        # A frozen model is written to once, here, while it is being made.
        if not self.sensor:
            self.__dict__["sensor"] = socket.gethostname()
        if not self.clickhouse:
            self.__dict__["clickhouse"] = f"chdb://{self.state / 'clickhouse'}"
        if self.debug:
            self.__dict__["log_level"] = "DEBUG"
        return self

    @property
    def has_own_broker(self) -> bool:
        """Whether this stack starts its own Kafka."""
        return not self.kafka

    @property
    def has_embedded_store(self) -> bool:
        """Whether ClickHouse runs inside the process that answers for the store."""
        return self.clickhouse.startswith("chdb:")

    @property
    def kafka_folder(self) -> Path:
        """Folder of our own broker: its data, configuration and log."""
        return self.state / "broker"

    @property
    def logs_folder(self) -> Path:
        """Folder of our own log files."""
        return self.state / "logs"

    @property
    def captures_folder(self) -> Path:
        """Folder of what live captures keep on disk, one folder inside per capture."""
        return self.state / "captures"

    @property
    def uploads_folder(self) -> Path:
        """Folder of the capture files that were uploaded."""
        return self.state / "uploads"

    @property
    def thresholds(self) -> Thresholds:
        """The thresholds of baselines and detectors alone."""
        return Thresholds(**{name: getattr(self, name) for name in Thresholds.model_fields})

    @property
    def window_ns(self) -> int:
        """Size of a window, ns."""
        return round(self.window_s * 1e9)

    @property
    def lateness_ns(self) -> int:
        """Allowed lateness, ns."""
        return round(self.lateness_s * 1e9)


def load_settings(**overrides: Any) -> Settings:
    """Read the settings; later ones win: default, ``.env``, environment, ``overrides``.

    Parameters
    ----------
    **overrides
        Values by field name, as from a command line; None leaves a setting as it is.

    Raises
    ------
    SettingsError
        A value cannot work; the text names the setting, the value and what would work.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    if unknown := sorted(given.keys() - Settings.model_fields.keys()):
        raise SettingsError(f"There is no setting named {unknown[0]!r}.")
    try:
        return Settings(**given)
    except ValidationError as error:
        raise SettingsError(" ".join(sentences(error, Settings.model_fields))) from None


def environment_of(settings: Settings) -> dict[str, str]:
    """Return the environment in which a child process has the same settings."""
    separators = {"data_roots": os.pathsep}
    environment = {}
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            continue  # whoever needs it has it from where we have it
        if isinstance(value, tuple):
            value = separators.get(name, ",").join(map(str, value))
        environment[f"{PREFIX}{name.upper()}"] = "" if value is None else str(value)
    return environment


def unknown_names(environment: Mapping[str, str]) -> list[str]:
    """Return a sentence for each ``SPANWATCH_…`` variable that is not a setting, with the nearest one."""
    known = [f"{PREFIX}{name.upper()}" for name in Settings.model_fields]
    sentences = []
    for name in sorted(n for n in environment if n.startswith(PREFIX) and n not in known):
        near = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        sentences.append(f"{name} is not a setting.{hint}")
    return sentences
