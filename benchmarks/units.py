"""`python -m benchmarks.units`: what it costs to count the units of a large task by their states.

One task with a frozen list, one job a unit. Of a thousand units ten failed, five of them were tried
again, five were killed, and ten have not been tried. `cpu` is what this process used: other work on
the machine does not blur it, and of PostgreSQL's own work it says nothing.
"""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from statistics import median
from typing import Any

from sqlalchemy import func, select

from benchmarks.report import Figure, print_figure, print_heading
from benchmarks.running.command_line import chosen_kinds, database_parser
from benchmarks.running.places import Place, open_place
from jobprov.app.config import load_settings
from jobprov.app.wiring import Service, open_service
from jobprov.provenance.answers.tasks.tasks import UnitState
from jobprov.provenance.db.queries.tasks.tasks import find_tasks
from jobprov.provenance.db.tables import Job
from jobprov.provenance.db.upkeep.housekeeping import refresh_statistics
from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.services.recording.submissions import Submission
from jobprov.provenance.services.tasks.declarations import declare_task, find_declaration
from jobprov.provenance.services.tasks.units import Units, count_units

EXPERIMENT, TASK = "nova", "big"
MARK = 100
"""Milliseconds, for 100,000 units."""
_BATCH, _TIMES = 500, 9
_FAILED, _TRIED_AGAIN, _KILLED, _NOT_TRIED = (
    10,
    5,
    15,
    25,
)  # of a thousand, by the end of their range


def main() -> None:
    """Measure what the command line asks for."""
    parser = database_parser("benchmarks.units", __doc__)
    parser.add_argument("--units", type=int, default=100_000)
    chosen = parser.parse_args()
    for kind in chosen_kinds(chosen):
        with open_place(kind, chosen.keep) as place:
            print_heading(f"{kind}, a task of {chosen.units:,} units")
            _measure(place, chosen.units)


def _measure(place: Place, units: int) -> None:
    settings = load_settings(place.settings)
    service = open_service(settings)
    try:
        _fill(service, units)
        refresh_statistics(service.database)
        with service.reading() as connection:
            task = find_tasks(connection, TASK, EXPERIMENT)[0]
            declaration = find_declaration(connection, service.store, task)
            waits, cpu = [], []
            for _ in range(_TIMES):
                wall_before, cpu_before = time.perf_counter(), time.process_time()
                counted = count_units(connection, task, declaration)
                waits.append((time.perf_counter() - wall_before) * 1e3)
                cpu.append((time.process_time() - cpu_before) * 1e3)
        _check(counted, units)
        note = f"cpu {median(cpu):.0f} ms, best {min(cpu):.0f}"
        print_figure(Figure("units by state", median(waits), "ms", mark=MARK, note=note))
    finally:
        service.close()


def _fill(service: Service, units: int) -> None:
    """Declare the task and record its jobs, unless they are there."""
    with service.reading() as connection:
        if connection.execute(select(func.count()).select_from(Job)).scalar_one():
            return
    names = [_unit(number) for number in range(units)]
    document = {"experiment": EXPERIMENT, "campaign": "c", "stage": "reco", "units": names}
    service.write(lambda writing: declare_task(writing, TASK, document))
    batch: list[Submission] = []
    for record in _records(units):
        sent = decode_record(json.dumps(record).encode())
        batch.append(Submission(sent, datetime.now(UTC), "benchmark"))
        if len(batch) == _BATCH:
            service.record_many(batch)
            batch = []
    service.record_many(batch)


def _records(units: int) -> Iterator[dict[str, Any]]:
    """Yield a record for each attempt."""
    for number in range(units):
        place = number % 1000
        if place < _FAILED:
            yield _record(number, 1, "failed")
        if _TRIED_AGAIN <= place < _KILLED:
            yield _record(number, 2, "killed" if place >= _FAILED else "succeeded")
        if place >= _NOT_TRIED:
            yield _record(number, 1, "succeeded")


def _record(number: int, attempt: int, state: str) -> dict[str, Any]:
    output = {"name": f"reco{number}.root", "size_bytes": number + 1, "data_tier": "reco"}
    return {
        "schema_version": 1,
        "job_id": f"0f8b0000-0000-4000-800{attempt}-{number:012x}",
        "experiment": EXPERIMENT,
        "state": state,
        "started_at": "2026-01-01T00:00:00Z",
        "ended_at": "2026-01-01T01:00:00Z",
        "task": {"task_id": TASK, "campaign": "c", "stage": "reco", "unit": _unit(number)},
        "host": {"hostname": f"wn{number % 50}", "site": "FNAL"},
        "outputs": [output] if state == "succeeded" else [],
    }


def _unit(number: int) -> str:
    """Return the name of a raw file, as long as real ones are."""
    return f"nova_r{number // 64:08d}_s{number % 64:02d}.raw.root"


def _check(counted: Units, units: int) -> None:
    """Hold the count to what was recorded: a count that is fast and wrong is none."""
    thousands = units // 1000
    expected = {
        UnitState.SUCCEEDED: 980 * thousands,
        UnitState.FAILED: 5 * thousands,
        UnitState.KILLED: 5 * thousands,
        UnitState.NOT_SUBMITTED: 10 * thousands,
    }
    if units % 1000 == 0 and dict(counted.states) != expected:
        raise RuntimeError(f"{dict(counted.states)} units were counted, not {expected}")


if __name__ == "__main__":
    main()
