"""The numbered SQL files that build a store, and the record of which ones it has had."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import MigrationError

FOLDER = Path(__file__).parent / "migrations"

CREATE_RECORD = """
CREATE TABLE IF NOT EXISTS schema_migrations
(
    version UInt32,
    name String,
    checksum String,
    applied_at DateTime('UTC') DEFAULT now()
)
ENGINE = ReplacingMergeTree(applied_at)
ORDER BY version
SETTINGS non_replicated_deduplication_window = 100
"""

_FILE = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_PIECE = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:\\.|''|[^'\\])*'|`[^`]*`|;|[^-/'`;]+|.", re.DOTALL)
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True)
class Migration:
    """One numbered SQL file.

    Attributes
    ----------
    version : int
        From 1, without gaps.
    name : str
        What it does, from the file's name.
    text : str
        The file; its SHA-256 is recorded, so a file never changes once it has been released.
    """

    version: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def statements(self, values: Mapping[str, int]) -> list[str]:
        """Return its statements with ``{placeholder}`` replaced by the number of that name."""
        return [
            _PLACEHOLDER.sub(lambda match: str(values[match[1]]), statement)
            for statement in split_statements(self.text)
        ]


def split_statements(text: str) -> list[str]:
    """Split SQL at semicolons outside strings, quoted names and comments; comments are dropped."""
    statements = [""]
    for piece in _PIECE.findall(text):
        if piece == ";":
            statements.append("")
        elif not piece.startswith(("--", "/*")):
            statements[-1] += piece
    return [statement.strip() for statement in statements if statement.strip()]


def read_migrations(folder: Path = FOLDER) -> list[Migration]:
    """Return the folder's migrations in order.

    Raises
    ------
    MigrationError
        When a file is not named ``0001_what_it_does.sql`` or a number is missing or double.
    """
    migrations = []
    for path in sorted(folder.glob("*.sql")):
        match = _FILE.fullmatch(path.name)
        if match is None:
            raise MigrationError(f"{path.name} is not named like 0001_what_it_does.sql")
        migrations.append(Migration(int(match[1]), match[2], path.read_text(encoding="utf-8")))
    if [m.version for m in migrations] != list(range(1, len(migrations) + 1)):
        raise MigrationError(f"the migrations in {folder} are not numbered 1, 2, 3, …")
    return migrations


def pending(migrations: Sequence[Migration], recorded: Mapping[int, str]) -> list[Migration]:
    """Return what a store still needs, given the checksums it has recorded by version.

    Raises
    ------
    MigrationError
        When the store is newer than this program, or a migration it has had was changed since.
    """
    newest = len(migrations)
    unknown = [version for version in recorded if version > newest]
    if unknown:
        raise MigrationError(
            f"the store is at schema version {max(unknown)} and this program knows only {newest}: "
            "use a newer spanwatch, or another store"
        )
    for migration in migrations:
        checksum = recorded.get(migration.version)
        if checksum is not None and checksum != migration.checksum:
            raise MigrationError(
                f"migration {migration.version:04d}_{migration.name} was changed after this store had it: "
                "restore the file and put the change into a new migration"
            )
    return [migration for migration in migrations if migration.version not in recorded]


def apply(
    migration: Migration,
    values: Mapping[str, int],
    command: Callable[[str], None],
    record: Callable[[Migration], None],
) -> None:
    """Run a migration's statements, then record it.

    Every statement says ``IF NOT EXISTS`` or is otherwise repeatable: after a crash in between, the whole
    migration simply runs again.
    """
    for statement in migration.statements(values):
        command(statement)
    record(migration)
