"""Background work on a full disk: it waits, says so once, and goes on when there is room."""

import subprocess
import sys
from pathlib import Path

import pytest

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
    assert while_full.count("background work waits, and is tried again each second: ") == 1
    assert "check the disk, its space and permissions" in while_full
    assert after.count("background work goes on") == 1
