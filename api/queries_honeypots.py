"""SQL of honeypots' logs.

Each table is read on its own and the parts are put together: a list then reads each in the order of its key, and no
more of it than the page. What is read twice is in a table once (``agents.honeypots``); should two readings have met,
``LIMIT 1 BY`` and ``FINAL`` take one row of the key.
"""

from __future__ import annotations

from collections.abc import Iterable

from api.honeypot_filters import HoneypotFilter
from api.honeypot_rows import DeadLetterRow, HoneypotLogRow, HoneypotRow
from api.queries_export import address_text
from api.rows import Count
from infra.store import Store
from schemas.honeypots import DEAD_LETTER_COLUMNS, STORED_LOG_COLUMNS, HoneypotType

DAY_NS = 86_400 * 10**9

FUTURE_NS = 3600 * 10**9
"""A line that lies further ahead comes from a clock that is wrong: nobody was heard from then."""

_COLUMNS = ", ".join(
    f"{address_text('l.source_ip')} AS source_ip" if column.name == "source_ip" else f"l.{column.name} AS {column.name}"
    for column in STORED_LOG_COLUMNS
)

_PART = """
(
    SELECT '{kind}' AS honeypot_type, {columns} FROM {table} AS l
    WHERE {wanted} AND {behind}
    ORDER BY l.ts_ns {direction}, l.log_id {direction}
    LIMIT 1 BY l.ts_ns, l.log_id
    LIMIT {{rows:UInt32}}
)
"""

_PAGE = """
SELECT * FROM ({parts}) ORDER BY ts_ns {direction}, log_id {direction} LIMIT {{limit:UInt32}} OFFSET {{offset:UInt32}}
"""

_IN_TIME = "l.ts_ns >= {from_ns:Int64} AND l.ts_ns < {to_ns:Int64}"

_SEARCHED = ("event", "message", "username", "password", "command", "data")

_CONDITIONS = {
    "source_ip": "l.source_ip = toIPv6({source_ip:String})",
    "event": "lower(l.event) = lower({event:String})",
    "action": "l.action = {action:String}",
    "level": "l.level = upper({level:String})",
    "username": "l.username = {username:String}",
    "password": "l.password = {password:String}",
    "session": "l.session = {session:String}",
    "read_id": "l.read_id = {read_id:String}",
    "text": f"({' OR '.join(f'positionCaseInsensitiveUTF8(l.{name}, {{text:String}}) > 0' for name in _SEARCHED)})",
}
"""What each filter that is given adds; times always count."""

_LOGINS = "action IN ('login_attempt', 'login_failed', 'login_success')"

_HONEYPOT = f"""
SELECT '{{kind}}' AS honeypot_type, count() AS lines, uniqExact(source_ip) AS sources,
       countIf(is_recent) AS lines_24h, uniqExactIf(source_ip, is_recent) AS sources_24h,
       countIf(is_recent AND {_LOGINS}) AS logins_24h, countIf(is_recent AND action = 'command') AS commands_24h,
       min(ts_ns) AS first_heard_ns, maxIf(ts_ns, ts_ns <= {{{{until_ns:Int64}}}}) AS last_heard_ns
FROM
(
    SELECT ts_ns, source_ip, action, ts_ns > {{{{since_ns:Int64}}}} AND ts_ns <= {{{{until_ns:Int64}}}} AS is_recent
    FROM {{table}} FINAL
)
"""  # noqa: S608 - our own text

_ACTIVE = """
SELECT '{kind}' AS honeypot_type FROM {table}
WHERE ts_ns > {{since_ns:Int64}} AND ts_ns <= {{until_ns:Int64}} LIMIT 1
"""

_OF_SOURCES = f"""
SELECT {address_text("source_ip")} AS source, uniqExact(honeypot_type, ts_ns, log_id) AS lines FROM ({{parts}})
GROUP BY source_ip
"""  # noqa: S608 - our own text

_OF_SOURCES_PART = """
SELECT '{kind}' AS honeypot_type, source_ip, ts_ns, log_id FROM {table}
WHERE source_ip IN (SELECT toIPv6(arrayJoin({{addresses:Array(String)}})))
  AND ts_ns >= {{from_ns:Int64}} AND ts_ns < {{to_ns:Int64}}
"""

_LETTERS = f"""
SELECT {", ".join(column.name for column in DEAD_LETTER_COLUMNS)} FROM honeypot_dead_letters FINAL
WHERE ({{read_id:String}} = '' OR read_id = {{read_id:String}})
  AND ({{last_ns:Int64}} < 0 OR (read_ns, letter_id) < ({{last_ns:Int64}}, {{last_id:UInt64}}))
ORDER BY read_ns DESC, letter_id DESC LIMIT {{limit:UInt32}} OFFSET {{offset:UInt32}}
"""  # noqa: S608 - our own text

_LETTER_COUNT = """
SELECT count() AS total FROM honeypot_dead_letters FINAL WHERE ({read_id:String} = '' OR read_id = {read_id:String})
"""


def _where(wanted: HoneypotFilter) -> str:
    return " AND ".join((_IN_TIME, *(_CONDITIONS[name] for name in wanted.given)))


def _values(wanted: HoneypotFilter) -> dict[str, object]:
    return {"from_ns": wanted.times.from_ns, "to_ns": wanted.times.to_ns, **wanted.given}


def logs(
    store: Store,
    wanted: HoneypotFilter,
    limit: int,
    offset: int = 0,
    *,
    is_newest_first: bool = True,
    behind: tuple[int, int] | None = None,
) -> list[HoneypotLogRow]:
    """Return a page of lines, ordered by time.

    Parameters
    ----------
    behind : tuple of (int, int), optional
        Time and id of the last line of the page before.
    """
    direction, sign = ("DESC", "<") if is_newest_first else ("ASC", ">")
    # The first alone as well: that is what ClickHouse finds the place in the key by.
    place = f"l.ts_ns {sign}= {{last_ns:Int64}} AND (l.ts_ns, l.log_id) {sign} ({{last_ns:Int64}}, {{last_id:UInt64}})"
    parts = (
        _PART.format(
            kind=kind.value,
            table=kind.table,
            columns=_COLUMNS,
            wanted=_where(wanted),
            behind=place if behind else "1",
            direction=direction,
        )
        for kind in wanted.kinds
    )
    last_ns, last_id = behind or (0, 0)
    page = {"rows": limit + offset, "limit": limit, "offset": offset, "last_ns": last_ns, "last_id": last_id}
    sql = _PAGE.format(parts=" UNION ALL ".join(parts), direction=direction)
    return [HoneypotLogRow.model_validate(row) for row in store.query(sql, {**_values(wanted), **page})]


def log_counts(store: Store, wanted: HoneypotFilter) -> dict[HoneypotType, int]:
    """Return how many lines the filters let through, by honeypot."""
    parts = (
        f"SELECT '{kind.value}' AS kind, count() AS total FROM {kind.table} AS l FINAL WHERE {_where(wanted)}"  # noqa: S608
        for kind in wanted.kinds
    )
    rows = store.query(" UNION ALL ".join(parts), _values(wanted))
    return {HoneypotType(str(row["kind"])): int(str(row["total"])) for row in rows}


def _day(now_ns: int) -> dict[str, object]:
    return {"since_ns": now_ns - DAY_NS, "until_ns": now_ns + FUTURE_NS}


def honeypots(store: Store, now_ns: int) -> list[HoneypotRow]:
    """Return what there is of each honeypot that has been heard from.

    Parameters
    ----------
    now_ns : int
        End of the last 24 hours, ns since the Unix epoch.
    """
    parts = (_HONEYPOT.format(kind=kind.value, table=kind.table) for kind in HoneypotType)
    found = store.query(" UNION ALL ".join(parts), _day(now_ns))
    return [row for row in map(HoneypotRow.model_validate, found) if row.lines]


def active_honeypots(store: Store, now_ns: int) -> list[HoneypotType]:
    """Return the types heard from in the last 24 hours; reads one row of each table.

    Parameters
    ----------
    now_ns : int
        End of the last 24 hours, ns since the Unix epoch. A line up to an hour ahead still counts, one of a clock that
        is further ahead does not.
    """
    parts = (_ACTIVE.format(kind=kind.value, table=kind.table) for kind in HoneypotType)
    # To compile the conditions takes five times as long as to read one row with them.
    sql = f"{' UNION ALL '.join(parts)} SETTINGS compile_expressions = 0"
    found = {str(row["honeypot_type"]) for row in store.query(sql, _day(now_ns))}
    return [kind for kind in HoneypotType if kind.value in found]


def interactions(
    store: Store, addresses: Iterable[str], from_ns: int = -(2**63), to_ns: int = 2**63 - 1
) -> dict[str, int]:
    """Return how many lines the four tables have of each source that they know.

    Parameters
    ----------
    addresses : iterable of str
        As people write them, IPv4 or IPv6.
    from_ns, to_ns : int
        Only of what happened in ``[from_ns, to_ns)``.
    """
    wanted = sorted(set(addresses))
    parts = (_OF_SOURCES_PART.format(kind=kind.value, table=kind.table) for kind in HoneypotType)
    sql = _OF_SOURCES.format(parts=" UNION ALL ".join(parts))
    rows = store.query(sql, {"addresses": wanted, "from_ns": from_ns, "to_ns": to_ns}) if wanted else []
    return {str(row["source"]): int(str(row["lines"])) for row in rows}


def dead_letters(
    store: Store, limit: int, offset: int = 0, *, read_id: str = "", behind: tuple[int, int] | None = None
) -> list[DeadLetterRow]:
    """Return a page of malformed lines, those read last first."""
    last_ns, last_id = behind or (-1, 0)
    values = {"read_id": read_id, "limit": limit, "offset": offset, "last_ns": last_ns, "last_id": last_id}
    return [DeadLetterRow.model_validate(row) for row in store.query(_LETTERS, values)]


def dead_letter_count(store: Store, read_id: str = "") -> int:
    """Return how many malformed lines there are."""
    return Count.model_validate(store.query(_LETTER_COUNT, {"read_id": read_id})[0]).total
