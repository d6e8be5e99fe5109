"""The OpenAPI document: valid, complete, and true about errors and records."""

import json
import re
from typing import Any

import msgspec
import pytest
from flask import Flask
from flask.testing import FlaskClient

from jobprov.app.api import SECTIONS
from jobprov.app.api.wire.documenting import read_examples
from tests.library.records import JOB, a_record

JSON = "application/json"
KINDS = {kind.__name__: kind for section in SECTIONS for kind in section.types}


@pytest.fixture(scope="module")
def document(bare_app: Flask) -> dict[str, Any]:
    """Return the document: no database has a part in it."""
    found: dict[str, Any] = bare_app.test_client().get("/api/v1/openapi.json").get_json()
    return found


def check_against(schema: dict[str, Any], value: Any) -> None:
    """Check a value against a JSON Schema.

    Raises:
        jsonschema.ValidationError: it does not fit.
    """
    # Takes two seconds to import, which each process of tests would spend
    import jsonschema  # noqa: PLC0415

    jsonschema.Draft202012Validator(schema).validate(value)


@pytest.mark.slow
def test_document_is_valid(document: dict[str, Any]) -> None:
    # As slow to import as jsonschema, which it uses
    from openapi_spec_validator import validate  # noqa: PLC0415

    assert document["openapi"] == "3.1.0"
    validate(document)


@pytest.mark.slow
def test_every_route_of_the_api_is_described(app: Flask, document: dict[str, Any]) -> None:
    described = {
        (path.replace("{", "<").replace("}", ">"), method)
        for path, item in document["paths"].items()
        for method in item
    }
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/api/v1/") and not rule.rule.endswith("openapi.json"):
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
                assert (re.sub(r"<\w+:", "<", rule.rule), method.lower()) in described


@pytest.mark.slow
def test_errors_are_described_as_they_are_sent(document: dict[str, Any]) -> None:
    for name, response in document["components"]["responses"].items():
        assert list(response["content"]) == ["application/problem+json"], name


def test_calls_that_answer_lines_of_text_when_asked_say_so(document: dict[str, Any]) -> None:
    with_text = []
    for path, item in document["paths"].items():
        for parameter in item.get("get", {}).get("parameters", []):
            choices = parameter.get("schema", {}).get("enum", [])
            if parameter.get("name") == "format" and "plain" in choices:
                content = item["get"]["responses"]["200"]["content"]
                assert {"application/json", "text/plain"} <= content.keys(), path
                with_text.append(path.rpartition("/")[2])

    assert sorted(with_text) == ["draining", "missing", "ready"]


@pytest.mark.parametrize(
    ("path", "parameter", "content_types"),
    [
        (
            "/api/v1/files/{name}/lineage",
            "format",
            {"text/vnd.graphviz", "image/svg+xml", "text/provenance-notation", "text/csv"},
        ),
        ("/api/v1/lineage/impact", "format", {"text/csv", "application/x-ndjson"}),
        ("/api/v1/lineage/folded", "format", {"text/vnd.graphviz", "image/svg+xml"}),
        ("/api/v1/campaigns/{name}/graph", "format", {"text/vnd.graphviz", "image/svg+xml"}),
        ("/api/v1/retries", "format", {"text/plain"}),
        ("/api/v1/jobs/{job_id}/configurations/{step}", "form", {"text/plain"}),
    ],
)
def test_calls_that_answer_in_other_forms_when_asked_say_so(
    document: dict[str, Any], path: str, parameter: str, content_types: set[str]
) -> None:
    call = document["paths"][path]["get"]
    content = call["responses"]["200"]["content"]

    assert parameter in [one["name"] for one in call["parameters"] if "name" in one]
    assert content.keys() >= {"application/json", *content_types}


def test_writing_calls_are_described_as_needing_a_token(document: dict[str, Any]) -> None:
    for path, item in document["paths"].items():
        for method in {"put", "post"} & set(item):
            assert item[method]["security"] == [{"token": []}], path


def test_every_call_says_in_words_what_it_does(document: dict[str, Any]) -> None:
    for item in document["paths"].values():
        for method, operation in item.items():
            if method != "parameters":
                assert operation["summary"]


def test_every_call_has_an_id_of_its_own(document: dict[str, Any]) -> None:
    ids = [
        operation["operationId"]
        for item in document["paths"].values()
        for method, operation in item.items()
        if method != "parameters"
    ]
    assert len(ids) == len(set(ids)) > 70


def test_no_name_is_one_of_the_path_and_of_the_query_too(document: dict[str, Any]) -> None:
    for path, item in document["paths"].items():
        for method in {"get", "put", "post"} & set(item):
            for parameter in item[method].get("parameters", ()):
                if parameter["in"] == "query":
                    assert f"{{{parameter['name']}}}" not in path


def test_every_array_says_what_it_holds(document: dict[str, Any]) -> None:
    schemas = [document]
    arrays = 0
    while schemas:
        schema = schemas.pop()
        if schema.get("type") == "array":
            assert "items" in schema, schema
            arrays += 1
        parts = [*schema.values()]
        for part in parts:
            if isinstance(part, list):
                parts += part
            elif isinstance(part, dict):
                schemas.append(part)
    assert arrays > 100


@pytest.mark.slow
def test_every_json_answer_has_an_example(document: dict[str, Any]) -> None:
    """Examples are in `app/api/examples.json`.

    They stand there by the name of their type, or by the id of the call where it has none.
    """
    shown = set()
    for item in document["paths"].values():
        for method in {"get", "put", "post"} & set(item):
            for response in item[method]["responses"].values():
                if response.get("content", {}).get(JSON, {}).get("schema"):
                    shown |= _examples_of(document, item[method], response)

    assert shown == set(read_examples())


def _examples_of(
    document: dict[str, Any], operation: dict[str, Any], response: dict[str, Any]
) -> set[str]:
    """Return the names of the examples of an answer, once they are seen in the document."""
    content = response["content"]["application/json"]
    examples = {}
    for schema in content["schema"].get("anyOf", [content["schema"]]):
        if "$ref" in schema:
            name = schema["$ref"].removeprefix("#/components/schemas/")
            examples[name] = document["components"]["schemas"][name]["examples"][0]
        else:
            examples[operation["operationId"]] = content["example"]
            check_against(schema, content["example"])
    for name, example in examples.items():
        assert example == read_examples()[name]
    return set(examples)


@pytest.mark.parametrize("name", sorted(set(read_examples()) & set(KINDS)))
def test_example_is_an_answer_of_its_type(name: str, document: dict[str, Any]) -> None:
    example = read_examples()[name]

    answer = msgspec.json.decode(msgspec.json.encode(example), type=KINDS[name], strict=True)

    # nothing in it that the type does not know, nothing left out that an answer would say
    assert msgspec.json.decode(msgspec.json.encode(answer)) == example
    described = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    check_against(described, example)


def test_record_that_is_taken_fits_the_described_schema(
    client: FlaskClient, document: dict[str, Any]
) -> None:
    schema = {"$ref": "#/components/schemas/JobRecord", "components": document["components"]}
    record = a_record(outputs=[{"name": "a.root"}], unknown=1)

    check_against(schema, record)

    assert client.put(f"/api/v1/jobs/{JOB}", json=record).status_code == 201
    answer = client.put(f"/api/v1/jobs/{JOB}", json=record)
    described = {"$ref": "#/components/schemas/RecordAnswer", "components": document["components"]}
    check_against(described, answer.get_json())
    assert json.dumps(document).count("JobRecord") > 2
