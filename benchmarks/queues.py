"""`python -m benchmarks.queues`: what it costs to keep how many jobs waited, and to tell it.

Three queues are reported every five minutes, with jobs of eight stages. The samples of a year are
written as reports leave them, thinned as they grow old. `cpu` is what this process used: other work
on the machine does not blur it, and of PostgreSQL's own work it says nothing.
"""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from statistics import mean, median

from sqlalchemy import Connection, func, select

from benchmarks.report import Figure, print_figure, print_heading
from benchmarks.running.command_line import chosen_kinds, database_parser
from benchmarks.running.places import open_place
from jobprov.app.config import load_settings
from jobprov.app.wiring import Service, open_service
from jobprov.provenance.db.changes.tasks import intern_stage
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.db.queries.tasks.queue_samples import (
    QueueNumbers,
    SampleCounts,
    SampledQueue,
)
from jobprov.provenance.db.recording.writing import intern_experiments
from jobprov.provenance.db.tables import QueueSample, QueueSampleStage
from jobprov.provenance.db.upkeep.housekeeping import refresh_statistics
from jobprov.provenance.services.statistics.throughput import count_throughput, read_window
from jobprov.provenance.services.tasks.queue_samples import SAMPLE, keep_sample
from jobprov.provenance.services.writing import Writing

EXPERIMENT = "nova"
MARK_PAGE = 60
"""Milliseconds, for a window of throughput."""
_QUEUES, _STAGES, _TIMES = 3, 8, 9
_AT_ONCE = 288
"""Reports in a transaction, while the database is filled: a day."""


def main() -> None:
    """Measure what the command line asks for."""
    parser = database_parser("benchmarks.queues", __doc__)
    parser.add_argument("--days", type=int, default=365)
    chosen = parser.parse_args()
    for kind in chosen_kinds(chosen):
        with open_place(kind, chosen.keep) as place:
            print_heading(f"{kind}, {_QUEUES} queues for {chosen.days} days")
            service = open_service(load_settings(place.settings))
            try:
                _measure(service, chosen.days)
            finally:
                service.close()


def _measure(service: Service, days: int) -> None:
    now = datetime.now(UTC)
    experiment, stages = service.write(_names)
    times = [now - timedelta(days=days) + number * SAMPLE for number in range(days * 288)]
    took = []
    for begin in range(0, len(times), _AT_ONCE):
        part = times[begin : begin + _AT_ONCE]
        cpu = time.process_time()
        service.write(lambda writing, part=part: _report(writing, experiment, stages, part))
        took.append((time.process_time() - cpu) * 1e3 / (len(part) * _QUEUES))
    note = "with eight stages; thinning included"
    print_figure(Figure("a report that leaves a sample, cpu", mean(took), "ms", note=note))
    again = times[-_AT_ONCE:]
    cpu = time.process_time()
    service.write(lambda writing: _report(writing, experiment, stages, again))
    same = (time.process_time() - cpu) * 1e3 / (len(again) * _QUEUES)
    print_figure(Figure("a report that leaves none, cpu", same, "ms"))
    refresh_statistics(service.database)
    with service.reading() as connection:
        for name, count in _rows(connection):
            print_figure(Figure(name, count, "rows"))
        for since in ("24h", "7d", "364d"):
            for by in ("state", "stage"):
                _ask(connection, since, by)


def _names(writing: Writing) -> tuple[int, list[int]]:
    experiment = intern_experiments(writing, {EXPERIMENT})[EXPERIMENT]
    stages = [intern_stage(writing, experiment, "c", f"stage{n}") for n in range(_STAGES)]
    return experiment, stages


def _report(writing: Writing, experiment: int, stages: list[int], times: list[datetime]) -> None:
    for number, at in enumerate(times):
        by_stage = {}
        for stage in stages:
            by_stage[stage] = QueueNumbers(float(number % 50), float(stage), 10.0)
        total = QueueNumbers()
        for numbers in by_stage.values():
            total = total.plus(numbers)
        for queue in range(_QUEUES):
            place = SampledQueue(experiment, f"sched{queue}")
            keep_sample(writing.connection, place, at, SampleCounts(total, by_stage), now=at)


def _rows(connection: Connection) -> Iterator[tuple[str, int]]:
    for table in (QueueSample, QueueSampleStage):
        count = connection.execute(select(func.count()).select_from(table)).scalar_one()
        yield table.__tablename__, count


def _ask(connection: Connection, since: str, by: str) -> None:
    window = read_window(datetime.now(UTC), since=since)

    def ask() -> None:
        count_throughput(connection, JobFilters(), window, by=by, measure="queue")

    waits, cpu = _timed(ask)
    note = f"cpu {median(cpu):.0f} ms"
    print_figure(Figure(f"queue by {by}, {since}", median(waits), "ms", mark=MARK_PAGE, note=note))


def _timed(ask: Callable[[], None]) -> tuple[list[float], list[float]]:
    waits, cpu = [], []
    for _ in range(_TIMES):
        wall_before, cpu_before = time.perf_counter(), time.process_time()
        ask()
        waits.append((time.perf_counter() - wall_before) * 1e3)
        cpu.append((time.process_time() - cpu_before) * 1e3)
    return waits, cpu


if __name__ == "__main__":
    main()
