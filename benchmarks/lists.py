"""Measures lists of jobs: `python -m benchmarks.lists`.

A million jobs are written as rows: 2,000 tasks of five stages in four campaigns, one of them with a
tenth of all jobs, on 3,000 hosts at 40 sites; seven in a hundred did not succeed. Lists and their
counts are then asked for as the page does it, each time with other names. `--plans` prints how the
database reads them instead.
"""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from statistics import median, quantiles
from typing import Any, Literal, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, event, select, text

from benchmarks.report import Figure, print_figure, print_heading
from benchmarks.running.command_line import chosen_kinds, database_parser
from benchmarks.running.places import open_place
from benchmarks.running.processes import cpu_with_server
from jobprov.provenance.answers.lookup.job_facets import JOB_FACETS
from jobprov.provenance.db.connections.engines import Database, open_database
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.db.statements.inserting import insert_rows
from jobprov.provenance.db.tables import Experiment, FailureClass, Host, Job, Stage, TaskRow
from jobprov.provenance.db.tables.base import table_of
from jobprov.provenance.services.lookup.job_facets import count_facets
from jobprov.provenance.services.lookup.jobs import list_jobs

MARK = 60
ROUNDS = 20
_PART = 20_000
_FIRST = datetime(2026, 1, 1, tzinfo=UTC)
_STAGES = ("gen", "g4", "detsim", "reco", "merge")
_CAMPAIGNS, _TASKS, _HOSTS, _SITES = 4, 2000, 3000, 40
_LARGE_TASK = _TASKS
_CLASSES = ("memory", "site", "data", "code")


def main() -> None:
    """Measure what the command line asks for."""
    parser = database_parser("benchmarks.lists", __doc__)
    parser.add_argument("--jobs", type=int, default=1_000_000, help="jobs that are written")
    parser.add_argument("--plans", action="store_true", help="print the plan of each statement")
    chosen = parser.parse_args()
    for kind in chosen_kinds(chosen):
        with open_place(kind, chosen.keep) as place, _opened(place.url) as database:
            print_heading(f"{kind}, {chosen.jobs:,} jobs")
            with database.reading.connect() as connection:
                is_filled = connection.execute(select(Job.id).limit(1)).first() is not None
            if not is_filled:
                _fill(database, chosen.jobs)
            with database.reading.connect() as connection:
                if chosen.plans:
                    _print_plans(connection, chosen.jobs)
                else:
                    _print_questions(connection, chosen.jobs, place.process)


@contextmanager
def _opened(url: str) -> Iterator[Database]:
    database = open_database(url)
    try:
        yield database
    finally:
        database.dispose()


def _fill(database: Database, jobs: int) -> None:
    start = time.perf_counter()
    with database.writing.begin() as connection:
        _insert_shared(connection)
    for first in range(1, jobs + 1, _PART):
        with database.writing.begin() as connection:
            rows = [
                _job_row(number, jobs) for number in range(first, min(jobs, first + _PART - 1) + 1)
            ]
            insert_rows(connection, table_of(Job), rows)
            bad = [row for row in rows if row["state"] > 1]
            insert_rows(connection, table_of(FailureClass), [_failure_row(row) for row in bad])
    print_figure(Figure("written", jobs / (time.perf_counter() - start), "jobs/s"))
    with database.writing.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not database.is_sqlite:  # a service of SQLite keeps no statistics
            connection.execute(text("ANALYZE"))
            connection.execute(text("VACUUM"))


def _insert_shared(connection: Connection) -> None:
    insert_rows(
        connection,
        table_of(Experiment),
        [{"id": 1, "name": "nova"}, {"id": 2, "name": "sterile"}],
    )
    stages = []
    for number in range(_CAMPAIGNS * len(_STAGES)):
        campaign, stage = divmod(number, len(_STAGES))
        stages.append(
            {
                "id": number + 1,
                "experiment_id": 1,
                "campaign": f"prod{campaign}",
                "name": _STAGES[stage],
            }
        )
    insert_rows(connection, table_of(Stage), stages)
    tasks = []
    for number in range(1, _TASKS + 1):
        tasks.append(
            {
                "id": number,
                "experiment_id": 1,
                "task_id": f"nova-{number:06}",
                "stage_id": number * len(stages) // (_TASKS + 1) + 1,
                "has_several_stages": False,
            }
        )
    insert_rows(connection, table_of(TaskRow), tasks)
    hosts = []
    for number in range(1, _HOSTS + 1):
        site = f"SITE{number % _SITES:02}"
        hosts.append(
            {"id": number, "hostname": f"wn{number:05}.{site}.org", "site": site, "facility": ""}
        )
    insert_rows(connection, table_of(Host), hosts)


def _job_row(number: int, jobs: int) -> dict[str, Any]:
    chance = random.Random(number)  # noqa: S311 - has to repeat, not to be secret
    state = chance.choices(range(5), (0, 93, 6, 0.6, 0.4))[0]
    if number > jobs - jobs // 500:
        state = 0  # those that run are the newest
    started = _FIRST + timedelta(seconds=30 * number + chance.randrange(7200))
    wall = chance.lognormvariate(8, 1)
    task = min(_TASKS - 1, number * _TASKS // jobs + chance.randrange(8))
    row = dict.fromkeys(table_of(Job).columns.keys())
    row |= {
        "id": number,
        "uuid": str(UUID(int=number)),
        "experiment_id": 2 if number % 50 == 0 else 1,
        "received_at": started,
        "started_at": started,
        "task_id": _LARGE_TASK if chance.random() < 0.1 else max(1, task),  # noqa: PLR2004
        "host_id": chance.randrange(_HOSTS) + 1,
        "unit": f"nova_r{number:08}.root",
        "batch_id": f"{number // 100}.{number % 100}@sched01.org",
        "state": state,
        "output_count": int(state == 1),
        "level": 1,
        "index_version": 0,
    }
    if state:
        row |= {
            "ended_at": started + timedelta(seconds=wall),
            "wall_seconds": wall,
            "cpu_seconds": wall * 0.9,
            "max_rss_bytes": int(chance.lognormvariate(21, 0.4)),
            "exit_code": 0 if state == 1 else chance.choice((1, 2, 65, 137)),
        }
    if state > 1:
        row |= {"failed_step": "art", "error_class": "Fatal", "message": "no such file"}
    return row


def _failure_row(job: dict[str, Any]) -> dict[str, Any]:
    chance = random.Random(job["id"] + 1)  # noqa: S311 - has to repeat, not to be secret
    name = chance.choice(_CLASSES)
    row = dict.fromkeys(table_of(FailureClass).columns.keys())
    row |= {"job_id": job["id"], "version": 0, "built_in": 2, "class_name": name}
    return row | {"cause_key": f"{name}{chance.randrange(30)}", "cause": name}


class _Question(NamedTuple):
    """A list of jobs that is asked for many times.

    Attributes:
        drawn: what its filters name at random each time: a `task`, a `site` or a `day`.
        sort: the column that orders the list; None is the newest first.
    """

    title: str
    filters: JobFilters = JobFilters()
    drawn: Literal["task", "site", "day"] | None = None
    sort: str | None = None

    def draw_filters(self, chance: random.Random, jobs: int) -> JobFilters:
        """Return the filters, with what is drawn of so many jobs."""
        if self.drawn == "task":
            return self.filters._replace(task_id=f"nova-{chance.randrange(1, _TASKS):06}")
        if self.drawn == "site":
            return self.filters._replace(site=f"SITE{chance.randrange(_SITES):02}")
        if self.drawn == "day":
            day = _FIRST + timedelta(days=chance.randrange(1, 30 * jobs // 86_400))
            return self.filters._replace(started_after=day, started_before=day + timedelta(days=1))
        return self.filters


_QUESTIONS = (
    _Question("newest first"),
    _Question("by start", sort="-started_at"),
    _Question("by end, the first", sort="ended_at"),
    _Question("failed", JobFilters(state="failed")),
    _Question("failed or killed", JobFilters(state="failed,killed")),
    _Question("failed or killed, by start", JobFilters(state="failed,killed"), sort="-started_at"),
    _Question("of a site", drawn="site"),
    _Question("of a site, by start", drawn="site", sort="-started_at"),
    _Question("of a task", drawn="task"),
    _Question("of a task, by memory", drawn="task", sort="-max_rss_bytes"),
    _Question("of a task, by site", drawn="task", sort="site"),
    _Question("of a day, by time taken", drawn="day", sort="-wall_seconds"),
    _Question("killed, by memory", JobFilters(state="killed"), sort="-max_rss_bytes"),
    _Question("of an exit code, by start", JobFilters(exit_code=65), sort="-started_at"),
    _Question("of a tenth of all, one task", JobFilters(task_id=f"nova-{_LARGE_TASK:06}")),
    _Question("of the newest campaign", JobFilters(campaign=f"prod{_CAMPAIGNS - 1}")),
    _Question("of the oldest campaign", JobFilters(campaign="prod0")),
)


def _print_questions(connection: Connection, jobs: int, process: int | None) -> None:
    for question in _QUESTIONS:
        _print_waits(connection, jobs, process, question, "page")
        _print_waits(connection, jobs, process, question, "counts")


def _print_waits(
    connection: Connection,
    jobs: int,
    process: int | None,
    question: _Question,
    part: Literal["page", "counts"],
) -> None:
    """Print how long one wait is for the page of a list, or for its counts."""
    chance = random.Random(question.title)  # noqa: S311 - has to repeat, not to be secret
    waits = []
    used_before = cpu_with_server(process)
    for _ in range(ROUNDS):
        filters = question.draw_filters(chance, jobs)
        start = time.perf_counter()
        if part == "page":
            list_jobs(connection, filters, limit=50, sort=question.sort)
        else:
            _count(connection, filters)
        waits.append((time.perf_counter() - start) * 1000)
        connection.rollback()
    used = (cpu_with_server(process) - used_before) * 1000 / ROUNDS
    note = f"CPU {used:.1f} ms; p99 {quantiles(waits, n=100)[98]:.1f} ms"
    print_figure(Figure(f"{question.title}, {part}", median(waits), "ms", mark=MARK, note=note))


def _count(connection: Connection, filters: JobFilters) -> None:
    unset = [facet for facet in JOB_FACETS if getattr(filters, facet) is None]
    count_facets(connection, filters, unset, limit=8)


def _print_plans(connection: Connection, jobs: int) -> None:
    """Print how the database reads each page; of statements, those about jobs."""
    is_sqlite = connection.dialect.name == "sqlite"
    explain = "EXPLAIN QUERY PLAN" if is_sqlite else "EXPLAIN (COSTS OFF)"
    statements: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if "FROM jobs" in statement and not statement.startswith("EXPLAIN"):
            statements.append((statement, values))

    event.listen(connection, "before_cursor_execute", note)
    for question in _QUESTIONS:
        chance = random.Random(question.title)  # noqa: S311 - has to repeat, not to be secret
        statements.clear()
        filters = question.draw_filters(chance, jobs)
        list_jobs(connection, filters, limit=50, sort=question.sort)
        print(f"\n{question.title}")
        for statement, values in statements:
            for row in connection.exec_driver_sql(f"{explain} {statement}", values):
                print(f"    {row[-1]}")
            print("    --")


if __name__ == "__main__":
    main()
