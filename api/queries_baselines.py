"""SQL of baselines: ``baselines_now`` holds the newest version of each, ``baselines`` all of them."""

from __future__ import annotations

from api.analysis_rows import BaselineRow
from api.rows import Count
from infra.store import Store
from schemas.enums import BaselineKind

_OF_SOURCE = """
SELECT * FROM baselines_now WHERE source = {source:String} AND subject = {subject:String} ORDER BY kind
"""

_HISTORY = """
SELECT * FROM baselines FINAL
WHERE source = {source:String} AND kind = {kind:String} AND subject = {subject:String} AND version < {before:UInt64}
ORDER BY version DESC LIMIT {limit:UInt32} OFFSET {offset:UInt32}
"""

_VERSIONS = """
SELECT uniqExact(version) AS total FROM baselines
WHERE source = {source:String} AND kind = {kind:String} AND subject = {subject:String}
"""

_HOSTS = """
SELECT * FROM baselines_now WHERE source = {source:String} AND subject IN (
    SELECT subject FROM baselines_now
    WHERE source = {source:String} AND subject != ''
    GROUP BY subject ORDER BY max(windows) DESC, subject
    LIMIT {limit:UInt32} OFFSET {offset:UInt32}
)
ORDER BY max(windows) OVER (PARTITION BY subject) DESC, subject, kind
"""

_HOST_COUNT = """
SELECT uniqExact(subject) AS total FROM baselines_now WHERE source = {source:String} AND subject != ''
"""

_GENERATED = """
SELECT uniqExact(kind) AS total FROM baselines
WHERE source = {source:String} AND subject = '' AND origin = 'generated' AND version > {version:UInt64}
  AND kind IN {kinds:Array(String)}
"""

_NEWEST_VERSION = "SELECT max(version) AS total FROM baselines WHERE source = {source:String}"

NEWEST = 2**64 - 1
"""Above every version."""


def baselines(store: Store, source: str, subject: str = "") -> list[BaselineRow]:
    """Return the newest baselines of a source: of the whole network, or of one host."""
    rows = store.query(_OF_SOURCE, {"source": source, "subject": subject})
    return [BaselineRow.model_validate(row) for row in rows]


def history(
    store: Store, source: str, kind: BaselineKind, limit: int, offset: int, *, before: int = NEWEST, subject: str = ""
) -> list[BaselineRow]:
    """Return the versions of a baseline below ``before``, newest first."""
    place = {"limit": limit, "offset": offset, "before": before}
    rows = store.query(_HISTORY, {"source": source, "kind": kind.value, "subject": subject, **place})
    return [BaselineRow.model_validate(row) for row in rows]


def version_count(store: Store, source: str, kind: BaselineKind, subject: str = "") -> int:
    """Return how many versions of a baseline there are."""
    rows = store.query(_VERSIONS, {"source": source, "kind": kind.value, "subject": subject})
    return Count.model_validate(rows[0]).total


def host_baselines(store: Store, source: str, limit: int, offset: int) -> list[BaselineRow]:
    """Return the newest baselines of a page of hosts, those learnt from most windows first."""
    rows = store.query(_HOSTS, {"source": source, "limit": limit, "offset": offset})
    return [BaselineRow.model_validate(row) for row in rows]


def host_count(store: Store, source: str) -> int:
    """Return how many hosts have a baseline."""
    return Count.model_validate(store.query(_HOST_COUNT, {"source": source})[0]).total


def newest_version(store: Store, source: str) -> int:
    """Return the highest version of any of a source's baselines; 0 while it has none."""
    return Count.model_validate(store.query(_NEWEST_VERSION, {"source": source})[0]).total


def generated_count(store: Store, source: str, kinds: list[str], behind_version: int) -> int:
    """Return how many of these kinds have a generated version above one."""
    values = {"source": source, "kinds": kinds, "version": behind_version}
    return Count.model_validate(store.query(_GENERATED, values)[0]).total
