"""What `jobprov serve` needs until it answers, and what it says meanwhile."""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from jobprov.provenance.db.upkeep.migrating import upgrade
from tests.library.commands import clean_environment, run_alone
from tests.library.records import a_record
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


@pytest.mark.slow
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
    command = [sys.executable, "-m", "jobprov", *words]
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


@pytest.mark.slow
def test_new_database_on_an_archive_with_records_is_told(tmp_path: Path) -> None:
    """It began with nothing, as if nothing had ever been recorded, without a word."""
    (tmp_path / "job.json").write_text(json.dumps(a_record(1)))
    first = LiveService(tmp_path)
    recorded = first.run("record", str(tmp_path / "job.json"))
    sealed = first.run("archive", "seal", "--data", str(tmp_path))
    before = first.printed()
    first.stop()
    for file in tmp_path.glob("jobprov.db*"):
        file.unlink()

    second = LiveService(tmp_path)
    printed = second.printed()
    second.stop()

    assert (recorded.returncode, sealed.returncode) == (0, 0), recorded.stderr + sealed.stderr
    assert "The archive holds records, and this database has no job." not in before
    assert "The archive holds records, and this database has no job." in printed


@pytest.mark.slow
def test_second_service_on_one_sqlite_does_not_start_and_names_the_first(tmp_path: Path) -> None:
    first = LiveService(tmp_path)

    second = run_alone("serve", "--port", "0", "--data", str(tmp_path))
    first.stop()
    third = LiveService(tmp_path)
    third.stop()

    assert (second.returncode, second.stdout) == (1, "")
    assert f"Another `jobprov serve`, process {first.process.pid}, has" in second.stderr


def test_data_folder_that_cannot_be_made_is_told_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    ended = run_alone("serve", "--data", str(tmp_path / "file"))

    assert ended.returncode == 3
    assert f"The data folder {tmp_path / 'file'} cannot be made: " in ended.stderr
    assert "--data or JOBPROV_DATA" in ended.stderr


@pytest.mark.slow
def test_wrong_file_of_catalogs_is_told_at_the_start(tmp_path: Path) -> None:
    file = tmp_path / "catalogs.toml"
    file.write_text('[nova]\nkind = "sam"\nurl = 7\n')

    ended = run_alone("serve", "--data", str(tmp_path / "var"), JOBPROV_CATALOGS=str(file))

    assert ended.returncode == 2
    assert f"{file}, [nova]: url: text is expected, not a whole number." in ended.stderr


@pytest.mark.slow
def test_address_of_another_machine_is_told_in_one_line(tmp_path: Path) -> None:
    ended = run_alone("serve", "--host", "192.0.2.1", "--data", str(tmp_path))

    assert ended.returncode == 3
    assert ended.stderr.partition("\n")[2] == (
        "jobprov: Nothing can listen at 192.0.2.1:8095: this machine does not have that address; "
        "choose another --host.\n"
    )
