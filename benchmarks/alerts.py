"""Measures what looking at rules of alerts takes: `python -m benchmarks.alerts`.

300,000 jobs are written as rows, 10,000 a day, a tenth of them failed of 200 causes, at 40 sites and
in 12 stages of two campaigns, with 50,000 jobs in a queue; then each kind of rule is looked at as
the service does it once a minute.
"""

import argparse
import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from sqlalchemy import Connection, Table, select, text

from benchmarks.report import Figure, print_figure, print_heading
from benchmarks.running.command_line import chosen_kinds, database_parser
from benchmarks.running.places import Place, open_place
from benchmarks.running.processes import cpu_with_server
from jobprov.archive.opening import open_store
from jobprov.provenance.db.connections.engines import Database, open_database
from jobprov.provenance.db.statements.inserting import insert_rows
from jobprov.provenance.db.tables import (
    Experiment,
    FailureClass,
    Host,
    Job,
    LedgerEntry,
    QueueJob,
    QueueReport,
    Stage,
    TaskRow,
)
from jobprov.provenance.db.tables.base import table_of
from jobprov.provenance.services.alerts import conditions
from jobprov.provenance.services.alerts.checks import check_experiment
from jobprov.provenance.services.alerts.rules import ExperimentAlerts, read_alert_rules
from jobprov.provenance.services.background import HANDLERS
from jobprov.provenance.services.work.queue import Parts, drain
from jobprov.provenance.services.writing import Writer

ROUNDS = 15
JOBS_A_DAY = 10_000
_NEXT_ENTRY = text("SELECT setval(pg_get_serial_sequence('ledger_entries', 'id'), :count)")
NOVA = conditions.Experiment(1, "nova")
RULES = {
    "share within 1h": 'when = "failure_share"\nover = 0.05',
    "share within 24h, by site": 'when = "failure_share"\nover = 0.05\nwindow = "24h"\nby = "site"',
    "share within 7d, by site": 'when = "failure_share"\nover = 0.05\nwindow = "7d"\nby = "site"',
    "count within 7d, by stage of a campaign": (
        'when = "failure_count"\nover = 5\nwindow = "7d"\nby = "stage"\ncampaign = "c1"'
    ),
    "new cause within 24h": 'when = "new_cause"',
    "new cause within 7d": 'when = "new_cause"\nwindow = "7d"',
    "stuck": 'when = "stuck"',
    "held": 'when = "held"',
    "no record": 'when = "no_record"\nhours = 2',
    "disk": 'when = "disk"\nbelow_gb = 1',
    "drill differs": 'when = "drill_differs"',
    "stage done": 'when = "stage_done"\ncampaign = "c1"',
}


def main() -> None:
    """Measure what the command line asks for."""
    parser = database_parser("benchmarks.alerts", __doc__)
    parser.add_argument("--jobs", type=int, default=300_000, help="jobs that are written")
    chosen = parser.parse_args()
    for kind in chosen_kinds(chosen):
        with open_place(kind, chosen.keep) as place:
            _measure(place, chosen)


def _measure(place: Place, chosen: argparse.Namespace) -> None:
    database = open_database(place.url)
    print_heading(f"{place.kind}, {chosen.jobs:,} jobs")
    with database.writing.begin() as connection:
        if connection.execute(select(Job.id).limit(1)).first() is None:
            _fill(connection, chosen.jobs)
    with database.writing.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
        connection.commit()
    file = place.folder / "alerts.toml"
    rules = [f'[[nova.rules]]\nname = "{name}"\nto = ["x"]\n{RULES[name]}\n' for name in RULES]
    file.write_text('[nova.receivers.x]\nurl_variable = "X"\n' + "".join(rules), encoding="utf-8")
    alerts = read_alert_rules(file)["nova"]
    _print_rules(database, alerts, place)
    _print_looks(database, alerts, place)
    database.dispose()


def _print_rules(database: Database, alerts: ExperimentAlerts, place: Place) -> None:
    """Look at each rule alone; the campaign is counted anew each time."""
    for rule in alerts.rules:
        rounds = 3 if rule.condition == "stage_done" else ROUNDS
        waits = []
        used = cpu_with_server(place.process)
        for _ in range(rounds):
            with database.reading.connect() as connection:
                watch = conditions.Watch(
                    connection,
                    open_store("memory:"),
                    NOVA,
                    now=datetime.now(UTC),
                    folders=[place.folder],
                    open_subjects=lambda _: frozenset(),
                )
                start = time.perf_counter()
                watch.look(rule)
                waits.append((time.perf_counter() - start) * 1000)
        note = f"CPU {(cpu_with_server(place.process) - used) * 1000 / rounds:.1f} ms"
        print_figure(Figure(f"{rule.name}, p50", median(waits), "ms", note=note))


def _print_looks(database: Database, alerts: ExperimentAlerts, place: Place) -> None:
    """Look at all rules together, a minute apart, as the service does it."""
    store = open_store("memory:")
    parts = Parts(database, Writer(database, store), store, place.folder / "git")
    titles = ["all rules, the first look"] + ["all rules, the next look"] * 3
    for minute, title in enumerate(titles):
        used, start = cpu_with_server(place.process), time.perf_counter()
        now = datetime.now(UTC) + timedelta(minutes=minute)
        done = check_experiment(parts, [Path("/")], NOVA, alerts, now=now, is_forced=True)
        wait = (time.perf_counter() - start) * 1000
        began = 0 if done is None else done.began
        note = f"CPU {(cpu_with_server(place.process) - used) * 1000:.0f} ms; {began} alerts began"
        print_figure(Figure(title, wait, "ms", note=note))
        drain(parts, HANDLERS)
    parts.writer.close()


def _fill(connection: Connection, count: int) -> None:
    chance = random.Random(1)  # noqa: S311 - has to repeat, not to be secret
    now = datetime.now(UTC)
    _insert(connection, Experiment, [{"id": 1, "name": "nova"}])
    hosts, stages, tasks = [], [], []
    for number in range(1, 401):
        host = {"hostname": f"wn{number}", "site": f"S{number % 40}", "facility": ""}
        hosts.append({"id": number, **host})
    for number in range(1, 13):
        stage = {"experiment_id": 1, "campaign": f"c{number % 2}", "name": f"s{number // 2}"}
        stages.append({"id": number, **stage})
    for number in range(1, 61):
        task = {"task_id": f"t{number}", "stage_id": 1 + number % 12, "has_several_stages": False}
        tasks.append({"id": number, "experiment_id": 1, **task})
    _insert(connection, Host, hosts)
    _insert(connection, Stage, stages)
    _insert(connection, TaskRow, tasks)
    jobs, classes, entries = [], [], []
    for number in range(1, count + 1):
        ended_at = now - timedelta(days=(count - number) / JOBS_A_DAY)
        is_bad = chance.random() < 0.1  # noqa: PLR2004 - a tenth
        jobs.append(_job(number, ended_at, chance.randrange(1, 401), is_bad=is_bad))
        entries.append(_entry(number, ended_at))
        if is_bad:
            classes.append(_class(number, chance.randrange(200)))
    _insert(connection, Job, jobs)
    _insert(connection, FailureClass, classes)
    _insert(connection, LedgerEntry, entries)
    report = {"id": 1, "experiment_id": 1, "schedd": "s", "asked_at": now, "left_out": 0}
    _insert(connection, QueueReport, [report])
    _insert(connection, QueueJob, [_queued(number) for number in range(1, 50_001)])
    if connection.dialect.name == "postgresql":
        # the sequence gave none of these keys
        connection.execute(_NEXT_ENTRY, {"count": count})


def _insert(connection: Connection, model: object, rows: Sequence[dict[str, object]]) -> None:
    table: Table = table_of(model)
    insert_rows(connection, table, rows)


def _job(number: int, ended_at: datetime, host: int, *, is_bad: bool) -> dict[str, object]:
    return {
        "id": number,
        "experiment_id": 1,
        "task_id": 1 + number % 60,
        "stage_id": 1 + (1 + number % 60) % 12,
        "host_id": host,
        "received_at": ended_at,
        "started_at": ended_at - timedelta(hours=2),
        "ended_at": ended_at,
        "wall_seconds": 7200.0,
        "cpu_seconds": 7000.0,
        "state": 2 if is_bad else 1,
        "exit_code": 65 if is_bad else 0,
        "level": 0,
        "index_version": 1,
        "output_count": 1,
        "uuid": f"{number:08x}-0000-4000-8000-000000000000",
    }


def _entry(number: int, received_at: datetime) -> dict[str, object]:
    return {
        "id": number,
        "experiment_id": 1,
        "received_at": received_at,
        "segment": number // JOBS_A_DAY,
        "position": number % JOBS_A_DAY,
        "kind": "record",
        "job_id": number,
        "witness": "hook",
        "revision": 0,
    }


def _class(job: int, cause: int) -> dict[str, object]:
    return {
        "job_id": job,
        "version": 0,
        "built_in": 1,
        "class_name": "storage",
        "cause_key": f"cause{cause}",
        "cause": f"the words of cause {cause}, as long as they are in a production",
    }


def _queued(number: int) -> dict[str, object]:
    return {
        "id": number,
        "report_id": 1,
        "experiment_id": 1,
        "standing": 0 if number % 100 == 0 else 4,
        "job_uuid": f"{number:08x}-0000-4000-8000-00000000000f",
        "batch_id": f"{number}.0@s",
        "task_id": f"t{number % 60}",
        "fingerprint": bytes(12),
    }


if __name__ == "__main__":
    main()
