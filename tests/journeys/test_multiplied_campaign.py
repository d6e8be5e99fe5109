"""A campaign whose rows were multiplied answers as if all of it had been recorded."""

import json
import random
import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select, text

from benchmarks.multiplying import renamed, renamed_job
from benchmarks.running.places import Place
from benchmarks.ten_million import multiply, record
from jobprov.app.config import load_settings
from jobprov.app.factory import create_app
from jobprov.app.wiring import Service, open_service
from jobprov.provenance.db.tables import Base, Job
from jobprov.provenance.db.upkeep.migrating import upgrade

RECORDED, COPIES, COPY = 600, 3, 2
RAW = "nova_r00000_s0050.raw.root"
RECO = "nova_r00000_s0050.reco.root"
CAF = "nova_t0000_m001.caf.root"
TASK = "nova-prod5-reco-0000"


@pytest.fixture(scope="module")
def place(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Return a database with 600 recorded jobs, three times."""
    folder = tmp_path_factory.mktemp("multiplied")
    url = module_database_url
    if url.startswith("sqlite"):
        url = f"sqlite:///{folder / 'jobprov.db'}"
        upgrade(url)
    place = Place(url.partition(":")[0].partition("+")[0], url, folder, None)
    record(place, RECORDED)
    multiply(place, RECORDED, COPIES)
    return place


@pytest.fixture(scope="module")
def service(place: Place) -> Iterator[Service]:
    opened = open_service(load_settings({**place.settings, "JOBPROV_REQUESTS_A_MINUTE": "0"}))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def client(service: Service) -> FlaskClient:
    return create_app(service.settings, service=service).test_client()


@pytest.mark.slow
def test_every_row_refers_to_one_that_is_there(service: Service) -> None:
    """Foreign keys were not checked when rows were copied."""
    with service.reading() as connection:
        for table in Base.metadata.sorted_tables:
            for key in table.foreign_keys:
                column, target = key.parent, key.column
                lost = select(func.count()).where(
                    column.is_not(None), column.not_in(select(target))
                )
                assert connection.execute(lost).scalar_one() == 0, f"{table.name}.{column.name}"
        assert connection.execute(select(func.count()).select_from(Job)).scalar_one() == 1800


@pytest.mark.slow
@pytest.mark.parametrize(
    "question",
    [
        "/api/v1/files/{file}?experiment=nova",
        "/api/v1/files/{caf}/ancestors?experiment=nova",
        "/api/v1/files/{caf}/lineage?experiment=nova&direction=ancestors",
        "/api/v1/files/{raw}/descendants?experiment=nova",
        "/api/v1/files/{raw}/lineage?experiment=nova&direction=descendants",
        "/api/v1/tasks/{task}?experiment=nova",
        "/api/v1/jobs?experiment=nova&task_id={task}&limit=500",
        "/api/v1/search?q={file}",
    ],
)
def test_an_answer_about_a_copy_is_that_of_the_original_but_for_names(
    client: FlaskClient, service: Service, question: str
) -> None:
    job_ids = _job_ids(service)
    original = _answer(client, question, copy=0)
    copied = _answer(client, question, copy=COPY)

    expected = _renamed(original, job_ids)

    assert _comparable(copied) == _comparable(expected)
    assert copied != original


@pytest.mark.slow
def test_a_page_of_a_copy_shows_the_copy(client: FlaskClient, service: Service) -> None:
    """The record itself is the original's: the ledger is shared."""
    chance = random.Random(1)  # noqa: S311 - has to repeat, not to be secret
    for job_id in chance.sample(_job_ids(service), 5):
        assert client.get(f"/jobs/{job_id}").status_code == 200
        assert client.get(f"/jobs/{renamed_job(job_id, COPY)}").status_code == 200
    page = client.get(f"/files/{renamed(RECO, COPY)}?experiment=nova")
    assert page.status_code == 200
    assert renamed(RECO, COPY) in page.text


@pytest.mark.slow
def test_parts_of_names_are_found_in_copies(client: FlaskClient) -> None:
    found = client.get("/api/v1/search?q=00200_s0050.rec").json
    assert found is not None
    assert renamed(RECO, COPY) in str(found)


@pytest.mark.slow
def test_recording_goes_on_after_the_copies(place: Place) -> None:
    record(place, RECORDED * COPIES + 50)

    service = open_service(load_settings(place.settings))
    with service.reading() as connection:
        assert connection.execute(select(func.count()).select_from(Job)).scalar_one() == 1850
        if service.database.is_sqlite:
            assert connection.execute(text("PRAGMA integrity_check")).scalar_one() == "ok"
    service.close()


def _job_ids(service: Service) -> list[str]:
    """Return the ids of the jobs that were recorded."""
    with service.reading() as connection:
        return list(
            connection.execute(
                select(Job.uuid).where(Job.id <= RECORDED).order_by(Job.id)
            ).scalars()
        )


def _answer(client: FlaskClient, question: str, copy: int) -> Any:
    names = {"file": RECO, "caf": CAF, "raw": RAW, "task": TASK}
    path = question.format(**{word: renamed(name, copy) for word, name in names.items()})
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json


def _renamed(answer: Any, job_ids: list[str]) -> Any:
    """Return an answer about an original with the names of a copy."""
    if isinstance(answer, dict):
        return {name: _renamed(value, job_ids) for name, value in answer.items()}
    if isinstance(answer, list):
        return [_renamed(value, job_ids) for value in answer]
    if not isinstance(answer, str):
        return answer
    answer = re.sub(r"^(8\d{4}\.\d+@)", rf"{COPY}\1", answer)  # ids of batch jobs
    for job_id in job_ids:
        if job_id in answer:
            return renamed(answer.replace(job_id, renamed_job(job_id, COPY)), COPY)
    return renamed(answer, COPY)


_MOMENT = re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d UTC\b")
_MOVED = frozenset({"next"})
"""What is another in each copy, beside moments: cursors."""


def _comparable(answer: Any) -> Any:
    """Return an answer without moments and without the keys of rows, which also order a graph."""
    return _plain(answer, _labels(answer))


def _labels(answer: Any) -> dict[str, str]:
    """Return what stands for the key of each node of a graph."""
    labels = {}
    for node in answer.get("nodes", ()):
        rest = {name: value for name, value in node.items() if name != "key"}
        labels[node["key"]] = json.dumps(_plain(rest, {}), sort_keys=True)
    return labels


def _plain(answer: Any, labels: dict[str, str]) -> Any:
    if isinstance(answer, dict):
        return {
            name: _plain(value, labels)
            for name, value in answer.items()
            if name not in _MOVED and not name.endswith("_at")
        }
    if isinstance(answer, list):
        plain = [_plain(value, labels) for value in answer]
        return sorted(plain, key=lambda value: json.dumps(value, sort_keys=True))
    if isinstance(answer, float):
        return round(answer, 6)  # a sum depends on the order of its rows
    if isinstance(answer, str):
        return labels.get(answer, _MOMENT.sub("a moment", answer))
    return answer
