"""A service as operators run it behind a proxy, with a token; and the hook, which reports to it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.library.hook import Runner, put_hook
from tests.library.servers.live_service import LiveService


class FrontedService(LiveService):
    """A service that believes one proxy; `token` may write for the experiment `toy`."""

    def __init__(self, data: Path) -> None:
        super().__init__(data, JOBPROV_TRUSTED_PROXIES="1")
        words = ("--experiment", "toy", "--name", "hook", "--scope", "admin", "--json")
        self.token = json.loads(self.run("token", "create", *words).stdout)["token"]


@pytest.fixture(scope="session")
def fronted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrontedService]:
    """Yield a service that all tests share; what is in front of it they start themselves."""
    service = FrontedService(tmp_path_factory.mktemp("fronted") / "var")
    yield service
    assert service.stop() == 0


@pytest.fixture
def runner(fronted: FrontedService, tmp_path: Path) -> Runner:
    """Return the hook, which sends with the service's token."""
    folder = tmp_path / "job"
    folder.mkdir()
    runner = Runner(str(put_hook(tmp_path / "job-end-hook.pyz")), folder)
    runner.environment["JOBPROV_TOKEN"] = fronted.token
    return runner
