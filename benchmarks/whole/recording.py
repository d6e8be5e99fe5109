"""Measures writing: in process, over HTTP in batches, and over HTTP by single durable records."""

import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import NamedTuple

import msgspec

from benchmarks.campaign import EXPERIMENT, SECOND_EXPERIMENT, GeneratedJob, shared_blobs
from benchmarks.running.clients import Answered, request_bytes, send_all
from benchmarks.running.processes import cpu_seconds
from jobprov.app.wiring import Service
from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.services.intake.blobs import Upload, grant_possession
from jobprov.provenance.services.recording.submissions import Submission

BATCH_RECORDS = 500
BATCH_CONNECTIONS = 3
SINGLE_CLIENTS = 16


class Work(NamedTuple):
    """What recording took.

    Attributes:
        seconds: wall time.
        cpu_microseconds: CPU a record of the process that recorded.
        database_microseconds: CPU a record of the database's processes, 0 where it has none of its
            own.
        client_microseconds: CPU a record of the client, 0 where there was none.
        waits: seconds that each request took.
    """

    records: int
    seconds: float
    cpu_microseconds: float
    database_microseconds: float = 0
    client_microseconds: float = 0
    waits: Sequence[float] = ()

    @property
    def rate(self) -> float:
        """Return records a second."""
        return self.records / self.seconds

    @property
    def note(self) -> str:
        """Return who spent what a record."""
        words = [
            (
                f"{1e6 / self.cpu_microseconds:,.0f} a second of CPU; CPU a record: "
                f"service {self.cpu_microseconds:.0f} us"
            )
        ]
        if self.client_microseconds:
            words.append(f"client {self.client_microseconds:.0f} us")
        if self.database_microseconds:
            words.append(f"database {self.database_microseconds:.0f} us")
        return ", ".join(words)


def chunked(jobs: Iterable[GeneratedJob], size: int) -> Iterator[list[GeneratedJob]]:
    """Yield the jobs in lists of `size`."""
    rest = iter(jobs)
    while part := list(islice(rest, size)):
        yield part


def possess(service: Service, jobs: Sequence[GeneratedJob]) -> None:
    """Have the experiments possess what the jobs upload, as their hooks do before the record."""
    uploads = [
        Upload(experiment, sha256)
        for experiment in (EXPERIMENT, SECOND_EXPERIMENT)
        for sha256 in shared_blobs()
    ]
    uploads += [Upload(job.experiment, sha256) for job in jobs for sha256 in job.blobs]
    service.write(lambda writing: grant_possession(writing, uploads))


def together(works: Sequence[Work]) -> Work:
    """Return several pieces of work as one."""
    records = sum(work.records for work in works)

    def mean(name: str) -> float:
        return sum(getattr(work, name) * work.records for work in works) / records

    seconds = sum(work.seconds for work in works)
    return Work(records, seconds, mean("cpu_microseconds"), mean("database_microseconds"))


def record_in_process(
    service: Service, jobs: Iterable[GeneratedJob], database: int | None = None
) -> Work:
    """Record all jobs in batches; making them and uploading blobs is not counted."""
    count, seconds, cpu, base = 0, 0.0, 0.0, 0.0
    for part in chunked(jobs, BATCH_RECORDS):
        possess(service, part)
        base_before = cpu_seconds(database) if database else 0.0
        wall_before, cpu_before = time.perf_counter(), time.process_time()
        now = datetime.now(UTC)
        outcomes = service.record_many(
            [Submission(decode_record(job.body), now, "benchmark") for job in part]
        )
        seconds += time.perf_counter() - wall_before
        cpu += time.process_time() - cpu_before
        base += cpu_seconds(database) - base_before if database else 0.0
        if any(outcome.change != "created" for outcome in outcomes):
            message = f"a record was not new: {outcomes[0]}"
            raise RuntimeError(message)
        count += len(part)
    return Work(count, seconds, cpu / count * 1e6, base / count * 1e6)


def record_batches(
    addresses: Sequence[str],
    servers: Sequence[int],
    database: int | None,
    jobs: Sequence[GeneratedJob],
) -> Work:
    """Send the jobs in batches over a few connections, two or more a service."""
    requests = [
        request_bytes(
            "POST", "/api/v1/jobs/batch", b'{"jobs":[' + b",".join(job.body for job in part) + b"]}"
        )
        for part in chunked(jobs, BATCH_RECORDS)
    ]
    connections = max(BATCH_CONNECTIONS, 2 * len(addresses))
    return _sent(addresses, servers, database, requests, connections=connections, records=len(jobs))


def record_singles(
    addresses: Sequence[str],
    servers: Sequence[int],
    database: int | None,
    jobs: Sequence[GeneratedJob],
    clients: int = SINGLE_CLIENTS,
) -> Work:
    """Send the jobs one by one; each answer means that the record is durable."""
    requests = [
        request_bytes("PUT", f"/api/v1/jobs/{msgspec.json.decode(job.body)['job_id']}", job.body)
        for job in jobs
    ]
    return _sent(addresses, servers, database, requests, connections=clients, records=len(jobs))


def _sent(
    addresses: Sequence[str],
    servers: Sequence[int],
    database: int | None,
    requests: list[bytes],
    *,
    connections: int,
    records: int,
) -> Work:
    before = sum(map(cpu_seconds, servers))
    base_before = cpu_seconds(database) if database else 0.0
    answered: Answered = send_all(addresses, requests, connections=connections, statuses=(200, 201))
    base = (cpu_seconds(database) - base_before) if database else 0.0
    return Work(
        records,
        answered.seconds,
        (sum(map(cpu_seconds, servers)) - before) / records * 1e6,
        base / records * 1e6,
        answered.cpu_seconds / records * 1e6,
        answered.waits,
    )
