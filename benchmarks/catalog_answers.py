"""Measures what samweb and metacat are answered, on one task of many files and a large merge.

Run it with `python -m benchmarks.catalog_answers`. A task has one job a file; a merge reads the
first 4,000 files. Each call is made as the client makes it, in process, several times; the median is
printed. `cpu` is what this process used, which other work on the machine does not blur (of
PostgreSQL's own work it says nothing).
"""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from statistics import median
from typing import Any, NamedTuple

from flask.testing import FlaskClient
from sqlalchemy import func, select

from benchmarks.report import Figure, print_figure, print_heading
from benchmarks.running.command_line import chosen_kinds, database_parser
from benchmarks.running.places import Place, open_place
from jobprov.app.config import load_settings
from jobprov.app.factory import create_app
from jobprov.app.wiring import Service, open_service
from jobprov.provenance.db.tables import Job
from jobprov.provenance.db.upkeep.housekeeping import refresh_statistics
from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.services.recording.submissions import Submission

EXPERIMENT = "nova"
MERGED = 4000
_BATCH = 500
_SAM = f"/sam/{EXPERIMENT}/api"
_METACAT = f"/metacat/{EXPERIMENT}/data"


class _Call(NamedTuple):
    """A call of a client; with a body it is a POST."""

    name: str
    path: str
    dimensions: str | None = None
    body: str | None = None
    times: int = 7
    mark: float | None = None


_CALLS = (
    _Call("samweb count-files defname:", "/files/count", "defname: big", mark=150),
    _Call("samweb list-files defname:", "/files/list", "defname: big", times=3, mark=2000),
    _Call("the same with --fileinfo", "/files/list?fileinfo=1", "defname: big", times=3),
    _Call("the same with --summary", "/files/summary", "defname: big", times=3),
    _Call("count-files task, tier and name", "/files/count",
          "defname: big and data_tier reco and file_name reco1%"),
    _Call("count-files minus isparentof:", "/files/count",
          "defname: big minus isparentof: (data_tier ana)"),
    _Call("count-files isancestorof: a merge of 4,000", "/files/count",
          "isancestorof: (file_name merged.root)", mark=100),
    _Call("count-files isdescendantof: a raw file", "/files/count",
          "isdescendantof: (file_name raw77.root)"),
    _Call("samweb get-metadata", "/files/name/reco77.root/metadata", times=50, mark=5),
    _Call("file-lineage ancestors of the merge", "/files/name/merged.root/lineage/ancestors"),
    _Call("project-summary", "/projects/name/big/summary", times=3),
    _Call("metacat query, 4,000 files", "/query", body="parents(file nova:merged.root)"),
    _Call("the same with -m", "/query?with_meta=yes", times=3,
          body="parents(file nova:merged.root)"),
    _Call("the same where core.runs = 7", "/query", times=3,
          body="parents(file nova:merged.root) where core.runs = 7"),
)  # fmt: skip


def main() -> None:
    """Measure what the command line asks for."""
    parser = database_parser("benchmarks.catalog_answers", __doc__)
    parser.add_argument("--files", type=int, default=100_000)
    chosen = parser.parse_args()
    for kind in chosen_kinds(chosen):
        with open_place(kind, chosen.keep) as place:
            print_heading(f"{kind}, a task of {chosen.files:,} files")
            _measure(place, chosen.files)


def _measure(place: Place, files: int) -> None:
    settings = load_settings(place.settings)
    service = open_service(settings)
    try:
        _fill(service, files)
        refresh_statistics(service.database)
        client = create_app(settings, service=service).test_client()
        for call in _CALLS:
            _print(client, call)
    finally:
        service.close()


def _fill(service: Service, files: int) -> None:
    """Record the task and the merge, unless they are there."""
    with service.reading() as connection:
        if connection.execute(select(func.count()).select_from(Job)).scalar_one():
            return
    batch: list[dict[str, Any]] = []
    for record in _records(files):
        batch.append(record)
        if len(batch) == _BATCH:
            _record(service, batch)
            batch = []
    _record(service, batch)


def _record(service: Service, records: list[dict[str, Any]]) -> None:
    now = datetime.now(UTC)
    service.record_many(
        [Submission(decode_record(json.dumps(one).encode()), now, "benchmark") for one in records]
    )


def _records(files: int) -> Iterator[dict[str, Any]]:
    for number in range(1, files + 1):
        output = {**_file("reco", number), "data_tier": "reco", "event_count": number % 100}
        yield {
            **_job(number, "big", "reco", f"raw{number}.root"),
            "inputs": [_file("raw", number)],
            "outputs": [output],
        }
    merged = {"name": "merged.root", "size_bytes": 5, "data_tier": "ana"}
    yield {
        **_job(files + 1, "merge", "merge", None),
        "inputs": [_file("reco", number) for number in range(1, min(MERGED, files) + 1)],
        "outputs": [{**merged, "checksums": ["adler32:ffffffff"]}],
    }


def _job(number: int, task: str, stage: str, unit: str | None) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "job_id": f"0f8b0000-0000-4000-8000-{number:012x}",
        "experiment": EXPERIMENT,
        "state": "succeeded",
        "started_at": "2026-01-01T00:00:00Z",
        "ended_at": "2026-01-01T01:00:00Z",
        "task": {"task_id": task, "campaign": "c", "stage": stage, "unit": unit},
        "host": {"hostname": f"wn{number % 50}", "site": "FNAL"},
    }


def _file(kind: str, number: int) -> dict[str, Any]:
    checksums = [f"adler32:{number:08x}"]
    return {"name": f"{kind}{number}.root", "size_bytes": number, "checksums": checksums}


def _print(client: FlaskClient, call: _Call) -> None:
    waits, cpu = [], []
    size = 0
    for _ in range(call.times):
        wall_before, cpu_before = time.perf_counter(), time.process_time()
        size = _ask(client, call)
        waits.append((time.perf_counter() - wall_before) * 1e3)
        cpu.append((time.process_time() - cpu_before) * 1e3)
    note = f"cpu {median(cpu):.1f} ms, {size:,} bytes"
    print_figure(Figure(call.name, median(waits), "ms", mark=call.mark, note=note))


def _ask(client: FlaskClient, call: _Call) -> int:
    """Make a call and read its answer; return how long that is."""
    if call.body is not None:
        answer = client.post(_METACAT + call.path, data=call.body)
    elif call.dimensions is not None:
        path, _, fileinfo = call.path.partition("?fileinfo=")
        query = {"dims": call.dimensions, "format": "plain", "fileinfo": fileinfo}
        answer = client.get(_SAM + path, query_string=query)
    else:
        answer = client.get(_SAM + call.path)
    if answer.status_code != 200:  # noqa: PLR2004 - HTTP's own number
        raise RuntimeError(f"{call.name}: {answer.get_data(as_text=True)[:300]}")
    return len(answer.get_data())


if __name__ == "__main__":
    main()
