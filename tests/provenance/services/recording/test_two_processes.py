"""Two processes on one PostgreSQL: whichever comes last finds what the other commits.

One may derive from it at the same time. A process is a writer of its own. What the first has not
committed yet is held open here until the second waits for it, or ended without waiting.
"""

import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import URL, select, text

from jobprov.archive.opening import open_store
from jobprov.provenance.db.connections.engines import Database, open_database
from jobprov.provenance.db.recording import writing
from jobprov.provenance.db.recording.source_rows import write_sources
from jobprov.provenance.db.tables import Base, GapSet, Job, TaskRow
from jobprov.provenance.db.writer.transaction import Memory
from jobprov.provenance.db.writer.turns import take_tasks
from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.services.background import HANDLERS
from jobprov.provenance.services.catalogs.sightings import record_sighting
from jobprov.provenance.services.code.repositories import register_repository
from jobprov.provenance.services.intake.blobs import settle_blob
from jobprov.provenance.services.recording.jobs import name_ahead, record_jobs
from jobprov.provenance.services.recording.submissions import Submission
from jobprov.provenance.services.upkeep.database_rebuild import rebuild_database
from jobprov.provenance.services.upkeep.sealing import seal_all
from jobprov.provenance.services.work.queue import Parts, drain
from jobprov.provenance.services.writing import Writer, Writing
from tests.library.examples import examples
from tests.library.git import git
from tests.library.logical_tables import differences, logical_tables
from tests.library.production import Production as Ledger
from tests.library.production import opened_parts, tables_at
from tests.library.productions.attempts import attempt, in_dag
from tests.library.productions.drawn import graph_of, productions
from tests.library.productions.joining import joining_repository
from tests.library.productions.recorded_graph import read_graph
from tests.library.records import MOMENT, record_of

JOB = "00000000-0000-4000-8000-000000000001"
SETTLED = 0.3
"""Seconds in which the second would end that does not wait."""

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def parts(database: Database, tmp_path: Path) -> Iterator[Parts]:
    """Yield what the second process works with."""
    with opened_parts(database, tmp_path, f"file:{tmp_path / 'archive'}") as opened:
        yield opened


def test_job_recorded_while_its_code_is_resolved_has_no_gap(parts: Parts, tmp_path: Path) -> None:
    repository = joining_repository(tmp_path / "joining")
    register(parts, repository)
    software = [
        {
            "name": "joining",
            "repository": str(repository),
            "revision": git(repository, "rev-parse", "HEAD"),
        }
    ]
    record(parts, job(9, software=software))

    meanwhile(parts, job(1, software=software), partial(drain, parts, HANDLERS))

    assert "software-unresolved" not in gaps(parts)


def test_job_recorded_while_its_blob_comes_is_found_by_the_next_sealing(parts: Parts) -> None:
    record(parts, job(9))
    data = b"what the job said\n"
    sha256 = parts.store.put(data).sha256
    with unfinished(parts, job(1, logs=[{"name": "stdout", "sha256": sha256}])) as commit:
        assert parts.writer.run(lambda writing: settle_blob(writing, "toyexp", sha256))
        commit()
    assert "log-missing" in gaps(parts)

    seal_all(parts.database, parts.writer, parts.store)
    drain(parts, HANDLERS)

    assert "log-missing" not in gaps(parts)


def test_witnesses_that_come_at_once_are_both_in_the_job(parts: Parts) -> None:
    record(parts, job(1))

    meanwhile(
        parts,
        job(1, witness="condor", host={"hostname": "node1"}),
        partial(record, parts, job(1, witness="agent", task={"task_id": "t1", "unit": "unit-7"})),
    )

    with parts.database.reading.connect() as connection:
        row = connection.execute(select(Job.unit, Job.host_id)).one()
    assert row.unit == "unit-7"
    assert row.host_id is not None


@pytest.mark.parametrize("comes_first", ["died", "read it"])
def test_tries_of_a_node_that_come_at_once_are_at_one_unit(parts: Parts, comes_first: str) -> None:
    died = attempt(1, "reco_7", batch=in_dag(81))
    read_it = attempt(2, "raw_7.root", reads=("raw_7.root",), batch=in_dag(82))
    record(parts, submission_of(attempt(9, "reco_9", batch=in_dag(80, "reco_9"))))
    order = (died, read_it) if comes_first == "died" else (read_it, died)
    first, second = map(submission_of, order)

    meanwhile(parts, first, partial(record, parts, second))

    with parts.database.reading.connect() as connection:
        units = connection.execute(select(Job.unit)).scalars().all()
    assert sorted(units, key=str) == ["raw_7.root", "raw_7.root", "reco_9"]


def test_two_that_wait_for_each_other_about_a_unit_both_get_through(parts: Parts) -> None:
    """One joins an attempt that the other writes anew: a circle that PostgreSQL breaks.

    The writer whose transaction it ends repeats it (decisions 0005 and 0053). On a busy machine it
    may meet the other once more, and then either is repeated.
    """
    record(parts, submission_of(attempt(1, "reco_7", batch=in_dag(81))))
    again = submission_of(attempt(1, "reco_7", batch=in_dag(81), witness="condor"))
    read_it = submission_of(attempt(2, "raw_7.root", reads=("raw_7.root",), batch=in_dag(82)))
    joins = threading.Event()
    tries = []

    def join(writing: Writing) -> None:
        tries.append("join")
        take_tasks(writing.connection, writing.connection.execute(select(TaskRow.id)).scalars())
        joins.set()
        time.sleep(SETTLED)  # until the other holds the job, and waits for its task
        record_jobs(writing, [read_it])

    def write_anew(writing: Writing) -> None:
        tries.append("write anew")
        record_jobs(writing, [again])

    url = parts.database.writing.url.render_as_string(hide_password=False)
    with elsewhere(url, parts) as other, ThreadPoolExecutor(1) as pool:
        joining = pool.submit(other.writer.run, join)
        assert joins.wait(30)
        parts.writer.run(write_anew)
        joining.result(30)

    with parts.database.reading.connect() as connection:
        units = connection.execute(select(Job.unit)).scalars().all()
    assert len(tries) > 2, "each once, and one of them again"
    assert units == ["raw_7.root", "raw_7.root"]


def test_file_that_one_process_makes_while_another_reads_it_is_linked(parts: Parts) -> None:
    names = {"name": "a.root"}
    record(parts, job(9, inputs=[names]))

    meanwhile(
        parts,
        job(1, outputs=[{**names, "size_bytes": 7, "checksums": ["adler32:00000001"]}]),
        partial(record, parts, job(2, inputs=[{**names, "checksums": ["adler32:00000001"]}])),
    )

    with parts.database.reading.connect() as connection:
        edges = read_graph(connection)["edges"]
    assert {seen[3] for seen, _, _ in edges} == {"", "adler32:00000001"}
    assert len(edges) == 3


def test_what_was_said_last_is_last_in_the_ledger_whichever_process_took_it(
    database_url: str, tmp_path: Path
) -> None:
    store = open_store(f"file:{tmp_path / 'archive'}")
    first, second = processes = [
        Ledger(open_database(database_url), store, tmp_path) for _ in (1, 2)
    ]
    for process, campaign in (
        (first, "one"),
        (second, "two"),
        (first, "three"),
        (second, "four"),
        (first, "five"),
    ):
        process.declare("t1", campaign=campaign, stage="reco")
    second.record(record_of(1))
    first.record(record_of(1, exit={"code": 7}))
    first.seal()

    rebuild_database(store, f"sqlite:///{tmp_path / 'rebuilt.db'}")

    assert differences(first.tables(), tables_at(f"sqlite:///{tmp_path / 'rebuilt.db'}")) == []
    assert [row["stage_id"][1] for row in first.tables()["tasks"]] == ["five"]
    for process in processes:
        process.close()
        process.database.dispose()


def test_batch_lets_others_record_jobs_of_the_task_that_it_names_first(
    parts: Parts, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It once held the name until its end, so that two services that work on a stage took turns."""
    before, task = ({"task_id": name, "campaign": "prod", "stage": "reco"} for name in ("t0", "t1"))
    record(parts, job(9, task=before))  # from here on all is there that jobs share but the task
    is_begun, may_end = threading.Event(), threading.Event()

    def write_slowly(*rows: Any) -> None:
        if not is_begun.is_set():
            is_begun.set()
            may_end.wait(60)
        write_sources(*rows)

    monkeypatch.setattr(writing, "write_sources", write_slowly)
    with elsewhere(database_url, parts) as other, ThreadPoolExecutor(2) as pool:
        batch = pool.submit(record_batch, parts.writer, [job(1, task=task)])
        try:
            assert is_begun.wait(60)
            pool.submit(record_batch, other.writer, [job(2, task=task)]).result(30)
            assert not batch.done()
        finally:
            may_end.set()
        batch.result(60)

    with parts.database.reading.connect() as connection:
        tables = logical_tables(connection)
    assert {row["task_id"]: row["stage_id"] for row in tables["tasks"]} == dict.fromkeys(
        ("t0", "t1"), (("toyexp",), "prod", "reco")
    )
    assert len(tables["jobs"]) == 3


def test_record_that_contradicts_one_that_is_held_names_no_task(parts: Parts) -> None:
    record_batch(parts.writer, [job(1)])

    record_batch(parts.writer, [job(1, task={"task_id": "other"})])

    with parts.database.reading.connect() as connection:
        assert connection.execute(select(TaskRow.task_id)).scalars().all() == []


def test_revision_that_comes_while_a_segment_is_adopted_goes_behind_the_sealed_one(
    parts: Parts, sqlite_template: Path, tmp_path: Path
) -> None:
    url = f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'elsewhere.db')}"
    with elsewhere(url, parts) as other:
        record(other, job(1))
        record(other, job(1, exit={"code": 7})._replace(reason="sealed"))
        seal_all(other.database, other.writer, other.store)
    record(parts, job(1))

    meanwhile(
        parts,
        job(1, exit={"code": 8})._replace(reason="here"),
        partial(seal_all, parts.database, parts.writer, parts.store),
    )
    seal_all(parts.database, parts.writer, parts.store)

    with parts.database.reading.connect() as connection:
        held = logical_tables(connection)
    rebuild_database(parts.store, f"sqlite:///{tmp_path / 'rebuilt.db'}")
    assert differences(held, tables_at(f"sqlite:///{tmp_path / 'rebuilt.db'}")) == []
    assert sorted((row["revision"], row["segment"]) for row in held["ledger_entries"]) == [
        (0, 1),
        (1, 1),
        (2, 2),
    ]


@contextmanager
def elsewhere(url: str, parts: Parts) -> Iterator[Parts]:
    """Work on another database with the same archive."""
    database = open_database(url)
    writer = Writer(database, parts.store)
    yield parts._replace(database=database, writer=writer)
    writer.close()
    database.dispose()


def meanwhile(parts: Parts, first: Submission, then: Callable[[], object]) -> None:
    """Do something while another process has recorded `first` and not committed yet.

    Check that it waits.
    """
    with unfinished(parts, first) as commit:
        second = threading.Thread(target=then)
        second.start()
        second.join(SETTLED)
        assert second.is_alive()
        commit()
        second.join(30)
    assert not second.is_alive()


def record(parts: Parts, submission: Submission) -> None:
    parts.writer.run(lambda writing: record_jobs(writing, [submission]))


def record_batch(writer: Writer, batch: list[Submission]) -> None:
    """Record as the service does that was sent a batch."""
    writer.run(
        lambda writing: record_jobs(writing, batch),
        len(batch),
        lambda writing: name_ahead(writing, batch),
    )


@settings(
    max_examples=examples(12),
    deadline=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)
@given(sent=productions(), chance=st.randoms(use_true_random=False))
def test_what_two_processes_record_at_once_is_what_one_would_have(
    sent: list[tuple[str, Any, str | None]],
    chance: random.Random,
    database: Database,
    sqlite_template: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    alone = open_database(
        f"sqlite:///{shutil.copy(sqlite_template, tmp_path_factory.mktemp('alone'))}"
    )
    expected = graph_of(alone, [[item] for item in sent])
    alone.dispose()
    empty(database)
    places: dict[str, int] = {}
    shares: tuple[list[Any], list[Any]] = ([], [])
    for item in sent:  # what one witness says of a job comes in its order
        whose = f"{item[1].get('job_id', chance.random())} {item[1].get('witness')}"
        shares[places.setdefault(whose, chance.randint(0, 1))].append(item)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(partial(record_all, database.writing.url, open_store("memory:")), shares))

    with database.reading.connect() as connection:
        assert read_graph(connection) == expected


def empty(database: Database) -> None:
    with database.writing.begin() as connection:
        tables = ", ".join(table.name for table in Base.metadata.sorted_tables)
        connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY CASCADE"))


def record_all(url: URL, store: Any, sent: list[tuple[str, Any, str | None]]) -> None:
    """Record one after the other, as a process of its own does."""
    database = open_database(url.render_as_string(hide_password=False))
    writer = Writer(database, store)
    for kind, document, reason in sent:
        if kind == "record":
            decoded = decode_record(msgspec.json.encode(document))
            record_batch(writer, [Submission(decoded, MOMENT, "tester", reason)])
        else:
            writer.run(
                lambda writing, seen=document: record_sighting(writing, seen),  # type: ignore[misc]
                received_at=MOMENT,
            )
    writer.close()
    database.dispose()


@contextmanager
def unfinished(parts: Parts, submission: Submission) -> Iterator[Any]:
    """Record a job as the first process does; yields what commits it."""
    with parts.database.writing.connect() as connection:
        record_jobs(Writing(connection, Memory(), parts.store, MOMENT), [submission])
        yield connection.commit


def job(number: int, witness: str = "hook", **facts: Any) -> Submission:
    body = {
        "schema_version": 1,
        "job_id": f"{JOB[:-1]}{number}",
        "witness": witness,
        "experiment": "toyexp",
        "state": "succeeded",
        "started_at": "2026-11-24T00:00:00Z",
        **facts,
    }
    return submission_of(body)


def submission_of(body: dict[str, Any]) -> Submission:
    return Submission(decode_record(msgspec.json.encode(body)), datetime.now(UTC))


def register(parts: Parts, repository: Path) -> None:
    parts.writer.run(lambda writing: register_repository(writing, "joining", str(repository)))


def gaps(parts: Parts) -> list[str]:
    """Return the codes of the job's gaps, as they are kept."""
    query = select(GapSet.document).join(Job, Job.gap_set_id == GapSet.id).where(Job.uuid == JOB)
    with parts.database.reading.connect() as connection:
        return list(msgspec.json.decode(connection.execute(query).scalar_one()))
