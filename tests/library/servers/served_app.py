"""Services of ours in this process, and an application on a free port of loopback."""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.serving import make_server

from jobprov.app.config import load_settings
from jobprov.app.wiring import Service, open_service

AppOn = Callable[[Service], Flask]
"""Has the one application answer from a service."""


@contextmanager
def opened_service(template: Path, folder: Path, **settings: str) -> Iterator[Service]:
    """Yield a service on an empty SQLite database in a folder, a copy of this template."""
    folder.mkdir(exist_ok=True)
    shutil.copy(template, folder / "jobprov.db")
    service = open_service(load_settings({"JOBPROV_DATA": str(folder), **settings}, {}))
    try:
        yield service
    finally:
        service.close()


@contextmanager
def answering_from(bare_app: Flask, service: Service) -> Iterator[Flask]:
    """Have the one application answer from a service.

    Whatever a request keeps in the application, such as answers for pages, is forgotten with it.
    """
    extensions = {**bare_app.extensions, "jobprov": service}
    bare_app.extensions["jobprov-measures"]._requests.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bare_app, "extensions", extensions)
        yield bare_app


@contextmanager
def empty_service(database_url: str, data: Path) -> Iterator[Service]:
    """Yield a service on an empty database, with an archive in memory."""
    settings = {
        "JOBPROV_DATA": str(data),
        "JOBPROV_DATABASE_URL": database_url,
        "JOBPROV_ARCHIVE_URL": "memory:",
    }
    service = open_service(load_settings(settings))
    yield service
    service.close()


def served(app: Flask) -> Iterator[str]:
    """Serve an application on a free port; each answer is read and closed before it is sent.

    werkzeug's server does not close one whose browser went on: reading what is left of the line
    fails before.
    """

    def whole(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        with closing(app(environ, start_response)) as parts:  # type: ignore[type-var]
            return list(parts)

    server = make_server("127.0.0.1", 0, whole, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
