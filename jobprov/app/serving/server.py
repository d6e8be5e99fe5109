"""Serves the application by gunicorn with threads, embedded in this process.

So one command checks the schema and serves.

One worker on SQLite: a process has one writer thread, and SQLite one writer. Background work
(resolving code, looking at waiting jobs again) runs in a thread of each worker; it is leased, so
that workers share it. SIGTERM finishes what is under way. Source: gunicorn's documentation, "Custom
Application", "Settings", "Server Hooks".
"""

import ctypes
import gc
import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication

from jobprov.app.config import Settings
from jobprov.app.errors import explains_itself, reason_of
from jobprov.app.factory import create_app
from jobprov.app.measures import shared_measures
from jobprov.app.moments import SEAL, note_done
from jobprov.app.serving.arbiter import WaitingArbiter
from jobprov.app.serving.claims import wait_for_address
from jobprov.app.serving.waiting import Waiting
from jobprov.app.serving.worker import allowed_connections, worker_of
from jobprov.app.wiring import Service
from jobprov.provenance.db.connections.engines import open_database
from jobprov.provenance.db.connections.standby import Standby
from jobprov.provenance.db.upkeep.housekeeping import refresh_statistics
from jobprov.provenance.errors import BadInputError, ProvenanceError
from jobprov.provenance.services.alerts.rounds import run_alerts
from jobprov.provenance.services.background import HANDLERS
from jobprov.provenance.services.kept_answers.counting import enqueue_first_counts
from jobprov.provenance.services.recording.rederivation import enqueue_derivation
from jobprov.provenance.services.upkeep.sealing import seal_all
from jobprov.provenance.services.work.queue import drain

DRAIN_SECONDS = 30
SEAL_SECONDS = 3600.0
COUNT_SECONDS = 600.0
FIRST_COUNT_SECONDS = 60.0
"""After a start those are answered first who waited for it.

Pages take two or three times as long while a large campaign is counted.
"""
STATISTICS_SECONDS = 10.0
PAUSE_SECONDS = 1.0
ALERT_SECONDS = 10.0
_LONGEST_LINE = (
    8190  # gunicorn's utmost: a name of 3,000 bytes stands in an address with three letters a byte
)
_LONGEST_BODY = 64 << 20  # of a call that is not a blob: the report of a queue
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - where it is there, gunicorn's heartbeat costs no disk
_log = logging.getLogger("jobprov.serving")
_M_ARENA_MAX = -8
"""Source: malloc.h of glibc, and mallopt(3)."""


class Server(BaseApplication):  # type: ignore[misc]  # the package has no types
    """gunicorn, configured by our settings alone.

    Args:
        settings: of the service.
        ready: called with the service's address once it listens.
    """

    def __init__(self, settings: Settings, ready: Callable[[str], None]) -> None:
        self._settings = settings
        self._ready = ready
        super().__init__()

    def load_config(self) -> None:
        """Set gunicorn up."""
        for name, value in self._options().items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Return the application.

        This is called in the worker, so that a fork shares nothing that was opened.
        """
        return create_app(self._settings)

    def run(self) -> None:
        """Serve until a signal ends it; gunicorn exits the process."""
        WaitingArbiter(self).run()

    def _listening(self, arbiter: Any) -> None:
        self._ready(_address(arbiter))

    def _longest_body(self) -> int:
        return max(_LONGEST_BODY, self._settings.blob_limit_bytes)

    def _options(self) -> dict[str, Any]:
        settings = self._settings
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        return {
            "bind": f"{host}:{settings.port}",
            "workers": settings.workers,
            "threads": settings.threads,
            "worker_class": worker_of(settings.data, self._longest_body()),
            "worker_connections": allowed_connections(),
            "sendfile": False,  # it would wait for the client
            "limit_request_line": _LONGEST_LINE,
            "keepalive": 15,
            "graceful_timeout": DRAIN_SECONDS,
            "timeout": 120,
            "worker_tmp_dir": _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK) else None,
            "control_socket_disable": True,  # else it writes into the home folder
            "proc_name": "jobprov",
            "loglevel": "warning",
            "when_ready": self._listening,
            "post_worker_init": _begin_work,
            "worker_exit": _close_service,
        }


def serve(settings: Settings, ready: Callable[[str], None]) -> None:
    """Serve until a signal ends it; never returns normally (gunicorn exits the process).

    Raises:
        BadInputError: more than one worker on SQLite, or a standby that cannot be one.
        UnreachableError: it cannot listen there.
    """
    if settings.workers > 1 and settings.database_url.startswith("sqlite"):
        raise BadInputError(
            "SQLite has one writer: more than one worker needs PostgreSQL (JOBPROV_DATABASE_URL).",
            {"JOBPROV_WORKERS": ["1 on SQLite"]},
        )
    if settings.database_read_url:
        # Workers open it, each its own; what is wrong with the address is told here
        database = open_database(settings.database_url)
        Standby(settings.database_read_url, database, settings.database_read_lag).dispose()
        database.dispose()
    share_arena()
    logging.basicConfig(
        format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO
    )
    wait_for_address(settings.host, settings.port)
    server = Server(settings, ready)
    gc.freeze()  # modules stay, and workers share their memory: nobody looks for garbage among them
    with shared_measures(settings.workers):
        server.run()


def _address(arbiter: Any) -> str:
    """Return where the service listens, with the port that it got."""
    return str(arbiter.LISTENERS[0])


def work_until(service: Service, stop: threading.Event) -> None:
    """Work in the background until told to stop.

    Do what becomes due, seal the ledger every hour, and look at what grew now and then.
    """
    parts = service.parts()
    seal_at = time.monotonic() + SEAL_SECONDS
    count_at, look_at = time.monotonic() + FIRST_COUNT_SECONDS, time.monotonic()
    is_current = False
    waiting = Waiting(_log, "background work")
    while not stop.is_set():
        try:
            if time.monotonic() > look_at:
                refresh_statistics(parts.database)
                look_at = time.monotonic() + STATISTICS_SECONDS
            if time.monotonic() > count_at:
                enqueue_first_counts(parts)
                count_at = time.monotonic() + COUNT_SECONDS
            if not is_current:
                enqueue_derivation(parts)
                is_current = True  # or will be: the work is noted
            drain(parts, HANDLERS, until=stop.is_set)
            if time.monotonic() > seal_at:
                # Also where one fails: the others need no segment every second
                seal_at = time.monotonic() + SEAL_SECONDS
                seal_all(parts.database, parts.writer, service.store)
                note_done(service.settings.data, SEAL)
            waiting.over()
        # The service goes on without; the item's lease runs out and it is tried again
        except Exception as problem:  # noqa: BLE001
            if explains_itself(problem):
                waiting.because(reason_of(problem))
            else:
                _log.exception("background work failed")
        stop.wait(PAUSE_SECONDS)


def watch_until(service: Service, stop: threading.Event) -> None:
    """Look at rules of alerts, and send their messages, until told to stop.

    In a thread of its own: a receiver that hangs holds up no other work.
    """
    parts = service.parts()
    waiting = Waiting(_log, "looking for alerts")
    while not stop.wait(ALERT_SECONDS):
        settings = service.alerts()
        if settings is None:
            return
        try:
            run_alerts(parts, settings)
            waiting.over()
        except Exception as problem:  # noqa: BLE001 - the service goes on without
            # Also a file of rules that somebody is editing: it is read each time, and right soon
            if explains_itself(problem) or isinstance(problem, ProvenanceError):
                waiting.because(reason_of(problem))
            else:
                _log.exception("alerts failed")


def _begin_work(worker: Any) -> None:
    service = worker.wsgi.extensions["jobprov"]
    stop = threading.Event()
    threads = []
    for name, work in (("jobprov-work", work_until), ("jobprov-alerts", watch_until)):
        thread = threading.Thread(target=work, args=(service, stop), name=name, daemon=True)
        threads.append(thread)
        thread.start()
    worker.jobprov_work = (stop, threads)
    spare_collections()


def _close_service(_server: Any, worker: Any) -> None:
    """Let background work stop before the worker goes.

    What the writer still holds is written too.
    """
    if not hasattr(worker, "jobprov_work"):
        return
    stop, threads = worker.jobprov_work
    stop.set()
    give_up_at = time.monotonic() + DRAIN_SECONDS / 2
    for thread in threads:
        thread.join(max(0.0, give_up_at - time.monotonic()))
    worker.wsgi.extensions["jobprov"].close()


def share_arena() -> None:
    """Have all threads take memory from one place; call it before there are any.

    Other C libraries than glibc do so already.

    glibc gives each thread a place of its own, and what a batch took from one is kept there when it
    is over: a service of eight threads held 30 MB more.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def spare_collections() -> None:
    """Look for cycles seldom, and never among what start-up made.

    A batch's records are many objects and none of them cyclic.

    With Python's own thresholds a fifth of the time of recording goes into looking.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
