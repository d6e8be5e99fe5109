"""Kills a service at random moments under mixed load, and looks at what is left.

The load is single records, batches and blobs, and whatever of sealing and backup runs beside it.
Each round starts the service, sends what was acknowledged before once more, and kills every process
with SIGKILL. In the end the archive has to be sound, and a database that is rebuilt from it equal.
"""

import hashlib
import itertools
import json
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import select

from jobprov.app.config import Settings, load_settings
from jobprov.app.wiring import Service, open_service
from jobprov.provenance.client import Client
from jobprov.provenance.db.connections.engines import open_database
from jobprov.provenance.db.tables import Job
from jobprov.provenance.errors import ProvenanceError
from jobprov.provenance.services.upkeep.archive_checks import check_archive
from jobprov.provenance.services.upkeep.database_rebuild import rebuild_database
from jobprov.provenance.services.upkeep.sealing import seal_all
from tests.library.commands import JOBPROV
from tests.library.logical_tables import differences, logical_tables
from tests.library.records import a_record
from tests.library.servers.live_service import LiveService

SENDERS = 4
_BATCH = 20
_TAKEN, _UNCHANGED = (200, 201), 200
_AT_ONCE = 500


class Acknowledged:
    """What the service said that it has taken: records by job id, and blobs by digest."""

    def __init__(self) -> None:
        self.records: dict[str, bytes] = {}
        self.blobs: dict[str, bytes] = {}
        self._numbers = itertools.count(1)

    def send_something(self, client: Client, chance: random.Random) -> None:
        """Send a record, a batch or a blob, and keep what was acknowledged of it.

        Raises:
            ProvenanceError: it was not.
        """
        kind = chance.choice(("record", "record", "batch", "blob"))
        if kind == "record":
            body = self._new_record()
            self.records[client.record(body).job_id] = body
        elif kind == "batch":
            bodies = [self._new_record() for _ in range(_BATCH)]
            for body, result in zip(bodies, client.record_batch(bodies), strict=True):
                if result.status in _TAKEN:
                    self.records[result.job_id] = body
        else:
            content = chance.randbytes(chance.choice((10, 5_000, 200_000)))
            digest = hashlib.sha256(content).hexdigest()
            client.put_blob(digest, content)
            self.blobs[digest] = content

    def _new_record(self) -> bytes:
        number = next(self._numbers)
        outputs = [{"name": f"f{number}.root", "size_bytes": number}]
        inputs = [{"name": f"f{number - 1}.root", "size_bytes": number - 1}]
        record = a_record(number % 80_000, inputs=inputs, outputs=outputs)
        record["job_id"] = f"0f8b0000-0000-4000-8000-{number:012x}"
        return json.dumps(record).encode()


class Report(NamedTuple):
    """What was tried."""

    kills: int
    records: int
    blobs: int


def endure(
    data: Path, kills: int, *, seed: int, most_seconds: float, with_upkeep: bool, **environment: str
) -> Report:
    """Kill a service so often, each time at a random moment, and check what is left.

    Args:
        data: its folder.
        kills: how often.
        seed: of the random moments and of the load.
        most_seconds: the longest that a service lives.
        with_upkeep: whether sealing and backup run beside the load, and are killed too.
        environment: its settings, such as another database.
    """
    chance, sent = random.Random(seed), Acknowledged()  # noqa: S311 - no secret
    for number in range(kills):
        live = LiveService(data, **environment)
        try:
            send_again(Client(live.url), sent)
            least = len(sent.records) + 1
            with sending(live.url, sent, seed + number):
                # Else the first moments would fall before anything was acknowledged
                wait_for(lambda least=least: len(sent.records) >= least)
                upkeep = _upkeep(data, chance, environment) if with_upkeep else None
                time.sleep(chance.uniform(0, most_seconds))
                kill(live.process.pid)
                live.process.join()
                if upkeep is not None:
                    kill(upkeep.pid)
                    upkeep.wait()
        finally:
            live.stop()
        service = open_service(_settings(data, environment))
        check_whole(service, sent)
        service.close()
    check_end(data, environment)
    return Report(kills, len(sent.records), len(sent.blobs))


@contextmanager
def sending(url: str, sent: Acknowledged, seed: int) -> Iterator[None]:
    """Have some threads send until the end."""
    stop = threading.Event()

    def send(number: int) -> None:
        chance = random.Random(seed * SENDERS + number)  # noqa: S311 - no secret
        with Client(url, timeout=10) as client:
            while not stop.is_set():
                with suppress(ProvenanceError):
                    sent.send_something(client, chance)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(SENDERS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def send_again(client: Client, sent: Acknowledged) -> None:
    """Send once more what was acknowledged, which has to change nothing."""
    bodies = list(sent.records.values())
    for start in range(0, len(bodies), _AT_ONCE):
        for result in client.record_batch(bodies[start : start + _AT_ONCE]):
            assert result.status == _UNCHANGED, result
    for digest, content in list(sent.blobs.items())[-20:]:
        client.put_blob(digest, content)


def check_whole(service: Service, sent: Acknowledged) -> None:
    """Check that everything that was acknowledged is there, once."""
    with service.reading() as connection:
        job_ids = [str(row[0]) for row in connection.execute(select(Job.uuid))]
    assert len(job_ids) == len(set(job_ids))
    lost = sent.records.keys() - set(job_ids)
    assert not lost, f"{len(lost)} acknowledged records are lost, such as {min(lost)}"
    assert not service.store.missing(list(sent.blobs))


def check_end(data: Path, environment: dict[str, str]) -> None:
    """Check that the archive is sound, and that a database rebuilt from it says the same."""
    service = open_service(_settings(data, environment))
    seal_all(service.database, service.writer, service.store)
    with service.reading() as connection:
        report = check_archive(connection, service.store)
        tables = logical_tables(connection)
    assert report.is_sound, report
    url = f"sqlite:///{data / 'rebuilt.db'}"
    rebuild_database(service.store, url)
    rebuilt = open_database(url)
    with rebuilt.reading.connect() as connection:
        assert differences(tables, logical_tables(connection)) == []
    rebuilt.dispose()
    service.close()


def kill(process: int | None) -> None:
    """Kill a process and those that it started, as a power cut would."""
    assert process is not None
    children = Path(f"/proc/{process}/task/{process}/children")
    pids = [process]
    with suppress(OSError):
        pids += [int(word) for word in children.read_text(encoding="ascii").split()]
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def wait_for(is_so: Callable[[], bool]) -> None:
    """Wait until something is so; two minutes at most."""
    until = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.01)


def _upkeep(
    data: Path, chance: random.Random, environment: dict[str, str]
) -> "subprocess.Popen[str]":
    words = chance.choice((["archive", "seal"], ["backup", str(data / "backup")]))
    return subprocess.Popen(
        [*JOBPROV, *words, "--data", str(data)],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def _settings(data: Path, environment: dict[str, str]) -> Settings:
    return load_settings({"JOBPROV_DATA": str(data), **environment}, {})
