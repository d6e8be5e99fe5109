"""The hook, a folder to call it in, and a service to talk to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.library.compiled_hook import put_compiled_hook
from tests.library.disk import folder_on_disk, folders_on_disk  # noqa: F401 - fixtures
from tests.library.hook import Runner, put_hook
from tests.library.servers.hook_service import Service
from tests.library.servers.live_service import LiveService


@pytest.fixture(scope="session")
def hook(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the hook as it is shipped."""
    return str(put_hook(tmp_path_factory.mktemp("hook") / "job-end-hook.pyz"))


@pytest.fixture(scope="session")
def compiled_hook(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a hook that does the same and starts sooner."""
    return str(put_compiled_hook(tmp_path_factory.mktemp("compiled") / "job-end-hook.pyz"))


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    """Return a real service that all tests share."""
    service = LiveService(tmp_path_factory.mktemp("service") / "var")
    yield service
    service.stop()


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()
    yield service
    service.close()


@pytest.fixture
def runner(compiled_hook: str, tmp_path: Path) -> Runner:
    folder = tmp_path / "job"
    folder.mkdir()
    return Runner(compiled_hook, folder)
