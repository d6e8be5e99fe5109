"""Writes a migration from what the tables say now.

`python -m jobprov.migrations.draft 0002 "What changes"`.

It compares the tables with a fresh SQLite at the newest revision; read what it wrote before
committing it. Until the first release, `python -m jobprov.migrations.draft --first` writes the
first revision anew instead.
"""

import argparse
import tempfile
from pathlib import Path

from alembic import command

from jobprov.provenance.db.connections.engines import open_database
from jobprov.provenance.db.upkeep.migrating import VERSIONS, settings_for, upgrade

FIRST = "0001"


def main() -> None:
    """Draft what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m jobprov.migrations.draft", description=__doc__)
    parser.add_argument("revision", nargs="?", default=FIRST)
    parser.add_argument("message", nargs="?", default="The schema of 0.1.0")
    parser.add_argument("--first", action="store_true", help="write the first revision anew")
    asked = parser.parse_args()
    if asked.first:
        for path in VERSIONS.glob("*.py"):
            path.unlink()
    draft(asked.revision, asked.message)


def draft(revision: str, message: str) -> None:
    """Write `versions/REVISION_MESSAGE.py` with what turns the newest revision into the tables of today."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'draft.db'}"
        if any(VERSIONS.glob("*.py")):
            upgrade(url)
        database = open_database(url)
        with database.writing.connect() as connection:
            command.revision(settings_for(connection), message, rev_id=revision, autogenerate=True)
            connection.rollback()
        database.dispose()


if __name__ == "__main__":
    main()
