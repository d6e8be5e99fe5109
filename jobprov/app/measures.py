"""What a process counts for `/metrics`, a number for each request, and a log line for some of them.

The line is written for requests that failed or took long.

Worker processes count into files that they share (`shared_measures`), so that whichever of them is
asked answers for all. Source: prometheus-client, "Multiprocess Mode".
"""

import itertools
import logging
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, cast

from flask import Flask, Response, current_app, g, request
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Summary,
    disable_created_metrics,
    values,
)
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from jobprov.provenance.services.writing import ORIGIN, Origin

SLOW_SECONDS = 2.0
_SHARED = "PROMETHEUS_MULTIPROC_DIR"
_log = logging.getLogger("jobprov.requests")


class _Begun(NamedTuple):
    """The number of a request, and when it came by the clock of `time.perf_counter`."""

    number: str
    at: float


class Measures:
    """Counts of one application.

    Attributes:
        wrong_tokens, failed_logins: that were refused.
        limited_requests: refused because their callers had sent too many.
        reads: requests by the server that they were to read from, where a standby is set.
    """

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._requests = Summary(
            "jobprov_request_seconds",
            "Requests answered, and the seconds that they took.",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self.wrong_tokens = Counter(
            "jobprov_wrong_tokens",
            "Tokens that were unknown, expired or revoked.",
            registry=self._registry,
        )
        self.failed_logins = Counter(
            "jobprov_failed_logins", "Logins that failed.", registry=self._registry
        )
        self.limited_requests = Counter(
            "jobprov_limited_requests",
            "Requests refused because their callers had sent too many.",
            registry=self._registry,
        )
        self.reads = Counter(
            "jobprov_reads",
            "Requests that read the database, by the server that was to answer, where a standby is set.",
            ["server"],
            registry=self._registry,
        )

    def add(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answer."""
        self._requests.labels(method, route, status).observe(seconds)

    def collector(self) -> Collector:
        """Return what was counted, by all worker processes."""
        if _SHARED not in os.environ:
            return self._registry
        shared = CollectorRegistry()
        MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
        return shared


@contextmanager
def shared_measures(workers: int) -> Iterator[None]:
    """Have worker processes that are started within count together; one counts in memory.

    The files are small, and removed by the process that began, not by a worker that ends.
    """
    if workers == 1:
        yield
        return
    owner, folder = os.getpid(), tempfile.mkdtemp(prefix="jobprov-measures-")
    os.environ[_SHARED] = folder
    # It was decided when the package was imported, which is long ago
    values.ValueClass = values.get_value_class()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if os.getpid() == owner:
            shutil.rmtree(folder, ignore_errors=True)


def register_measures(app: Flask) -> None:
    """Number and time every request of the application."""
    measures = Measures()
    app.extensions["jobprov-measures"] = measures
    prefix, numbers = secrets.token_hex(4), itertools.count(1)

    def begin() -> None:
        begun = _Begun(f"{prefix}-{next(numbers)}", time.perf_counter())
        g.begun = begun
        g.request_id = begun.number  # which errors name
        through = "call" if request.path.startswith("/api/") else "page"
        ORIGIN.set(Origin(through, request.remote_addr or "?", begun.number))

    def forget(_: BaseException | None) -> None:
        ORIGIN.set(None)

    def end(answer: Response) -> Response:
        now = time.perf_counter()
        begun: _Begun = g.get("begun") or _Begun("", now)
        seconds = now - begun.at
        rule = request.url_rule
        route = rule.rule if rule is not None else "(none)"
        method = request.method if rule is not None else "(any)"
        measures.add(method, route, answer.status_code, seconds)
        answer.headers.add("X-Request-Id", begun.number)
        if answer.status_code >= 500 or seconds > SLOW_SECONDS:  # noqa: PLR2004 - HTTP's own number
            _log.warning(
                "%s %s %s %d %.3f s",
                begun.number,
                request.method,
                request.path,
                answer.status_code,
                seconds,
            )
        return answer

    app.before_request(begin)
    app.after_request(end)
    app.teardown_request(forget)


def get_measures() -> Measures:
    """Return the sums of the running application."""
    return cast("Measures", current_app.extensions["jobprov-measures"])
