"""What an archive of the store says of itself: its first member and its last."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

FORMAT = 1
"""Version of the archive's form; raised when an older program could not read it."""

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
"""A table or a column: these names are put into statements."""


class TableBackup(BaseModel):
    """One table of an archive.

    Parameters
    ----------
    name : str
        The table.
    columns : tuple of str
        Its stored columns in the order in which the archive has them; computed ones that are not stored are left out.
    rows : int
        Rows of it in the archive.
    """

    model_config = ConfigDict(frozen=True)

    name: Name
    columns: tuple[Name, ...]
    rows: Annotated[int, Field(ge=0)]


class BackupHeader(BaseModel):
    """The first member of an archive, ``backup.json``.

    Parameters
    ----------
    format : int
        Version of the archive's form.
    program : str
        Version of the program that wrote it.
    schema_version : int
        Newest migration that the store had had.
    checksums : mapping of int to str
        SHA-256 of each of its migrations, by version.
    made_at : datetime
        When it was begun, UTC.
    sensor : str
        Name of the machine.
    tables : tuple of TableBackup
        What follows, in this order.
    """

    model_config = ConfigDict(frozen=True)

    format: int
    program: str
    schema_version: Annotated[int, Field(ge=1)]
    checksums: dict[int, str]
    made_at: datetime
    sensor: str
    tables: tuple[TableBackup, ...]

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(table.rows for table in self.tables)


class BackupMember(BaseModel):
    """One member as the manifest knows it: name, length and SHA-256 of its bytes in the archive."""

    model_config = ConfigDict(frozen=True)

    name: str
    bytes: int
    sha256: str


class BackupManifest(BaseModel):
    """The last member of an archive: every member before it. Without it an archive is not whole."""

    model_config = ConfigDict(frozen=True)

    members: tuple[BackupMember, ...]
