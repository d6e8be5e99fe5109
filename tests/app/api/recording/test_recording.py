"""Recording over HTTP: what each record, good or bad, is answered, and what it leaves behind."""

import gzip
import json
import time
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, func, select

from jobprov.app.wiring import Service
from jobprov.provenance.db.queries.recording.dead_letters import letter_numbers, list_letters
from jobprov.provenance.db.tables import DeadLetter, Job, LedgerEntry
from jobprov.provenance.errors import RecordError
from jobprov.provenance.services.recording.dead_letters import read_letter, replay_letter
from tests.library.answers import assert_problem
from tests.library.databases import on_sqlite_alone
from tests.library.records import JOB, a_record
from tests.library.statements import statements_sent

PUT = f"/api/v1/jobs/{JOB}"
MEBIBYTE = 1024 * 1024


def counts(service: Service) -> tuple[int, int]:
    """Return how many jobs and ledger entries there are."""
    with service.reading() as connection:
        jobs = connection.execute(select(func.count()).select_from(Job)).scalar_one()
        entries = connection.execute(select(func.count()).select_from(LedgerEntry)).scalar_one()
    return jobs, entries


def test_new_record_is_created_and_told_its_gaps(client: FlaskClient) -> None:
    answer = client.put(PUT, json=a_record())

    assert answer.status_code == 201
    told = answer.get_json()
    assert told["job_id"] == JOB
    assert told["url"].endswith(f"/jobs/{JOB}")
    assert told["grade"] == "L0"
    assert {"code", "message", "how_to_close"} == set(told["gaps"][0])
    assert told["missing_blobs"] == []


def test_same_record_again_changes_nothing(client: FlaskClient, service: Service) -> None:
    client.put(PUT, json=a_record())
    before = counts(service)

    answer = client.put(PUT, json=a_record())

    assert (answer.status_code, answer.get_json()["change"]) == (200, "same")
    assert counts(service) == before


def test_another_final_record_of_the_same_witness_is_a_conflict(client: FlaskClient) -> None:
    client.put(PUT, json=a_record())

    assert_problem(client.put(PUT, json=a_record(state="failed")), 409)


def test_running_record_gives_way_to_the_final_one_and_not_back(client: FlaskClient) -> None:
    assert client.put(PUT, json=a_record(state="running")).status_code == 201
    assert client.put(PUT, json=a_record()).get_json()["change"] == "replaced"

    late = client.put(PUT, json=a_record(state="running"))

    assert (late.status_code, late.get_json()["change"]) == (200, "ignored")


def test_record_of_a_later_version_is_kept_unread(client: FlaskClient) -> None:
    assert client.put(PUT, json=a_record(schema_version=2, state="frozen")).status_code == 202


def test_exact_bytes_come_back_whatever_spaces_they_had(client: FlaskClient) -> None:
    body = json.dumps(a_record(unknown={"kept": [1, 2.50]}), indent=3).encode()

    client.put(PUT, data=body)

    assert client.get(PUT).get_json()["record"] == json.loads(body)


def test_gzip_body_is_taken(client: FlaskClient) -> None:
    body = gzip.compress(json.dumps(a_record()).encode())

    assert client.put(PUT, data=body, headers={"Content-Encoding": "gzip"}).status_code == 201


def test_gzip_of_several_members_is_one_body(client: FlaskClient) -> None:
    text = json.dumps(a_record()).encode()

    answer = client.put(
        PUT,
        data=gzip.compress(text[:50]) + gzip.compress(text[50:]),
        headers={"Content-Encoding": "gzip"},
    )

    assert answer.status_code == 201


@on_sqlite_alone
@pytest.mark.slow
def test_gzip_of_hundreds_of_thousands_of_members_is_refused_at_once(client: FlaskClient) -> None:
    """Each copied all that followed it, which took minutes."""
    text = json.dumps(a_record()).encode()
    body = gzip.compress(b"") * 400_000 + gzip.compress(text)

    began = time.process_time()
    answer = client.put(PUT, data=body, headers={"Content-Encoding": "gzip"})

    assert_problem(answer, 422)
    assert "10000 gzip members" in answer.text
    assert time.process_time() - began < 5


@on_sqlite_alone
def test_gzip_in_members_of_any_length_is_one_body(client: FlaskClient) -> None:
    text = json.dumps(a_record(), indent=200).encode()
    members = [gzip.compress(text[place : place + 7], 0) for place in range(0, len(text), 7)]

    answer = client.put(PUT, data=b"".join(members), headers={"Content-Encoding": "gzip"})

    assert answer.status_code == 201


@on_sqlite_alone
@pytest.mark.slow
def test_gzip_bomb_ends_in_413_without_being_unpacked(client: FlaskClient) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(bytes(MEBIBYTE)) for _ in range(300)) + packer.flush()

    answer = client.put(PUT, data=bomb, headers={"Content-Encoding": "gzip"})

    assert assert_problem(answer, 413)["limit"] == 8 * MEBIBYTE


@on_sqlite_alone
@pytest.mark.parametrize(
    "body", [b"no gzip", gzip.compress(b"{}", mtime=0)[:-4]], ids=["no gzip", "cut short"]
)
def test_body_that_says_gzip_and_is_not_is_refused(client: FlaskClient, body: bytes) -> None:
    assert_problem(client.put(PUT, data=body, headers={"Content-Encoding": "gzip"}), 422)


@on_sqlite_alone
def test_other_encodings_are_refused(client: FlaskClient) -> None:
    assert_problem(client.put(PUT, data=b"{}", headers={"Content-Encoding": "br"}), 415)


BAD: dict[str, tuple[Any, str]] = {
    "malformed": (b'{"schema_version": 1,', ""),
    "no object": (b"[]", ""),
    "duplicate key": (b'{"job_id": "a", "job_id": "b"}', "job_id"),
    "not UTF-8": (b'{"job_id": "\xff"}', ""),
    "NaN": (b'{"a": NaN}', ""),
    "unknown state": (a_record(state="gone"), "state"),
    "wrong type": (a_record(threads="many"), "threads"),
    "job id that is none": (a_record(job_id="not-a-uuid"), "job_id"),
    "experiment with a slash": (a_record(experiment="a/b"), "experiment"),
    "no time of start": ({**a_record(), "started_at": None}, "started_at"),
    "name that leads out": (a_record(outputs=[{"name": "../b.root"}]), "outputs[0].name"),
    "name with NUL": (a_record(outputs=[{"name": "a\0b"}]), "outputs[0].name"),
    "name of 3,000 characters": (a_record(outputs=[{"name": "a" * 3000}]), "outputs[0].name"),
    "year 99999": (a_record(ended_at="99999-01-01T00:00:00Z"), "ended_at"),
    "year 9999": (a_record(ended_at="9999-12-31T23:59:59Z"), "ended_at"),
    "time without zone": (a_record(ended_at="2026-01-01T00:00:00"), "ended_at"),
    "digest that is none": (
        a_record(scripts=[{"name": "x", "sha256": "ABC"}]),
        "scripts[0].sha256",
    ),
    "size below zero": (
        a_record(outputs=[{"name": "b", "size_bytes": -1}]),
        "outputs[0].size_bytes",
    ),
    "lone surrogate": (json.dumps(a_record(extra={"a": "\ud800"})).encode(), "extra.a"),
}


@on_sqlite_alone
@pytest.mark.parametrize("case", BAD)
def test_bad_record_is_refused_by_field_and_nothing_of_it_stored(
    client: FlaskClient, service: Service, case: str
) -> None:
    body, field = BAD[case]

    answer = client.put(PUT, data=body if isinstance(body, bytes) else json.dumps(body).encode())

    assert_problem(answer, 422, field)
    assert counts(service) == (0, 0)


@on_sqlite_alone
def test_record_of_nine_mebibytes_is_refused(client: FlaskClient, service: Service) -> None:
    answer = client.put(PUT, json=a_record(extra={"a": "x" * 9 * MEBIBYTE}))

    assert_problem(answer, 413)
    assert counts(service) == (0, 0)


def test_address_and_record_must_name_the_same_job(client: FlaskClient) -> None:
    assert_problem(client.put(PUT, json=a_record(2)), 422, "job_id")


@on_sqlite_alone
def test_deeply_nested_record_is_refused(client: FlaskClient) -> None:
    assert_problem(client.put(PUT, data=b'{"a":' * 100_000 + b"1" + b"}" * 100_000), 422)


def test_undecodable_record_becomes_a_dead_letter_that_can_be_replayed(
    client: FlaskClient, service: Service
) -> None:
    body = json.dumps(a_record(state="gone")).encode()
    client.put(PUT, data=body)
    client.put(PUT, data=body)

    with service.reading() as connection:
        letters = list_letters(connection, None, 10)

    assert [(letter.job_id, letter.size_bytes) for letter in letters] == [(JOB, len(body))]
    with pytest.raises(Exception, match="state"):
        service.write(lambda writing: replay_letter(writing, letters[0].number))


def test_replayed_letter_becomes_a_job_and_is_gone(client: FlaskClient, service: Service) -> None:
    client.put("/api/v1/jobs/wrong-address", json=a_record())
    with service.reading() as connection:
        [letter] = list_letters(connection, None, 10)

    outcome = service.write(lambda writing: replay_letter(writing, letter.number))

    assert (outcome.job_id, outcome.change) == (JOB, "created")
    with service.reading() as connection:
        assert connection.execute(select(func.count()).select_from(DeadLetter)).scalar_one() == 0


def test_a_letter_is_kept_for_each_experiment_that_sent_it(
    client: FlaskClient, service: Service, new_token: Callable[..., dict[str, str]]
) -> None:
    body = json.dumps(a_record(state="gone")).encode()
    nova, minerva = new_token(), new_token("minerva")

    for header in (minerva, nova, minerva):
        client.put(PUT, data=body, headers=header)

    with service.reading() as connection:
        assert [letter.experiment for letter in list_letters(connection, None, 10)] == [
            "minerva",
            "nova",
        ]


def test_letters_of_a_batch_cost_the_same_however_many_there_are(
    client: FlaskClient, service: Service
) -> None:
    """Each was compared with all that were kept, so that a wrong hook stopped the one writer."""

    def send(first: int, count: int) -> int:
        jobs = [a_record(number, state="gone") for number in range(first, first + count)]
        with statements_sent(Engine) as sent:
            answer = client.post("/api/v1/jobs/batch", json={"jobs": [*jobs, jobs[0]]})
        assert {result["status"] for result in answer.get_json()["results"]} == {422}
        # others look now and then whether there are tokens by now
        return sum("dead_letters" in statement.sql for statement in sent)

    send(1, 10)
    few, many = send(11, 10), send(21, 80)

    assert many == few > 0
    send(21, 80)  # once more
    with service.reading() as connection:
        letters = list_letters(connection, None, 1000)
        assert [letter.number for letter in letters] == letter_numbers(connection, None)
    assert [letter.job_id for letter in letters] == [a_record(n)["job_id"] for n in range(1, 101)]
    assert letters[0].size_bytes == len(json.dumps(a_record(1, state="gone")).encode())


@pytest.mark.parametrize("path", [f"{PUT}/revisions", "/api/v1/jobs/wrong-address/revisions"])
def test_a_revision_that_cannot_be_read_becomes_a_dead_letter(
    client: FlaskClient, service: Service, path: str
) -> None:
    client.put(PUT, json=a_record())
    is_addressed = path.startswith(PUT)
    corrected = a_record(state="gone" if is_addressed else "succeeded", exit={"code": 7})

    assert_problem(client.post(path, json={"record": corrected, "reason": "it was 7"}), 422)

    with service.reading() as connection:
        [letter] = list_letters(connection, None, 10)
    replay = partial(replay_letter, number=letter.number)
    if is_addressed:
        with pytest.raises(RecordError, match="state"):
            service.write(replay)
        return
    assert service.write(replay).change == "replaced"
    found = client.get(PUT).get_json()
    assert (found["record"]["exit"], [each["revision"] for each in found["revisions"]]) == (
        {"code": 7},
        [1],
    )


@pytest.mark.parametrize(
    ("first", "second", "status"), [("true", "1", 409), ("1e400", "1e500", 409), ("1", "1.0", 200)]
)
def test_a_record_is_the_same_where_its_values_are(
    client: FlaskClient, first: str, second: str, status: int
) -> None:
    body = json.dumps(a_record(extra={"a": "X"}))
    client.put(PUT, data=body.replace('"X"', first))

    answer = client.put(PUT, data=body.replace('"X"', second))

    assert answer.status_code == status
    assert client.get(PUT).get_json()["conflict_count"] == int(status == 409)


def test_each_record_of_a_batch_stands_or_falls_alone(client: FlaskClient) -> None:
    jobs = [
        a_record(1),
        {"schema_version": 1},
        a_record(2),
        a_record(1),
        a_record(2, state="failed"),
    ]

    results = client.post("/api/v1/jobs/batch", json={"jobs": jobs}).get_json()["results"]

    assert [result["status"] for result in results] == [201, 422, 201, 200, 409]
    assert results[1]["errors"]
    assert results[2]["job_id"] == a_record(2)["job_id"]


@on_sqlite_alone
@pytest.mark.parametrize(
    "bad",
    [
        json.dumps("caf\udce9").encode(),
        b"NaN",
        b"[" * 2000 + b"]" * 2000,
        b'"a\tb"',
        b'"\xff"',
        b'"]},\\\\" x',
        b'"\\"}]" NaN',
    ],
)
def test_record_that_is_no_json_does_not_take_the_others_of_its_batch_with_it(
    client: FlaskClient, service: Service, bad: bytes
) -> None:
    body = json.dumps(a_record(3, extra={"x": "HERE"})).encode().replace(b'"HERE"', bad)
    good = [json.dumps(a_record(number)).encode() for number in (1, 2)]

    answer = client.post(
        "/api/v1/jobs/batch",
        data=b'{"more": {}, "jobs" : [%b ,%b, %b\n]}' % (good[0], body, good[1]),
    )

    results = answer.get_json()["results"]
    assert [result["status"] for result in results] == [201, 422, 201]
    assert results[1]["job_id"] == a_record(3)["job_id"]
    assert client.put(f"/api/v1/jobs/{a_record(3)['job_id']}", data=body).status_code == 422
    with service.reading() as connection:
        [letter] = list_letters(connection, None, 10)  # alone it was the same letter
        assert read_letter(connection, letter.number) == body
        assert letter.job_id == a_record(3)["job_id"]


@on_sqlite_alone
@pytest.mark.parametrize(
    "body",
    [
        b'{"jobs": [{}, NaN',
        b'{"jobs": [{}, NaN, "',
        b'{"jobs": [{}, NaN}]',
        b'{"jobs": [{}, NaN]} ]',
        b'{"jobs": [NaN], "jobs": [{}]}',
        b'{"jobs": [NaN,]}',
        b'{"more": NaN, "jobs": []}',
        b'{"more": {"jobs": [NaN]}}',
        b'[{"jobs": [NaN]}]',
        b'{"jobs": 1}',
        b"\\",
        b"",
    ],
)
def test_batch_that_cannot_be_taken_apart_is_refused_and_kept_as_a_dead_letter(
    client: FlaskClient, service: Service, body: bytes
) -> None:
    assert_problem(client.post("/api/v1/jobs/batch", data=body), 422)
    with service.reading() as connection:
        [letter] = list_letters(connection, None, 10)
        assert read_letter(connection, letter.number) == body


def test_records_of_a_batch_are_counted_also_where_one_is_no_json(client: FlaskClient) -> None:
    assert_problem(
        client.post("/api/v1/jobs/batch", data=b'{"jobs": [NaN%b]}' % (b",{}" * 1000)), 413
    )


def test_batch_keeps_the_exact_bytes_of_each_record(client: FlaskClient) -> None:
    body = json.dumps(a_record(extra={"a": 1.50}), indent=1)

    client.post("/api/v1/jobs/batch", data=f'{{"jobs": [ {body} ]}}')

    assert client.put(PUT, data=body).get_json()["change"] == "same"


@on_sqlite_alone
@pytest.mark.parametrize(
    ("body", "status"),
    [({"jobs": [{}] * 1001}, 413), ({"jobs": 1}, 422), ({}, 422), ([], 422)],
)
def test_batch_that_is_none_is_refused(client: FlaskClient, body: Any, status: int) -> None:
    assert_problem(client.post("/api/v1/jobs/batch", json=body), status)


def test_empty_batch_has_no_results(client: FlaskClient) -> None:
    assert client.post("/api/v1/jobs/batch", json={"jobs": []}).get_json() == {"results": []}


def test_revision_stands_beside_the_first_and_feeds_the_job(client: FlaskClient) -> None:
    client.put(PUT, json=a_record())

    answer = client.post(
        f"{PUT}/revisions", json={"record": a_record(state="failed"), "reason": "it had failed"}
    )

    assert answer.status_code == 201
    shown = client.get(PUT).get_json()
    assert shown["summary"]["state"] == "failed"
    assert len(shown["revisions"]) == 1


@on_sqlite_alone
@pytest.mark.parametrize("reason", ["", "  ", "x" * 2001])
def test_revision_needs_a_reason(client: FlaskClient, reason: str) -> None:
    assert_problem(
        client.post(f"{PUT}/revisions", json={"record": a_record(), "reason": reason}),
        422,
        "reason",
    )


@on_sqlite_alone
@pytest.mark.parametrize("digest", ["sha256:1", "sha256:" + "G" * 64, "md5:1", "", "sha256:"])
def test_image_digest_that_is_none_is_recorded_as_it_is(client: FlaskClient, digest: str) -> None:
    record = a_record(
        environment={"variables": {}, "container": {"image": "sl7", "digest": digest}}
    )

    assert client.put(PUT, json=record).status_code == 201
    assert client.get(PUT).get_json()["record"]["environment"]["container"]["digest"] == digest
