"""Which file is meant by a name that several experiments and namespaces have.

Calls, pages and links ask for such files.
"""

import re
from html import unescape
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from jobprov.app.wiring import Service
from tests.library.answers import assert_problem, put_job
from tests.library.records import a_record, job_id, record_of
from tests.library.servers.served_app import AppOn, answering_from

S3 = "s3:%2F%2Fb"
OF_A_FILE = (
    "",
    "/lineage",
    "/ancestors",
    "/descendants",
    "/roots",
    "/leaves",
    "/cost",
    "/rebuild",
    "/replicas",
)
PAGES = ("/files", "/lineage", "/roots", "/leaves", "/cost", "/rebuild", "/replicas")


def entry(name: str, namespace: str | None = None, **more: Any) -> dict[str, Any]:
    return {"name": name, **({"namespace": namespace} if namespace else {}), **more}


@pytest.fixture(scope="module")
def recorded(bare_app: Flask, module_service: Service) -> Service:
    """Return a service with x in nova without and with namespaces, and in dune.

    And a file made from each in nova. No test changes it.
    """
    with answering_from(bare_app, module_service) as app:
        client = app.test_client()
        for record in (
            a_record(1, outputs=[entry("x")]),
            a_record(2, outputs=[entry("x", "ns")]),
            a_record(3, outputs=[entry("x", S3)]),
            a_record(4, inputs=[entry("x")], outputs=[entry("of bare")]),
            a_record(5, inputs=[entry("x", S3)], outputs=[entry("of s3", S3)]),
            a_record(6, experiment="dune", outputs=[entry("x"), entry("only dune")]),
            a_record(7, inputs=[entry("x", experiment="dune")], outputs=[entry("of dune")]),
        ):
            put_job(client, record)
    return module_service


@pytest.fixture
def named(app_on: AppOn, recorded: Service) -> FlaskClient:
    """Return a client of that service."""
    return app_on(recorded).test_client()


def asked(client: FlaskClient, path: str, **query: str) -> Any:
    return client.get(f"/api/v1{path}", query_string=query)


def found(client: FlaskClient, path: str, **query: str) -> dict[str, Any]:
    answer = asked(client, path, **query)
    assert answer.status_code == 200, answer.text[:500]
    document: dict[str, Any] = answer.get_json()
    return document


def links(text: str) -> list[str]:
    return [
        unescape(link)
        for link in re.findall(r'href="(/[^"]*)"', text)
        if not link.startswith("/static")
    ]


@pytest.mark.parametrize("of", OF_A_FILE)
def test_empty_namespace_is_that_of_a_file_without_one(named: FlaskClient, of: str) -> None:
    answer = asked(named, f"/files/x{of}", experiment="nova", namespace="")

    assert answer.status_code == 200
    assert asked(named, f"/files/x{of}", experiment="nova").status_code == 300


def test_lists_of_files_take_an_empty_namespace_too(named: FlaskClient) -> None:
    assert [
        row["namespace"]
        for row in found(named, "/files", name="x", namespace="", experiment="nova")["files"]
    ] == [""]
    assert found(named, "/lineage/orphans", namespace="")["files"] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_choice_leads_to_its_file(named: FlaskClient, page: str) -> None:
    answer = named.get(f"{page}/x")

    choices = [link for link in links(answer.text) if link.startswith(f"{page}/x?")]
    assert (answer.status_code, len(choices)) == (300, 4)
    assert [named.get(choice).status_code for choice in choices] == [200] * 4


@pytest.mark.slow
@pytest.mark.parametrize("namespace", ["", "ns", S3])
def test_no_link_of_a_file_is_dead(named: FlaskClient, namespace: str) -> None:
    start = named.get("/files/x", query_string={"experiment": "nova", "namespace": namespace})

    for link in links(start.text):
        assert named.get(link).status_code == 200, link


def test_links_from_other_files_lead_to_the_one_that_is_meant(named: FlaskClient) -> None:
    for name, namespace in (("of bare", ""), ("of s3", S3), ("of dune", "")):
        page = named.get(
            f"/files/{name}", query_string={"experiment": "nova", "namespace": namespace}
        )
        [parent] = {link for link in links(page.text) if link.startswith("/files/x")}

        assert named.get(parent).status_code == 200
        assert named.get(f"/api/v1{parent}").get_json()["file"]["namespace"] == namespace


@pytest.mark.parametrize("call", ["paths", "common", "diverge"])
@pytest.mark.parametrize(
    ("a", "b"), [(":x", "of bare"), (f"{S3}:x", f"{S3}:of s3"), ("ns:x", f"{S3}:x")]
)
def test_two_files_are_named_with_their_namespaces(
    named: FlaskClient, call: str, a: str, b: str
) -> None:
    found(named, f"/lineage/{call}", a=a, b=b, experiment="nova")


@pytest.mark.slow
def test_files_of_one_name_in_two_experiments_are_compared(named: FlaskClient) -> None:
    answer = found(
        named, "/lineage/common", a=":x", b=":x", experiment_a="nova", experiment_b="dune"
    )
    paths = found(
        named, "/lineage/paths", a="x", b="of dune", experiment="nova", experiment_a="dune"
    )

    assert (answer["a"]["experiment"], answer["b"]["experiment"]) == ("nova", "dune")
    assert paths["older"] == "a"
    for page in ("/relation", "/diverge"):
        text = named.get(f"{page}?a=:x&b=x&experiment_a=nova&experiment_b=dune").text
        assert '<input type="hidden" name="experiment_b" value="dune">' in text
        assert [named.get(link).status_code for link in links(text)] == [200] * len(links(text))


@pytest.mark.slow
def test_two_jobs_of_two_experiments_lead_to_the_histories_of_their_files(
    named: FlaskClient,
) -> None:
    text = named.get(f"/jobs/{a_record(4)['job_id']}/diff/{a_record(6)['job_id']}").text

    [link] = [link for link in links(text) if link.startswith("/diverge")]
    assert link == "/diverge?a=of+bare&b=x&experiment_a=nova&experiment_b=dune"
    assert named.get(link).status_code == 200


def test_each_of_two_files_that_is_not_told_apart_is_chosen_by_itself(named: FlaskClient) -> None:
    problem = assert_problem(asked(named, "/lineage/paths", a="of bare", b="x"), 300)

    assert {"b": ":x", "experiment_b": "dune"} in problem["choices"]
    for choice in problem["choices"]:
        assert (
            asked(named, "/lineage/paths", **{"a": "of bare", "b": "x", **choice}).status_code
            == 200
        )
    choices = [
        link
        for link in links(named.get("/relation?a=of+bare&b=x").text)
        if link.startswith("/relation?")
    ]
    assert [named.get(choice).status_code for choice in choices] == [200] * 4


def test_name_with_a_colon_is_never_taken_for_another_silently(client: FlaskClient) -> None:
    for number, output in enumerate(
        [entry("h:t"), entry("t", "h"), entry("h:t", "p"), entry("t", "p:h")], 1
    ):
        client.put(
            f"/api/v1/jobs/{a_record(number)['job_id']}", json=a_record(number, outputs=[output])
        )

    assert len(assert_problem(asked(client, "/files/h:t"), 300)["choices"]) == 3
    assert len(assert_problem(asked(client, "/files/p:h:t"), 300)["choices"]) == 2
    assert found(client, "/files/h:t", namespace="")["file"]["name"] == "h:t"
    assert found(client, "/files/h:t", namespace="h")["file"]["name"] == "t"
    assert found(client, "/files/h:t", namespace="p")["file"]["name"] == "h:t"


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"file": ":x", "experiment": "nova"}, ["of bare", "x"]),
        ({"file": "x", "namespace": "", "experiment": "nova"}, ["of bare", "x"]),
        ({"file": f"{S3}:x"}, ["of s3", "x"]),
        ({"file": "ns:x"}, ["x"]),
        ({"file": "x", "file_experiment": "dune"}, ["of dune", "only dune", "x"]),
        ({"file": "only dune", "experiment": "nova"}, []),
    ],
)
def test_jobs_are_found_by_the_very_file(
    named: FlaskClient, query: dict[str, str], names: list[str]
) -> None:
    impact = found(named, "/lineage/impact", **query)

    assert sorted({file["name"] for file in impact["files"]}) == names
    assert len(found(named, "/jobs", **query)["jobs"]) == impact["jobs"]


@pytest.mark.parametrize("call", ["/lineage/impact", "/jobs"])
def test_filter_by_a_file_is_answered_as_the_file_is(named: FlaskClient, call: str) -> None:
    assert "of bare" in assert_problem(asked(named, call, file="of bar"), 404)["nearest"]
    problem = assert_problem(asked(named, call, file="x"), 300)
    assert {"file": ":x", "file_experiment": "dune"} in problem["choices"]
    assert_problem(asked(named, call, namespace="ns", stage="s"), 422, "namespace")


def test_page_of_readers_lists_those_of_the_namespace(named: FlaskClient) -> None:
    readers = named.get("/jobs", query_string={"reads": "x", "namespace": S3}).text

    assert job_id(5) in readers
    assert job_id(4) not in readers


def test_name_that_is_known_elsewhere_is_said_to_be_there(named: FlaskClient) -> None:
    problem = assert_problem(asked(named, "/files/only dune", experiment="nova"), 404)
    spaces = assert_problem(asked(named, "/files/of bare", namespace="ns"), 404)

    assert problem["detail"] == (
        "No record mentions a file named only dune in experiment nova; "
        "it is known in experiment dune, no namespace."
    )
    assert problem["known_in"] == [{"experiment": "dune", "namespace": ""}]
    assert "nearest" not in problem
    assert spaces["known_in"] == [{"experiment": "nova", "namespace": ""}]
    page = named.get("/files/only dune?experiment=nova")
    assert "/files/only%20dune?experiment=dune&namespace=" in links(page.text)


@pytest.mark.parametrize(
    "query", ["depth=1&depth=xx", "limit=5&limit=6", "experiment=nova&experiment=dune"]
)
def test_parameter_that_is_given_twice_is_refused(named: FlaskClient, query: str) -> None:
    name = query.partition("=")[0]

    assert_problem(named.get(f"/api/v1/files/x/lineage?namespace=&{query}"), 422, name)
    assert named.get(f"/lineage/x?namespace=&{query}").status_code == 422


@pytest.mark.parametrize(
    ("page", "flag"),
    [
        ("/rebuild/of%20bare?", "from_scratch"),
        ("/orphans?", "isolated"),
        ("/impact?stage=s&", "direct"),
    ],
)
def test_flag_of_a_page_is_read_as_the_call_reads_it(
    named: FlaskClient, page: str, flag: str
) -> None:
    plain, said_no, said_yes = (
        named.get(f"{page}{flag}={word}").text for word in ("", "false", "true")
    )

    def twin(text: str) -> str:
        return next(link for link in links(text) if link.startswith("/api/v1/"))

    assert flag not in twin(plain)
    assert flag not in twin(said_no)
    assert f"{flag}=true" in twin(said_yes)
    assert named.get(f"{page}{flag}=maybe").status_code == 422


@pytest.mark.parametrize("how", ["limit", "cursor"])
@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_stream_of_all_files_takes_no_page(named: FlaskClient, form: str, how: str) -> None:
    assert_problem(
        asked(named, "/lineage/impact", file="ns:x", format=form, **{how: "1"}), 422, how
    )


def test_question_without_a_filter_names_the_filters(named: FlaskClient) -> None:
    assert_problem(asked(named, "/lineage/impact"), 422, "file", "revision", "host")


@pytest.mark.slow
def test_page_of_a_job_shows_the_did_of_an_input_that_it_recorded_by_name(
    client: FlaskClient,
) -> None:
    put_job(client, record_of(1, inputs=[{"name": "raw.root"}, {"name": "other.root"}]))
    seen = {"experiment": "nova", "namespace": "hd", "name": "raw.root", "is_only_namespace": True}
    assert client.post("/api/v1/files", json=seen).status_code == 201

    page = client.get(f"/jobs/{job_id(1)}")

    assert page.status_code == 200
    assert page.text.count("in the catalog ") == 1
    assert "in the catalog hd:raw.root" in page.text
