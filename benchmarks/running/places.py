"""Where a measurement happens: a database with the schema in it, and a data folder.

All of it goes afterwards, unless it is kept.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from benchmarks.running.processes import running_postgresql
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.upkeep.migrating import upgrade


@dataclass(frozen=True)
class Place:
    """A database under measurement.

    Attributes:
        kind: `sqlite` or `postgresql`.
        process: id of the database server's process, None where there is none.
    """

    kind: str
    url: str
    folder: Path
    process: int | None

    @property
    def settings(self) -> dict[str, str]:
        """Return the settings of a service here."""
        return {
            "JOBPROV_DATA": str(self.folder / "var"),
            "JOBPROV_DATABASE_URL": self.url,
            "JOBPROV_PORT": "0",
        }

    def another(self, name: str) -> str:
        """Return the URL of a further database of the same kind, empty but for the schema."""
        if self.kind == "sqlite":
            url = f"sqlite:///{self.folder / name}.db"
        else:
            engine = create_engine(self.url, isolation_level="AUTOCOMMIT")
            with engine.connect() as connection:
                connection.execute(text(f"CREATE DATABASE {name}"))
            engine.dispose()
            url = make_url(self.url).set(database=name).render_as_string(hide_password=False)
        upgrade(url)
        return url

    def database_bytes(self, database: Database) -> int:
        """Return what the database takes on disk, with free pages and write-ahead log."""
        if self.kind == "sqlite":
            return sum(file.stat().st_size for file in self.folder.glob("jobprov.db*"))
        with database.reading.connect() as connection:
            size: int = connection.exec_driver_sql(
                "SELECT pg_database_size(current_database())"
            ).scalar_one()
        return size


@contextmanager
def open_place(kind: str, kept: Path | None = None) -> Iterator[Place]:
    """Yield a place: with an empty database, or the one in the folder `kept`, which stays."""
    if kept is not None:
        folder = kept.absolute() / kind
        folder.mkdir(parents=True, exist_ok=True)
        with _opened(kind, folder) as place:
            yield place
        return
    with (
        tempfile.TemporaryDirectory(prefix="jobprov-benchmark-") as name,
        _opened(kind, Path(name)) as place,
    ):
        yield place


@contextmanager
def _opened(kind: str, folder: Path) -> Iterator[Place]:
    if kind == "sqlite":
        place = Place(kind, f"sqlite:///{folder / 'jobprov.db'}", folder, None)
        upgrade(place.url)
        yield place
        return
    with running_postgresql(folder) as (url, process):
        upgrade(url)
        yield Place(kind, url, folder, process)
