"""Background work on a full disk, or without its database: it waits, says so once, and goes on."""

import logging
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from jobprov.app.config import load_settings
from jobprov.app.errors import explains_itself
from jobprov.app.factory import create_app
from jobprov.app.serving import server
from tests.library.commands import clean_environment

SCRIPT = """
import logging, resource, sys, threading, time
from jobprov.app.config import load_settings
from jobprov.app.serving import server
from jobprov.app.wiring import open_service
from jobprov.provenance.db.upkeep.migrating import upgrade_local
from jobprov.provenance.services.intake.tokens import create_token
from datetime import UTC, datetime

logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
server.PAUSE_SECONDS = 0.02
settings = load_settings({"JOBPROV_DATA": sys.argv[1]}, {})
upgrade_local(settings.database_url)
service = open_service(settings)
service.write(lambda writing: create_token(
    writing, experiment="nova", name="hook", now=datetime.now(UTC)))
unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1, unlimited[1]))  # no file can grow: as on a full disk
stop = threading.Event()
work = threading.Thread(target=server.work_until, args=(service, stop))
work.start()
time.sleep(1)
print("-- room again", file=sys.stderr, flush=True)
resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
time.sleep(1)
stop.set()
work.join()
service.close()
"""


@pytest.mark.slow
def test_full_disk_is_told_once_without_a_traceback(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    while_full, after = ended.stderr.split("-- room again")
    assert "Traceback" not in ended.stderr
    assert while_full.count("background work waits, and is tried again: ") == 1
    assert "check the disk, its space and permissions" in while_full
    assert after.count("background work goes on") == 1


def test_database_that_is_down_is_told_once_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server, "PAUSE_SECONDS", 0.01)
    nobody = "postgresql+psycopg://nobody@127.0.0.1:1/nothing"
    environment = {"JOBPROV_DATA": str(tmp_path), "JOBPROV_DATABASE_URL": nobody}
    app = create_app(load_settings(environment, {}))
    service = app.extensions["jobprov"]
    stop = threading.Event()
    tries = 0

    def tried(_seconds: float) -> None:
        nonlocal tries
        tries += 1
        if tries == 5:
            stop.set()

    with caplog.at_level(logging.INFO), monkeypatch.context() as patched:
        patched.setattr(stop, "wait", tried)
        server.work_until(service, stop)
        answer = app.test_client().get("/api/v1/jobs")
    service.close()

    waits, *_ = told = [entry.getMessage() for entry in caplog.records]
    assert waits.startswith("background work waits, and is tried again: The database does not ")
    assert "Connection refused; check JOBPROV_DATABASE_URL, and the server there." in waits
    assert len([text for text in told if text.startswith("background work waits")]) == 1
    assert answer.status_code == 503
    # whoever asks need not know where the database is
    assert answer.get_json()["detail"] == "The database does not answer; try again in a moment."
    assert any(text.startswith("GET /api/v1/jobs: The database does not ") for text in told)
    assert not [entry for entry in caplog.records if entry.exc_info]


def test_statement_that_is_wrong_keeps_its_traceback() -> None:
    with sqlite3.connect(":memory:") as connection, pytest.raises(sqlite3.Error) as wrong:
        connection.execute("SELECT nothing")

    assert not explains_itself(OperationalError("SELECT nothing", None, wrong.value))
