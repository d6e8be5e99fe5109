"""When a copy or a sealing was last done: files without content in the data folder.

They are for who watches the service, and in no database: backups are made by commands, of any
database.
"""

import logging
from pathlib import Path

BACKUP, SEAL = "backup", "seal"
_log = logging.getLogger("jobprov.moments")


def note_done(data: Path, what: str) -> None:
    """Note that something was done now; a disk that takes no file is no reason to fail."""
    try:
        _file(data, what).touch()
    except OSError as problem:
        _log.warning("That a %s was done cannot be noted: %s", what, problem)


def last_done(data: Path, what: str) -> float | None:
    """Return when something was last done, in seconds since 1970; None where that is not known."""
    try:
        return _file(data, what).stat().st_mtime
    except OSError:
        return None


def _file(data: Path, what: str) -> Path:
    return data / f"last-{what}"
