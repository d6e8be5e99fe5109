"""Measures the search by parameter as it ran: `python -m benchmarks.parameters`.

There are 100,000 jobs of 2,000 configurations of 5,000 parameters each. The configurations are real
fcl with includes, recorded and evaluated as the service does it; each sets 20 parameters of its own
in 20 of 300 module tables. Jobs ran them with art: `-n` and `-s` on the command line, so that the
set that ran is computed, one of three tunes of GENIE, and a seed each. Every question is asked as
`GET /jobs` asks it: the 100 newest jobs with what lists show of them, and why they are listed.
Beside it stands one raw statement from the same tables that returns the keys of these jobs alone.
On a machine with little time, `--recorded 10000` records so many jobs, and multiplies their rows.
"""

import json
import random
import time
from collections.abc import Iterator
from statistics import median
from uuid import uuid4

from sqlalchemy import Connection, select

from benchmarks.campaign import EXPERIMENT, GeneratedJob, generate_jobs
from benchmarks.report import Figure, print_figure, print_heading
from benchmarks.running.command_line import chosen_kinds, database_parser
from benchmarks.running.places import Place, open_place
from benchmarks.running.processes import cpu_with_server
from benchmarks.whole.recording import record_in_process
from benchmarks.whole.sizes import compact, table_bytes
from jobprov.app.config import load_settings
from jobprov.app.wiring import Service, open_service
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.db.statements.inserting import insert_rows
from jobprov.provenance.db.tables import Evaluation, Job, JobSeed, JobSource
from jobprov.provenance.db.tables.base import table_of
from jobprov.provenance.services.background import HANDLERS
from jobprov.provenance.services.intake.blobs import Upload, grant_possession
from jobprov.provenance.services.lookup.jobs import list_jobs
from jobprov.provenance.services.work.queue import Parts, drain

MARK = 30
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
    "job_sources",
    "job_seeds",
)
_NUMBER = "physics.producers.module{}.threshold"

TUNES = ("G18_10a_02_11a", "G18_10b_00_000", "AR23_20i_00_000")
RELEASE = {"name": "art", "product": {"manager": "ups", "version": "v3_14_04"}}
LARSOFT = {"name": "larsoft", "product": {"manager": "ups", "version": "v10_04_01"}}

QUESTIONS: dict[str, JobFilters] = {
    "half of the configurations": JobFilters(parameter=_NUMBER.format(0), value="<5"),
    "one configuration of 2,000": JobFilters(parameter=_NUMBER.format(0), value="=1"),
    "all, by another value": JobFilters(parameter=_NUMBER.format(1), value="!=-1"),
    "a word": JobFilters(parameter="physics.producers.module2.mode", value="fast"),
    "none": JobFilters(parameter=_NUMBER.format(0), value=">100000"),
    "300 keys by a glob": JobFilters(parameter="physics.producers.*.threshold", value=">=9.9"),
    "a common value by a glob": JobFilters(
        parameter="physics.producers.*.parameter3", value="<100000"
    ),
    "words by a glob, in keys by a glob": JobFilters(parameter="*.module_type", value="~Module7?"),
    "a value in any key": JobFilters(parameter="*", value="=12345"),
    "any number in any key": JobFilters(parameter="*", value=">=0"),
    "any value in any key": JobFilters(parameter="*"),
    "-n of the command line": JobFilters(parameter="source.maxEvents", value="20"),
    "a file of -s": JobFilters(
        parameter="source.fileNames[*]", value="/pnfs/nova/raw/r000777.root"
    ),
    "a few files of -s by a glob": JobFilters(
        parameter="source.fileNames[*]", value="~*/r00077?.root"
    ),
    "all files of -s by a glob": JobFilters(parameter="source.fileNames[*]", value="~/pnfs/*"),
    "a tune": JobFilters(variable=f"GENIE_XSEC_TUNE={TUNES[1]}"),
    "a parameter and a tune": JobFilters(
        parameter=_NUMBER.format(0), value="<5", variable=f"GENIE_XSEC_TUNE={TUNES[1]}"
    ),
    "a seed": JobFilters(seed=7_777),
    "parameter, tune, product and site": JobFilters(
        parameter=_NUMBER.format(0),
        value="<5",
        variable=f"GENIE_XSEC_TUNE={TUNES[1]}",
        software="larsoft=v10_04_01",
        site="SMU",
    ),
    "a parameter and a seed": JobFilters(parameter=_NUMBER.format(0), value="<5", seed=7_777),
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
    parser.add_argument(
        "--recorded", type=int, help="jobs that are recorded; their rows are multiplied to --jobs"
    )
    chosen = parser.parse_args()
    for kind in chosen_kinds(chosen):
        with open_place(kind, chosen.keep) as place:
            count = MODULES * PARAMETERS + 3 * MODULES // 2
            print_heading(
                f"{kind}, {chosen.jobs:,} jobs, {chosen.configurations:,} configurations of "
                f"{count:,} parameters"
            )
            recorded = chosen.recorded or chosen.jobs
            _measure(place, recorded, chosen.configurations, copies=chosen.jobs // recorded - 1)


def _measure(place: Place, jobs: int, configurations: int, *, copies: int) -> None:
    service = open_service(load_settings(place.settings))
    try:
        with service.reading() as connection:
            is_filled = connection.execute(select(Evaluation.set_id).limit(1)).first() is not None
        if not is_filled:
            known = _store_configurations(service, configurations)
            record_in_process(service, list(_jobs(jobs, known)), place.process)
            _evaluate(service, configurations)
            for copy in range(1, copies + 1):
                _copy_jobs(service, copy, jobs)
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

    Half of them have a nested table of three more. All are in a path, so that all of them run.
    """
    tables = []
    for module in range(MODULES):
        lines = [f"  parameter{place}: {module * place}" for place in range(PARAMETERS - 3)]
        lines += ["  threshold: 7.5", "  mode: slow", f'  module_type: "Module{module}"']
        lines += ["  fit: { tolerance: 1e-3 steps: 10 method: newton }"] if module % 2 else []
        tables.append(f" module{module}: {{\n" + "\n".join(lines) + "\n }")
    path = ", ".join(f"module{module}" for module in range(MODULES))
    return "physics: { producers: {\n" + "\n".join(tables) + f"\n}} reco: [{path}] }}\n"


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
        number = place // run % len(configurations)
        record = json.loads(job.body)
        record["configurations"] = [configurations[number]]
        record["software"] += [RELEASE, LARSOFT]
        record["environment"]["variables"]["GENIE_XSEC_TUNE"] = TUNES[number % len(TUNES)]
        record["seeds"] = [{"module": "gen", "seed": place, "source": "log"}]
        events, source = str(10 + number % 2 * 10), f"/pnfs/nova/raw/r{place:06d}.root"
        main = str(configurations[number]["main"])
        record["command"]["argv"] = ["art", "-c", main, "-n", events, "-s", source]
        yield GeneratedJob(json.dumps(record, separators=(",", ":")).encode(), job.experiment, [])


def _evaluate(service: Service, configurations: int) -> None:
    parts = Parts(service.database, service.writer, service.store, service.settings.git_mirrors)
    start = time.perf_counter()
    drain(parts, HANDLERS)
    rate = configurations / (time.perf_counter() - start)
    print_figure(Figure("evaluated and indexed", rate, "sets/s", is_rate=True))


def _copy_jobs(service: Service, copy: int, jobs: int) -> None:
    """Copy the rows of the recorded jobs that lists need; each copy reads files of its own."""
    with service.reading() as connection:
        recorded = connection.execute(select(table_of(Job)).where(Job.id <= jobs)).all()
        sources = connection.execute(select(table_of(JobSource)).where(JobSource.job_id <= jobs))
        source_rows = [row._asdict() for row in sources]
        seeds = connection.execute(select(table_of(JobSeed)).where(JobSeed.job_id <= jobs))
        seed_rows = [row._asdict() for row in seeds]
    job_rows = []
    for row in recorded:
        job_rows.append({**row._asdict(), "id": row.id + copy * jobs, "uuid": str(uuid4())})
    for source in source_rows:
        source["job_id"] += copy * jobs
        source["canonical"] = source["canonical"].replace("/r0", f"/r{copy}")
    for seed in seed_rows:
        seed["job_id"] += copy * jobs
        seed["seed"] += copy * jobs
    tables = ((Job, job_rows), (JobSource, source_rows), (JobSeed, seed_rows))
    for table, rows in tables:
        service.write(
            lambda writing, table=table, rows=rows: insert_rows(
                writing.connection, table_of(table), rows
            )
        )


def _print_sizes(service: Service, configurations: int) -> None:
    compact(service.database)
    tables = table_bytes(service.database)
    size = sum(tables.get(name, 0) for name in _TABLES)
    note = ", ".join(f"{name} {tables.get(name, 0) / 1e6:.1f} MB" for name in _TABLES)
    print_figure(Figure("index on disk", size / configurations, "bytes/set", note=note))


def _print_questions(connection: Connection, process: int | None) -> None:
    raw = _raw(connection)
    for name, filters in QUESTIONS.items():
        waits = []
        used = cpu_with_server(process)
        for _ in range(ROUNDS):
            start = time.perf_counter()
            found = list_jobs(connection, filters, limit=100)
            waits.append((time.perf_counter() - start) * 1000)
        used = (cpu_with_server(process) - used) * 1000 / ROUNDS
        more = " and more" if found.next else ""
        note = (
            f"CPU {used:.0f} ms; {_asked(filters)}: {len(found.jobs)} jobs{more}; "
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


def _asked(filters: JobFilters) -> str:
    """Return the filters that are set, in words."""
    return " ".join(str(value) for value in filters if value is not None)


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
