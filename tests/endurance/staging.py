"""Makes scenes: folder, disks, database, archive."""

import os
import random
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from jobprov.provenance.db.upkeep.migrating import upgrade
from tests.endurance.databases import DatabaseServer, SQLiteFiles, started_postgresql
from tests.endurance.disks import small_disks
from tests.endurance.failing_line import FailingLine
from tests.endurance.scene import Scene
from tests.library.servers.s3 import BUCKET, S3Server


@contextmanager
def scene_on(
    database: str,
    *,
    seed: int,
    most_seconds: float,
    on_small_disks: bool = False,
    s3_server: S3Server | None = None,
) -> Iterator[Scene]:
    """Yield an empty scene.

    Args:
        database: `sqlite` or `postgresql`.
        seed: of its random moments and of the load.
        most_seconds: the longest that a service lives before a fault, or a fault lasts.
        on_small_disks: whether its folder lies on small disks, with PostgreSQL's.
        s3_server: where its archive lies; in the folder, if there is none.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="jobprov-endure-"))
        data = Path(folder)
        disks = stack.enter_context(small_disks(data)) if on_small_disks else None
        server: DatabaseServer = SQLiteFiles(data)
        if database == "postgresql":
            server = stack.enter_context(started_postgresql(data / "pg"))
        environment = {"JOBPROV_DATABASE_URL": server.new_url("jobprov")}
        line = None
        if s3_server is not None:
            line = FailingLine(s3_server.url)
            stack.callback(line.close)
            stack.enter_context(_in_environment(s3_server.environment))
            stack.enter_context(_in_environment({"AWS_ENDPOINT_URL": line.url}))
            environment["JOBPROV_ARCHIVE_URL"] = f"s3://{BUCKET}/{data.name}"
        upgrade(environment["JOBPROV_DATABASE_URL"])
        chance = random.Random(seed)  # noqa: S311 - no secret
        yield Scene(data, server, environment, chance, disks, line, most_seconds)


@contextmanager
def _in_environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Have variables in the environment of this process, and of those that it starts."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
