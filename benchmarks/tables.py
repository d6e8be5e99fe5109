"""Measures tables for analysis: `python -m benchmarks.tables`.

A campaign is recorded and sealed, unless it is there (`--keep`), and written as tables by a process
of its own, whose memory counts; then again, with nothing new; then DuckDB is asked.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import msgspec
from sqlalchemy import func, select

from benchmarks.campaign import generate_jobs
from benchmarks.report import Figure, print_figure, print_heading
from benchmarks.running.command_line import chosen_kinds, database_parser
from benchmarks.running.places import Place, open_place
from benchmarks.running.processes import server_cpu
from benchmarks.whole.recording import record_in_process
from jobprov.app.config import load_settings
from jobprov.app.wiring import open_service
from jobprov.provenance.db.tables import Job
from jobprov.provenance.services.analysis.export import Selection, export_tables
from jobprov.provenance.services.analysis.folders import open_folder
from jobprov.provenance.services.analysis.questions import ask_tables
from jobprov.provenance.services.upkeep.sealing import seal_ledger

SECONDS_MARK, BYTES_MARK, MEMORY_MARK, QUERY_MARK = 120, 250, 500, 200
MARKED_JOBS = 1_000_000
_SEAL_EVERY = 16_000
_TIMES = 7
_APART = "export"
"""The word by which this program is the exporting process."""
_MEMORY = 1_000_000_000
_CPU_HOURS = "SELECT site, month, sum(cpu_seconds) / 3600 FROM jobs GROUP BY ALL ORDER BY ALL"
_FAILED = "SELECT release, avg((state <> 'succeeded')::int) FROM jobs GROUP BY ALL ORDER BY ALL"
_ANCESTORS = """
WITH RECURSIVE links AS MATERIALIZED (
    SELECT job_id, file, parent_job_id, parent_file FROM edges
),
ancestors(job_id, file) AS (
    SELECT parent_job_id, parent_file FROM links WHERE file = 'nova_concat_t0000.root'
    UNION SELECT parent_job_id, parent_file FROM ancestors JOIN links USING (job_id, file)
)
SELECT count(DISTINCT file) FROM ancestors
"""


class Cost(msgspec.Struct):
    """What one export took; `server_cpu_seconds` is of the database's server, where there is one."""

    seconds: float
    cpu_seconds: float
    memory_bytes: int
    jobs: int
    size_bytes: int
    server_cpu_seconds: float = 0.0

    @property
    def cpu_words(self) -> str:
        """Say what it took of the processors."""
        return f"cpu {self.cpu_seconds:.1f} s, of the server {self.server_cpu_seconds:.1f} s"


def main() -> None:
    """Measure what the command line asks for."""
    parser = database_parser("benchmarks.tables", __doc__)
    parser.add_argument("--jobs", type=int, default=100_000, help="jobs that are recorded")
    if sys.argv[1:2] == [_APART]:
        _, _, folder, *words = sys.argv
        cost = _export(dict(word.split("=", 1) for word in words), Path(folder))
        print(msgspec.json.encode(cost).decode())
        return
    chosen = parser.parse_args()
    for kind in chosen_kinds(chosen):
        with open_place(kind, chosen.keep) as place:
            print_heading(f"{kind}, {chosen.jobs:,} jobs")
            _fill(place, chosen.jobs)
            with tempfile.TemporaryDirectory(prefix="jobprov-benchmark-") as folder:
                _measure(place, Path(folder, "tables"))


def _fill(place: Place, jobs: int) -> None:
    """Record what is not there of the campaign, sealing now and then."""
    service = open_service(load_settings(place.settings))
    with service.reading() as connection:
        done: int = connection.execute(select(func.count()).select_from(Job)).scalar_one()
    while done < jobs:
        count = min(_SEAL_EVERY, jobs - done)
        record_in_process(service, generate_jobs(count, first=done))
        seal_ledger(service.database, service.writer, service.store)
        done += count
    service.close()


def _measure(place: Place, folder: Path) -> None:
    first, again = _export_apart(place, folder), _export_apart(place, folder)
    # It is for a million jobs
    seconds_mark = SECONDS_MARK if first.jobs >= MARKED_JOBS else None
    bytes_a_job = first.size_bytes / first.jobs
    print_figure(Figure("export", first.seconds, "s", mark=seconds_mark, note=first.cpu_words))
    print_figure(Figure("size of the tables", bytes_a_job, "bytes/job", mark=BYTES_MARK))
    print_figure(Figure("memory", first.memory_bytes / 1e6, "MB", mark=MEMORY_MARK))
    print_figure(Figure("export of nothing new", again.seconds, "s", note=again.cpu_words))
    cpu_hours = _asked(folder, _CPU_HOURS)
    print_figure(Figure("DuckDB: CPU hours by site and month", cpu_hours, "ms", mark=QUERY_MARK))
    print_figure(Figure("DuckDB: failure share by release", _asked(folder, _FAILED), "ms"))
    print_figure(Figure("DuckDB: all ancestors of a file", _asked(folder, _ANCESTORS), "ms"))


def _export_apart(place: Place, folder: Path) -> Cost:
    """Return what an export takes in a process of its own."""
    settings = [f"{name}={value}" for name, value in place.settings.items()]
    command = [sys.executable, "-m", "benchmarks.tables", _APART, str(folder), *settings]
    before = server_cpu(place.process)
    ended = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    cost = msgspec.json.decode(ended.stdout, type=Cost)
    cost.server_cpu_seconds = server_cpu(place.process) - before
    return cost


def _export(settings: dict[str, str], folder: Path) -> Cost:
    service = open_service(load_settings(settings))
    begun, cpu = time.perf_counter(), time.process_time()
    selection = Selection((), frozenset(), ())
    database, store = service.database.reading, service.store
    report = export_tables(database, store, open_folder(str(folder)), selection)
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    service.close()
    return Cost(seconds, cpu, _most_memory(), report.rows["jobs"], report.size_bytes)


def _most_memory() -> int:
    """Return the most bytes that this process had in memory.

    What `getrusage` tells counts the process that started this one, too.
    """
    [line] = [
        line
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        if line.startswith("VmHWM:")
    ]
    return int(line.split()[1]) * 1024


def _asked(folder: Path, question: str) -> float:
    """Return how long a question usually takes, with opening the tables, in ms."""
    waits = []
    for _ in range(_TIMES):
        begun = time.perf_counter()
        rows = list(ask_tables(str(folder), question, memory_bytes=_MEMORY).rows)
        waits.append((time.perf_counter() - begun) * 1e3)
        if not rows:
            message = "a question was answered by no rows"
            raise RuntimeError(message)
    return median(waits)


if __name__ == "__main__":
    main()
