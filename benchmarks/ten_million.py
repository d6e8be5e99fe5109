"""Measures look-ups, lineages, searches and pages of ten million jobs: `python -m benchmarks.ten_million`.

Some hundred thousand jobs are recorded and their rows multiplied (`multiplying.py` says what is real
about the copies and what is not). How much longer questions take than at a million jobs:

    python -m benchmarks.ten_million --keep A --copies 10
    python -m benchmarks.ten_million --keep B --copies 100 --beside A
"""

import shutil
import time
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

from sqlalchemy import delete, func, select
from sqlalchemy.engine import make_url

from benchmarks.campaign import generate_jobs
from benchmarks.multiplying import MOST_COPIES, Multiplier
from benchmarks.report import Figure, print_figure, print_heading
from benchmarks.running.command_line import chosen_kinds, database_parser
from benchmarks.running.places import Place, open_place
from benchmarks.whole import recording
from benchmarks.whole.growth import Subject, measure_in_turn, opened, print_growth
from jobprov.app.config import load_settings
from jobprov.app.wiring import open_service
from jobprov.provenance.db.connections.engines import open_database
from jobprov.provenance.db.tables import Job, WorkItem
from jobprov.provenance.services.upkeep.sealing import seal_ledger

SEAL_EVERY = 16_000


def main() -> None:
    """Measure what the command line asks for."""
    parser = database_parser("benchmarks.ten_million", __doc__)
    parser.add_argument("--jobs", type=int, default=100_000, help="jobs that are recorded")
    parser.add_argument(
        "--copies",
        type=int,
        default=MOST_COPIES,
        help="how many times they are there when it is measured",
    )
    parser.add_argument(
        "--beside",
        type=Path,
        metavar="FOLDER",
        help="ask the same of a smaller one that was kept in this folder, in turn",
    )
    parser.add_argument(
        "--beside-copies", type=int, default=MOST_COPIES // 10, help="copies that are there"
    )
    parser.add_argument(
        "--only",
        nargs="+",
        default=(),
        metavar="WORD",
        help="ask what has one of these in its name",
    )
    chosen = parser.parse_args()
    for kind in chosen_kinds(chosen):
        with ExitStack() as stack:
            subjects = []
            if chosen.beside is not None:
                place = stack.enter_context(open_place(kind, chosen.beside))
                subjects.append(_filled(stack, place, chosen.jobs, chosen.beside_copies))
            place = stack.enter_context(open_place(kind, chosen.keep))
            subjects.append(_filled(stack, place, chosen.jobs, chosen.copies))
            steps = measure_in_turn(subjects, chosen.only)
            for before, after in pairwise(steps):
                print_growth(before, after)


def _filled(stack: ExitStack, place: Place, jobs: int, copies: int) -> Subject:
    """Return a place with so many recorded jobs, each there so many times."""
    print_heading(f"{place.kind}, {jobs * copies:,} jobs: {jobs:,} recorded, rows multiplied")
    record(place, jobs)
    multiply(place, jobs, copies)
    return stack.enter_context(opened(place, jobs * copies, copies))


def record(place: Place, jobs: int) -> None:
    """Record and seal the campaign's first jobs, as far as they are not there."""
    service = open_service(load_settings(place.settings))
    try:
        with service.reading() as connection:
            done: int = connection.execute(select(func.count()).select_from(Job)).scalar_one()
        while done < jobs:
            count = min(SEAL_EVERY, jobs - done)
            recording.record_in_process(service, generate_jobs(count, first=done), place.process)
            seal_ledger(service.database, service.writer, service.store)
            done += count
        # The digests of the campaign have no bytes: what waits for them is not what is measured
        service.write(lambda writing: writing.connection.execute(delete(WorkItem)))
    finally:
        service.close()


def multiply(place: Place, jobs: int, copies: int) -> None:
    """Insert copies until the recorded jobs are there so many times."""
    there = _count_jobs(place) // jobs
    recorded = place.folder / "recorded.db"
    if there == 1 and place.kind == "sqlite":
        # While nothing here has it open: to close a copied file ends all locks of the process on it
        shutil.copy(Path(str(make_url(place.url).database)), recorded)
    if there >= copies:
        return
    database = open_database(place.url)
    try:
        start = time.perf_counter()
        multiplier = Multiplier(database, recorded, place.folder / "var" / "archive")
        if there == 1:
            multiplier.move_arrivals()
        multiplier.insert(range(there, copies))
        multiplier.close()
        seconds = time.perf_counter() - start
        print_figure(
            Figure("rows multiplied", (copies - there) * jobs / seconds, "jobs/s", is_rate=True)
        )
    finally:
        database.dispose()


def _count_jobs(place: Place) -> int:
    database = open_database(place.url)
    try:
        with database.reading.connect() as connection:
            count: int = connection.execute(select(func.count()).select_from(Job)).scalar_one()
            return count
    finally:
        database.dispose()


if __name__ == "__main__":
    main()
