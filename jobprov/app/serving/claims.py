"""What a service has for itself alone while it serves: its SQLite database, and its address."""

import errno
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from sqlalchemy.engine import make_url

from jobprov.provenance.errors import ConflictError, UnreachableError

_TRIES = 5
"""Once a second: a service that was just stopped is about to let go."""


@contextmanager
def held_database(url: str) -> Iterator[None]:
    """Hold a SQLite database for this process and its workers; PostgreSQL is shared.

    SQLite has one writer, and a service keeps in memory what came and is not named yet: two of
    them would refuse each other's records.

    Raises:
        ConflictError: another service has it.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        yield
        return
    try:
        # Unbuffered: what a full disk did not take would be tried again when it is closed
        lock = Path(f"{parsed.database}.serve").open("a+b", buffering=0)  # noqa: SIM115 - below
    except OSError:
        yield  # the database itself tells what is wrong with its folder
        return
    with lock:
        if not _is_taken(lock):
            lock.seek(0)
            holder = lock.read().decode(errors="replace").strip()
            raise ConflictError(
                f"Another `jobprov serve`, process {holder}, has the database {parsed.database}: "
                "stop that one, or choose another folder (--data). Several services can share "
                "PostgreSQL."
            )
        yield


def _is_taken(lock: FileIO) -> bool:
    """Take a lock and write its owner into the file; return whether it was free."""
    for attempt in range(1, _TRIES + 1):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            lock.truncate(0)
            lock.write(str(os.getpid()).encode())
        except BlockingIOError:
            if attempt < _TRIES:
                time.sleep(1)
        except OSError:
            return True  # a file system without locks, or a full one: the database tells of it
        else:
            return True
    return False


def wait_for_address(host: str, port: int) -> None:
    """Return once an address is free, or at once if the port is 0, which means any free one.

    Raises:
        UnreachableError: somebody does, or this machine does not have that address.
    """
    for attempt in range(1, _TRIES + 1):
        try:
            _listen(host, port)
        except OSError as problem:
            if problem.errno == errno.EADDRINUSE and attempt < _TRIES:
                time.sleep(1)
                continue
            raise UnreachableError(
                f"Nothing can listen at {host}:{port}: {_reason(problem)}."
            ) from None
        return


def _listen(host: str, port: int) -> None:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()


def _reason(problem: OSError) -> str:
    if problem.errno == errno.EADDRINUSE:
        return (
            "another program does, perhaps another `jobprov serve`; stop that, or choose another "
            "--port"
        )
    if problem.errno == errno.EACCES:
        return "only root may use this port; choose another --port"
    if problem.errno == errno.EADDRNOTAVAIL or isinstance(problem, socket.gaierror):
        return "this machine does not have that address; choose another --host"
    return str(problem.strerror)
