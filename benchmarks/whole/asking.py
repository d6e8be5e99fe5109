"""Measures questions through HTTP, one after the other over one connection.

It also measures the memory of the worker that answers them.
"""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.campaign import CONCAT, EXPERIMENT
from benchmarks.report import Figure, print_figure
from benchmarks.running.clients import request_bytes, send_all
from benchmarks.running.processes import children, running_service
from benchmarks.whole.reading import file_names, middle, slowest_hundredth

_OF = f"experiment={EXPERIMENT}"
_CONCAT_FILE = f"/api/v1/files/{CONCAT.format(tree=0)}"
_RAW_FILE = "/api/v1/files/nova_r00000_s0500.raw.root"
_QUESTIONS: tuple[tuple[str, str, int, float | None], ...] = (
    ("all ancestors of a concat (4,051 files)", f"{_CONCAT_FILE}/ancestors?{_OF}", 20, 60),
    (
        "graph of the nearest 200 of them",
        f"{_CONCAT_FILE}/lineage?{_OF}&direction=ancestors",
        20,
        None,
    ),
    ("descendants of a raw file", f"{_RAW_FILE}/descendants?{_OF}", 200, 5),
    ("graph of them", f"{_RAW_FILE}/lineage?{_OF}&direction=descendants", 200, None),
    (
        "impact of a release (r2): counts and a page",
        f"/api/v1/lineage/impact?{_OF}&revision=S24-05-01",
        10,
        None,
    ),
    (
        "impact of it, made directly",
        f"/api/v1/lineage/impact?{_OF}&revision=S24-05-01&direct=true",
        10,
        100,
    ),
    ("page of a file", f"/files/{CONCAT.format(tree=0)}?{_OF}", 50, 60),
    ("page of its lineage", f"/lineage/{CONCAT.format(tree=0)}?{_OF}", 20, 60),
)


def measure_questions(settings: dict[str, str], trees: int) -> None:
    """Print the milliseconds of each question; `trees` are those that the database surely holds."""
    with running_service(settings) as (address, server):
        paths = [f"/api/v1/files/{name}?{_OF}" for name in file_names(trees)[:500]]
        _print("file by name: what made it", _waits(address, paths), 3)
        for name, path, times, mark in _QUESTIONS:
            _print(name, _waits(address, [path] * times), mark)
        print_memory(server, "asked")


def _waits(address: str, paths: Sequence[str]) -> list[float]:
    requests = [request_bytes("GET", path, b"") for path in paths]
    # Into the caches, as in a service that runs
    send_all([address], requests[:5], connections=1, statuses=(200,))
    return send_all([address], requests, connections=1, statuses=(200,)).waits


def _print(name: str, waits: list[float], mark: float | None) -> None:
    slowest = (
        f"p99 {slowest_hundredth(waits):.1f} ms"
        if len(waits) >= 100  # noqa: PLR2004
        else f"slowest {max(waits) * 1e3:.1f} ms"
    )
    print_figure(Figure(name, middle(waits), "ms", mark=mark, note=slowest))


def print_memory(server: int, what: str) -> None:
    """Print the most memory that a worker of a service had, and what it did."""
    megabytes = max(_peak_bytes(process) for process in children(server)) / 1e6
    print_figure(Figure(f"resident memory of a worker, {what}, at most", megabytes, "MB", mark=200))


def _peak_bytes(process: int) -> int:
    """Return the most memory that a process had. Source: proc_pid_status(5), VmHWM."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024
