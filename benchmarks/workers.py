"""Measures what a second service on one PostgreSQL gains: `python -m benchmarks.workers`.

One `jobprov serve` and two take the same number of records, in turn, round after round: only what
was measured side by side is compared. Each service has as many of the client's connections. Client,
database and services share the machine, so the report says how much of its CPU was taken, what each
of them took for a record, and what PostgreSQL's connections did or waited for, looked at every 10
ms. More clients make larger groups, up to the threads of a service, which cost less for each record.
"""

import argparse
import os
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from statistics import median
from typing import NamedTuple

from sqlalchemy import create_engine, delete

from benchmarks.campaign import GeneratedJob, generate_jobs
from benchmarks.report import Figure, print_figure, print_heading
from benchmarks.running.places import Place, open_place
from benchmarks.running.processes import running_service, settle
from benchmarks.whole import recording
from jobprov.app.config import load_settings
from jobprov.app.wiring import open_service
from jobprov.provenance.db.tables import WorkItem

SINGLES, BATCHES = "single durable PUTs", "batches of 500"
MARKS = {SINGLES: 1.5, BATCHES: 1.6}
SINGLES_A_SECOND = 900
WARM_JOBS = 500
_LOOK_SECONDS = 0.01
_ACTIVITY = """
SELECT state, wait_event_type, wait_event, left(query, 70) FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND datname = current_database()
AND state <> 'idle'
"""
_CORES = os.cpu_count() or 1
_TICKS = os.sysconf("SC_CLK_TCK")


class Round(NamedTuple):
    """What a number of workers did.

    Attributes:
        work: what recording took.
        busy: share of the machine's CPU that was taken, by anybody.
        looks: how often the database was looked at.
        seen: how many connections did or waited for this, over all looks.
    """

    work: recording.Work
    busy: float
    looks: int
    seen: Counter[str]


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=6000, help="jobs in the database before")
    parser.add_argument(
        "--singles", type=int, default=2000, help="single PUTs a measurement; 0: none"
    )
    parser.add_argument(
        "--batched", type=int, default=6000, help="batched jobs a measurement; 0: none"
    )
    parser.add_argument(
        "--clients", type=int, default=recording.SINGLE_CLIENTS, help="of single PUTs, in all"
    )
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the database there")
    chosen = parser.parse_args()
    with open_place("postgresql", chosen.keep) as place:
        _measure(place, chosen)


def _measure(place: Place, chosen: argparse.Namespace) -> None:
    counts = _counts(chosen)
    each = len(counts) * WARM_JOBS + sum(counts.values())
    total = chosen.jobs + each * chosen.rounds * len(chosen.workers)
    jobs = list(generate_jobs(total))
    service = open_service(load_settings(place.settings))
    recording.record_in_process(service, jobs[: chosen.jobs])
    recording.possess(service, jobs)
    # The digests of fcl files have no bytes here
    service.write(lambda writing: writing.connection.execute(delete(WorkItem)))
    service.close()
    rest = iter(jobs[chosen.jobs :])
    rounds: dict[str, dict[int, list[Round]]] = {name: {} for name in counts}
    for number in range(chosen.rounds):
        order = chosen.workers if number % 2 == 0 else chosen.workers[::-1]
        for workers in order:
            share = [next(rest) for _ in range(each)]
            for name, measured in _record(place, workers, share, chosen).items():
                rounds[name].setdefault(workers, []).append(measured)
    print_heading(
        f"postgresql, {chosen.jobs:,} jobs of 6 kB before, {chosen.rounds} rounds, "
        f"{chosen.clients} clients of single PUTs"
    )
    for name, by_workers in rounds.items():
        _report(name, by_workers)


def _record(
    place: Place, workers: int, jobs: Sequence[GeneratedJob], chosen: argparse.Namespace
) -> dict[str, Round]:
    """Have so many services record single jobs, then batches; return what each took, by kind."""
    rest = iter(jobs)
    rounds: dict[str, Round] = {}
    with _services(place, workers) as (addresses, servers):

        def send_singles(part: Sequence[GeneratedJob]) -> recording.Work:
            return recording.record_singles(addresses, servers, place.process, part, chosen.clients)

        def send_batches(part: Sequence[GeneratedJob]) -> recording.Work:
            return recording.record_batches(addresses, servers, place.process, part)

        send = {SINGLES: send_singles, BATCHES: send_batches}
        for name, count in _counts(chosen).items():
            send[name](list(islice(rest, WARM_JOBS)))
            settle()
            with _watched(place.url) as watch:
                work = send[name](list(islice(rest, count)))
            rounds[name] = watch.round_of(work)
    return rounds


def _counts(chosen: argparse.Namespace) -> dict[str, int]:
    """Return how many jobs a measurement of each kind takes; kinds without any are left out."""
    counts = {SINGLES: chosen.singles, BATCHES: chosen.batched}
    return {name: count for name, count in counts.items() if count}


@contextmanager
def _services(place: Place, count: int) -> Iterator[tuple[list[str], list[int]]]:
    """Yield addresses and processes of so many services."""
    with ExitStack() as stack:
        services = [stack.enter_context(running_service(place.settings)) for _ in range(count)]
        addresses, servers = zip(*services, strict=True)
        yield list(addresses), list(servers)


class _Watch:
    """Looks at what connections of a PostgreSQL do, until it is stopped."""

    def __init__(self, url: str) -> None:
        self.seen: Counter[str] = Counter()
        self.looks = 0
        self.busy = 0.0
        self._engine = create_engine(url, isolation_level="AUTOCOMMIT")
        self.is_over = threading.Event()

    def look_until_over(self) -> None:
        """Look every 10 ms."""
        busy, all_ticks = _machine_ticks()
        with self._engine.connect() as connection:
            while not self.is_over.wait(_LOOK_SECONDS):
                self.looks += 1
                for state, kind, event, query in connection.exec_driver_sql(_ACTIVITY):
                    self.seen[_activity(state, kind, event, query)] += 1
        busy_after, all_after = _machine_ticks()
        self.busy = (busy_after - busy) / max(1, all_after - all_ticks)
        self._engine.dispose()

    def round_of(self, work: recording.Work) -> Round:
        """Return what was seen while the work was done."""
        return Round(work, self.busy, self.looks, self.seen)


@contextmanager
def _watched(url: str) -> Iterator[_Watch]:
    watch = _Watch(url)
    thread = threading.Thread(target=watch.look_until_over)
    thread.start()
    try:
        yield watch
    finally:
        # Else it would outlive its database
        watch.is_over.set()
        thread.join()


def _activity(state: str, kind: str | None, event: str | None, query: str) -> str:
    if state != "active":
        return "in a transaction, while the service works"
    if kind == "Lock":
        return f"waits for {event} lock: {' '.join(query.split())}"
    if event is not None:
        return f"{kind} {event}"
    return "runs a statement"


def _machine_ticks() -> tuple[int, int]:
    """Return ticks of CPU that were taken, and all there were. Source: proc_stat(5)."""
    ticks = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def _report(name: str, by_workers: dict[int, list[Round]]) -> None:
    alone = by_workers[min(by_workers)]
    for workers, rounds in by_workers.items():
        rates = sorted(measured.work.rate for measured in rounds)
        middle = sorted(rounds, key=lambda measured: measured.work.rate)[len(rounds) // 2]
        note = (
            f"{rates[0]:,.0f} to {rates[-1]:,.0f}; {middle.work.note}; "
            f"{middle.busy * _CORES:.2f} of {_CORES} cores taken"
        )
        print_figure(
            Figure(f"{name}, services: {workers}", median(rates), "jobs/s", is_rate=True, note=note)
        )
        seen: Counter[str] = Counter()
        for measured in rounds:
            seen.update(measured.seen)
        looks = sum(measured.looks for measured in rounds)
        for what, count in seen.most_common(12):
            print(f"        {count / looks:5.2f} connections: {what}")
        if rounds is alone:
            continue
        gains = [more.work.rate / one.work.rate for one, more in zip(alone, rounds, strict=True)]
        print_figure(
            Figure(
                f"{name}, {workers} services against {min(by_workers)}",
                median(gains),
                "x",
                is_rate=True,
                mark=MARKS[name],
                note=f"{min(gains):.2f} to {max(gains):.2f}",
            )
        )


if __name__ == "__main__":
    main()
