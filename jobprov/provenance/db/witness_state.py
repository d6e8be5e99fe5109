"""What a witness reported already, so that each run goes on where the last one stopped.

It is a small SQLite file of its own. To lose it is harmless: everything of the window is reported
again, and the service answers that it knows it.
"""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self
from uuid import UUID

from jobprov.provenance.errors import BadInputError, ConflictError

_KEPT_SECONDS = 14 * 86400
_SCHEMA = """
CREATE TABLE IF NOT EXISTS told (job_id BLOB PRIMARY KEY, ended_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reached (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


class WitnessState:
    """The state in a file; one witness at a time.

    A context manager, which closes the file.

    Raises:
        ConflictError: another witness works with this file.
        BadInputError: the file is something else.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        file.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(file, timeout=0, isolation_level=None)
        try:
            # In this mode the lock stays with the connection after the commit
            self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._connection.execute("BEGIN EXCLUSIVE")
            self._connection.execute("COMMIT")
            self._connection.executescript(_SCHEMA)
        except sqlite3.OperationalError:
            self._connection.close()
            raise ConflictError(f"Another witness works with {file}; it is left to it.") from None
        except sqlite3.DatabaseError:
            self._connection.close()
            raise BadInputError(
                f"{file} is not the state of a witness; name another file by --state."
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._connection.close()

    def was_told(self, job_id: str) -> bool:
        """Return whether this job was reported."""
        query = "SELECT 1 FROM told WHERE job_id = ?"
        return self._connection.execute(query, (UUID(job_id).bytes,)).fetchone() is not None

    def note_told(self, jobs: Iterable[tuple[str, float]]) -> None:
        """Note jobs that were reported, by id and the moment when they ended."""
        rows = [(UUID(job_id).bytes, int(ended_at)) for job_id, ended_at in jobs]
        self._write("INSERT OR REPLACE INTO told VALUES (?, ?)", rows)

    def reached(self) -> int | None:
        """Return up to which moment everything was reported; None at first."""
        row = self._connection.execute("SELECT value FROM reached WHERE name = 'time'").fetchone()
        return int(row[0]) if row else None

    def note_reached(self, moment: int) -> None:
        """Note up to which moment everything was reported, and forget what ended long before."""
        self._connection.execute(
            "INSERT OR REPLACE INTO reached VALUES ('time', ?)", (str(moment),)
        )
        self._connection.execute("DELETE FROM told WHERE ended_at < ?", (moment - _KEPT_SECONDS,))

    def reported_experiments(self) -> list[str]:
        """Return the experiments whose jobs in the queue were reported by the last run."""
        query = "SELECT value FROM reached WHERE name LIKE 'queue:%'"
        return [row[0] for row in self._connection.execute(query)]

    def note_reported(self, experiments: Iterable[str]) -> None:
        """Note the experiments whose jobs in the queue were reported."""
        self._connection.execute("DELETE FROM reached WHERE name LIKE 'queue:%'")
        rows = [(f"queue:{experiment}", experiment) for experiment in experiments]
        self._write("INSERT OR REPLACE INTO reached VALUES (?, ?)", rows)

    def is_unchanged(self, file: Path) -> bool:
        """Return whether a file is as it was when everything in it was reported."""
        query = "SELECT value FROM reached WHERE name = ?"
        row = self._connection.execute(query, (f"file:{file.absolute()}",)).fetchone()
        return row is not None and row[0] == stamp_of(file)

    def note_files(self, stamps: Iterable[tuple[Path, str]]) -> None:
        """Note that everything in these files was reported.

        A file is noted by the stamp that it had before it was read: it may have grown since.
        """
        rows = [(f"file:{file.absolute()}", stamp) for file, stamp in stamps]
        self._write("INSERT OR REPLACE INTO reached VALUES (?, ?)", rows)

    def _write(self, statement: str, rows: list[tuple[Any, ...]]) -> None:
        """Write rows in one transaction: one wait for the disk."""
        self._connection.execute("BEGIN")
        self._connection.executemany(statement, rows)
        self._connection.execute("COMMIT")


def stamp_of(file: Path) -> str:
    """Return a text that changes when the file does."""
    status = file.stat()
    return f"{status.st_ino} {status.st_size} {status.st_mtime_ns}"
