"""The demo production, recorded once for all tests of a process that need one.

It runs as `jobprov demo` runs it: real programs under the built hook, over real HTTP. That takes a
minute and a half of CPU, so what it left is copied. The folder in which it ran is gone, as a
release is after some years: nothing that reads a copy finds a file where a record says it lay.
"""

import atexit
import functools
import shutil
import tempfile
import threading
from pathlib import Path
from typing import NamedTuple

import pytest
from werkzeug.serving import make_server

from jobprov.app.factory import create_app
from jobprov.app.wiring import Service
from jobprov.provenance.db.upkeep.migrating import upgrade
from jobprov.provenance.services.background import HANDLERS
from jobprov.provenance.services.code.repositories import register_repository
from jobprov.provenance.services.demo.production import DemoReport, run_demo
from jobprov.provenance.services.work.queue import Parts, drain
from tests.library.hook import put_hook


class RecordedDemo(NamedTuple):
    """A production that was recorded.

    Attributes:
        report: what ran.
        ran_in: the folder in which it ran, which is gone.
        kept: where the service's folder lies now; not to be changed.
    """

    report: DemoReport
    ran_in: Path
    kept: Path

    def copy_to(self, data: Path) -> None:
        """Copy the service's folder, with database, archive and code mirror, to a new place."""
        shutil.copytree(self.kept, data)


@functools.cache
def recorded_demo() -> RecordedDemo:
    """Return the production; the first call runs it."""
    # on disk: the hook passes over files in memory, as jobs keep none there
    root = Path(tempfile.mkdtemp(prefix="jobprov-recorded-demo-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    data, kept = root / "service", root / "kept"
    data.mkdir()
    settings = service_settings(data)
    upgrade(settings["JOBPROV_DATABASE_URL"])
    app = create_app(settings)
    service: Service = app.extensions["jobprov"]
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hook = put_hook(root / "job-end-hook.pyz")
    # jobs that nobody traced record the settings in their home: not those of whoever runs tests
    home = root / "home"
    home.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        report = _record(service, f"http://127.0.0.1:{server.server_port}", data, hook)
    server.shutdown()
    server.server_close()
    service.close()
    data.rename(kept)
    return RecordedDemo(report, data, kept)


def service_settings(data: Path) -> dict[str, str]:
    """Return the settings of a service with a folder of its own, on SQLite."""
    return {"JOBPROV_DATA": str(data), "JOBPROV_DATABASE_URL": f"sqlite:///{data}/jobprov.db"}


def _record(service: Service, url: str, data: Path, hook: Path) -> DemoReport:
    def register(name: str, path: str) -> None:
        service.write(lambda writing: register_repository(writing, name, path))

    report = run_demo(
        url=url,
        token=None,
        data=data,
        hook=hook,
        report=lambda _line: None,
        register_repository=register,
    )
    assert report.unrecorded == []
    assert report.unsent == 0
    assert drain(Parts(service.database, service.writer, service.store, data / "git"), HANDLERS) > 0
    return report
