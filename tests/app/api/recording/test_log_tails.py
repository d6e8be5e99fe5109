"""Ends of logs of running jobs: appended, bounded, superseded by the record."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from jobprov.app.wiring import Service
from jobprov.provenance.db.tables import Job, LogTailPiece
from jobprov.provenance.services.intake import log_tails
from jobprov.provenance.services.intake.log_tails import KEPT_BYTES, Chunk, append_tail, sweep
from tests.library.answers import assert_problem
from tests.library.databases import on_sqlite_alone
from tests.library.records import JOB, a_record, sha256

NewToken = Callable[..., dict[str, str]]
PUT = f"/api/v1/jobs/{JOB}/logs/stdout"
WHOLE = b"begins\nsecond line\nends\n"


@pytest.fixture
def running(client: FlaskClient) -> FlaskClient:
    """Return a client of a service that knows of a running job."""
    record = {
        key: value
        for key, value in a_record(state="running").items()
        if key not in ("ended_at", "exit")
    }
    assert client.put(f"/api/v1/jobs/{JOB}", json=record).status_code == 201
    return client


def put(client: FlaskClient, data: bytes, offset: int, **more: Any) -> Any:
    return client.put(f"{PUT}?offset={offset}", data=data, **more)


def test_end_of_a_running_jobs_log_grows_and_is_shown_as_such(running: FlaskClient) -> None:
    first = put(running, b"begins\n", 0)
    second = put(running, b"second line\n", 7)
    again = put(running, b"second line\n", 7)  # the client gave up before our answer came

    assert [answer.get_json()["received_bytes"] for answer in (first, second, again)] == [7, 19, 19]
    assert running.get(PUT).data == b"begins\nsecond line\n"
    assert running.get(f"{PUT}?tail=1").data == b"second line\n"
    [tail] = running.get(f"/api/v1/jobs/{JOB}").get_json()["log_tails"]
    assert (tail["name"], tail["start"], tail["end"]) == ("stdout", 0, 19)
    page = running.get(f"/jobs/{JOB}/logs/stdout").text
    assert "while the job ran" in page
    assert "The complete log comes with the job's record" in page
    assert "second line" in page
    assert "The log so far" in page
    assert "The whole log" not in page
    assert "+00:00" not in page.split("while the job ran")[1][:60]
    assert "Logs so far" in running.get(f"/jobs/{JOB}").text


def test_a_log_that_came_empty_grows(running: FlaskClient) -> None:
    empty = put(running, b"", 0)
    again = put(running, b"", 0)
    first = put(running, b"begins\n", 0)
    second = put(running, b"second line\n", 7)

    answers = [empty, again, first, second]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert [answer.get_json()["received_bytes"] for answer in answers] == [0, 0, 7, 19]
    assert running.get(PUT).data == b"begins\nsecond line\n"


@pytest.mark.slow
def test_log_of_the_final_record_takes_its_place(running: FlaskClient) -> None:
    put(running, b"begins\n", 0)
    running.put(f"/api/v1/blobs/{sha256(WHOLE)}", data=WHOLE)
    log = {"name": "stdout", "sha256": sha256(WHOLE), "size_bytes": len(WHOLE)}
    assert running.put(f"/api/v1/jobs/{JOB}", json=a_record(logs=[log])).status_code == 200

    late = put(running, b"second line\n", 7)

    assert_problem(late, 409)
    assert running.get(PUT).data == WHOLE
    assert running.get(f"/api/v1/jobs/{JOB}").get_json()["log_tails"] == []
    assert "while the job ran" not in running.get(f"/jobs/{JOB}/logs/stdout").text


@pytest.mark.parametrize("is_batch", [False, True])
def test_end_stays_where_the_records_log_never_came(
    running: FlaskClient, *, is_batch: bool
) -> None:
    put(running, b"begins\n", 0)
    record = a_record(logs=[{"name": "stdout", "sha256": sha256(WHOLE), "size_bytes": len(WHOLE)}])
    if is_batch:
        running.post("/api/v1/jobs/batch", json={"jobs": [record]})
    else:
        running.put(f"/api/v1/jobs/{JOB}", json=record)

    assert running.get(PUT).data == b"begins\n"


def test_killed_job_keeps_what_it_said_last(running: FlaskClient) -> None:
    put(running, b"last words\n", 0)
    killed = a_record(state="killed", witness="history", logs=None)
    assert running.put(f"/api/v1/jobs/{JOB}", json=killed).status_code == 201

    page = running.get(f"/jobs/{JOB}/logs/stdout").text

    assert "last words" in page


def test_last_256_kilobytes_are_kept_and_what_did_not_arrive_is_said(running: FlaskClient) -> None:
    put(running, b"a" * KEPT_BYTES, 0)
    answer = put(running, b"b" * 100, KEPT_BYTES + 50)

    text = running.get(PUT).data
    assert answer.get_json()["received_bytes"] == KEPT_BYTES + 150
    assert len(text) == KEPT_BYTES
    assert text.endswith(b"a\n[jobprov: 50 bytes did not arrive]\n" + b"b" * 100)
    assert_problem(put(running, b"a" * (KEPT_BYTES + 1), 0), 413)


def test_earlier_piece_again_changes_nothing(running: FlaskClient) -> None:
    put(running, b"a" * 10, 0)
    put(running, b"b" * 10, 10)

    answers = [
        put(running, b"a" * 10, 0),
        put(running, b"a" * 5 + b"b" * 3, 5),
        put(running, b"b" * 10, 10),
    ]

    assert [answer.get_json()["received_bytes"] for answer in answers] == [20, 20, 20]
    assert running.get(PUT).data == b"a" * 10 + b"b" * 10


def test_piece_from_before_what_is_kept_changes_nothing(running: FlaskClient) -> None:
    put(running, b"a" * KEPT_BYTES, 0)
    put(running, b"b" * KEPT_BYTES, KEPT_BYTES)

    answer = put(running, b"a" * KEPT_BYTES, 0)

    assert answer.get_json()["received_bytes"] == 2 * KEPT_BYTES
    assert running.get(PUT).data == b"b" * KEPT_BYTES


def test_late_piece_fills_its_gap_and_pieces_around_one_may_come_again(
    running: FlaskClient,
) -> None:
    put(running, b"a" * 10, 0)
    put(running, b"c" * 10, 20)
    put(running, b"a" * 10, 0)
    assert (
        running.get(PUT).data == b"a" * 10 + b"\n[jobprov: 10 bytes did not arrive]\n" + b"c" * 10
    )

    answer = put(running, b"b" * 10, 10)

    assert answer.get_json()["received_bytes"] == 30
    assert running.get(PUT).data == b"a" * 10 + b"b" * 10 + b"c" * 10


def test_log_that_is_written_anew_takes_the_place_of_the_old_one(running: FlaskClient) -> None:
    put(running, b"first try, and long\n", 0)

    assert put(running, b"second\n", 0).get_json()["received_bytes"] == 7
    assert running.get(PUT).data == b"second\n"


@pytest.mark.slow
def test_log_of_many_gaps_stays_in_few_pieces(running: FlaskClient, service: Service) -> None:
    for number in range(80):
        assert put(running, b"x", 3 * number).get_json()["received_bytes"] == 3 * number + 1
    with service.reading() as connection:
        assert len(connection.execute(select(LogTailPiece.start)).all()) <= 32


def test_secret_is_refused(running: FlaskClient) -> None:
    assert_problem(put(running, b"password=hunter2canary\n", 0), 422)
    assert_problem(running.get(PUT), 404)


@on_sqlite_alone
@pytest.mark.parametrize("name", [".swept", "..", "a b", "x" * 101])
def test_odd_name_is_refused(running: FlaskClient, name: str) -> None:
    answer = running.put(f"/api/v1/jobs/{JOB}/logs/{name}?offset=0", data=b"x")

    assert answer.status_code in (404, 405, 422)


def test_job_has_so_many_logs_at_most(running: FlaskClient) -> None:
    answers = [
        running.put(f"/api/v1/jobs/{JOB}/logs/log{number}", data=b"x").status_code
        for number in range(9)
    ]

    assert answers == [200] * 8 + [413]


def test_only_who_may_record_the_job_may_add_to_its_logs(
    client: FlaskClient, new_token: NewToken
) -> None:
    nova, minerva = new_token(), new_token("minerva")
    client.put(f"/api/v1/jobs/{JOB}", json=a_record(task={"task_id": "t2"}), headers=nova)
    made = client.post(
        "/api/v1/tasks/t1/tickets", json={"experiment": "nova"}, headers=nova
    ).get_json()
    ticket = {"Authorization": f"Bearer {made['ticket']}"}

    assert_problem(put(client, b"x", 0), 401)
    assert_problem(put(client, b"x", 0, headers=minerva), 404)
    assert_problem(put(client, b"x", 0, headers=ticket), 403)
    unknown = "/api/v1/jobs/00000000-0000-4000-8000-000000000000/logs/stdout"
    assert_problem(client.put(unknown, data=b"x", headers=nova), 404)
    assert put(client, b"x", 0, headers=nova).status_code == 200


@pytest.mark.slow
def test_pieces_are_joined_when_they_are_many_and_cover_the_last_256_kilobytes(
    running: FlaskClient, service: Service
) -> None:
    whole = b"".join(b"line %05d %s\n" % (number, b"x" * 9_000) for number in range(70))
    for offset in range(0, len(whole), 9_012):
        assert put(running, whole[offset : offset + 9_012], offset).status_code == 200

    assert running.get(PUT).data == whole[-KEPT_BYTES:]
    with service.reading() as connection:
        sizes = connection.execute(select(LogTailPiece.size_bytes)).scalars().all()
    assert len(sizes) <= 32
    assert sum(sizes) < KEPT_BYTES + 9_012
    [tail] = running.get(f"/api/v1/jobs/{JOB}").get_json()["log_tails"]
    assert (tail["start"], tail["end"]) == (len(whole) - KEPT_BYTES, len(whole))


def test_what_nobody_wrote_to_for_a_month_goes_and_of_the_rest_the_oldest(
    client: FlaskClient, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_tails, "EXPERIMENT_BYTES", 350)
    began = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(4):
        record = a_record(number, state="running")
        client.put(f"/api/v1/jobs/{record['job_id']}", json=record)
    with service.reading() as connection:
        jobs = [row.id for row in connection.execute(select(Job.id, Job.uuid).order_by(Job.uuid))]
    for place, job in enumerate(jobs):
        chunk = Chunk(job, 1, "stdout", 0, os.urandom(150), began + timedelta(seconds=place))
        service.write(lambda writing, chunk=chunk: append_tail(writing.connection, chunk))

    def kept(now: datetime) -> list[int]:
        service.write(lambda writing: sweep(writing.connection, 1, now))
        with service.reading() as connection:
            return sorted(connection.execute(select(LogTailPiece.job_id)).scalars())

    assert kept(began + timedelta(seconds=10)) == jobs[2:]
    assert kept(began + timedelta(seconds=log_tails.KEPT_SECONDS + 2.5)) == jobs[3:]


def test_end_goes_when_another_witness_brings_the_log(running: FlaskClient) -> None:
    put(running, b"begins\n", 0)
    running.put(f"/api/v1/jobs/{JOB}/logs/stderr?offset=0", data=b"complaint\n")
    running.put(f"/api/v1/blobs/{sha256(WHOLE)}", data=WHOLE)
    log = {"name": "stdout", "sha256": sha256(WHOLE), "size_bytes": len(WHOLE)}

    running.put(f"/api/v1/jobs/{JOB}", json=a_record(state="killed", witness="history", logs=[log]))

    assert [
        tail["name"] for tail in running.get(f"/api/v1/jobs/{JOB}").get_json()["log_tails"]
    ] == ["stderr"]
    assert running.get(PUT).data == WHOLE
