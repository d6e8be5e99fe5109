"""One shape for every error, whatever is asked.

And never a mistake of ours, whatever the query holds.
"""

import inspect
import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobprov import archive, provenance
from jobprov.app.api.wire.asking import checked_name
from jobprov.app.errors import STATUS, answer_error, problem_of
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.schemas import history_queries, queries
from tests.library.answers import assert_problem
from tests.library.databases import on_sqlite_alone
from tests.library.examples import examples
from tests.library.records import JOB, a_record

METHODS = ("GET", "PUT", "POST")
READ = [
    ("/jobs", queries.JobsQuery),
    (f"/jobs/{JOB}", queries.JobQuery),
    (f"/jobs/{JOB}/configurations/art", queries.ConfigurationQuery),
    (f"/jobs/{JOB}/logs/out", queries.LogQuery),
    (f"/jobs/{JOB}/bundle", queries.BundleQuery),
    ("/files/a.root", queries.FileQuery),
    ("/files/a.root/lineage", history_queries.LineageQuery),
    ("/tasks/t1", queries.ExperimentQuery),
    ("/search", queries.SearchQuery),
]
ODD = st.one_of(
    st.integers(-(10**30), 10**30).map(str),
    st.sampled_from(
        [
            "",
            "0",
            "1",
            "-1",
            "1e9",
            "NaN",
            "\0",
            "\u202e",
            "'",
            "%",
            "*",
            "../..",
            "9999-12-31T23:59:59-23:59",
        ]
    ),
    st.sampled_from(
        [
            "0001-01-01T00:00:00+23:59",
            "2026-01-01",
            "2026-01-01T00:00:00Z",
            "both",
            "json",
            "succeeded",
        ]
    ),
    st.text(max_size=40),
    st.text(min_size=200, max_size=4000),
)


@on_sqlite_alone
@pytest.mark.parametrize(
    "path", ["/api/v1/nothing", "/api/v1/jobs/a/b/c/d", "/api/v2/jobs", "/api/v1/files/a%2Fb"]
)
def test_address_that_is_none_is_a_problem(client: FlaskClient, path: str) -> None:
    assert_problem(client.get(path), 404)


def test_method_that_is_not_taken_is_a_problem_that_lists_the_others(client: FlaskClient) -> None:
    answer = client.delete(f"/api/v1/jobs/{JOB}")

    assert_problem(answer, 405)
    assert set(answer.headers["Allow"].replace(" ", "").split(",")) >= {"GET", "PUT"}


def test_every_route_answers_nonsense_with_a_problem(app: Flask, client: FlaskClient) -> None:
    rules = [
        rule
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1/") and rule.arguments
    ]
    assert len(rules) > 10

    for rule in rules:
        path = re.sub(r"<[^>]+>", "%01", rule.rule)
        for method in set(METHODS) & (rule.methods or set()):
            answer = client.open(path, method=method, data=b"\xff{")
            assert 400 <= answer.status_code < 500, (rule, method, answer.status_code)
            assert_problem(answer, answer.status_code)


def test_mistake_of_ours_is_a_problem_that_gives_nothing_away(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.extensions["jobprov-measures"], "collector", lambda: 1 / 0)

    problem = assert_problem(client.get("/api/v1/metrics"), 500)

    assert "division" not in str(problem)


@pytest.mark.parametrize("module", [provenance.errors, archive.errors])
def test_every_error_class_has_a_status(module: object) -> None:
    kinds = [
        kind
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if kind.__module__ == module.__name__
    ]  # type: ignore[attr-defined]

    assert kinds
    assert [kind for kind in kinds if kind not in STATUS] == []


@pytest.mark.parametrize(
    ("error", "has_traceback"),
    [
        (provenance.errors.UnreachableError("The writer is overloaded."), False),
        (archive.errors.ArchiveUnreachableError("writing", "no space left"), False),
        (KeyError("a mistake of ours"), True),
    ],
)
def test_log_shows_what_led_to_an_error_that_does_not_explain_itself(
    app: Flask, caplog: pytest.LogCaptureFixture, error: Exception, *, has_traceback: bool
) -> None:
    with app.test_request_context("/api/v1/jobs"):
        answer_error(error)

    [entry] = [record for record in caplog.records if record.name == "jobprov.errors"]
    assert "GET /api/v1/jobs: " in entry.getMessage()
    assert (entry.exc_info is not None) == has_traceback


def test_database_that_does_not_answer_is_said_so_with_a_time_to_come_back(app: Flask) -> None:
    from sqlalchemy.exc import OperationalError  # noqa: PLC0415

    with app.test_request_context():
        problem = problem_of(OperationalError("SELECT secret", {}, Exception("gone")))

    assert (problem.status, problem.headers["Retry-After"]) == (503, "5")
    assert "secret" not in problem.detail


@pytest.mark.parametrize(("path", "schema"), READ, ids=[path for path, _ in READ])
def test_no_query_makes_the_service_stumble(client: FlaskClient, path: str, schema: type) -> None:
    client.put(
        f"/api/v1/jobs/{JOB}",
        json=a_record(
            task={"task_id": "t1"},
            outputs=[{"name": "a.root"}],
            logs=[{"name": "out", "sha256": "0" * 64}],
        ),
    )
    names = [*schema().fields, "unknown"]

    @settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.dictionaries(st.sampled_from(names), ODD, max_size=3))
    def ask(query: dict[str, str]) -> None:
        answer = client.get(f"/api/v1{path}", query_string=query)
        assert answer.status_code < 500, answer.get_data(as_text=True)
        if answer.status_code >= 400:
            assert_problem(answer, answer.status_code)

    ask()


@pytest.mark.slow
def test_no_single_odd_word_in_any_query_makes_the_service_stumble(client: FlaskClient) -> None:
    client.put(
        f"/api/v1/jobs/{JOB}", json=a_record(task={"task_id": "t1"}, outputs=[{"name": "a.root"}])
    )
    names = {
        "job_id": JOB,
        "before": JOB,
        "after": JOB,
        "task_id": "t1",
        "name": "a.root",
        "sha256": "0" * 64,
    }
    asked = 0

    for path, calls in client.get("/api/v1/openapi.json").get_json()["paths"].items():
        here = re.sub(r"{(\w+)}", lambda found: names.get(found[1], "nova"), path)
        for field in (
            each["name"]
            for each in calls.get("get", {}).get("parameters", ())
            if each["in"] == "query"
        ):
            for word in ("odd", "-1", "[", "9" * 30):
                answer = client.get(here, query_string={field: word})
                assert answer.status_code < 500, (here, field, word, answer.get_data(as_text=True))
                asked += 1

    assert asked > 500


@pytest.mark.slow
def test_no_name_in_an_address_makes_the_service_stumble(client: FlaskClient) -> None:
    @settings(max_examples=examples(150), deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.sampled_from(
            [
                "/files/{}",
                "/files/{}/lineage",
                "/jobs/{}",
                "/tasks/{}",
                "/blobs/{}",
                "/jobs/{}/bundle",
            ]
        ),
        ODD,
    )
    def ask(pattern: str, name: str) -> None:
        from urllib.parse import quote  # noqa: PLC0415

        answer = client.get("/api/v1" + pattern.format(quote(name, safe="", errors="replace")))
        assert answer.status_code < 500, answer.get_data(as_text=True)

    ask()


def test_every_answer_has_the_strict_headers(client: FlaskClient) -> None:
    for path in ("/api/v1/jobs", "/api/v1/nothing"):
        headers = client.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Request-Id"]


def test_mistyped_parameter_is_told_with_the_one_that_is_meant(client: FlaskClient) -> None:
    problem = assert_problem(client.get("/api/v1/jobs?task-id=t"), 422, "task-id")
    odd = assert_problem(client.get("/api/v1/jobs?zzz=t"), 422, "zzz")

    assert problem["detail"] == "task-id: Unknown field. Did you mean task_id?"
    assert problem["errors"] == {"task-id": ["Unknown field."]}
    assert odd["detail"] == "zzz: Unknown field."


@pytest.mark.parametrize(
    ("field", "what"),
    [
        ("schedd", "the name of a schedd"),
        ("job_id", "the id of a job"),
        ("experiment", "the name of an experiment"),
        ("name", "a file name"),
    ],
)
def test_a_part_of_an_address_is_called_what_it_is(field: str, what: str) -> None:
    with pytest.raises(BadInputError) as dots:
        checked_name("..", field)
    with pytest.raises(BadInputError) as slash:
        checked_name("a/b", field)

    assert str(dots.value) == f"{field}: not {what}."
    assert str(slash.value) == f"{field}: control characters or a slash in {what}."
