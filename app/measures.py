"""Counts of requests for `/metrics`, a number for each request, and one log line for some of them.

The line is written for requests that failed or took long.

A worker process counts for itself; Prometheus tells them apart by the label `process`.
"""

import itertools
import logging
import os
import secrets
import threading
import time
from typing import NamedTuple, cast

from flask import Flask, Response, current_app, g, request

from jobprov.provenance.services.writing import ORIGIN, Origin

SLOW_SECONDS = 2.0
_log = logging.getLogger("jobprov.requests")


class Sum(NamedTuple):
    """How many requests of one kind were answered, and how many seconds that took."""

    answers: int
    seconds: float


class Measures:
    """Sums by (method, route, status)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums: dict[tuple[str, str, int], Sum] = {}

    def add(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answer."""
        key = (method, route, status)
        with self._lock:
            count, total = self._sums.get(key, (0, 0.0))
            self._sums[key] = Sum(count + 1, total + seconds)

    def lines(self) -> list[str]:
        """Return the sums as Prometheus reads them.

        Source: its text exposition format, version 0.0.4.
        """
        with self._lock:
            sums = sorted(self._sums.items())
        lines = [
            "# HELP jobprov_requests_total Answers given.",
            "# TYPE jobprov_requests_total counter",
        ]
        lines += [f"jobprov_requests_total{_labels(key)} {value.answers}" for key, value in sums]
        lines += [
            "# HELP jobprov_request_seconds_total Time spent on answers.",
            "# TYPE jobprov_request_seconds_total counter",
        ]
        for key, value in sums:
            lines.append(f"jobprov_request_seconds_total{_labels(key)} {value.seconds:.6f}")
        return lines


def _labels(key: tuple[str, str, int]) -> str:
    method, route, status = key
    route = route.replace("\\", "\\\\").replace('"', '\\"')
    return f'{{process="{os.getpid()}",method="{method}",route="{route}",status="{status}"}}'


def register_measures(app: Flask) -> None:
    """Number and time every request of the application."""
    measures = Measures()
    app.extensions["jobprov-measures"] = measures
    prefix, numbers = secrets.token_hex(4), itertools.count(1)

    def begin() -> None:
        g.request_id = f"{prefix}-{next(numbers)}"
        g.began = time.perf_counter()
        through = "call" if request.path.startswith("/api/") else "page"
        ORIGIN.set(Origin(through, request.remote_addr or "?", g.request_id))

    def forget(_: BaseException | None) -> None:
        ORIGIN.set(None)

    def end(answer: Response) -> Response:
        seconds = time.perf_counter() - g.get("began", time.perf_counter())
        rule = request.url_rule
        route = rule.rule if rule is not None else "(none)"
        method = request.method if rule is not None else "(any)"
        measures.add(method, route, answer.status_code, seconds)
        answer.headers.add("X-Request-Id", g.get("request_id", ""))
        if answer.status_code >= 500 or seconds > SLOW_SECONDS:  # noqa: PLR2004 - HTTP's own number
            _log.warning(
                "%s %s %s %d %.3f s",
                g.get("request_id"),
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
