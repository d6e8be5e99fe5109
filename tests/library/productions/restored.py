"""A production on an older copy of its database, with the archive of today: what a restored backup is."""

import shutil
from pathlib import Path

from provenance.db.engines import open_database
from tests.library.production import Production


def restore(production: Production, copy: Path, folder: Path) -> Production:
    """Return a production on a database as it was when the copy was made, with the archive of today."""
    folder.mkdir()
    shutil.copy(copy, folder / "jobprov.db")
    database = open_database(f"sqlite:///{folder / 'jobprov.db'}")
    restored = Production(database, production.store, folder)
    restored.now = production.now
    return restored


def copy_of(production: Production, target: Path) -> Path:
    """Return a copy of the database as it is now."""
    with production.database.writing.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute("VACUUM INTO ?", (str(target),))
    return target


def close(production: Production) -> None:
    production.close()
    production.database.dispose()
