"""A running service for the journeys: real HTTP on a free port, and the built hook.

It runs on SQLite and on PostgreSQL.
"""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from werkzeug.serving import make_server

from jobprov.app.factory import create_app
from jobprov.app.wiring import Service
from tests.library.disk import folder_on_disk, folders_on_disk  # noqa: F401 - fixtures
from tests.library.hook import put_hook


class RunningService(NamedTuple):
    """A service that answers at `url`; `parts` is what it works on."""

    url: str
    parts: Service
    data: Path


@pytest.fixture(scope="session")
def hook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the built hook file."""
    return put_hook(tmp_path_factory.mktemp("hook") / "job-end-hook.pyz")


@pytest.fixture
def running_service(database_url: str, tmp_path: Path) -> Iterator[RunningService]:
    """Yield a service on an empty database and archive, answering on loopback."""
    data = tmp_path / "service"
    app = create_app({"JOBPROV_DATA": str(data), "JOBPROV_DATABASE_URL": database_url})
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    service: Service = app.extensions["jobprov"]
    yield RunningService(f"http://127.0.0.1:{server.server_port}", service, data)
    server.shutdown()
    thread.join()
    server.server_close()
    service.close()
