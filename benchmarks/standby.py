"""Measures what a standby for readers takes off the primary: `python -m benchmarks.standby --keep FOLDER`.

The same pages and calls are asked of one application without a standby and of one with it, in turn,
by a reader from elsewhere; the CPU of each server of PostgreSQL and of the application is counted.
The standby is a base backup that streams, as in the tests; it needs `./scripts/setup test` and the
programs of PostgreSQL. The folder is one that `benchmarks.ten_million` filled and kept.
"""

import random
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from flask.testing import FlaskClient
from sqlalchemy import create_engine, text

from benchmarks.report import Figure, print_figure, print_heading
from benchmarks.running.command_line import database_parser
from benchmarks.running.places import open_place
from benchmarks.running.processes import cpu_seconds
from benchmarks.whole.growth import QUESTIONS, Subject, opened
from jobprov.app.config import load_settings
from jobprov.app.factory import create_app
from tests.library.servers.standby import running_standby

_ASKED = (
    "file by name",
    "page of a file",
    "page of a job",
    "all ancestors of a merge",
    "page of a lineage",
    "search: a whole name",
    "jobs, newest first",
    "jobs of a task",
    "throughput of a task",
)
_REQUESTS = 10
"""Of each question."""
_READER = {"REMOTE_ADDR": "192.0.2.7"}  # who asks on this machine may have written


class _Spent(NamedTuple):
    """CPU until now, in seconds."""

    primary: float
    standby: float
    application: float

    def since(self, before: "_Spent") -> "_Spent":
        pairs = zip(self, before, strict=True)
        return _Spent(*(now - then for now, then in pairs))


def main() -> None:
    """Measure what the command line asks for."""
    parser = database_parser("benchmarks.standby", __doc__)
    parser.add_argument("--copies", type=int, required=True, help="as the folder was filled with")
    parser.add_argument("--jobs", type=int, required=True, help="recorded ones, as it was filled")
    chosen = parser.parse_args()
    with ExitStack() as stack:
        place = stack.enter_context(open_place("postgresql", chosen.keep))
        standby = stack.enter_context(running_standby(place.url))
        jobs = chosen.jobs * chosen.copies
        subject = stack.enter_context(opened(place, jobs, chosen.copies))
        settings = load_settings(
            {
                **place.settings,
                "JOBPROV_REQUESTS_A_MINUTE": "0",
                "JOBPROV_DATABASE_READ_URL": standby.url,
            }
        )
        with_standby = create_app(settings).test_client()
        servers = (place.process or 0, _process_of(standby.url))
        print_heading(f"a standby for readers, {jobs:,} jobs")
        _compare(subject, with_standby, servers)


def _compare(subject: Subject, with_standby: FlaskClient, servers: tuple[int, int]) -> None:
    chance = random.Random(1)  # noqa: S311 - has to repeat, not to be secret
    paths = []
    for name in _ASKED:
        paths += [QUESTIONS[name](subject.campaign, chance) for _ in range(_REQUESTS)]
    _ask(with_standby, paths[:1])
    time.sleep(2)  # until it is known how far the standby is
    for client in (subject.client, with_standby):
        _ask(client, paths[::_REQUESTS])
    totals = {"without": _Spent(0, 0, 0), "with": _Spent(0, 0, 0)}
    for start in range(0, len(paths), _REQUESTS):
        for name, client in (("without", subject.client), ("with", with_standby)):
            before = _spent(servers)
            _ask(client, paths[start : start + _REQUESTS])
            spent = _spent(servers).since(before)
            totals[name] = _Spent(*map(sum, zip(totals[name], spent, strict=True)))
    for name, total in totals.items():
        for server, seconds in total._asdict().items():
            print_figure(Figure(f"{name} a standby: {server}", seconds / len(paths) * 1e3, "ms"))


def _ask(client: FlaskClient, paths: Sequence[str]) -> None:
    for path in paths:
        answer = client.get(path, environ_base=_READER)
        if answer.status_code not in (200, 303):
            message = f"{path}: {answer.status_code}"
            raise RuntimeError(message)


def _spent(servers: tuple[int, int]) -> _Spent:
    primary, standby = servers
    return _Spent(cpu_seconds(primary), cpu_seconds(standby), time.process_time())


def _process_of(url: str) -> int:
    """Return the process id of the server at a URL."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            folder = connection.execute(text("SHOW data_directory")).scalar_one()
    finally:
        engine.dispose()
    return int((Path(folder) / "postmaster.pid").read_text().splitlines()[0])


if __name__ == "__main__":
    main()
