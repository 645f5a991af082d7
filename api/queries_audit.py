"""SQL of the audit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from pydantic import BaseModel, ConfigDict

from api.filters import EVER, TimeRange
from api.pages import PageCursor
from infra.store import Store
from schemas.audit import AuditOutcome

_NARROWED = """
WHERE at_ns >= {from_ns:Int64} AND at_ns < {to_ns:Int64}
  AND ({who:String} = '' OR who = {who:String})
  AND ({action:String} = '' OR action = {action:String} OR startsWith(action, concat({action:String}, '.')))
  AND ({target:String} = '' OR positionCaseInsensitiveUTF8(target, {target:String}) > 0)
  AND ({outcome:String} = '' OR outcome = {outcome:String})
"""

_COUNT = f"SELECT count() AS total FROM audit {_NARROWED}"  # noqa: S608 - our own text

_PAGE = f"""
SELECT * FROM audit {_NARROWED}
  AND (at_ns, entry_id) < ({{at_ns:Int64}}, {{entry_id:String}})
ORDER BY at_ns DESC, entry_id DESC
LIMIT {{limit:UInt32}} OFFSET {{offset:UInt64}}
"""  # noqa: S608 - our own text


class AuditRow(BaseModel):
    """One row; see ``schemas.audit.AUDIT_COLUMNS``."""

    model_config = ConfigDict(frozen=True)

    at_ns: int
    entry_id: str
    who: str
    key_id: str
    address: str
    action: str
    target: str
    outcome: AuditOutcome
    status: int
    details: str


@dataclass(frozen=True)
class AuditFilter:
    """Which rows are wanted; an empty text does not narrow down."""

    times: TimeRange = EVER
    who: str = ""
    action: str = ""
    target: str = ""
    outcome: str = ""

    @property
    def values(self) -> dict[str, object]:
        """The values of a query."""
        return {
            "from_ns": self.times.from_ns,
            "to_ns": self.times.to_ns,
            "who": self.who,
            "action": self.action,
            "target": self.target,
            "outcome": self.outcome,
        }


@dataclass(frozen=True)
class AuditBehind:
    """The row that a page follows."""

    at_ns: int = 2**63 - 1
    entry_id: str = ""

    @classmethod
    def of(cls, cursor: PageCursor | None) -> Self:
        """Return the row that a cursor names; before the newest without one."""
        return cls() if cursor is None else cls(cursor.number, cursor.text)


def audit(store: Store, wanted: AuditFilter, behind: AuditBehind, limit: int, offset: int) -> list[AuditRow]:
    """Return rows of the audit, newest first."""
    values = {**wanted.values, "at_ns": behind.at_ns, "entry_id": behind.entry_id, "limit": limit, "offset": offset}
    return [AuditRow.model_validate(row) for row in store.query(_PAGE, values)]


def audit_count(store: Store, wanted: AuditFilter) -> int:
    """Return how many rows there are."""
    [row] = store.query(_COUNT, wanted.values)
    return int(str(row["total"]))
