"""Rebuilt databases on SQLite that begin with a copy of a schema that was migrated before.

The migrations take an eighth of a second, and hundreds of tests rebuild a database.
"""

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

from sqlalchemy.engine import make_url

from jobprov.provenance.db.upkeep.migrating import upgrade
from jobprov.provenance.services.upkeep import database_rebuild


def migrate_once() -> None:
    """Have `rebuild_database` copy a migrated file where there is none yet."""
    database_rebuild.upgrade = _upgrade  # type: ignore[attr-defined]


def _upgrade(url: str) -> None:
    if not url.startswith("sqlite:"):
        upgrade(url)  # refuses what is no address, in its own words
        return
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or Path(parsed.database or "").exists():
        upgrade(url)
        return
    target = Path(parsed.database or "")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(_migrated(), target)


@functools.cache
def _migrated() -> Path:
    """Return a file as `jobprov migrate` makes it; the first call makes it."""
    folder = Path(tempfile.mkdtemp(prefix="jobprov-migrated-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    upgrade(f"sqlite:///{folder}/jobprov.db")
    return folder / "jobprov.db"
