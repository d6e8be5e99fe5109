"""A service of its own for a trial: real HTTP on a free port, on SQLite."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from werkzeug.serving import make_server

from jobprov.app.factory import create_app
from jobprov.app.wiring import Service
from jobprov.provenance.db.upkeep.migrating import upgrade


@contextmanager
def running_service(data: Path) -> Iterator[tuple[str, Service]]:
    """Yield the address of a service with its data in this folder, and what it works on."""
    settings = {"JOBPROV_DATA": str(data), "JOBPROV_DATABASE_URL": f"sqlite:///{data}/jobprov.db"}
    upgrade(settings["JOBPROV_DATABASE_URL"])
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request otherwise
    app = create_app(settings)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    service: Service = app.extensions["jobprov"]
    try:
        yield f"http://127.0.0.1:{server.server_port}", service
    finally:
        server.shutdown()
        server.server_close()
        service.close()
