"""Excerpts over HTTP: the question, the body, and what is refused."""

import gzip
import json
from collections.abc import Callable

from flask.testing import FlaskClient

from tests.library.answers import assert_problem
from tests.library.records import JOB, a_record, sha256

NewToken = Callable[..., dict[str, str]]
TYPE = {"Content-Type": "application/vnd.jobprov.excerpts", "Content-Encoding": "gzip"}
EXCERPT = json.dumps({"f": "x" * 300}).encode()
DIGEST = sha256(EXCERPT)
ASK = "/api/v1/blobs/missing"


def body_of(job_id: str, *, is_here: bool) -> tuple[bytes, bytes]:
    """Return (the record, the body that sends it) with one excerpt."""
    record = json.dumps(a_record(job_id=job_id, extra=json.loads(EXCERPT))).encode()
    start = record.index(EXCERPT)
    rest = record if is_here else record.replace(EXCERPT, b"")
    head = json.dumps([[start, len(EXCERPT), DIGEST, is_here]]).encode()
    return record, gzip.compress(head + b"\n" + rest)


def test_record_by_excerpt_is_the_record(client: FlaskClient, new_token: NewToken) -> None:
    header = {**new_token(), **TYPE}
    other = str(a_record(2)["job_id"])
    _, body = body_of(JOB, is_here=True)
    next_whole, next_body = body_of(other, is_here=False)

    first = client.put(f"/api/v1/jobs/{JOB}", data=body, headers=header)
    asked = client.post(
        ASK, json={"sha256": [], "excerpts": [DIGEST, "0" * 64]}, headers=new_token()
    )
    second = client.put(f"/api/v1/jobs/{other}", data=next_body, headers=header)
    again = client.put(f"/api/v1/jobs/{other}", data=next_whole, headers=new_token())

    assert (first.status_code, second.status_code) == (201, 201)
    assert asked.get_json() == {"missing": [], "excerpts": [DIGEST]}
    assert again.get_json()["change"] == "same"
    assert client.get(f"/api/v1/jobs/{other}").get_json()["record"] == json.loads(next_whole)


def test_unknown_excerpt_asks_for_the_whole_record_and_is_no_dead_letter(
    client: FlaskClient, new_token: NewToken
) -> None:
    client.put(
        f"/api/v1/jobs/{JOB}",
        data=body_of(JOB, is_here=True)[1],
        headers={**new_token("toy"), **TYPE},
    )
    body = body_of(JOB, is_here=False)[1]

    problem = assert_problem(
        client.put(f"/api/v1/jobs/{JOB}", data=body, headers={**new_token(), **TYPE}), 422, DIGEST
    )

    assert problem["type"] == "/problems/unknown-excerpt"
    assert client.get(f"/api/v1/jobs/{JOB}").status_code == 404


def test_question_without_excerpts_is_answered_without(
    client: FlaskClient, new_token: NewToken
) -> None:
    answer = client.post(ASK, json={"sha256": [DIGEST]}, headers=new_token()).get_json()

    assert answer == {"missing": [DIGEST], "batch_bytes": 8 << 20}


def test_limits_are_named(client: FlaskClient, new_token: NewToken) -> None:
    too_many = client.post(ASK, json={"sha256": [], "excerpts": [DIGEST] * 17}, headers=new_token())
    bad = gzip.compress(b"[[0,1]]\n{}")

    assert assert_problem(too_many, 413)["limit"] == 16
    assert_problem(
        client.put(f"/api/v1/jobs/{JOB}", data=bad, headers={**new_token(), **TYPE}),
        422,
        "excerpts",
    )
