"""`python -m benchmarks.uploads`: CPU of the service for a blob that is sent by one PUT.

Each size is sent as text (lines of a log, addresses among them) and as noise. What is printed is
the CPU of the service's processes, which other work on the machine blurs less than the clock; beside
it stand the CPU a megabyte, which should be the same for every size, and the time by the clock.
Noise is made by SHAKE-256 of the size, so that runs repeat.
"""

import argparse
import hashlib
import sys
import time
from collections.abc import Callable
from http.client import HTTPConnection
from urllib.parse import urlsplit

from benchmarks.running.places import open_place
from benchmarks.running.processes import cpu_seconds, running_service, settle

SIZES_MB = (1, 8, 24, 64)
_MB = 1_000_000
_LINE = (
    b"%%MSG-i FastCloning: RootInput:source 24-Nov-2026 10:00:00 UTC run: 1000 event: %d "
    b"root://door.example.org//pnfs/raw/np04_raw_run001000_%d.root cloned\n"
)
_CREATED = 201


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.uploads", description=__doc__)
    parser.add_argument(
        "--mb", type=int, action="append", help="only this size; may be given several times"
    )
    chosen = parser.parse_args()
    sizes = chosen.mb or SIZES_MB
    with open_place("sqlite") as place:
        limit = {"JOBPROV_BLOB_LIMIT_BYTES": str(max(sizes) * _MB)}
        with running_service(place.settings | limit) as (address, process):
            _send(address, process, _noise(1000))  # the first one warms up
            for name, make in _KINDS.items():
                for size_mb in sizes:
                    body = make(size_mb * _MB)
                    settle()
                    cpu, wall = _send(address, process, body)
                    print(
                        f"{name:6} {size_mb:4} MB {cpu:8.2f} s CPU "
                        f"{1000 * cpu / size_mb:7.0f} ms/MB {wall:8.2f} s",
                        flush=True,
                    )


def _send(address: str, process: int, body: bytes) -> tuple[float, float]:
    """Send a blob; return the seconds that it took of the service's CPU, and by the clock."""
    sha256 = hashlib.sha256(body).hexdigest()
    connection = HTTPConnection(urlsplit(address).netloc)
    cpu, wall = cpu_seconds(process), time.perf_counter()
    connection.request("PUT", f"/api/v1/blobs/{sha256}", body)
    answer = connection.getresponse()
    text = answer.read()
    wall, cpu = time.perf_counter() - wall, cpu_seconds(process) - cpu
    connection.close()
    if answer.status != _CREATED:
        sys.exit(f"{len(body)} bytes were answered {answer.status}: {text[:300]!r}")
    return cpu, wall


def _lines(length: int) -> bytes:
    lines: list[bytes] = []
    made = 0
    while made < length:
        lines.append(_LINE % (len(lines), len(lines)))
        made += len(lines[-1])
    return b"".join(lines)[:length]


def _noise(length: int) -> bytes:
    return hashlib.shake_256(b"%d" % length).digest(length)


_KINDS: dict[str, Callable[[int], bytes]] = {"text": _lines, "noise": _noise}


if __name__ == "__main__":
    main()
