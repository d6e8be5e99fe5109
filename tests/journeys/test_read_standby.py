"""A `jobprov serve` that reads pages from a real standby: what it sees, and when the standby fails."""

import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from jobprov.provenance.client import Client
from tests.library.commands import run_alone
from tests.library.records import a_record
from tests.library.servers.live_service import LiveService
from tests.library.servers.standby import StandbyServer, running_standby

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("standby")]

LAG = 2


class Scene:
    """A service with a standby, and a token that records.

    Attributes:
        client: sends the token.
    """

    def __init__(self, folder: Path, url: str, standby: StandbyServer) -> None:
        self.standby = standby
        environment = {
            "JOBPROV_DATABASE_URL": url,
            "JOBPROV_DATABASE_READ_URL": standby.url,
            "JOBPROV_DATABASE_READ_LAG": str(LAG),
        }
        self.service = LiveService(folder, **environment)
        self.token = self.command(
            "token", "create", "--experiment", "nova", "--name", "jobs"
        ).split()[0]
        self.client = Client(self.service.url, self.token)
        self.standby.wait()
        self.wait_until_used()

    def command(self, *words: str) -> str:
        ended = self.service.run(*words)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def status(self, path: str, **more: Any) -> int:
        """Return the status of an address, asked without any token."""
        return requests.get(self.service.url + path, timeout=30, **more).status_code

    def state(self) -> dict[str, Any]:
        answer = requests.get(f"{self.service.url}/api/v1/ready", timeout=30)
        assert answer.status_code == 200
        found: dict[str, Any] = answer.json()["standby"]
        return found

    def wait_until_used(self, *, used: bool = True) -> None:
        end = time.monotonic() + 30
        while self.state()["is_used"] is not used:
            assert time.monotonic() < end, self.state()
            time.sleep(0.1)

    def reads(self) -> dict[str, float]:
        """Return how many requests were to read from which server."""
        lines = requests.get(f"{self.service.url}/api/v1/metrics", timeout=30).text.splitlines()
        found = {}
        for line in lines:
            if line.startswith("jobprov_reads_total{"):
                name, _, number = line.rpartition(" ")
                found[name.split('"')[1]] = float(number)
        return found


@pytest.fixture
def scene(postgresql_server: str, tmp_path: Path) -> Iterator[Scene]:
    name = f"test_{uuid.uuid4().hex}"
    server = create_engine(postgresql_server, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    url = make_url(postgresql_server).set(database=name).render_as_string(hide_password=False)
    assert run_alone("migrate", JOBPROV_DATABASE_URL=url).returncode == 0
    with running_standby(url) as standby:
        opened = Scene(tmp_path, url, standby)
        yield opened
        assert opened.service.stop() == 0
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


def test_pages_are_read_from_the_standby_and_writers_see_what_they_wrote(scene: Scene) -> None:
    job = str(uuid.uuid4())
    scene.client.record(a_record(job_id=job, experiment="nova"))
    before = scene.reads()

    assert scene.client.job(job).record["job_id"] == job
    scene.standby.wait()
    assert scene.status(f"/jobs/{job}") == 200
    assert scene.status("/jobs") == 200

    after = scene.reads()
    assert after["standby"] - before.get("standby", 0) == 2
    assert after["primary"] > before.get("primary", 0)


def test_one_that_lags_hides_nothing_new_and_shows_nothing_private(scene: Scene) -> None:
    """With commits held back, what the standby does not know is asked of the primary."""
    scene.standby.delay(600)
    job = str(uuid.uuid4())
    scene.client.record(a_record(job_id=job, experiment="nova"))

    # Within the lag that is allowed a stranger is told of the job all the same
    assert scene.status(f"/jobs/{job}") == 200
    assert scene.client.job(job).record["job_id"] == job

    scene.command("experiment", "private", "nova", "--why", "not for all")
    time.sleep(1.1)  # each process asks which experiments are private once a second
    assert scene.status(f"/jobs/{job}") == 404
    scene.command("token", "revoke", "1")
    assert _revoked_within(scene, job, 20)
    scene.wait_until_used(used=False)
    scene.standby.delay(0)
    scene.wait_until_used()
    assert "The standby is more than 2 s behind" in scene.service.printed()
    assert "The standby is read from again." in scene.service.printed()


def _revoked_within(scene: Scene, job: str, seconds: float) -> bool:
    """Return whether the token is worth nothing soon: services remember one for some seconds."""
    headers = {"Authorization": f"Bearer {scene.token}"}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if scene.status(f"/api/v1/jobs/{job}", headers=headers) in {401, 404}:
            return True
        time.sleep(0.2)
    return False


def test_one_that_is_killed_under_load_costs_no_answer(scene: Scene) -> None:
    job = str(uuid.uuid4())
    scene.client.record(a_record(job_id=job, experiment="nova"))
    scene.standby.wait()
    assert scene.status(f"/jobs/{job}") == 200

    statuses = []
    for number in range(60):
        if number == 20:
            scene.standby.kill()
        statuses.append(scene.status(f"/jobs/{job}"))

    assert set(statuses) == {200}
    assert scene.state() == {"is_used": False, "lag_seconds": None}
    assert "The standby does not answer" in scene.service.printed()
    scene.client.record(a_record(job_id=str(uuid.uuid4()), experiment="nova"))
