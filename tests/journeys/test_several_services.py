"""Two `jobprov serve` behind one PostgreSQL and one S3 archive, as behind a balancer.

Whichever answers, the answer is the same.
"""

import json
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from jobprov.provenance.answers.recording import RecordAnswer
from jobprov.provenance.client import Client
from jobprov.provenance.db.connections.engines import open_database
from tests.library.commands import run_alone
from tests.library.git import git
from tests.library.logical_tables import differences, logical_tables
from tests.library.productions.joining import joining_repository
from tests.library.records import a_record, sha256
from tests.library.servers.live_service import LiveService
from tests.library.servers.nginx import NGINX, Nginx
from tests.library.servers.s3 import BUCKET, S3Server

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("s3")]

JOBS = 24


class Pair:
    """Two services with nothing in common but database, archive and settings."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.environment = environment
        assert run_alone("migrate", **environment).returncode == 0
        self.services = [LiveService(folder / name, **environment) for name in ("one", "two")]

    def connect(self) -> None:
        """Make the token that both take."""
        made = self.run(
            0,
            "token",
            "create",
            "--experiment",
            "nova",
            "--name",
            "jobs",
            "--scope",
            "admin",
            "--json",
        )
        self.clients = [Client(service.url, made["token"]) for service in self.services]

    def run(self, place: int, *words: str) -> Any:
        """Return the JSON that an operator's command prints on one of the two machines."""
        ended = self.services[place].run(*words)
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    def both(self, function: Any) -> list[Any]:
        """Return what a function of 0 and of 1 gives, called at the same time."""
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(function, (0, 1)))

    def ask_both(self, name: str, *arguments: Any, **more: Any) -> Any:
        """Return what both answer to a call, known to be the same, as plain values."""
        first, second = (getattr(client, name)(*arguments, **more) for client in self.clients)
        assert first == second
        return msgspec.to_builtins(first, builtin_types=(bytes,))


@pytest.fixture
def pair(postgresql_server: str, s3_server: S3Server, tmp_path: Path) -> Iterator[Pair]:
    """Yield two running services on an empty database and archive."""
    name = f"test_{uuid.uuid4().hex}"
    server = create_engine(postgresql_server, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    url = make_url(postgresql_server).set(database=name).render_as_string(hide_password=False)
    environment = {
        **s3_server.environment,
        "JOBPROV_DATABASE_URL": url,
        "JOBPROV_ARCHIVE_URL": f"s3://{BUCKET}/{name}",
        "JOBPROV_SECRET_KEY": "the same on both",
        "JOBPROV_DATA": str(tmp_path / "operator"),
    }
    services = Pair(tmp_path, environment)
    try:
        services.connect()
        yield services
    finally:
        ends = [service.stop() for service in services.services]
    assert ends == [0, 0]
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


def test_two_services_are_one(pair: Pair, tmp_path: Path) -> None:
    repository = joining_repository(tmp_path / "joining")
    assert pair.services[0].run("repository", "add", "joining", str(repository)).returncode == 0
    records = [job(number, repository) for number in range(JOBS)]

    answers = pair.both(lambda place: send(pair.clients[place], records))

    changes = [sorted(each.change for each in both) for both in zip(*answers, strict=True)]
    assert changes == [["created", "same"]] * JOBS
    resolved_once(pair)
    look_ups_agree(pair, records)
    exactly_one_seals(pair)
    pair.clients[1].record(job(JOBS, repository))
    exactly_one_seals(pair)
    ends_of_logs_are_shared(pair)
    rebuilt_equals(pair, tmp_path)
    parts_of_a_blob_meet(pair, tmp_path)


def job(number: int, repository: Path) -> dict[str, Any]:
    """Return the record of a job whose output the next one reads, with a log of its own."""
    commit = git(repository, "rev-parse", "HEAD")
    return a_record(
        number + 1,
        ended_at=f"2026-01-01T00:{number:02}:00Z",
        inputs=[{"name": f"f{number - 1}.root", "checksums": [f"adler32:{number - 1:08x}"]}]
        if number
        else [],
        outputs=[{"name": f"f{number}.root", "checksums": [f"adler32:{number:08x}"]}],
        logs=[{"name": "stdout", "sha256": sha256(log(number))}],
        software=[
            {
                "name": "joining",
                "repository": str(repository),
                "revision": commit,
                "requested_ref": "v1",
            }
        ],
    )


def log(number: int) -> bytes:
    """Return what a job wrote."""
    return b"Begin processing file %d\n" % number * 50


def send(client: Client, records: list[dict[str, Any]]) -> list[RecordAnswer]:
    """Send every record with its blob; the other service is sent the same."""
    answers = []
    for number, record in enumerate(records):
        client.put_blob(sha256(log(number)), log(number))
        answers.append(client.record(record))
    return answers


def ends_of_logs_are_shared(pair: Pair) -> None:
    """Check that both services add to the end of a running job's log, and show all of it."""
    running = a_record(900, state="running")
    pair.clients[0].record(running)
    places = [
        f"{service.url}/api/v1/jobs/{running['job_id']}/logs/stdout" for service in pair.services
    ]
    for place, (offset, said) in enumerate([(0, b"begins\n"), (7, b"goes on\n"), (15, b"ends\n")]):
        headers = {"Authorization": pair.clients[0]._session.headers["Authorization"]}
        answer = requests.put(
            places[place % 2], params={"offset": offset}, data=said, headers=headers, timeout=30
        )
        assert answer.json()["received_bytes"] == offset + len(said)
    assert [requests.get(place, timeout=30).text for place in places] == [
        "begins\ngoes on\nends\n"
    ] * 2


def look_ups_agree(pair: Pair, records: list[dict[str, Any]]) -> None:
    """Check that both services know all jobs, their files, their history and their logs."""
    for number in (0, JOBS // 2, JOBS - 1):
        assert pair.ask_both("job", records[number]["job_id"])["summary"]["state"] == "succeeded"
        assert pair.ask_both("get_blob", sha256(log(number))) == log(number)
        assert pair.ask_both("file", f"f{number}.root")
    lineage = pair.ask_both("lineage", f"f{JOBS - 1}.root", direction="ancestors")
    assert "f0.root" in json.dumps(lineage)
    assert len(list(pair.clients[1].jobs())) == JOBS
    assert pair.ask_both("missing_blobs", [sha256(log(number)) for number in range(JOBS)]) == []


def resolved_once(pair: Pair) -> None:
    """Check that the code was resolved by one of the two, once."""
    give_up_at = time.monotonic() + 30
    while (left := count(pair, "SELECT count(*) FROM work")) and time.monotonic() < give_up_at:
        time.sleep(0.2)
    assert left == 0
    found = pair.ask_both("job", a_record(1)["job_id"])
    assert found["software"][0]["resolution"]["tree"]
    assert count(pair, "SELECT count(*) FROM ledger_entries WHERE kind = 'resolution'") == count(
        pair, "SELECT count(DISTINCT id) FROM resolutions"
    )


def exactly_one_seals(pair: Pair) -> None:
    """Seal on both machines at once, and check that one did it.

    The archive has to be sound and to have one chain.
    """
    waiting = count(pair, "SELECT count(*) FROM ledger_entries WHERE segment IS NULL")
    assert waiting > 0

    sealed = pair.both(lambda place: pair.run(place, "archive", "seal", "--json"))

    assert sorted(each["segments"] for each in sealed) == [0, 1]
    assert sum(each["entries"] for each in sealed) >= waiting
    assert count(pair, "SELECT count(*) FROM entry_bodies") == 0
    assert pair.run(1, "archive", "check", "--json")["is_sound"]


def rebuilt_equals(pair: Pair, tmp_path: Path) -> None:
    """Check that the archive on S3 suffices for another database that says the same."""
    url = f"sqlite:///{tmp_path / 'rebuilt.db'}"
    assert pair.run(1, "rebuild-database", "--into", url, "--json")["jobs"] == JOBS + 1
    tables = []
    for each in (pair.environment["JOBPROV_DATABASE_URL"], url):
        database = open_database(each)
        with database.reading.connect() as connection:
            tables.append(logical_tables(connection))
        database.dispose()
    assert differences(*tables) == []


def parts_of_a_blob_meet(pair: Pair, tmp_path: Path) -> None:
    """Check that nginx sends all parts of a blob to one service, and blobs to both."""
    if NGINX is None:
        pytest.skip("NO NGINX HERE: that parts of a blob get to one of two services is not tried")
    nginx = Nginx([service.url for service in pair.services], tmp_path / "nginx")
    headers = {"Authorization": pair.clients[0]._session.headers["Authorization"]}
    step, blobs = 40_000, [log(1000 + number) * 100 for number in range(12)]
    places = [f"{nginx.url}/api/v1/blobs/{sha256(blob)}" for blob in blobs]

    for start in range(0, len(blobs[0]), step):
        for place, blob in zip(places, blobs, strict=True):
            part = blob[start : start + step]
            end = start + len(part)
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(blob)}"
            answer = requests.put(
                place, data=part, headers=headers, verify=nginx.certificate, timeout=30
            )
            assert answer.status_code == (201 if end == len(blob) else 308), answer.text
        if start == 0:
            halves = [list(service.data.glob("half-sent/*/*")) for service in pair.services]
            assert sum(map(len, halves)) == len(blobs)
            assert all(halves)
    nginx.close()


def count(pair: Pair, query: str) -> int:
    """Return the number that a query on the common database gives."""
    engine = create_engine(pair.environment["JOBPROV_DATABASE_URL"])
    with engine.connect() as connection:
        found = connection.execute(text(query)).scalar_one()
    engine.dispose()
    return int(found)
