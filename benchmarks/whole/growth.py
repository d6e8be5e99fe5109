"""Measures what people ask, at two sizes of the same campaign, and how much longer it takes.

The application answers in this process, without a server and without its work in the background, so
that the CPU of each request is known and nothing else is in it: on a machine that does other things
too, it says what an idle one would do. What PostgreSQL spends is added, as a mean of all requests.
Questions are about files and jobs all over the campaign. What is counted in the background, and
shown as it was last, is counted here after the first request, and the CPU of that is told apart.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import NamedTuple

from flask.testing import FlaskClient
from sqlalchemy import func, select

from benchmarks.campaign import UNITS
from benchmarks.report import Figure, print_figure, print_heading
from benchmarks.running.places import Place
from benchmarks.running.processes import cpu_with_server, server_cpu
from jobprov.app.config import load_settings
from jobprov.app.factory import create_app
from jobprov.app.wiring import Service, open_service
from jobprov.provenance.db.tables import Host, Job, TaskRow
from jobprov.provenance.services.background import HANDLERS
from jobprov.provenance.services.kept_answers.kept_answers import COUNT
from jobprov.provenance.services.work.queue import drain

MOST_GROWTH = 1.3
_REQUESTS = 100
_PATIENCE = 3.0
"""Seconds for one question."""
_FEWEST = 5
_MOST_COUNTS = 2
_ANSWERED = (200, 303)
_COUNTED = {COUNT: HANDLERS[COUNT]}


class Asked(NamedTuple):
    """What one question took.

    Attributes:
        wall: median, seconds.
        first: the first request, seconds: nothing of it was read before.
        cpu: median of this process, with the mean of the database's server, seconds.
        counted: CPU of what was counted in the background, seconds; 0 for nothing.
    """

    wall: float
    first: float
    cpu: float
    counted: float = 0.0


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
    "names of a thousand tasks": lambda *_: f"/api/v1/names/tasks?{_OF}",
    "jobs, newest first": lambda *_: "/jobs",
    "jobs that failed": lambda *_: "/jobs?state=failed",
    "jobs of a task": lambda all_, chance: f"/jobs?task_id={chance.choice(all_.tasks)}",
    "page of a task": lambda all_, chance: f"/tasks/{chance.choice(all_.tasks)}?{_OF}",
    "jobs of a host": lambda all_, chance: f"/jobs?host={chance.choice(all_.hosts)}",
    "jobs of a site": lambda *_: "/jobs?site=FNAL",
    "jobs of a site, by start": lambda *_: "/jobs?site=FNAL&sort=-started_at",
    "home page": lambda *_: "/",
    "page of a campaign": lambda *_: "/campaigns/nova/prod5",
    "folded graph of a campaign": lambda *_: "/campaigns/nova/prod5/lineage",
    "causes of failure": lambda *_: "/errors?experiment=nova",
    "resources of a stage": lambda *_: "/resources?experiment=nova&stage=reco",
    "throughput of a task": (
        lambda all_, chance: f"/throughput?since=364d&task_id={chance.choice(all_.tasks)}"
    ),
    "throughput of a year": lambda *_: "/throughput?since=364d",
    "samples": lambda *_: "/samples/nova",
    "orphans": lambda *_: "/orphans?experiment=nova",
    "metrics": lambda *_: "/api/v1/metrics",
}


class Subject(NamedTuple):
    """A database that is asked."""

    place: Place
    jobs: int
    service: Service
    client: FlaskClient
    campaign: Campaign


@contextmanager
def opened(place: Place, jobs: int, copies: int) -> Iterator[Subject]:
    """Yield a place that can be asked: so many jobs, of which each is there so many times."""
    settings = load_settings({**place.settings, "JOBPROV_REQUESTS_A_MINUTE": "0"})
    service = open_service(settings)
    try:
        campaign = _read_campaign(service, jobs, copies)
        client = create_app(settings, service=service).test_client()
        yield Subject(place, jobs, service, client, campaign)
    finally:
        service.close()


def measure_in_turn(subjects: Sequence[Subject], words: Sequence[str] = ()) -> list[Measured]:
    """Print and return what each question takes, asked of one after the other, again and again.

    So what else the machine does meanwhile slows all of them. With words, only those questions are
    asked whose name has one of them.
    """
    found = [Measured(subject.jobs, {}) for subject in subjects]
    for name, question in QUESTIONS.items():
        if words and not any(word in name for word in words):
            continue
        runs = [_Run(subject, name, question) for subject in subjects]
        if not all(run.is_answered for run in runs):
            continue
        end = time.perf_counter() + _PATIENCE * len(runs)
        for turn in range(1, _REQUESTS):
            for run in runs:
                run.ask(turn)
            if turn >= _FEWEST and time.perf_counter() > end:
                break
        for run, measured in zip(runs, found, strict=True):
            measured.questions[name] = run.asked()
            _print(f"{measured.jobs:,}: {name}", measured.questions[name])
    return found


def _print(name: str, asked: Asked) -> None:
    note = f"{asked.cpu * 1e3:.2f} ms of CPU; the first {asked.first * 1e3:.1f} ms"
    if asked.counted:
        note += f"; counted before in {asked.counted:.1f} s of CPU"
    print_figure(Figure(f"{name}, p50", asked.wall * 1e3, "ms", note=note))


def print_growth(before: Measured, after: Measured) -> None:
    """Print how many times longer each question takes, by CPU."""
    print_heading(f"from {before.jobs:,} to {after.jobs:,} jobs, by CPU")
    for name, late in after.questions.items():
        early = before.questions.get(name)
        if early is None:
            continue
        ratio = late.cpu / early.cpu
        note = (
            f"{early.cpu * 1e3:.2f} ms, then {late.cpu * 1e3:.2f} ms; wall p50"
            f" {early.wall * 1e3:.1f} ms, then {late.wall * 1e3:.1f} ms"
        )
        print_figure(Figure(name, ratio, "x", mark=MOST_GROWTH, note=note))


class _Run:
    """One question to one database."""

    def __init__(self, subject: Subject, name: str, question: Question) -> None:
        chance = random.Random(name)  # noqa: S311 - has to repeat, not to be secret
        self._paths = [question(subject.campaign, chance) for _ in range(_REQUESTS)]
        self._client, self._server = subject.client, subject.place.process
        self._waits: list[float] = []
        self._spent: list[float] = []
        self._of_server = 0.0
        self._counted = 0.0
        began = time.perf_counter()
        status = self._client.get(self._paths[0]).status_code
        self._first = time.perf_counter() - began
        before = cpu_with_server(self._server)
        # What one count tells may ask for another; what is counted after that is a defect
        for _ in range(_MOST_COUNTS):
            if not drain(subject.service.parts(), _COUNTED):
                break
            self._counted = cpu_with_server(self._server) - before
            status = self._client.get(self._paths[0]).status_code
        self.is_answered = status in _ANSWERED
        if not self.is_answered:
            print(f"    {self._paths[0]}: {status}", flush=True)

    def ask(self, turn: int) -> None:
        """Ask once."""
        of_server = server_cpu(self._server)
        wall, cpu = time.perf_counter(), time.process_time()
        self._client.get(self._paths[turn])
        self._spent.append(time.process_time() - cpu)
        self._waits.append(time.perf_counter() - wall)
        self._of_server += server_cpu(self._server) - of_server

    def asked(self) -> Asked:
        """Return what it took."""
        cpu = median(self._spent) + self._of_server / len(self._spent)
        return Asked(median(self._waits), self._first, cpu, self._counted)


def _read_campaign(service: Service, jobs: int, copies: int) -> Campaign:
    """Return names to ask for: some of the newest and of the oldest."""
    chance = random.Random(1)  # noqa: S311 - has to repeat, not to be secret
    with service.reading() as connection:
        newest = connection.execute(select(func.max(Job.id))).scalar_one()
        keys = [chance.randrange(1, newest) for _ in range(_REQUESTS)]
        uuids = connection.execute(select(Job.uuid).where(Job.id.in_(keys))).scalars().all()
        of_reco = select(TaskRow.task_id).where(TaskRow.task_id.like("nova-prod5-reco-____"))
        names = connection.execute(of_reco).scalars().all()
        tasks = [chance.choice(names) for _ in range(_REQUESTS)]
        hosts = connection.execute(select(Host.hostname).limit(_REQUESTS)).scalars().all()
    trees = max(1, jobs // copies // 3300)
    return Campaign(copies, trees, uuids, tasks, hosts)
