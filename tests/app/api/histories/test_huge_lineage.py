"""Files with more parents or children than a picture can hold.

A clear answer, and a bounded one.
"""

from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Connection, text

from jobprov.app.wiring import Service
from tests.library.answers import assert_problem
from tests.library.records import a_record

pytestmark = pytest.mark.slow

READERS = 21_000
_ROWS = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :most)
INSERT INTO claims (id, file_id, job_id, identity_id, position)
SELECT 1000 + n.i, c.file_id, c.job_id, c.identity_id, 0 FROM n CROSS JOIN claims AS c WHERE c.id = :made
"""
_PARENTS = """
INSERT INTO parents (claim_id, identity_id)
SELECT c.id, p.identity_id FROM claims AS c CROSS JOIN parents AS p WHERE c.id > 1000 AND p.claim_id = :made
"""


def record(client: FlaskClient, number: int, **files: Any) -> Any:
    job = a_record(number, **files)
    return client.put(f"/api/v1/jobs/{job['job_id']}", json=job)


def test_a_hundred_thousand_parents_of_one_file_are_refused_by_their_field(
    client: FlaskClient,
) -> None:
    parents = [{"name": f"p{number}"} for number in range(100_000)]

    assert_problem(record(client, 1, inputs=parents, outputs=[{"name": "made"}]), 422, "inputs")
    assert client.get("/api/v1/files/made/lineage").status_code == 404


def test_as_many_parents_as_a_record_may_name_are_drawn_in_part_and_counted(
    client: FlaskClient,
) -> None:
    parents = [{"name": f"p{number}"} for number in range(32_000)]
    assert record(client, 1, inputs=parents, outputs=[{"name": "made"}]).status_code == 201

    found = client.get("/api/v1/files/made/lineage?direction=ancestors").get_json()
    page = client.get("/lineage/made")

    assert (len(found["nodes"]), found["is_truncated"], found["omitted"]["is_least"]) == (
        200,
        True,
        True,
    )
    assert (page.status_code, len(page.data) < 80_000) == (200, True)
    assert "at least" in page.text


def test_a_file_that_very_much_came_of_is_drawn_in_part_and_counted_to_a_limit(
    client: FlaskClient, service: Service
) -> None:
    hub = [{"name": "hub", "checksums": ["adler32:00000001"]}]
    assert record(client, 1, outputs=hub).status_code == 201
    assert record(client, 2, inputs=hub, outputs=[{"name": "made"}]).status_code == 201

    def add_readers(connection: Connection) -> None:
        made = connection.execute(text("SELECT claim_id FROM parents")).scalar_one()
        connection.execute(text(_ROWS), {"made": made, "most": READERS})
        connection.execute(text(_PARENTS), {"made": made})

    service.write(lambda writing: add_readers(writing.connection))

    found = client.get("/api/v1/files/hub/lineage?direction=descendants").get_json()
    page = client.get("/lineage/hub?direction=descendants")

    assert (len(found["nodes"]) <= 200, found["is_truncated"], found["omitted"]["is_least"]) == (
        True,
        True,
        True,
    )
    assert (page.status_code, len(page.data) < 80_000) == (200, True)
    assert "Not shown: at least" in page.text
