"""Measures what people ask, at two sizes of the same campaign, and how much longer it takes.

Each question is asked of a served process, one request after the other over one connection, of files
and jobs all over the campaign. On a machine that does other things too, CPU says what an idle one
would do: that of the service and of PostgreSQL together.
"""

import random
from collections.abc import Callable, Sequence
from statistics import median
from typing import NamedTuple

from sqlalchemy import func, select

from benchmarks.campaign import UNITS
from benchmarks.report import Figure, print_figure, print_heading
from benchmarks.running.clients import request_bytes, send_all
from benchmarks.running.places import Place
from benchmarks.running.processes import cpu_seconds, running_service
from jobprov.app.config import load_settings
from jobprov.app.wiring import open_service
from jobprov.provenance.db.tables import Host, Job, TaskRow

MOST_GROWTH = 1.3
_REQUESTS = 100
_PATIENCE = 3.0
"""Seconds for one question."""
_LEAST_SECONDS = 0.002
"""Of CPU: below it, a ratio says more of the clock than of the service."""


class Asked(NamedTuple):
    """What one question took.

    Attributes:
        wall: median, seconds.
        first: the first request, seconds: nothing of it was read before.
        cpu: mean of the service and of the database's server, seconds.
    """

    wall: float
    first: float
    cpu: float


class Measured(NamedTuple):
    """All questions at one size, by name."""

    jobs: int
    questions: dict[str, Asked]


class Campaign(NamedTuple):
    """What can be asked for.

    Attributes:
        copies: how many times the recorded trees are there.
        trees: whole ones in a copy.
        jobs: ids of some.
        tasks, hosts: some names.
    """

    copies: int
    trees: int
    jobs: Sequence[str]
    tasks: Sequence[str]
    hosts: Sequence[str]

    def tree(self, chance: random.Random) -> int:
        """Return the number of some tree."""
        return chance.randrange(self.copies) * 100 + chance.randrange(self.trees)

    def file(self, chance: random.Random, kind: str = "reco") -> str:
        """Return the name of some file."""
        return f"nova_r{self.tree(chance):05d}_s{chance.randrange(UNITS):04d}.{kind}.root"

    def concat(self, chance: random.Random) -> str:
        """Return the name of some merge of 4,000 files."""
        return f"nova_concat_t{self.tree(chance):04d}.root"


Question = Callable[[Campaign, random.Random], str]

_OF = "experiment=nova"
QUESTIONS: dict[str, Question] = {
    "file by name": lambda all_, chance: f"/api/v1/files/{all_.file(chance)}?{_OF}",
    "page of a file": lambda all_, chance: f"/files/{all_.file(chance)}?{_OF}",
    "page of a merge": lambda all_, chance: f"/files/{all_.concat(chance)}?{_OF}",
    "page of a name that 1 % of jobs write": lambda *_: f"/files/hist.root?{_OF}",
    "job by id": lambda all_, chance: f"/api/v1/jobs/{chance.choice(all_.jobs)}",
    "page of a job": lambda all_, chance: f"/jobs/{chance.choice(all_.jobs)}",
    "all ancestors of a merge": (
        lambda all_, chance: f"/api/v1/files/{all_.concat(chance)}/ancestors?{_OF}"
    ),
    "graph of 200 ancestors": (
        lambda all_, chance: (
            f"/api/v1/files/{all_.concat(chance)}/lineage?{_OF}&direction=ancestors"
        )
    ),
    "descendants of a raw file": (
        lambda all_, chance: f"/api/v1/files/{all_.file(chance, 'raw')}/descendants?{_OF}"
    ),
    "page of a lineage": lambda all_, chance: f"/lineage/{all_.concat(chance)}?{_OF}",
    "impact of a release, direct": (
        lambda *_: f"/api/v1/lineage/impact?{_OF}&revision=S24-05-01&direct=true"
    ),
    "search: a whole name": lambda all_, chance: f"/search?q={all_.file(chance)}",
    "search: a part in the middle": lambda all_, chance: f"/search?q={all_.file(chance)[6:-8]}",
    "search: a sixth of all names": lambda *_: "/search?q=reco",
    "search: nothing": lambda _, chance: f"/search?q={chance.randrange(10**9):09}_nothing",
    "search: suggestions": (
        lambda all_, chance: f"/api/v1/search/suggestions?q={all_.file(chance)[:12]}"
    ),
    "jobs, newest first": lambda *_: "/jobs",
    "jobs that failed": lambda *_: "/jobs?state=failed",
    "jobs of a task": lambda all_, chance: f"/jobs?task_id={chance.choice(all_.tasks)}",
    "page of a task": lambda all_, chance: f"/tasks/nova/{chance.choice(all_.tasks)}",
    "jobs of a host": lambda all_, chance: f"/jobs?host={chance.choice(all_.hosts)}",
    "jobs of a site": lambda *_: "/jobs?site=FNAL",
    "jobs of a site, by start": lambda *_: "/jobs?site=FNAL&sort=-started_at",
    "home page": lambda *_: "/",
    "page of a campaign": lambda *_: "/campaigns/nova/prod5",
    "folded graph of a campaign": lambda *_: "/campaigns/nova/prod5/lineage",
    "causes of failure": lambda *_: "/errors?experiment=nova",
    "resources of a stage": lambda *_: "/resources?experiment=nova&stage=reco",
    "throughput of a day": lambda *_: "/throughput?since=2026-02-10&until=2026-02-11",
    "throughput of a year": lambda *_: "/throughput?since=400d",
    "samples": lambda *_: "/samples/nova",
    "orphans": lambda *_: "/orphans?experiment=nova",
    "metrics": lambda *_: "/api/v1/metrics",
}


def measure_growth(place: Place, jobs: int, copies: int) -> Measured:
    """Print and return what each question takes."""
    campaign = _read_campaign(place, jobs, copies)
    found: dict[str, Asked] = {}
    with running_service(place.settings) as (address, server):
        # What is counted in the background is counted before: it takes CPU from what is measured
        for name, question in QUESTIONS.items():
            chance = random.Random(name)  # noqa: S311 - has to repeat, not to be secret
            paths = [question(campaign, chance) for _ in range(_REQUESTS)]
            asked = _ask(address, server, place.process, paths)
            if asked is None:
                print(f"    {name}: refused or counted in the background", flush=True)
                continue
            found[name] = asked
            note = f"{asked.cpu * 1e3:.2f} ms of CPU; the first {asked.first * 1e3:.1f} ms"
            print_figure(Figure(f"{name}, p50", asked.wall * 1e3, "ms", note=note))
    return Measured(jobs, found)


def print_growth(before: Measured, after: Measured) -> None:
    """Print how many times longer each question takes, by CPU."""
    print_heading(f"from {before.jobs:,} to {after.jobs:,} jobs, by CPU")
    for name, late in after.questions.items():
        early = before.questions.get(name)
        if early is None:
            continue
        ratio = late.cpu / max(early.cpu, _LEAST_SECONDS)
        note = (
            f"{early.cpu * 1e3:.2f} ms, then {late.cpu * 1e3:.2f} ms; wall p50"
            f" {early.wall * 1e3:.1f} ms, then {late.wall * 1e3:.1f} ms"
        )
        print_figure(Figure(name, ratio, "x", mark=MOST_GROWTH, note=note))


def _ask(address: str, server: int, database: int | None, paths: Sequence[str]) -> Asked | None:
    requests = [request_bytes("GET", path, b"") for path in paths]
    try:
        first = send_all([address], requests[:1], connections=1, statuses=[200]).waits[0]
        # Into the caches, as in a service that runs
        warm = send_all([address], requests[1:4], connections=1, statuses=[200]).seconds / 3
        requests = requests[: max(5, min(len(requests), int(_PATIENCE / warm)))]
        spent = _cpu(server, database)
        waits = send_all([address], requests, connections=1, statuses=[200]).waits
    except RuntimeError as refused:
        print(f"    {str(refused)[:200]!r}")
        return None
    return Asked(median(waits), first, (_cpu(server, database) - spent) / len(requests))


def _cpu(server: int, database: int | None) -> float:
    return cpu_seconds(server) + (0.0 if database is None else cpu_seconds(database))


def _read_campaign(place: Place, jobs: int, copies: int) -> Campaign:
    service = open_service(load_settings(place.settings))
    try:
        with service.reading() as connection:
            newest = connection.execute(select(func.max(Job.id))).scalar_one()
            chance = random.Random(1)  # noqa: S311 - has to repeat, not to be secret
            keys = [chance.randrange(1, newest) for _ in range(_REQUESTS)]
            uuids = connection.execute(select(Job.uuid).where(Job.id.in_(keys))).scalars().all()
            last = connection.execute(select(func.max(TaskRow.id))).scalar_one()
            tasks = [chance.randrange(1, last) for _ in range(_REQUESTS)]
            names = (
                connection.execute(
                    select(TaskRow.task_id).where(
                        TaskRow.id.in_(tasks), TaskRow.task_id.like("%-reco-____")
                    )
                )
                .scalars()
                .all()
            )
            hosts = connection.execute(select(Host.hostname).limit(_REQUESTS)).scalars().all()
    finally:
        service.close()
    trees = max(1, jobs // copies // 3300)
    return Campaign(copies, trees, uuids, names, hosts)
