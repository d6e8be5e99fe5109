"""Measures one database from empty on: filling it, its size once sealed, reading it, its pages.

Last comes writing to it over HTTP.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import delete, func, select

from benchmarks.campaign import generate_jobs
from benchmarks.report import Figure, print_figure
from benchmarks.running.places import Place, open_place
from benchmarks.running.processes import running_service, settle
from benchmarks.whole import limits, reading, recording, sizes
from benchmarks.whole.asking import measure_questions, print_memory
from jobprov.app.config import load_settings
from jobprov.app.serving.server import spare_collections
from jobprov.app.wiring import Service, open_service
from jobprov.provenance.db.tables import Job, WorkItem
from jobprov.provenance.db.upkeep.housekeeping import refresh_statistics
from jobprov.provenance.services.upkeep.sealing import LedgerSeal, seal_ledger

MARKS = {
    "batches": 3000,
    "singles": 800,
    "lookup": 2,
    "ancestors": 60,
    "sqlite": 2200,
    "postgresql": 2800,
}
LARGE_MARKS = {**MARKS, "batches": 5000, "singles": 1200, "sqlite": 2000, "postgresql": 2400}
"""From a million jobs on."""
LARGE = 1_000_000
MOST_GROWTH = 1.3
"""Of what any look-up takes, from a tenth of the jobs to all of them."""
LIMIT_JOBS, BATCH_JOBS, SINGLE_JOBS = 5000, 12_000, 4000
SEAL_EVERY = 16_000
"""Jobs between two sealings, as the sealer runs beside the service."""
_TREE_JOBS = 3300


@dataclass
class Limits:
    """What raw SQL on the same schema writes, jobs a second."""

    batches: float
    singles: float


def measure(place: Place, jobs: int, wanted: Callable[[str], bool]) -> None:
    """Print the figures of one database; `wanted` says which parts."""
    best = _measure_limits(place.kind)
    marks = LARGE_MARKS if jobs >= LARGE else MARKS
    service = open_service(load_settings(place.settings))
    try:
        early = _fill(place, service, jobs, best)
        if wanted("sizes"):
            _measure_sizes(place, service, jobs, marks)
        if wanted("reading"):
            _measure_reading(service, jobs)
            _measure_growth(service, early)
        # the digests of fcl files have no bytes here: that they cannot be evaluated is not what is
        # measured
        service.write(lambda writing: writing.connection.execute(delete(WorkItem)))
    finally:
        service.close()
    if wanted("questions"):
        measure_questions(place.settings, max(1, jobs // _TREE_JOBS))
    if wanted("pages"):
        # The other parts need no browser
        from benchmarks.pages import measure_pages  # noqa: PLC0415

        measure_pages(place, jobs)
    if wanted("http"):
        _measure_http(place, jobs, best, marks)


def _measure_limits(kind: str) -> Limits:
    """Record some jobs, then write their rows again by raw SQL into databases of their own."""
    with open_place(kind) as place:
        service = open_service(load_settings(place.settings))
        recording.record_in_process(service, generate_jobs(LIMIT_JOBS))
        rows = limits.read_rows(service.database)
        service.close()
        settle()
        return Limits(
            limits.raw_batches(place.another("batches"), rows),
            limits.raw_singles(place.another("singles"), rows),
        )


def _fill(place: Place, service: Service, jobs: int, best: Limits) -> dict[str, float]:
    """Record what is not there of the campaign in process, sealing now and then.

    Return what look-ups took at a tenth of it.
    """
    spare_collections()  # as the service does
    early: dict[str, float] = {}
    # A smaller campaign has no whole tree to look up
    tenth = jobs // 10 if jobs // 10 >= 2 * _TREE_JOBS else 0
    works, sealed = [], LedgerSeal()
    with service.reading() as connection:
        done: int = connection.execute(select(func.count()).select_from(Job)).scalar_one()
    while done < jobs:
        if tenth and done == tenth:
            refresh_statistics(service.database)  # as the service does beside its work
            early = reading.usual_waits(service)
        count = min(SEAL_EVERY, (tenth if done < tenth else jobs) - done)
        works.append(
            recording.record_in_process(service, generate_jobs(count, first=done), place.process)
        )
        sealed = sealed.plus(seal_ledger(service.database, service.writer, service.store))
        done += count
    if works:
        work = recording.together(works)
        print_figure(
            Figure(
                "recorded in process, 500 at once",
                work.rate,
                "jobs/s",
                is_rate=True,
                limit=best.batches,
                note=work.note,
            )
        )
    return early


def _measure_growth(service: Service, early: dict[str, float]) -> None:
    """Print how many times longer look-ups take than at a tenth of the jobs.

    Nothing where the database was filled before.
    """
    if not early:
        print("    growth is measured while a database of 66,000 jobs or more is filled")
        return
    for name, late in reading.usual_waits(service).items():
        note = f"{early[name]:.3g} ms, then {late:.3g} ms"
        print_figure(
            Figure(
                f"growth of {name}, 10 times the jobs",
                late / early[name],
                "x",
                mark=MOST_GROWTH,
                note=note,
            )
        )


def _measure_sizes(place: Place, service: Service, jobs: int, marks: dict[str, int]) -> None:
    seal_ledger(service.database, service.writer, service.store)
    loose = place.database_bytes(service.database)
    sizes.compact(service.database)
    tables = sizes.table_bytes(service.database)
    database, ledger = sum(tables.values()), sizes.ledger_bytes(place.folder / "var" / "archive")
    note = (
        f"database {database / jobs:,.0f}, sealed ledger {ledger / jobs:,.0f}; "
        f"not compacted {(loose + ledger) / jobs:,.0f}"
    )
    print_figure(
        Figure(
            "kept on disk, sealed",
            (database + ledger) / jobs,
            "bytes/job",
            mark=marks[place.kind],
            note=note,
        )
    )
    for name, size in sorted(tables.items(), key=lambda item: -item[1]):
        if size / jobs >= 10:  # noqa: PLR2004
            print_figure(Figure(f"    {name}", size / jobs, "bytes/job"))


def _measure_reading(service: Service, jobs: int) -> None:
    names = reading.file_names(max(1, jobs // _TREE_JOBS))
    with service.reading() as connection:
        reading.lookup_waits(connection, names)  # into the caches, as in a service that runs
        waits = reading.lookup_waits(connection, names)
        raw = reading.middle(reading.raw_lookup_waits(connection, names))
        note = f"p99 {reading.slowest_hundredth(waits):.2f} ms"
        print_figure(
            Figure(
                "file by name, p50",
                reading.middle(waits),
                "ms",
                mark=MARKS["lookup"],
                limit=raw,
                note=note,
            )
        )
        waits = reading.page_waits(connection, names[:500])
        note = f"p99 {reading.slowest_hundredth(waits):.2f} ms"
        print_figure(
            Figure("file with all that its page shows, p50", reading.middle(waits), "ms", note=note)
        )
        waits, found = reading.ancestor_waits(connection, 0)
        raw = reading.middle(reading.raw_ancestor_waits(connection, 0))
        name = f"ancestors of a merge, {found} files"
        print_figure(Figure(name, reading.middle(waits), "ms", mark=MARKS["ancestors"], limit=raw))
        for name in ("nova_r00000_s0500.artdaq.root", "flux_t0000.root"):
            waits, found = reading.descendant_waits(connection, name)
            print_figure(
                Figure(f"descendants of {name[:16]}…, {found} files", reading.middle(waits), "ms")
            )


def _measure_http(place: Place, jobs: int, best: Limits, marks: dict[str, int]) -> None:
    more = list(generate_jobs(BATCH_JOBS + SINGLE_JOBS, first=jobs))
    service = open_service(load_settings(place.settings))
    recording.possess(service, more)
    service.close()
    with running_service(place.settings) as (address, server):
        # The first batch fills caches
        recording.record_batches([address], [server], place.process, more[:500])
        settle()
        work = recording.record_batches([address], [server], place.process, more[500:BATCH_JOBS])
        name, mark = "HTTP, batches of 500", marks["batches"]
        print_figure(
            Figure(
                name,
                work.rate,
                "jobs/s",
                is_rate=True,
                mark=mark,
                limit=best.batches,
                note=work.note,
            )
        )
        print_memory(server, "sent batches")
        settle()
        work = recording.record_singles([address], [server], place.process, more[BATCH_JOBS:])
        waits = (
            f"; p50 {reading.middle(list(work.waits)):.1f} ms, "
            f"p99 {reading.slowest_hundredth(list(work.waits)):.1f} ms"
        )
        name, mark = "HTTP, single durable PUTs, 16 clients", marks["singles"]
        note = work.note + waits
        print_figure(
            Figure(
                name, work.rate, "jobs/s", is_rate=True, mark=mark, limit=best.singles, note=note
            )
        )
