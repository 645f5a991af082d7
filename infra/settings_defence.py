"""The settings of active defence: what carries blocks out, what is never blocked, and what is blocked by itself."""

from __future__ import annotations

import re
import shlex
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Literal

from pydantic import BaseModel, Field, field_validator
from pydantic_settings import NoDecode

from schemas.blocks import FirewallKind
from schemas.classes import BENIGN, CLASS_NAMES

_LONGEST_S = 2_592_000
"""30 days: a block is a measure for the time until somebody has looked, not a rule of the firewall."""

_ATTACKS = {name.replace("–", "-").lower(): name for number, name in enumerate(CLASS_NAMES) if number != BENIGN}


class DefenceSettings(BaseModel):
    """Part of the settings; docs: ``docs/active-defence.md``."""

    defence_firewall: FirewallKind = Field(
        FirewallKind.DRY_RUN,
        description="What carries blocks out: dry-run (nothing is cut off, everything else is as in earnest) or "
        "nftables.",
    )
    defence_nft: str = Field(
        "nft",
        min_length=1,
        description="The nft program, with what it is to be run through: `ssh gateway sudo nft` blocks on the gateway. "
        "No shell reads it here.",
    )
    defence_table: str = Field(
        "spanwatch",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,30}$",
        description="Name of our nftables table (family inet), which is ours alone.",
    )
    defence_allow: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        (),
        description="Networks whose addresses are never blocked, as in 10.0.0.0/8,2001:db8::/32, besides this "
        "machine's own, its gateways' and the stack's servers'.",
    )
    defence_block_s: float = Field(
        3600.0, ge=1, le=_LONGEST_S, description="How long a block lasts when nobody says how long, seconds."
    )
    defence_longest_s: float = Field(
        604_800.0, ge=1, le=_LONGEST_S, description="How long a block may last at most, seconds."
    )
    defence_max_blocks: int = Field(
        1024, ge=1, le=65_536, description="Addresses that may be blocked at the same time."
    )
    defence_auto: Literal["off", "dry-run", "on"] = Field(
        "off",
        description="Whether the policy blocks by itself: off, dry-run (says whom it would block, whatever "
        "defence_firewall is) or on.",
    )
    defence_auto_classes: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Attack classes whose flows the policy counts, separated by commas; empty for all. A hyphen "
        "does for the dash in them.",
    )
    defence_auto_confidence: float = Field(
        0.95, ge=0.5, le=1, description="Least confidence of a verdict that the policy counts."
    )
    defence_auto_flows: int = Field(
        20,
        ge=1,
        le=1_000_000,
        description="Flows of one class from one source that the policy takes for an attack: one wrong verdict blocks "
        "nobody.",
    )
    defence_auto_severity: Literal["none", "medium", "high"] = Field(
        "high", description="Least severity of the anomalies that the policy counts; none counts none."
    )
    defence_auto_anomalies: int = Field(
        2, ge=1, le=10_000, description="Anomalies of one source that the policy takes for an attack."
    )
    defence_auto_within_s: float = Field(
        60.0, ge=1, le=3600, description="Time within which the policy counts flows and anomalies, seconds."
    )
    defence_auto_block_s: float = Field(
        600.0, ge=1, le=86_400, description="How long an automatic block lasts, seconds."
    )
    defence_auto_per_hour: int = Field(
        10, ge=0, le=1000, description="Automatic blocks in an hour at most, those of a dry run included."
    )

    @property
    def defence_command(self) -> tuple[str, ...]:
        """The nft program with what it is run through, as a list of arguments."""
        return tuple(shlex.split(self.defence_nft))

    @field_validator("defence_nft")
    @classmethod
    def _check_command(cls, value: str) -> str:
        try:
            words = shlex.split(value)
        except ValueError as error:
            raise ValueError("a quotation mark is not closed") from error
        if not words:
            raise ValueError("name the program")
        return value

    @field_validator("defence_allow", mode="before")
    @classmethod
    def _split_networks(cls, value: object) -> object:
        return tuple(part for part in re.split(r"[,\s]+", value) if part) if isinstance(value, str) else value

    @field_validator("defence_auto_classes", mode="before")
    @classmethod
    def _split_classes(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("defence_auto_classes")
    @classmethod
    def _know_classes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        known = [_ATTACKS.get(name.replace("–", "-").lower(), "") for name in value]
        if not all(known):
            raise ValueError(f"the classes of attacks are {', '.join(_ATTACKS.values())}")
        return tuple(known)
