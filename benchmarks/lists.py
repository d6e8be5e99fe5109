"""Measures lists of jobs: `python -m benchmarks.lists`.

A million jobs are written as rows: 2,000 tasks of five stages in four campaigns, one of them with a
tenth of all jobs, on 3,000 hosts at 40 sites; seven in a hundred did not succeed. Lists and their
counts are then asked for as the page does it, of ever other names. `--plans` prints how the database
reads them instead.
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from statistics import median, quantiles
from typing import Any
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

Question = Callable[[random.Random], dict[str, Any]]


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


def _questions(jobs: int) -> dict[str, Question]:
    """Return the lists that are asked for, each as what makes filters and order of it."""

    def a_task(chance: random.Random) -> str:
        return f"nova-{chance.randrange(1, _TASKS):06}"

    def a_site(chance: random.Random) -> str:
        return f"SITE{chance.randrange(_SITES):02}"

    def a_day(chance: random.Random) -> dict[str, Any]:
        day = _FIRST + timedelta(days=chance.randrange(1, 30 * jobs // 86_400))
        return {"started_after": day, "started_before": day + timedelta(days=1)}

    return {
        "newest first": lambda _: {},
        "by start": lambda _: {"sort": "-started_at"},
        "by end, the first": lambda _: {"sort": "ended_at"},
        "failed": lambda _: {"state": "failed"},
        "failed or killed": lambda _: {"state": "failed,killed"},
        "failed or killed, by start": lambda _: {"state": "failed,killed", "sort": "-started_at"},
        "of a site": lambda chance: {"site": a_site(chance)},
        "of a site, by start": lambda chance: {"site": a_site(chance), "sort": "-started_at"},
        "of a task": lambda chance: {"task_id": a_task(chance)},
        "of a task, by memory": lambda chance: {
            "task_id": a_task(chance),
            "sort": "-max_rss_bytes",
        },
        "of a task, by site": lambda chance: {"task_id": a_task(chance), "sort": "site"},
        "of a day, by time taken": lambda chance: {**a_day(chance), "sort": "-wall_seconds"},
        "killed, by memory": lambda _: {"state": "killed", "sort": "-max_rss_bytes"},
        "of an exit code, by start": lambda _: {"exit_code": 65, "sort": "-started_at"},
        "of a tenth of all, one task": lambda _: {"task_id": f"nova-{_LARGE_TASK:06}"},
        "of the newest campaign": lambda _: {"campaign": f"prod{_CAMPAIGNS - 1}"},
        "of the oldest campaign": lambda _: {"campaign": "prod0"},
    }


def _print_questions(connection: Connection, jobs: int, process: int | None) -> None:
    for title, make_question in _questions(jobs).items():
        for what, ask in (("page", _ask_for_page), ("counts", _ask_for_counts)):
            chance = random.Random(title)  # noqa: S311 - has to repeat, not to be secret
            waits, used = [], cpu_with_server(process)
            for _ in range(ROUNDS):
                question = make_question(chance)
                start = time.perf_counter()
                ask(connection, question)
                waits.append((time.perf_counter() - start) * 1000)
                connection.rollback()
            used = (cpu_with_server(process) - used) * 1000 / ROUNDS
            note = f"CPU {used:.1f} ms; p99 {quantiles(waits, n=100)[98]:.1f} ms"
            print_figure(Figure(f"{title}, {what}", median(waits), "ms", mark=MARK, note=note))


def _ask_for_page(connection: Connection, question: dict[str, Any]) -> None:
    filters = dict(question)
    sort = filters.pop("sort", None)
    list_jobs(connection, JobFilters(**filters), limit=50, sort=sort)


def _ask_for_counts(connection: Connection, question: dict[str, Any]) -> None:
    filters = JobFilters(**{name: value for name, value in question.items() if name != "sort"})
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
    for title, make_question in _questions(jobs).items():
        chance = random.Random(title)  # noqa: S311 - has to repeat, not to be secret
        statements.clear()
        _ask_for_page(connection, make_question(chance))
        print(f"\n{title}")
        for statement, values in statements:
            for row in connection.exec_driver_sql(f"{explain} {statement}", values):
                print(f"    {row[-1]}")
            print("    --")


if __name__ == "__main__":
    main()
