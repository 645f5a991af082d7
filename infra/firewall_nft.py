"""nftables: a table of our own with a set per address family, changed through nft's JSON interface.

::

    table inet spanwatch
        set blocked4, blocked6          addresses with a time-out and a counter
        chain input    (filter - 10)    drop what comes from them
        chain forward  (filter - 10)    drop what comes from them or goes to them
        chain output   (filter - 10)    drop what goes to them

Each change is one transaction of the kernel: it happens whole or not at all. Source of the form: libnftables-json(5);
of hooks and priorities: nft(8), "Address families" and "Chains". Why so: ``docs/decisions/0027``.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, ip_address

from pydantic import BaseModel, Field

from infra.firewall import Address, InForce, whole_seconds
from infra.programs import NFT, how_to_install
from infra.settings import Settings
from schemas.blocks import FirewallKind
from schemas.errors import FirewallError, FirewallPermissionError, MissingProgramError

Statement = dict[str, object]
"""An object of nft's JSON, as libnftables-json(5) has them."""

PRIORITY = -10
"""Before the chains of other tables (filter, 0) and behind the translation of destinations (dstnat, -100), so that
both ends of a translated connection are seen by their own addresses. A drop is final whatever stands behind."""

TIMEOUT_S = 15.0
"""How long nft may take, also through ssh to another machine."""

_FAMILY = "inet"
_SETS = {4: "blocked4", 6: "blocked6"}
_TYPES = {4: "ipv4_addr", 6: "ipv6_addr"}
_PROTOCOLS = {4: "ip", 6: "ip6"}
_DIRECTIONS = {"input": ("saddr",), "forward": ("saddr", "daddr"), "output": ("daddr",)}
"""Chain, named as its hook, and which end of a packet it looks at."""

_MISSING = "Error: No such file or directory"
_NOT_PERMITTED = "Operation not permitted"


class _Counter(BaseModel):
    packets: int
    bytes: int


class _Element(BaseModel):
    """An address of a set."""

    val: str
    expires: float = 0.0
    counter: _Counter | None = None


class _Held(BaseModel):
    elem: _Element


class _Set(BaseModel):
    """A set as nft lists it."""

    name: str
    elem: list[_Held] = Field(default_factory=list)


class _Listed(BaseModel):
    set: _Set | None = None


class _Answer(BaseModel):
    nftables: list[_Listed]


class Nftables:
    """Our table in the kernel's packet filter.

    Parameters
    ----------
    command : sequence of str
        The nft program and what it is run through; it gets ``-j -f -`` and the statements on its standard input.
    table : str
        Name of the table.
    """

    kind = FirewallKind.NFTABLES

    def __init__(self, command: Sequence[str] = ("nft",), table: str = "spanwatch") -> None:
        self._command = tuple(command)
        self._table = table

    def block(self, address: Address, timeout_s: float) -> None:
        """Cut an address off; see ``Firewall``."""
        # An element that is there keeps its time-out: it is taken out first, which needs it to be there.
        added, element = self._element(address, 1), self._element(address, timeout_s)
        self._run([*self._frame(), _add(added), _delete(added), _add(element)])

    def unblock(self, address: Address) -> None:
        """Let an address through again; see ``Firewall``."""
        element = self._element(address, 1)
        self._run([*self._frame(), _add(element), _delete(element)])

    def blocked(self) -> dict[Address, InForce]:
        """Return what is cut off now; see ``Firewall``."""
        try:
            said = self._run([{"list": {"table": self._named()}}])
        except FirewallError as error:
            if _MISSING in str(error):
                return {}
            raise
        try:
            sets = [one.set for one in _Answer.model_validate_json(said).nftables if one.set is not None]
            return {ip_address(held.elem.val): _in_force(held.elem) for one in sets for held in one.elem}
        except ValueError as error:  # ValidationError is one
            raise FirewallError("nft lists our table in a form that this version does not know.") from error

    def replace(self, timeouts_s: Mapping[Address, float]) -> None:
        """Cut off exactly these addresses; see ``Firewall``."""
        elements = (_add(self._element(address, timeout_s)) for address, timeout_s in timeouts_s.items())
        self._run([*self._no_table(), *self._frame(), *elements])

    def clear(self) -> None:
        """Take the table away with everything in it."""
        self._run(self._no_table())

    def _named(self) -> Statement:
        return {"family": _FAMILY, "name": self._table}

    def _within(self, **keys: object) -> Statement:
        return {"family": _FAMILY, "table": self._table, **keys}

    def _no_table(self) -> list[Statement]:
        # To delete what is not there is an error; to add what is there is none.
        return [_add({"table": self._named()}), _delete({"table": self._named()})]

    def _frame(self) -> list[Statement]:
        """Return what makes table, sets, chains and rules, and changes nothing where they are there."""
        made = [_add({"table": self._named()})]
        for version, name in _SETS.items():
            counting = {"type": _TYPES[version], "flags": ["timeout"], "stmt": [{"counter": None}]}
            made.append(_add({"set": self._within(name=name, **counting)}))
        for hook, ends in _DIRECTIONS.items():
            chain = self._within(name=hook, type="filter", hook=hook, prio=PRIORITY, policy="accept")
            # A rule is added once more each time, so the chain is emptied first.
            made += [_add({"chain": chain}), {"flush": {"chain": self._within(name=hook)}}]
            made += [_add({"rule": self._rule(hook, version, end)}) for version in _SETS for end in ends]
        return made

    def _rule(self, chain: str, version: int, end: str) -> Statement:
        address = {"payload": {"protocol": _PROTOCOLS[version], "field": end}}
        match = {"match": {"op": "==", "left": address, "right": f"@{_SETS[version]}"}}
        return self._within(chain=chain, expr=[match, {"drop": None}])

    def _element(self, address: Address, timeout_s: float) -> Statement:
        name = _SETS[4 if isinstance(address, IPv4Address) else 6]
        timed = {"elem": {"val": str(address), "timeout": whole_seconds(timeout_s)}}
        return {"element": self._within(name=name, elem=[timed])}

    def _run(self, statements: Sequence[Statement]) -> bytes:
        """Have nft carry out statements, as one transaction, and return what it prints."""
        program = self._command[0]
        try:
            done = subprocess.run(  # noqa: S603 - a list of arguments; addresses travel in the JSON
                [*self._command, "-j", "-f", "-"],
                input=json.dumps({"nftables": statements}).encode(),
                capture_output=True,
                timeout=TIMEOUT_S,
                env={**os.environ, "LC_ALL": "C"},
                check=False,
            )
        except FileNotFoundError as error:
            hint = f" {how_to_install([NFT])}" if program == NFT.name else ""
            raise MissingProgramError(f"The program {program!r} is not installed or not in PATH.{hint}") from error
        except PermissionError as error:
            raise FirewallPermissionError(f"The program {program!r} may not be run.") from error
        except subprocess.TimeoutExpired as error:
            raise FirewallError(f"{program} has not answered within {TIMEOUT_S:g} s.") from error
        if done.returncode != 0:
            raise _refusal(program, done.stderr.decode(errors="replace"))
        return done.stdout


def nftables_of(settings: Settings) -> Nftables:
    """Return the nftables that the settings name; to make it changes nothing."""
    return Nftables(settings.defence_command, settings.defence_table)


def _add(what: Statement) -> Statement:
    return {"add": what}


def _delete(what: Statement) -> Statement:
    return {"delete": what}


def _in_force(element: _Element) -> InForce:
    counter = element.counter
    return InForce(
        remaining_s=element.expires,
        packets=counter.packets if counter else None,
        bytes=counter.bytes if counter else None,
    )


def _refusal(program: str, said: str) -> FirewallError:
    """Return the error for what nft said, in plain words where we know it."""
    if _NOT_PERMITTED in said:
        return FirewallPermissionError(
            "nft may not change the firewall: the service needs the capability CAP_NET_ADMIN (run it as root, or with "
            "AmbientCapabilities=CAP_NET_ADMIN in its systemd unit)."
        )
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return FirewallError(f"{program} refused: {lines[0] if lines else 'it did not say why'}")
