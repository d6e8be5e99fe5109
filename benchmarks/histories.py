"""Measures questions to whole histories, on the generated campaign.

Run it with `python -m benchmarks.histories`. Each question is asked as the HTTP interface asks it,
in process, several times; the median is printed. The file asked about is the concat of a tree, with
4,051 files behind it; then a file that thousands of jobs share. `cpu` is what this process used,
which other work on the machine does not blur.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from statistics import median
from typing import Any

from sqlalchemy import Connection, func, select

from benchmarks.campaign import CONCAT, EXPERIMENT, generate_jobs
from benchmarks.report import Figure, print_figure, print_heading
from benchmarks.running.command_line import chosen_kinds, database_parser
from benchmarks.running.places import Place, open_place
from benchmarks.whole.reading import walked_ancestors
from benchmarks.whole.recording import record_in_process
from jobprov.app.config import load_settings
from jobprov.app.wiring import open_service
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.db.tables import Job
from jobprov.provenance.errors import LimitError
from jobprov.provenance.services.histories.costs import sum_costs
from jobprov.provenance.services.histories.ends import list_leaves, list_orphans, list_roots
from jobprov.provenance.services.histories.impact import find_impact
from jobprov.provenance.services.histories.lineage import trace_lineage
from jobprov.provenance.services.histories.lineage_filters import NodeFilters
from jobprov.provenance.services.histories.relations import find_common, find_paths

ROUNDS = 5
COUNT_MARK = 100
_MERGED, _RAW = CONCAT.format(tree=0), "nova_r00000_s0500.raw.root"
_SHARED = "calibration_v000.root"
_WHERE = {"experiment": EXPERIMENT}

Question = Callable[[Connection], Any]
QUESTIONS: dict[str, Question] = {
    "ancestors of a concat": lambda c: walked_ancestors(c, _MERGED),
    "its picture, files alone": lambda c: _picture(c, _MERGED, NodeFilters(kind="file")),
    "its picture, one stage": lambda c: _picture(
        c, _MERGED, NodeFilters(jobs=JobFilters(stage="reco"))
    ),
    "its picture as of now": lambda c: trace_lineage(
        c, _MERGED, direction="ancestors", as_of=datetime.now(UTC), **_WHERE
    ),
    "its roots": lambda c: list_roots(c, _MERGED, **_WHERE),
    "its cost": lambda c: sum_costs(c, _MERGED, **_WHERE),
    "ways from a raw file to it": lambda c: find_paths(c, _RAW, _MERGED, **_WHERE),
    "common ancestors of two concats": lambda c: find_common(
        c, _MERGED, CONCAT.format(tree=1), **_WHERE
    ),
    "leaves of a raw file": lambda c: list_leaves(c, _RAW, **_WHERE),
    "a page of orphans": lambda c: list_orphans(c, **_WHERE),
    "leaves of a shared file": lambda c: list_leaves(c, _SHARED, **_WHERE),
    "impact of a file": lambda c: find_impact(c, JobFilters(file=_RAW)),
    "impact of a task": lambda c: find_impact(c, JobFilters(task_id="nova-prod5-reco-0000")),
}
COUNTS: dict[str, JobFilters] = {
    "impact of a release, jobs counted": JobFilters(revision="S24-01-01"),
    "impact of a site, jobs counted": JobFilters(site="FNAL"),
    "impact of a stage, jobs counted": JobFilters(stage="reco"),
}


def main() -> None:
    """Measure what the command line asks for."""
    parser = database_parser("benchmarks.histories", __doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    chosen = parser.parse_args()
    for kind in chosen_kinds(chosen):
        with open_place(kind, chosen.keep) as place:
            print_heading(f"{kind}, {chosen.jobs:,} jobs")
            _measure(place, chosen.jobs)


def _measure(place: Place, jobs: int) -> None:
    service = open_service(load_settings(place.settings))
    try:
        with service.reading() as connection:
            held: int = connection.execute(select(func.count()).select_from(Job)).scalar_one()
        if held < jobs:
            record_in_process(service, generate_jobs(jobs - held, first=held), place.process)
        with service.reading() as connection:
            for name, question in QUESTIONS.items():
                print_figure(_timed(name, question, connection))
            for name, filters in COUNTS.items():
                figure = _timed(
                    name, lambda c, filters=filters: find_impact(c, filters), connection
                )
                print_figure(figure._replace(mark=COUNT_MARK))
    finally:
        service.close()


def _timed(name: str, question: Question, connection: Connection) -> Figure:
    waits, work, note = [], [], ""
    for _ in range(ROUNDS):
        start, cpu = time.perf_counter(), time.process_time()
        try:
            question(connection)
        except LimitError as problem:
            note = f"; {problem}"
        waits.append(time.perf_counter() - start)
        work.append(time.process_time() - cpu)
    return Figure(name, median(waits) * 1e3, "ms", note=f"cpu {median(work) * 1e3:.1f} ms{note}")


def _picture(connection: Connection, name: str, filters: NodeFilters) -> Any:
    return trace_lineage(connection, name, direction="ancestors", filters=filters, **_WHERE)


if __name__ == "__main__":
    main()
