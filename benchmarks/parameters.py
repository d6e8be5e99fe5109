"""Measures the search by parameter: `python -m benchmarks.parameters`.

There are 100,000 jobs of 2,000 configurations of 5,000 parameters each. The configurations are real
fcl with includes, recorded and evaluated as the service does it; each sets 20 parameters of its own
in 20 of 300 module tables. Every question is asked as `GET /jobs` asks it: the 100 newest jobs with
what lists show of them. Beside it stands one raw statement from the same tables that returns the
keys of these jobs alone.
"""

import json
import random
import time
from collections.abc import Iterator
from statistics import median

from sqlalchemy import Connection, select

from benchmarks.campaign import EXPERIMENT, GeneratedJob, generate_jobs
from benchmarks.report import Figure, print_figure, print_heading
from benchmarks.running.command_line import chosen_kinds, database_parser
from benchmarks.running.places import Place, open_place
from benchmarks.running.processes import cpu_seconds
from benchmarks.whole.recording import record_in_process
from benchmarks.whole.sizes import compact, table_bytes
from jobprov.app.config import load_settings
from jobprov.app.wiring import Service, open_service
from jobprov.provenance.db.queries.lookup.jobs import JobFilters
from jobprov.provenance.db.tables import Evaluation
from jobprov.provenance.services.background import HANDLERS
from jobprov.provenance.services.intake.blobs import Upload, grant_possession
from jobprov.provenance.services.lookup.jobs import list_jobs
from jobprov.provenance.services.work.queue import Parts, drain

MARK = 50
MODULES, PARAMETERS, OWN = 300, 16, 20
ROUNDS = 20
_TABLES = (
    "parameters",
    "parameter_values",
    "parameter_keys",
    "parameter_tables",
    "parameter_set_tables",
    "parameter_sets",
    "evaluations",
)
_NUMBER = "physics.producers.module{}.threshold"

QUESTIONS: dict[str, tuple[str, str | None]] = {
    "half of the configurations": (_NUMBER.format(0), "<5"),
    "one configuration of 2,000": (_NUMBER.format(0), "=1"),
    "all, by another value": (_NUMBER.format(1), "!=-1"),
    "a word": ("physics.producers.module2.mode", "fast"),
    "none": (_NUMBER.format(0), ">100000"),
    "300 keys by a glob": ("physics.producers.*.threshold", ">=9.9"),
    "a common value by a glob": ("physics.producers.*.parameter3", "<100000"),
    "words by a glob, in keys by a glob": ("*.module_type", "~Module7?"),
    "a value in any key": ("*", "=12345"),
    "any number in any key": ("*", ">=0"),
    "any value in any key": ("*", None),
}

_RAW = """
SELECT j.id FROM jobs j WHERE j.id IN (
    SELECT r.id FROM parameter_keys k JOIN parameter_values v ON v.key_id = k.id JOIN parameters p ON p.value_id = v.id
    JOIN parameter_set_tables t ON t.table_id = p.table_id
    JOIN evaluations e ON e.set_id / 62 = t.block AND (t.members >> CAST(e.set_id - 62 * t.block AS INTEGER)) & 1 = 1
    JOIN closure_set_members m ON m.closure_id = e.closure_id JOIN jobs r ON r.closure_set_id = m.closure_set_id
    WHERE k.name = {mark} AND v.number < 5)
ORDER BY j.id DESC LIMIT 100
"""


def main() -> None:
    """Measure what the command line asks for."""
    parser = database_parser("benchmarks.parameters", __doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--configurations", type=int, default=2000)
    chosen = parser.parse_args()
    for kind in chosen_kinds(chosen):
        with open_place(kind, chosen.keep) as place:
            count = MODULES * PARAMETERS + 3 * MODULES // 2
            print_heading(
                f"{kind}, {chosen.jobs:,} jobs, {chosen.configurations:,} configurations of "
                f"{count:,} parameters"
            )
            _measure(place, chosen.jobs, chosen.configurations)


def _measure(place: Place, jobs: int, configurations: int) -> None:
    service = open_service(load_settings(place.settings))
    try:
        with service.reading() as connection:
            is_filled = connection.execute(select(Evaluation.set_id).limit(1)).first() is not None
        if not is_filled:
            known = _store_configurations(service, configurations)
            record_in_process(service, list(_jobs(jobs, known)), place.process)
            _evaluate(service, configurations)
        _print_sizes(service, configurations)
        with service.reading() as connection:
            _print_questions(connection, place.process)
    finally:
        service.close()


def _store_configurations(service: Service, count: int) -> list[dict[str, object]]:
    """Store the fcl of every configuration; return them as records name them."""
    base = _stored(service, "base.fcl", base_text())
    found = []
    for number in range(count):
        main = _stored(service, f"job{number}.fcl", main_text(number))
        found.append(
            {
                "step": "art",
                "main": main["name"],
                "files": [main, {**base, "found_in": 0}],
                "search_path": ["/cvmfs/nova/fcl"],
            }
        )
    return found


def _stored(service: Service, name: str, text: str) -> dict[str, object]:
    sha256 = str(service.store.put(text.encode()).sha256)
    service.write(lambda writing: grant_possession(writing, [Upload(EXPERIMENT, sha256)]))
    return {"name": name, "path": name, "sha256": sha256}


def base_text() -> str:
    """Return what all configurations include: 300 module tables of 16 parameters.

    Half of them have a nested table of three more.
    """
    tables = []
    for module in range(MODULES):
        lines = [f"  parameter{place}: {module * place}" for place in range(PARAMETERS - 3)]
        lines += ["  threshold: 7.5", "  mode: slow", f'  module_type: "Module{module}"']
        lines += ["  fit: { tolerance: 1e-3 steps: 10 method: newton }"] if module % 2 else []
        tables.append(f" module{module}: {{\n" + "\n".join(lines) + "\n }")
    return "physics: { producers: {\n" + "\n".join(tables) + "\n}}\n"


def main_text(number: int) -> str:
    """Return a configuration of its own.

    `threshold` of module 0 runs from 0 to 10, and 20 other parameters differ.
    """
    chance = random.Random(number)  # noqa: S311 - has to repeat, not to be secret
    lines = [
        '#include "base.fcl"',
        (
            "physics.producers.module0.threshold: "
            f"{1 if number == 1 else number % 100 / 10 + number * 1e-4}"
        ),
    ]
    if number % 3 == 0:
        lines.append("physics.producers.module2.mode: fast")
    lines += [
        (
            f"physics.producers.module{module}.parameter{chance.randrange(13)}: "
            f"{chance.randrange(10**6)}"
        )
        for module in chance.sample(range(3, MODULES), OWN)
    ]
    return "\n".join(lines) + "\n"


def _jobs(count: int, configurations: list[dict[str, object]]) -> Iterator[GeneratedJob]:
    """Yield jobs of the campaign, fifty after another of one configuration, as tasks have it."""
    run = max(1, count // len(configurations))
    for place, job in enumerate(generate_jobs(count)):
        record = json.loads(job.body)
        record["configurations"] = [configurations[place // run % len(configurations)]]
        yield GeneratedJob(json.dumps(record, separators=(",", ":")).encode(), job.experiment, [])


def _evaluate(service: Service, configurations: int) -> None:
    parts = Parts(service.database, service.writer, service.store, service.settings.git_mirrors)
    start = time.perf_counter()
    drain(parts, HANDLERS)
    rate = configurations / (time.perf_counter() - start)
    print_figure(Figure("evaluated and indexed", rate, "sets/s", is_rate=True))


def _print_sizes(service: Service, configurations: int) -> None:
    compact(service.database)
    tables = table_bytes(service.database)
    size = sum(tables.get(name, 0) for name in _TABLES)
    note = ", ".join(f"{name} {tables.get(name, 0) / 1e6:.1f} MB" for name in _TABLES)
    print_figure(Figure("index on disk", size / configurations, "bytes/set", note=note))


def _print_questions(connection: Connection, process: int | None) -> None:
    raw = _raw(connection)
    for name, (parameter, value) in QUESTIONS.items():
        filters = JobFilters(parameter=parameter, value=value)
        waits = []
        used = _cpu(process)
        for _ in range(ROUNDS):
            start = time.perf_counter()
            found = list_jobs(connection, filters, limit=100)
            waits.append((time.perf_counter() - start) * 1000)
        used = (_cpu(process) - used) * 1000 / ROUNDS
        more = " and more" if found.next else ""
        note = (
            f"CPU {used:.0f} ms; {parameter} {value or ''}: {len(found.jobs)} jobs{more}; "
            f"slowest {max(waits):.1f} ms"
        )
        limit = raw if name.startswith("half") else None
        print_figure(
            Figure(f"jobs, {name}, p50", median(waits), "ms", mark=MARK, limit=limit, note=note)
        )
    plain = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        list_jobs(connection, JobFilters(), limit=100)
        plain.append((time.perf_counter() - start) * 1000)
    print_figure(Figure("jobs, no filter, p50", median(plain), "ms"))


def _cpu(process: int | None) -> float:
    """Return the CPU that this process and the database's server took.

    What a machine that does other work does not blur.
    """
    return time.process_time() + (0.0 if process is None else cpu_seconds(process))


def _raw(connection: Connection) -> float:
    """Return the milliseconds of the plain statement for the first question."""
    statement = _RAW.format(mark="?" if connection.dialect.name == "sqlite" else "%s")
    waits = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        connection.exec_driver_sql(statement, (_NUMBER.format(0),)).fetchall()
        waits.append((time.perf_counter() - start) * 1000)
    return median(waits)


if __name__ == "__main__":
    main()
