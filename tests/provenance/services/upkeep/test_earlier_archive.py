"""An archive that an earlier version wrote is read for ever.

A database is filled from it, and goes on with its chains.

Source: tests/data/archive/SOURCES.md says what is in the archive and how it was made.
"""

import hashlib
import json
import shutil
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from jobprov.archive.opening import open_store
from jobprov.provenance.db.connections.engines import open_database
from jobprov.provenance.db.upkeep.migrating import stamp, upgrade
from jobprov.provenance.errors import NotFoundError, UnreachableError
from jobprov.provenance.services.bundles.job_bundle import earlier_bundle
from jobprov.provenance.services.lookup.job import read_job
from jobprov.provenance.services.upkeep.archive_checks import check_archive
from jobprov.provenance.services.upkeep.database_rebuild import rebuild_database
from tests.library.logical_tables import differences
from tests.library.production import Production, tables_at
from tests.library.records import record_of

ARCHIVE = Path(__file__).parents[3] / "data" / "archive" / "of_d917eaf"
ENTRIES, JOBS = 76, 29
TARS = {
    1: "142ecc6fcfb5a4132d51b306787ed3a6eb7183016dac3ca9c8bbaf4363d59fdf",
    2: "5c72a5eb27e4b1d597beb347bb690fb66087a2ca8dc7482e94ddb1061635c02f",
}
"""SHA-256 of the bundles of job 6, by number, as they were when the archive was written."""


def job_id(number: int) -> str:
    """Return the id that a job of the archive has."""
    return str(uuid.UUID(int=number))


@pytest.fixture(scope="module")
def rebuilt(
    module_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Production]:
    """Yield a production whose database, on both kinds, was filled from a copy of the archive.

    The tests only read it.
    """
    stamp(module_database_url)  # the fixture makes the tables without a revision
    opened = rebuild(module_database_url, tmp_path_factory.mktemp("rebuilt"))
    yield opened
    opened.close_all()


def rebuild(url: str, folder: Path) -> Production:
    """Return a production whose database was filled from a copy of the archive."""
    store = copied_archive(folder)
    report = rebuild_database(store, url)
    assert (report.experiments, report.segments, report.entries, report.jobs) == (
        2,
        6,
        ENTRIES,
        JOBS,
    )
    return Production(open_database(url), store, folder)


def copied_archive(folder: Path) -> Any:
    """Return the archive, in a copy that may be written to."""
    shutil.copytree(ARCHIVE, folder / "archive")
    return open_store(f"file:{folder / 'archive'}")


def rows_of(production: Production, table: str, *columns: str) -> list[tuple[Any, ...]]:
    """Return columns of a table by natural keys; experiments and tasks by their names alone."""
    return [tuple(row[column] for column in columns) for row in production.tables()[table]]


def record_held(production: Production, number: int, witness: str | None = None) -> dict[str, Any]:
    """Return the record of a job as it is held."""
    with production.database.reading.connect() as connection:
        body = read_job(connection, production.store, job_id(number)).body_of(witness)
    record: dict[str, Any] = json.loads(body)
    return record


@pytest.mark.slow
def test_jobs_of_both_experiments_are_there_with_their_states(rebuilt: Production) -> None:
    with rebuilt.database.reading.connect() as connection:
        query = (
            "SELECT e.name, j.state, count(*) FROM jobs j "
            "JOIN experiments e ON e.id = j.experiment_id GROUP BY 1, 2"
        )
        states = {(row[0], row[1]): row[2] for row in connection.execute(text(query))}

    succeeded, failed = 1, 2
    assert states == {("dune", succeeded): 1, ("nova", succeeded): 21, ("nova", failed): 7}


@pytest.mark.slow
def test_records_are_those_that_were_sent(rebuilt: Production) -> None:
    """Each is the record that was sent.

    There is the one that nobody contradicted, the one of another witness, and the last of the one
    that was revised.
    """
    assert record_held(rebuilt, 5) == record_of(5, job_id=job_id(5))
    assert record_held(rebuilt, 2, "history") == record_of(
        2, job_id=job_id(2), witness="history", host={"hostname": "other"}
    )
    assert record_held(rebuilt, 4) == record_of(4, job_id=job_id(4), host={"hostname": "mended"})


@pytest.mark.slow
def test_conflict_and_record_of_a_later_schema_are_there(rebuilt: Production) -> None:
    assert (("nova",), job_id(3)) in [job for (job,) in rows_of(rebuilt, "conflicts", "job_id")]
    assert rows_of(rebuilt, "unread_records", "job_uuid") == [(job_id(8),)]


def test_edges_lead_from_file_to_file(rebuilt: Production) -> None:
    """f5.root was made of f4.root, by the job that read it."""
    edges = {
        (claim[2][2], parent[0][2])
        for claim, parent in rows_of(rebuilt, "parents", "claim_id", "identity_id")
    }

    assert {("f5.root", "f4.root"), ("f2.root", "f1.root")} <= edges


def test_tasks_and_waivers_stand_as_declared(rebuilt: Production) -> None:
    tasks = {(task, stage) for task, stage in rows_of(rebuilt, "tasks", "task_id", "stage_id")}

    assert ("t1", (("nova",), "c", "declared")) in tasks
    assert ("t1", (("dune",), "c", "reco")) in tasks
    assert [unit for _, unit in rows_of(rebuilt, "waived_units", "task_id", "unit")] == ["a", "c"]


def test_verdicts_of_the_reruns_are_there(rebuilt: Production) -> None:
    verdicts = sorted(
        (job[1], level) for job, level in rows_of(rebuilt, "verdicts", "job_id", "level")
    )

    assert verdicts == [(job_id(6), "R1"), (job_id(6), "R5"), (job_id(90), "R5")]


def test_failures_are_classified_by_the_rules_that_held(rebuilt: Production) -> None:
    classes = Counter(rule for (rule,) in rows_of(rebuilt, "failure_classes", "rule"))

    assert classes["db"] == 3
    assert sum(classes.values()) == 7


@pytest.mark.parametrize("number", sorted(TARS))
def test_bundles_are_streamed_as_they_were(rebuilt: Production, number: int) -> None:
    bundle = earlier_bundle(rebuilt.database, rebuilt.store, job_id(6), number)

    assert hashlib.sha256(b"".join(bundle.stream())).hexdigest() == TARS[number]


def test_what_was_erased_stays_erased(rebuilt: Production) -> None:
    record = record_held(rebuilt, 90)
    held = [sha256 for (sha256,) in rows_of(rebuilt, "possessions", "sha256")]

    assert record["environment"]["variables"] == {"SHARED": "same"}
    assert hashlib.sha256(b"echo hunter2").hexdigest() not in held
    assert len(rows_of(rebuilt, "erased_bytes", "sha256")) == 6
    with pytest.raises(NotFoundError, match="held what was erased"):
        earlier_bundle(rebuilt.database, rebuilt.store, job_id(90), 1)


def test_archive_is_whole(rebuilt: Production) -> None:
    with rebuilt.database.reading.connect() as connection:
        report = check_archive(connection, rebuilt.store)

    assert report.is_sound, report.troubles
    assert report.entries == ENTRIES


@pytest.mark.slow
def test_rebuilt_database_goes_on_with_the_chain(empty_url: str, tmp_path: Path) -> None:
    """A job that comes now is sealed behind what the earlier version sealed.

    Both are in the next rebuilding.
    """
    production = rebuild(empty_url, tmp_path)
    production.record(record_of(100))
    production.seal()

    again = f"sqlite:///{tmp_path / 'again.db'}"
    report = rebuild_database(production.store, again)

    assert (report.segments, report.entries, report.jobs) == (7, ENTRIES + 1, JOBS + 1)
    assert differences(production.tables(), tables_at(again)) == []
    production.close_all()


@pytest.mark.slow
def test_database_from_before_is_refused_and_filled_anew_from_its_archive(
    empty_url: str, tmp_path: Path
) -> None:
    upgrade(empty_url)
    database = open_database(empty_url)
    with database.writing.begin() as connection:
        # What d917eaf wrote
        connection.execute(text("UPDATE alembic_version SET version_num = '0023'"))
    database.dispose()
    store = copied_archive(tmp_path)

    with pytest.raises(
        UnreachableError, match="rebuild it from its archive with `jobprov rebuild-database`"
    ):
        rebuild_database(store, empty_url)
    report = rebuild_database(store, f"sqlite:///{tmp_path / 'new.db'}")

    assert (report.entries, report.jobs) == (ENTRIES, JOBS)
