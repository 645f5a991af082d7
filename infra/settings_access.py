"""The settings of who may use the API, from where and how much."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

_RATE = re.compile(r"none|[1-9]\d{0,8}/(second|minute|hour)")
_ORIGIN = re.compile(r"\*|https?://[^/?#\s@]+")


class AccessSettings(BaseModel):
    """Part of the settings; docs: ``docs/access.md``."""

    read_needs_key: bool = Field(default=False, description="Whether reading needs a key, too; see access.md.")
    predict_needs_key: bool = Field(default=False, description="Whether predicting needs a key, too.")
    local_needs_key: bool = Field(
        default=False,
        description="Whether callers on this machine need a key as all others do, while the API listens on loopback "
        "only.",
    )
    limit_read: str = Field(
        default="100/second",
        description="How often a key, or an address without one, may read from outside this machine, as in 100/second "
        "or 1000/minute.",
    )
    limit_predict: str = Field(default="none", description="How often it may predict, likewise; none for no limit.")
    limit_act: str = Field(default="60/minute", description="How often it may do something that acts, likewise.")
    max_body_bytes: int = Field(
        default=1 << 20,
        ge=65_536,
        le=1 << 30,
        description="Largest body of a request, bytes; 100 rows of 78 features are 160 KB.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Sites whose pages may use the API from a browser, as in https://soc.example, separated by commas; "
        "* for every site.",
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Addresses or networks of proxies whose X-Forwarded-For is believed, separated by commas.",
    )
    tls_certificate: Path | None = Field(
        default=None, description="Certificate chain (PEM) of the API; with tls_key all its ports speak HTTPS only."
    )
    tls_key: Path | None = Field(default=None, description="Private key (PEM, without a password) of the certificate.")
    audit_ttl_days: int = Field(default=365, ge=1, le=3650, description="How long the audit stays in the store, days.")
    api_key: SecretStr = Field(
        default=SecretStr(""), description="Key that commands and the Python client show to the API; shown nowhere."
    )
    api_url: str = Field(
        default="",
        pattern=r"^$|^https?://[^/?#\s@]+/?$",
        description="Address of the API that commands ask, as in https://probe.example:8000; empty for this machine's.",
    )
    api_ca: Path | None = Field(
        default=None,
        description="Certificate authorities (PEM) that commands trust besides the system's; "
        "tls_certificate when empty.",
    )

    @field_validator("cors_origins", "trusted_proxies", mode="before")
    @classmethod
    def _split_list(cls, value: object) -> object:
        return tuple(part for part in re.split(r"[,\s]+", value) if part) if isinstance(value, str) else value

    @field_validator("limit_read", "limit_predict", "limit_act")
    @classmethod
    def _check_rate(cls, value: str) -> str:
        rate = value.replace(" ", "")
        if not _RATE.fullmatch(rate):
            raise ValueError("write how often per second, minute or hour, as in 60/minute, or none")
        return rate

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError("write scheme and host without a path, as in https://soc.example, or *")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _check_proxies(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in value:
            try:
                ipaddress.ip_network(proxy)
            except ValueError as error:
                raise ValueError("write addresses or networks, as in 10.0.0.1 or 10.0.0.0/24") from error
        return value

    @model_validator(mode="after")
    def _check_tls(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("SPANWATCH_TLS_CERTIFICATE and SPANWATCH_TLS_KEY go together")
        return self
