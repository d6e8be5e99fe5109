"""Lists that lie in each other as deep as Python follows.

Taken or refused, never a mistake of ours.
"""

import pytest
from flask.testing import FlaskClient

from tests.library.answers import assert_problem
from tests.library.records import JOB

RUN = '{"eventType":"COMPLETE","eventTime":"2026-01-01T00:00:00Z","producer":"p","run":{"runId":"%s","facets":{"x":{"y":DEEP}}},'
CALLS = {
    "/api/v1/lineage?experiment=nova": RUN % JOB + '"job":{"namespace":"n","name":"j"}}',
    "/api/v1/files": '{"experiment":"nova","name":"a.root","metadata":{"x":DEEP}}',
    "/api/v1/tasks/t": '{"experiment":"nova","x":DEEP}',
    f"/api/v1/jobs/{JOB}": f'{{"schema_version":1,"job_id":"{JOB}","experiment":"nova","state":"succeeded",'
    '"started_at":"2026-01-01T00:00:60Z","x":DEEP}',  # a leap second: the careful way
}


@pytest.mark.parametrize("path", CALLS)
def test_deep_lists_are_taken_and_what_is_too_deep_is_refused(
    client: FlaskClient, path: str
) -> None:
    call = client.post if path.endswith(("files", "=nova")) else client.put

    too_deep = [
        call(path, data=CALLS[path].replace("DEEP", "[" * deep + "]" * deep))
        for deep in (750, 9_000)
    ]
    taken = call(path, data=CALLS[path].replace("DEEP", "[" * 600 + "]" * 600))

    for answer in too_deep:
        assert "deep" in assert_problem(answer, 422, "")["detail"]
    assert taken.status_code == 201
