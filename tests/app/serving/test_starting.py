"""What `jobprov serve` needs until it answers, and what it says meanwhile."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from jobprov.provenance.db.upkeep.migrating import upgrade
from tests.library.commands import clean_environment
from tests.library.servers.live_service import LiveService

NOT_YET = ("alembic", "authlib", "cryptography", "git", "joserfc", "psycopg", "requests")
"""Packages of logins, other databases, repositories, catalogs: slow to import, and not needed yet."""


@pytest.mark.slow
def test_service_loads_nothing_that_it_does_not_need_yet(tmp_path: Path) -> None:
    """It has no logins, and its database is there; alembic alone takes an eighth of a start."""
    script = (
        "import sys, jobprov.app.commands.service.start; "
        "from jobprov.app.factory import create_app; "
        f"create_app({{'JOBPROV_DATA': {str(tmp_path)!r}, 'JOBPROV_ARCHIVE_URL': 'memory:'}}); "
        f"print([name for name in {NOT_YET!r} if name in sys.modules])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert shown.stdout.strip() == "[]"


def test_command_is_asked_for_its_help_without_the_service() -> None:
    """Database and web framework take a second, in which `serve` has said that it starts."""
    script = (
        "import sys, jobprov.app.commands.service.serving; "
        "print([name for name in ('flask', 'gunicorn', 'sqlalchemy') if name in sys.modules])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert shown.stdout.strip() == "[]"


@pytest.mark.slow
def test_start_is_told_before_the_address_and_not_on_standard_output(tmp_path: Path) -> None:
    """Scripts read the address from the first line of standard output."""
    data = tmp_path / "var"
    words = ["serve", "--port", "0", "--data", str(data)]
    command = [sys.executable, "-c", "from jobprov.app.cli import main; main()", *words]
    with subprocess.Popen(
        command,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as service:
        assert service.stderr is not None
        assert service.stdout is not None
        starts = service.stderr.readline()
        serves = service.stdout.readline()
        service.terminate()

    assert starts == f"jobprov {version('jobprov')} starts on {data}.\n"
    assert serves.startswith("jobprov serves http://127.0.0.1:")


@pytest.mark.slow
def test_older_database_is_said_to_be_brought_up_to_date(tmp_path: Path) -> None:
    """With millions of jobs that takes minutes, in which nothing else would be said."""
    data = tmp_path / "var"
    data.mkdir()
    upgrade(f"sqlite:///{data / 'jobprov.db'}", "0001")

    service = LiveService(data)
    printed = service.printed()

    assert service.stop(seconds=300) == 0
    assert "It brings the database up to date first" in printed
    assert "a copy of the old one is" in printed
