"""Measures the search by any part of a name: `python -m benchmarks.search`.

A million files of 100,000 jobs are written as rows, with 10,000 tasks, 2,000 hosts and 20,000
parameters beside them; then each question is asked as `GET /search` asks it, each time with other
names. The PostgreSQL of the other benchmarks comes without `pg_trgm`: with `--url` the names are
written to an empty database of a server that has it.
"""

import random
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from statistics import median, quantiles
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select, text

from benchmarks.report import Figure, print_figure, print_heading
from benchmarks.running.command_line import chosen_kinds, database_parser
from benchmarks.running.places import open_place
from benchmarks.running.processes import cpu_with_server
from jobprov.provenance.db.connections.engines import Database, open_database
from jobprov.provenance.db.statements.inserting import insert_rows
from jobprov.provenance.db.tables import (
    Claim,
    Experiment,
    File,
    Host,
    Identity,
    Job,
    ParameterKey,
    Stage,
    TaskRow,
)
from jobprov.provenance.db.tables.base import table_of
from jobprov.provenance.db.tables.name_index import has_name_index
from jobprov.provenance.db.upkeep.migrating import upgrade
from jobprov.provenance.db.writer.indexed_names import index_new_names
from jobprov.provenance.db.writer.transaction import Memory, Transaction
from jobprov.provenance.services.search.search import MOST, search

MARK, SUGGESTIONS_MARK = 30, 20
SUGGESTED = 5
ROUNDS = 60
FILES_A_JOB = 10
_PART = 20_000
_SAMPLES = ("dimuon", "dielectron", "minbias", "ttbar", "wjets", "zprime")
_RARE = "quarkonium"


def main() -> None:
    """Measure what the command line asks for."""
    parser = database_parser("benchmarks.search", __doc__)
    parser.add_argument("--names", type=int, default=1_000_000, help="files that are written")
    parser.add_argument("--url", help="of an empty PostgreSQL database to measure instead")
    parser.add_argument("--process", type=int, help="id of its server's first process")
    chosen = parser.parse_args()
    if chosen.url:
        upgrade(chosen.url)
        _measure("postgresql by its address", chosen.url, chosen.names, chosen.process)
        return
    for kind in chosen_kinds(chosen):
        with open_place(kind, chosen.keep) as place:
            _measure(kind, place.url, chosen.names, place.process)


def _measure(title: str, url: str, names: int, process: int | None) -> None:
    with _opened(url) as database:
        with database.reading.connect() as connection:
            index = "index of parts" if has_name_index(connection) else "NO index of parts"
            is_filled = connection.execute(select(File.id).limit(1)).first() is not None
        print_heading(f"{title}, {names:,} names of files, {index}")
        if not is_filled:
            _fill(database, names)
        with database.reading.connect() as connection:
            _print_questions(connection, names, process)


@contextmanager
def _opened(url: str) -> Iterator[Database]:
    database = open_database(url)
    try:
        yield database
    finally:
        database.dispose()


def file_name(number: int) -> str:
    """Return a name as productions give them: sample, step, release, run, part and a digest."""
    sample = _RARE if number % 50_000 == 7 else _SAMPLES[number % len(_SAMPLES)]  # noqa: PLR2004
    run, part = divmod(number, 500)
    digest = zlib.crc32(str(number).encode())
    return f"{sample}_reco_v09_88_{run % 7:02}_run{run:08}_{part:04}_{digest:08x}.art"


def _fill(database: Database, names: int) -> None:
    memory = Memory()
    start = time.perf_counter()
    with database.writing.begin() as connection:
        insert_rows(connection, table_of(Experiment), [{"id": 1, "name": "nova"}])
        _insert_shared(connection)
    for first in range(1, names + 1, _PART):
        with database.writing.begin() as connection:
            _insert_files(connection, range(first, min(names, first + _PART - 1) + 1))
            index_new_names(Transaction(connection, memory))
    print_figure(Figure("written and indexed", names / (time.perf_counter() - start), "names/s"))
    with database.writing.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
        if not database.is_sqlite:
            connection.execute(text("VACUUM"))


def _insert_shared(connection: Connection) -> None:
    stages = [
        {
            "id": number,
            "experiment_id": 1,
            "campaign": f"prod{number // 5}",
            "name": f"s{number % 5}",
        }
        for number in range(1, 501)
    ]
    tasks = [
        {
            "id": number,
            "experiment_id": 1,
            "task_id": f"nova-reco-{number:06}",
            "stage_id": number % 500 + 1,
            "has_several_stages": False,
        }
        for number in range(1, 10_001)
    ]
    hosts = [
        {"id": number, "hostname": f"wn{number:05}.fnal.gov", "site": "FNAL", "facility": ""}
        for number in range(1, 2001)
    ]
    keys = [
        {"id": number, "name": f"physics.producers.module{number // 20}.parameter{number % 20}"}
        for number in range(1, 20_001)
    ]
    insert_rows(connection, table_of(Stage), stages)
    insert_rows(connection, table_of(TaskRow), tasks)
    insert_rows(connection, table_of(Host), hosts)
    insert_rows(connection, table_of(ParameterKey), keys)


def _insert_files(connection: Connection, numbers: range) -> None:
    now = datetime.now(UTC)
    jobs: list[dict[str, Any]] = []
    files, identities, claims = [], [], []
    for number in numbers:
        job = (number - 1) // FILES_A_JOB + 1
        if (number - 1) % FILES_A_JOB == 0:
            jobs.append(_job_row(job, now))
        key = number.to_bytes(11, "big")
        files.append(
            {"id": number, "experiment_id": 1, "namespace": "", "name": file_name(number)}
            | {"is_crowded": False}
        )
        identity = {"id": number, "file_id": number, "size_bytes": number, "key": key}
        identities.append(identity | {"checksums": "", "campaign": ""})
        claim = {"id": number, "file_id": number, "job_id": job, "identity_id": number}
        claims.append(
            claim
            | {"alias_of": None, "event_count": None, "position": 0, "status": None}
            | {"data_tier": None}
        )
    for table, rows in ((Job, jobs), (File, files), (Identity, identities), (Claim, claims)):
        insert_rows(connection, table_of(table), rows)


def _job_row(number: int, now: datetime) -> dict[str, Any]:
    row = dict.fromkeys(table_of(Job).columns.keys())
    row |= {"id": number, "uuid": str(UUID(int=number)), "experiment_id": 1, "received_at": now}
    row |= {"task_id": number % 10_000 + 1, "host_id": number % 2000 + 1, "stage_id": 1}
    return row | {"output_count": FILES_A_JOB, "state": 1, "level": 2, "index_version": 0}


def _questions(names: int) -> dict[str, Callable[[random.Random], str]]:
    """Return the questions, each as what makes a text of it."""

    def of_file(chance: random.Random) -> str:
        return file_name(chance.randrange(1, names + 1))

    return {
        "a whole name": of_file,
        "run and part in the middle": lambda chance: of_file(chance)[-32:-13],
        "eight letters of a digest": lambda chance: of_file(chance)[-12:-4],
        "five letters of a digest, in capitals": lambda chance: of_file(chance)[-9:-4].upper(),
        "one name of 50,000": lambda _: _RARE[2:],
        "a sixth of all names": lambda chance: chance.choice(_SAMPLES),
        "all names": lambda _: "_RECO_",
        "three letters": lambda chance: of_file(chance)[-12:-9],
        "two letters": lambda chance: chance.choice(_SAMPLES)[:2],
        "a host": lambda chance: f"{chance.randrange(1, 2001):05}.fnal",
        "a parameter": lambda chance: f"module{chance.randrange(1000)}.par",
        "in no name": lambda chance: f"{chance.randrange(10**9):09}_nothing",
        "in no name, of frequent parts": lambda _: "reco_run0_v09_art",
        "a whole name with two letters swapped": lambda chance: _swapped(of_file(chance), 30),
        "a part of a name with two letters swapped": lambda chance: _swapped(
            chance.choice(_SAMPLES), 2
        ),
    }


def _swapped(name: str, place: int) -> str:
    """Return a name with two of its letters swapped."""
    return name[:place] + name[place + 1] + name[place] + name[place + 2 :]


def _print_questions(connection: Connection, names: int, process: int | None) -> None:
    for suffix, limit, mark in (("", MOST, MARK), (", suggested", SUGGESTED, SUGGESTIONS_MARK)):
        for title, make_text in _questions(names).items():
            chance = random.Random(title)  # noqa: S311 - has to repeat, not to be secret
            waits, total, used = [], 0, cpu_with_server(process)
            for _ in range(ROUNDS):
                wanted = make_text(chance)
                start = time.perf_counter()
                found = search(connection, wanted, limit=limit)
                waits.append((time.perf_counter() - start) * 1000)
                total += sum(count.count for count in found.counts)
            connection.rollback()
            used = (cpu_with_server(process) - used) * 1000 / ROUNDS
            slowest = quantiles(waits, n=100)[98]
            note = f"CPU {used:.1f} ms; {total / ROUNDS:,.0f} found; p99 {slowest:.1f} ms"
            figure = Figure(f"{title}{suffix}, p50", median(waits), "ms", mark=mark, note=note)
            print_figure(figure)


if __name__ == "__main__":
    main()
