"""Measures bundles: one of 4,000 files, cold and warm, many of one release, one with large inputs.

The large inputs have 2 GB; the 4,000 files are a repository. Run it with `python -m
benchmarks.bundles`. The repository is made on the spot; the service is SQLite and a local archive,
both in a folder that goes afterwards. "Cold" is a new process that never saw the release; "warm"
one that built a bundle of it before.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.report import Figure, print_figure, print_heading
from jobprov.app.config import load_settings
from jobprov.app.wiring import Service, open_service
from jobprov.provenance.db.queries.holdings.plans import plan_digests
from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.services.bundles.campaign_bundle import WantedJobs, build_campaign
from jobprov.provenance.services.bundles.job_bundle import Bundle, build_bundle
from jobprov.provenance.services.code.repositories import register_repository
from jobprov.provenance.services.intake.blobs import Upload, grant_possession
from jobprov.provenance.services.recording.jobs import record_jobs
from jobprov.provenance.services.recording.submissions import Submission
from jobprov.provenance.services.work.queue import Parts, drain

FILES, JOBS, CAMPAIGN_JOBS = 4000, 101, 10_000
MARKS = {"cold": 2.0, "warm": 0.5, "rate": 20.0, "first": 1.0, "memory": 100.0, "plan": 1000.0}
LARGE_INPUT = 2 << 30
_EXPERIMENT = "bench"
_WORDS = b"physics.producers.module: { module_type: Example label: value threshold: 1.5 }\n"
_PIECE = 1 << 20


def main() -> None:
    """Print all figures."""
    # What builds bundles does without
    from jobprov.provenance.db.upkeep.migrating import upgrade  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="jobprov-bundles-") as name:
        folder = Path(name)
        settings = {
            "JOBPROV_DATA": str(folder / "var"),
            "JOBPROV_DATABASE_URL": f"sqlite:///{folder / 'jobprov.db'}",
        }
        upgrade(settings["JOBPROV_DATABASE_URL"])
        _record(settings, folder)
        print_heading(f"bundles of a repository of {FILES:,} files at one commit")
        for part in ("release", "large", "campaign"):
            subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "benchmarks.bundles",
                    part,
                    json.dumps(settings),
                    str(folder),
                ],
                check=True,
            )


def _record(settings: dict[str, str], folder: Path) -> None:
    from jobprov.provenance.services.background import HANDLERS  # noqa: PLC0415 - as above

    repository, commit = _make_repository(folder / "release")
    service = open_service(load_settings(settings))
    parts = Parts(service.database, service.writer, service.store, folder / "var" / "git")
    try:
        sha256 = _put_large(service)
        jobs = [_job(number, commit, repository) for number in range(max(JOBS, CAMPAIGN_JOBS))]
        jobs.append(_job(99_999_999, commit, repository, large=sha256))
        moment = datetime(2026, 3, 2, tzinfo=UTC)
        submissions = [
            Submission(decode_record(json.dumps(job).encode()), moment, "benchmark", None)
            for job in jobs
        ]
        service.write(lambda writing: record_jobs(writing, submissions))
        service.write(lambda writing: grant_possession(writing, [Upload(_EXPERIMENT, sha256)]))
        service.write(lambda writing: register_repository(writing, "release", str(repository)))
        drain(parts, HANDLERS)
        service.store.seal()
    finally:
        service.close()


def _make_repository(folder: Path) -> tuple[Path, str]:
    for number in range(FILES):
        file = folder / f"module{number % 40:02d}" / f"source{number:04d}.cc"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"// file %d\n" % number + _WORDS * (5 + number % 30))
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message=release"]):
        identity = ["-c", "user.name=b", "-c", "user.email=b@example.org"]
        subprocess.run(["git", *identity, *words], cwd=folder, check=True)
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, text=True
    )
    return folder, head.stdout.strip()


def _zeros() -> Iterator[bytes]:
    for _ in range(LARGE_INPUT // _PIECE):
        yield bytes(_PIECE)


def _put_large(service: Service) -> str:
    seen = hashlib.sha256()
    for piece in _zeros():
        seen.update(piece)
    return str(service.store.put_stream(_zeros(), expected=seen.hexdigest()).sha256)


def _job(number: int, commit: str, repository: Path, *, large: str = "") -> dict[str, Any]:
    name = f"out_{number:08d}.root"
    inputs = [
        {
            "name": f"in_{number:08d}.root",
            "sha256": hashlib.sha256(name.encode()).hexdigest(),
            "size_bytes": 1 << 31,
        }
    ]
    if large:
        inputs = [
            {"name": "large.root", "path": "large.root", "sha256": large, "size_bytes": LARGE_INPUT}
        ]
    return {
        "schema_version": 1,
        "job_id": f"0f8b6a4e-3c51-5a0e-9c3f-{number:012d}",
        "experiment": _EXPERIMENT,
        "state": "succeeded",
        "started_at": "2026-03-01T10:00:00Z",
        "ended_at": "2026-03-01T10:00:05Z",
        "task": {"task_id": "bench-reco", "stage": "reco"},
        "command": {
            "working_directory": "/scratch/job",
            "argv": ["/cvmfs/release/module00/source0000.cc", inputs[0]["name"]],
        },
        "exit": {"code": 0},
        "software": [
            {
                "name": "release",
                "repository": str(repository),
                "revision": commit,
                "checkout": "/cvmfs/release",
            }
        ],
        "environment": {
            "variables": {
                "PATH": "/usr/bin:/bin",
                **{f"NAME{place}_DIR": f"/cvmfs/{place}" for place in range(100)},
            }
        },
        "inputs": inputs,
        "outputs": [
            {
                "name": name,
                "path": name,
                "status": "written",
                "sha256": "0" * 56 + f"{number:08d}",
                "size_bytes": 5,
            }
        ],
    }


def _job_id(number: int) -> str:
    return f"0f8b6a4e-3c51-5a0e-9c3f-{number:012d}"


def _built(service: Service, number: int) -> Bundle:
    return build_bundle(service.database, service.writer, service.store, _job_id(number))


def _measure_release(service: Service) -> None:
    start = time.perf_counter()
    bundle = _built(service, 0)
    planned = time.perf_counter() - start
    size = sum(map(len, bundle.stream()))
    cold = time.perf_counter() - start
    print_figure(
        Figure(
            "cold: planned and streamed",
            cold,
            "s",
            mark=MARKS["cold"],
            note=f"{size:,} bytes; planned in {planned:.2f} s",
        )
    )
    start = time.perf_counter()
    sum(map(len, _built(service, 1).stream()))
    print_figure(
        Figure("warm: planned and streamed", time.perf_counter() - start, "s", mark=MARKS["warm"])
    )
    name = "bundles of one release, planned and streamed"
    _print_rate(service, name, MARKS["rate"])
    _print_rate(service, "the same again, from their plans", None)
    with service.database.reading.connect() as connection:
        sizes = sorted(service.store.size(sha256) for sha256 in plan_digests(connection))
    note = f"{len(sizes)} plans; the first {sizes[-1]:,} bytes"
    typical = sizes[len(sizes) // 2]
    print_figure(Figure("a plan in the archive", typical, "bytes", mark=MARKS["plan"], note=note))


def _print_rate(service: Service, name: str, mark: float | None) -> None:
    """Print bundles a second.

    The note has the processor's time, which other work on the machine does not change much.
    """
    start, busy = time.perf_counter(), time.process_time()
    for number in range(2, JOBS + 1):
        sum(map(len, _built(service, number).stream()))
    rate = (JOBS - 1) / (time.perf_counter() - start)
    each = 1000 * (time.process_time() - busy) / (JOBS - 1)
    print_figure(
        Figure(name, rate, "bundles/s", is_rate=True, mark=mark, note=f"{each:.0f} ms of CPU each")
    )


def _measure_large(service: Service) -> None:
    start = time.perf_counter()
    pieces = _built(service, 99_999_999).stream()
    size = len(next(pieces))
    first = time.perf_counter() - start
    size += sum(map(len, pieces))
    whole = time.perf_counter() - start
    status = Path("/proc/self/status").read_text()
    memory = (
        next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
        / 1024
    )
    print_figure(
        Figure(
            "2 GB of inputs: first byte, cold",
            first,
            "s",
            mark=MARKS["first"],
            note=f"whole in {whole:.1f} s, {size:,} bytes",
        )
    )
    print_figure(
        Figure("2 GB of inputs: peak memory of the process", memory, "MB", mark=MARKS["memory"])
    )


def _measure_campaign(service: Service) -> None:
    one = _built(service, 0).size_bytes
    for count in (CAMPAIGN_JOBS // 100, CAMPAIGN_JOBS):
        start = time.perf_counter()
        campaign = build_campaign(
            service.database,
            service.store,
            WantedJobs(job_ids=[_job_id(number) for number in range(count)]),
        )
        size = sum(map(len, campaign.stream()))
        seconds = time.perf_counter() - start
        more = (size - one) / count
        note = f"{size:,} bytes, {more:,.0f} a further job; one job alone {one:,}"
        print_figure(Figure(f"campaign bundle of {count:,} jobs", seconds, "s", note=note))


_PARTS = {"release": _measure_release, "large": _measure_large, "campaign": _measure_campaign}


def _measure(part: str, settings: dict[str, str]) -> None:
    service = open_service(load_settings(settings))
    try:
        _PARTS[part](service)
    finally:
        service.close()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _measure(sys.argv[1], json.loads(sys.argv[2]))
    else:
        main()
