"""Processes that die by SIGKILL at a random moment, as in a power cut."""

import os
import signal
import time
from abc import abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from sqlalchemy import inspect, select

from jobprov.app.wiring import archive_state
from jobprov.provenance.db.connections.engines import open_database
from jobprov.provenance.db.queries.upkeep import count_jobs, known_archive
from jobprov.provenance.db.tables import Base, Job
from jobprov.provenance.db.upkeep.migrating import is_current, upgrade
from jobprov.provenance.services.upkeep.archive_identity import UNFINISHED
from jobprov.provenance.services.upkeep.backups import DATABASE_COPY
from tests.endurance.databases import PostgreSQL
from tests.endurance.faults.fault import Fault
from tests.endurance.load import EXPERIMENT, wait_for
from tests.endurance.scene import Scene
from tests.library.servers.live_service import LiveService

_LONGER = 1.5


def processes_of(process: int | None) -> list[int]:
    """Return a process and those that it started."""
    assert process is not None
    children = Path(f"/proc/{process}/task/{process}/children")
    processes = [process]
    with suppress(OSError):
        processes += [int(word) for word in children.read_text(encoding="ascii").split()]
    return processes


def kill(process: int | None) -> None:
    """Kill a process and those that it started."""
    for each in processes_of(process):
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)


class ServiceKilled(Fault):
    """All processes of the service die; the next round starts it again."""

    name = "service-killed"
    is_survived = False

    def strike(self, scene: Scene, live: LiveService) -> None:
        """Wait a while, and kill them."""
        time.sleep(scene.moment())
        kill(live.process.pid)
        live.process.join()
        scene.struck += 1


class DatabaseKilled(Fault):
    """The whole PostgreSQL server dies, or one of its processes, so that it starts itself anew."""

    name = "database-killed"
    databases = ("postgresql",)

    def strike(self, scene: Scene, live: LiveService) -> None:  # noqa: ARG002
        """Wait a while, kill, and start the server again where it does not do so itself."""
        server = scene.database
        assert isinstance(server, PostgreSQL)
        time.sleep(scene.moment())
        scene.struck += 1
        if scene.chance.random() < 0.5:
            with suppress(ProcessLookupError):
                os.kill(scene.chance.choice(server.processes()[1:]), signal.SIGKILL)
            server.revive()
            return
        server.kill()
        time.sleep(scene.moment() / 2)
        server.start()


class CommandKilled(Fault):
    """A command of the operator dies while the service runs; what it left has to be mended.

    Attributes:
        ends: the exit codes of the command where it was not killed.
    """

    ends: ClassVar[tuple[int, ...]] = (0,)

    def __init__(self) -> None:
        # Learnt from what was seen, so that most kills fall while the command works
        self._seconds = 0.3
        self.settings: dict[str, str] = {}

    def strike(self, scene: Scene, live: LiveService) -> None:  # noqa: ARG002
        """Begin the command, kill it, and see to what it left."""
        words = self.words(scene)
        moment = scene.chance.uniform(0, self._seconds)
        began = time.monotonic()
        command = scene.begin(*words, **self.settings)
        command.join(moment)
        if command.exitcode is None:
            kill(command.pid)
            command.join()
            scene.struck += 1
            self._seconds = max(self._seconds, min(moment * _LONGER, scene.most_seconds))
        else:
            assert command.exitcode in self.ends, words
            self._seconds = time.monotonic() - began
        self.see_to(scene)

    @abstractmethod
    def words(self, scene: Scene) -> list[str]:
        """Return what follows `jobprov`."""

    @abstractmethod
    def see_to(self, scene: Scene) -> None:
        """Do what an operator would do then, and check what came of it."""


def _run(scene: Scene, *words: str, **more: str) -> None:
    done = scene.run(*words, **more)
    assert done.returncode == 0, (words, done.stdout, done.stderr)


class SealKilled(CommandKilled):
    """`jobprov archive seal` dies; the next sealing goes on."""

    name = "seal-killed"

    def words(self, scene: Scene) -> list[str]:  # noqa: ARG002
        """Return the command."""
        return ["archive", "seal"]

    def see_to(self, scene: Scene) -> None:
        """Do nothing: half of the next rounds begin with what is left."""


class BackupKilled(CommandKilled):
    """`jobprov backup` dies; the next one completes the copy, which is sound and lacks nothing."""

    name = "backup-killed"

    def words(self, scene: Scene) -> list[str]:
        """Return the command; always into the same folder."""
        return ["backup", str(scene.data / "backup")]

    def see_to(self, scene: Scene) -> None:
        """Back up again, the database first, and check the copies against each other.

        The service writes on meanwhile: a copy of the archive alone would be checked against a
        database that knows what came later.
        """
        folder = scene.data / "backup"
        acknowledged = set(scene.sent.records)
        server, url = scene.database, scene.environment["JOBPROV_DATABASE_URL"]
        dumped = server.copied(url)
        _run(scene, "backup", str(folder))
        copy = dumped or f"sqlite:///{folder / DATABASE_COPY}"
        _run(scene, "archive", "check", "--data", str(folder), JOBPROV_DATABASE_URL=copy)
        database = open_database(copy)
        with database.reading.connect() as connection:
            copied = {str(row[0]) for row in connection.execute(select(Job.uuid))}
        database.dispose()
        lost = acknowledged - copied
        assert not lost, f"the copy lacks {len(lost)} acknowledged records, such as {min(lost)}"
        if isinstance(server, PostgreSQL):
            server.drop(copy)


class EraseKilled(CommandKilled):
    """`jobprov erase blob` dies; `erase finish` completes it, or nothing was erased."""

    name = "erase-killed"
    # 1: senders held SQLite's file all the time, so that it has to be finished
    ends = (0, 1)

    def words(self, scene: Scene) -> list[str]:
        """Return the command, for the log of some job."""
        wait_for(lambda: bool(scene.sent.logs), lambda: "no job with a log is taken")
        self._digest = scene.chance.choice(scene.sent.logs)
        who = ["--who", "Ada", "--why", "to see", "--yes"]
        return ["erase", "blob", self._digest, "--experiment", EXPERIMENT, *who]

    def see_to(self, scene: Scene) -> None:
        """Finish it, and note whether the blob went."""
        told: list[str] = []

        def is_finished() -> bool:
            done = scene.run("erase", "finish")
            told.append(done.stdout + done.stderr)
            assert done.returncode in self.ends, told[-1]
            return done.returncode == 0

        wait_for(is_finished, lambda: told[-1])
        service = scene.opened()
        if service.store.missing([self._digest]):
            scene.sent.logs.remove(self._digest)
            del scene.sent.blobs[self._digest]
        service.close()


class RebuildKilled(CommandKilled):
    """`jobprov rebuild-database` dies; what it made is taken for whole by nobody."""

    name = "rebuild-killed"

    def words(self, scene: Scene) -> list[str]:
        """Return the command, into another database each time."""
        self._least = len(scene.sent.records)
        _run(scene, "archive", "seal")
        self._url = scene.database.new_url(f"rebuilt{scene.chance.getrandbits(60)}")
        return ["rebuild-database", "--into", self._url]

    def see_to(self, scene: Scene) -> None:
        """Check that the database is refused, unless it is whole or as empty as a new one."""
        if not is_current(self._url):
            return
        database = open_database(self._url)
        with database.reading.connect() as connection:
            jobs = count_jobs(connection)
            is_unfinished = known_archive(connection) == UNFINISHED
        database.dispose()
        problem = archive_state(scene.settings(JOBPROV_DATABASE_URL=self._url)).problem
        assert (problem is not None) == is_unfinished
        assert is_unfinished or jobs == 0 or jobs >= self._least


class MigrateKilled(CommandKilled):
    """`jobprov migrate` dies; done again, it makes the whole schema."""

    name = "migrate-killed"

    def words(self, scene: Scene) -> list[str]:
        """Return the command, for a database that is empty."""
        self._url = scene.database.new_url(f"migrated{scene.chance.getrandbits(60)}")
        self.settings = {"JOBPROV_DATABASE_URL": self._url}
        return ["migrate"]

    def see_to(self, scene: Scene) -> None:  # noqa: ARG002
        """Look for half a schema, and migrate again."""
        assert self._tables() in (set(), {"alembic_version"}) or is_current(self._url)
        upgrade(self._url)
        assert is_current(self._url)
        assert set(Base.metadata.tables) <= self._tables()

    def _tables(self) -> set[str]:
        database = open_database(self._url)
        tables = set(inspect(database.reading).get_table_names())
        database.dispose()
        return tables
