"""Every JSON answer of the HTTP interface is, byte for byte, what `tests/data/answers/` holds.

Where an answer is meant to change, write the files anew and look at the difference before it is
committed:

    JOBPROV_WRITE_ANSWERS=1 python -m pytest -n 0 tests/app/api/test_app_api_answers_stay.py
"""

import os
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from jobprov.app.factory import create_app
from jobprov.app.wiring import Service
from jobprov.provenance.catalogs.opening import CatalogSettings
from jobprov.provenance.services.background import HANDLERS
from jobprov.provenance.services.catalogs.sync import sync_experiment
from jobprov.provenance.services.erasures.records import ErasureRequest, erase_record
from jobprov.provenance.services.upkeep.cleared_erasures import ErasurePlaces, clear_erased
from jobprov.provenance.services.work.queue import Parts, drain
from tests.library.productions.answer_calls import (
    DATA,
    ERASED_FIELD,
    ERASED_JOB,
    READS,
    Call,
    closing_calls,
    ordering_calls,
    writing_calls,
)
from tests.library.servers.catalogs import SamServer, Shelf, ShelfProcess, ShelfProject
from tests.library.servers.served_app import opened_service
from tests.library.standing_clock import START, Clock, standing_clock

API = "/api/v1"
WRITE = "JOBPROV_WRITE_ANSWERS"
MARK = ">>> "
FILES = ("writing", *READS)
UNSTEADY = {"ticket": "a random token", "request": "a number with a random beginning"}
"""Members whose values differ from run to run, and why; each is replaced by a placeholder."""
NOT_KEPT = {
    "GET /metrics": "Prometheus' text",
    "GET /hook/job-end-hook.pyz": "a program",
    "GET /hook/job-start.sh": "a program",
    "GET /blobs/<sha256>": "bytes that somebody sent",
    "GET /jobs/<job_id>/bundle": "a tar",
    "GET /tasks/<task_id>/bundle": "a tar",
    "GET /campaigns/<path:name>/bundle": "a tar",
    "GET /openapi.json": "a description of the calls, with tests of its own",
}
"""Calls whose good answers are not kept here, and what they answer instead of JSON."""

Answers = dict[str, str]
"""Status, content type and body as text, by the title of the call."""


@pytest.fixture(scope="module")
def clock() -> Iterator[type[Clock]]:
    """Put the clock in the place of `datetime` in every module of the package."""
    with standing_clock() as clock:
        yield clock


@pytest.fixture(scope="module")
def app(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, clock: type[Clock]
) -> Iterator[Flask]:
    """Yield the application on an empty SQLite database, at the time of the clock."""
    assert clock.moment == START
    folder = tmp_path_factory.mktemp("answers")
    with opened_service(sqlite_template, folder, JOBPROV_ARCHIVE_URL="memory:") as service:
        yield create_app(service.settings, service=service)


@pytest.fixture(scope="module")
def answers(app: Flask, clock: type[Clock]) -> dict[str, Answers]:
    """Return the answers of now by file: the production is written, then read."""
    service: Service = app.extensions["jobprov"]
    client = app.test_client()
    writing = _Caller(client, clock)
    for call in writing_calls():
        writing.ask(call)
    _work(service)
    _compare_catalog(service)
    for call in ordering_calls():
        writing.ask(call)
    _work(service)
    found = {"writing": writing.answers}
    for file, addresses in READS.items():
        reading = _Caller(client)
        for address in addresses:
            reading.ask(Call("GET", address))
        _work(service)
        found[file] = reading.answers
    _erase(service)
    for call in closing_calls():
        writing.ask(call)
    return found


class _Caller:
    """Makes calls and keeps their answers.

    Attributes:
        clock: moved a minute before each call; None where time stands still.
    """

    def __init__(self, client: FlaskClient, clock: type[Clock] | None = None) -> None:
        self.answers: Answers = {}
        self._client = client
        self._clock = clock
        self._last: dict[str, str] = {}

    def ask(self, call: Call) -> None:
        """Make the call and keep its answer under its title."""
        if self._clock is not None:
            self._clock.moment += timedelta(minutes=1)
        address = API + call.address
        for name, value in self._last.items():
            address = address.replace(f"{{{name}}}", value)
        assert "{" not in address, f"{call.title}: the answer before does not say it"
        sent: dict[str, Any] = {"data": call.body} if isinstance(call.body, bytes) else {}
        if not sent and call.body is not None:
            sent = {"json": call.body}
        answer = self._client.open(address, method=call.method, **sent)
        body = answer.get_data(as_text=True)
        assert answer.status_code < 500, body
        assert call.title not in self.answers, f"{call.title}: each call needs a title of its own"
        self.answers[call.title] = (
            f"{answer.status_code} {answer.content_type}\n{_without_unsteady(body)}"
        )
        self._last = _links(answer.get_json(silent=True))


def _links(document: Any) -> dict[str, str]:
    """Return what addresses of the next call may name: the next page, and the first recipe."""
    if not isinstance(document, dict):
        return {}
    links = {}
    if document.get("next"):
        links["next"] = document["next"]
    if isinstance(document.get("recipes"), list) and document["recipes"]:
        links["recipe_id"] = document["recipes"][0]["recipe_id"]
    return links


def _without_unsteady(body: str) -> str:
    for member in UNSTEADY:
        body = re.sub(rf'"{member}":"[^"]*"', f'"{member}":"<{member}>"', body)
    return body


def _work(service: Service) -> None:
    """Do the work of the background that waits."""
    mirrors = service.settings.data / "git"
    drain(Parts(service.database, service.writer, service.store, mirrors), HANDLERS)


def _compare_catalog(service: Service) -> None:
    """Compare task t1 with a SAM that lacks an output and has another size of one.

    SAM was also told of a failure.
    """
    shelf = Shelf()
    units = [f"a{number}.root" for number in range(6)]
    for unit in units:
        shelf.add(unit)
    for number, size in ((0, 101), (1, 8), (2, 9)):
        shelf.add(
            f"b{number}.root",
            parents=[units[number]],
            size_bytes=size,
            metadata={"prov.task_id": "t1"},
        )
    shelf.snapshots[1] = units
    shelf.projects["p1"] = ShelfProject(
        1,
        [ShelfProcess(8, "81.1@sched", "wn2", "bad", {units[3]: "delivered"})],
    )
    server = SamServer(shelf)
    catalogs = {"nova": CatalogSettings(kind="sam", url=server.url)}
    sync_experiment(service.database, service.writer, service.store, catalogs, "nova", seconds=60)
    server.close()


def _erase(service: Service) -> None:
    """Erase a variable from the record of a job."""
    wanted = ErasureRequest(ERASED_JOB, "Eve", "it slipped through", fields=(ERASED_FIELD,))
    erased = service.write(lambda writing: erase_record(writing, wanted))
    clear_erased(
        ErasurePlaces(service.database, service.writer, service.store),
        "nova",
        entries=[entry.id for entry in erased.entries],
        digests=sorted(erased.digests),
    )


def _path(file: str) -> Path:
    return DATA / f"{file}.txt"


def _read(file: str) -> Answers:
    """Return the committed answers of a file, in order."""
    content = _path(file).read_bytes().decode().removesuffix("\n")
    blocks = f"\n{content}".split(f"\n{MARK}")[1:]
    pairs = [block.split("\n", maxsplit=1) for block in blocks]
    return dict(pairs)


def _write(file: str, answers: Answers) -> None:
    blocks = [f"{MARK}{title}\n{text}\n" for title, text in answers.items()]
    _path(file).write_bytes("".join(blocks).encode())


def _first_difference(kept: str, now: str) -> str:
    """Return where two answers part: pytest's own comparison of such long lines takes minutes."""
    same = 0
    while kept[same : same + 1] == now[same : same + 1]:
        same += 1
    start = max(0, same - 60)
    return f"  kept: …{kept[start : same + 80]!r}\n  now:  …{now[start : same + 80]!r}"


@pytest.mark.parametrize("file", FILES)
def test_answers_are_byte_for_byte_those_that_are_kept(
    answers: dict[str, Answers], file: str
) -> None:
    if os.environ.get(WRITE):
        _write(file, answers[file])

    kept = _read(file)

    assert list(answers[file]) == list(kept), f"other calls: {WRITE}=1 writes their answers"
    changed = [
        f"{title}\n{_first_difference(kept[title], text)}"
        for title, text in answers[file].items()
        if text != kept[title]
    ]
    assert not changed, "\n".join(changed)


def test_every_call_has_a_good_answer_among_those_that_are_kept(
    app: Flask, answers: dict[str, Answers]
) -> None:
    adapter = app.url_map.bind("localhost")
    answered = set()
    for answers_of_file in answers.values():
        for title, text in answers_of_file.items():
            method, address = title.split("  # ")[0].split(" ")
            path = API + address.partition("?")[0]
            if text.startswith("2"):
                rule, _ = adapter.match(path, method, return_rule=True)
                answered.add(f"{method} {rule.rule.removeprefix(API)}")

    assert _all_calls(app) - answered == set(NOT_KEPT)


def _all_calls(app: Flask) -> set[str]:
    """Return method and path of every call of the API."""
    calls = set()
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith(f"{API}/"):
            methods = set(rule.methods or ()) - {"HEAD", "OPTIONS"}
            calls |= {f"{method} {rule.rule.removeprefix(API)}" for method in methods}
    return calls
