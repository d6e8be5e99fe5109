"""The OpenAPI document, made from the code.

Flask-smorest collects the routes, msgspec describes records and answers: when somebody first asks
for the document, as that takes longer than all else that an application is made of.

Routes are described where they are made, by `Section.get` and its like, which only note something
on the function: unlike flask-smorest's own decorators they add nothing to a call. Source: OpenAPI
3.1.0; JSON Schema 2020-12.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from types import UnionType
from typing import Any, NamedTuple, TypeVar, get_args

import msgspec
from flask import Flask, request
from flask_smorest import Api, Blueprint
from marshmallow import Schema, fields

from jobprov.app.api.wire.guard import check_reading
from jobprov.app.errors import CONTENT_TYPE
from jobprov.provenance.records.job_record import JobRecord

F = TypeVar("F", bound=Callable[..., Any])
_REFERENCE = "#/components/schemas/{name}"
JSON = "application/json"
OBJECT = {"type": "object"}
"""An answer whose members its docstring names."""
_TOLD_OF_LIMITS = {
    "Retry-After": "Whole seconds until requests are taken again.",
    "RateLimit-Policy": 'The limits that count: `"requests";q=600;w=60` are 600 in 60 seconds.',
    "RateLimit": 'What is left of each: `"requests";r=0;t=40` is nothing, for 40 seconds.',
}
"""Headers of answers to a client that has passed a limit.

See `access.rate_limits` and `access.wrong_tokens`.
"""


class ProblemSchema(Schema):
    """An error: RFC 9457, with messages by field path where input was bad."""

    type = fields.String(
        required=True,
        metadata={"format": "uri-reference", "description": "`/problems/` and a word."},
    )
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(
        required=True, metadata={"description": "What failed, where, and what to do."}
    )
    errors = fields.Dict(keys=fields.String(), values=fields.List(fields.String()))
    nearest = fields.List(
        fields.String(), metadata={"description": "Names like the one that was asked for."}
    )
    choices = fields.List(
        fields.Dict(), metadata={"description": "What to add to an ambiguous question."}
    )
    known_in = fields.List(
        fields.Dict(),
        metadata={"description": "Where the name is known that is not where it was asked for."},
    )
    limit = fields.Integer(metadata={"description": "The limit that was passed."})
    request_id = fields.String()


class JobprovApi(Api):  # type: ignore[misc]  # the package has no types
    """The API as documented: errors are problem+json, and answered in `app/errors.py` alone."""

    ERROR_SCHEMA = ProblemSchema

    def _register_error_handlers(self) -> None:
        """Register none: one place answers every error."""

    def _register_responses(self) -> None:
        """Register one response a status, as problem+json."""
        for status in HTTPStatus:
            response: dict[str, object] = {
                "description": status.phrase,
                "content": {CONTENT_TYPE: {"schema": ProblemSchema}},
            }
            if status is HTTPStatus.TOO_MANY_REQUESTS:
                response["headers"] = _headers(_TOLD_OF_LIMITS)
            self.spec.components.response(status.name, response, lazy=True)
        error = {
            "description": "Any other error",
            "content": {CONTENT_TYPE: {"schema": ProblemSchema}},
        }
        self.spec.components.response("DEFAULT_ERROR", error, lazy=True)


def describe(app: Flask, sections: Sequence["Section"]) -> dict[str, object]:
    """Return the OpenAPI document of an application's calls."""
    app.config.update(API_TITLE="jobprov", API_VERSION="v1", OPENAPI_VERSION="3.1.0")
    api = JobprovApi(app)
    _add_schemas(api, {kind for section in sections for kind in section.types})
    for section in sections:
        section.register_views_in_doc(api, app, api.spec, name=section.name, parameters=None)
        api.spec.tag({"name": section.name, "description": section.description})
    document: dict[str, object] = api.spec.to_dict()
    return document


def _add_schemas(api: JobprovApi, types: AbstractSet[type[msgspec.Struct]]) -> None:
    """Put the JSON schemas of the record and of these types into the document.

    Each answer gets an example.
    """
    kinds: set[type[msgspec.Struct]] = {JobRecord, *types}
    ordered = sorted(kinds, key=lambda kind: kind.__name__)
    examples = read_examples()
    _, components = msgspec.json.schema_components(ordered, ref_template=_REFERENCE)
    for name, schema in components.items():
        _add_items(schema)
        if name in examples:
            schema["examples"] = [examples[name]]
        api.spec.components.schema(name, schema)
    api.spec.components.security_scheme(
        "token", {"type": "http", "scheme": "bearer", "description": "A write token."}
    )


@cache
def read_examples() -> dict[str, object]:
    """Return real answers, cut short, by the name of their type.

    An answer without a type is found by the id of its call.
    """
    content = files("jobprov.app.api").joinpath("examples.json").read_bytes()
    return msgspec.json.decode(content, type=dict[str, object])


class Section(Blueprint):  # type: ignore[misc]
    """Calls of one kind, under /api/v1.

    Attributes:
        types: the bodies and answers of its calls, which the document describes.
    """

    def __init__(self, name: str, description: str) -> None:
        super().__init__(
            name, f"jobprov.app.api.{name}", url_prefix="/api/v1", description=description
        )
        self.types: list[type[msgspec.Struct]] = []
        self._reading: set[str] = set()
        self.before_request(self._check_reader)

    def _check_reader(self) -> None:
        """Ask who reads, before every call that only reads and is not for everybody."""
        if (request.endpoint or "").rpartition(".")[2] in self._reading:
            check_reading()

    def get(
        self,
        rule: str,
        answers: Any,
        *,
        query: type[Schema] | None = None,
        errors: tuple[int, ...] = (),
        needs_token: bool = False,
        is_public: bool = False,
        other_types: Collection[str] = (),
    ) -> Callable[[F], F]:
        """Return a decorator that routes GET to a function and notes what it takes and answers.

        Args:
            rule: below /api/v1, with its parameters as Flask writes them.
            answers: of status 200, or by status: a msgspec type, several of them joined by `|`, a
                JSON schema, or (content type or several, description) for anything else.
            query: the schema of what it is asked.
            errors: statuses answered by problem+json. Added are 401 where readers may have to show
                who they are, 413, 415 and 422 of bodies, 422 of queries, 401 and 403 where a token
                is needed, and 429 of all whose callers are counted.
            needs_token: whether a write token is needed, as for calls that write.
            is_public: whether everybody may read it, also where reading needs a token, and as
                often as they like.
            other_types: content types of what 200 is answered with where the query asks for a form
                other than JSON.
        """
        refusals = list(errors)
        if not (needs_token or is_public):
            refusals.append(401)
        call = _Call("GET", rule, answers, query=query, other_types=other_types)
        return self._route(call, refusals, needs_token=needs_token, is_public=is_public)

    def put(
        self,
        rule: str,
        answers: Any,
        *,
        body: Any,
        query: type[Schema] | None = None,
        errors: tuple[int, ...] = (),
    ) -> Callable[[F], F]:
        """Return a decorator for a function that takes what is put; see `get`.

        `body` is a msgspec type, a content type, or a JSON schema.
        """
        return self._route(_Call("PUT", rule, answers, body, query), errors, needs_token=True)

    def post(
        self,
        rule: str,
        answers: Any,
        *,
        body: Any = None,
        query: type[Schema] | None = None,
        errors: tuple[int, ...] = (),
    ) -> Callable[[F], F]:
        """Return a decorator for a function that takes what is posted; see `put`."""
        return self._route(_Call("POST", rule, answers, body, query), errors, needs_token=True)

    def _route(
        self,
        call: "_Call",
        errors: Sequence[int],
        *,
        needs_token: bool,
        is_public: bool = False,
    ) -> Callable[[F], F]:
        """Return a decorator that documents a function and lets it answer the call."""
        answers = call.answers if isinstance(call.answers, Mapping) else {200: call.answers}
        for kind in (*answers.values(), call.body):
            self.types += _structs_in(kind)
        document: dict[str, object] = {}
        refusals = set(errors)
        if call.body is not None:
            document["requestBody"] = {"required": True, "content": _content(call.body)}
            refusals |= {413, 415, 422}
        if call.query is not None:
            document["parameters"] = [{"in": "query", "schema": call.query}]
            refusals.add(422)
        if needs_token:
            document["security"] = [{"token": []}]
            refusals |= {401, 403}
        if not is_public:
            refusals.add(429)

        def add(function: F) -> F:
            document["operationId"] = function.__name__
            document["responses"] = _responses(
                function.__name__, answers, sorted(refusals), call.other_types
            )
            if not needs_token and not is_public:
                self._reading.add(function.__name__)
            # Where flask-smorest looks
            function._apidoc = {"manual_doc": document}  # type: ignore[attr-defined]  # noqa: SLF001
            self.add_url_rule(call.rule, None, function, methods=[call.method])
            return function

        return add


class _Call(NamedTuple):
    """A call as it is written at its function; see `Section.get`."""

    method: str
    rule: str
    answers: Any
    body: Any = None
    query: type[Schema] | None = None
    other_types: Collection[str] = ()


def _structs_in(kind: Any) -> list[type[msgspec.Struct]]:
    """Return the msgspec types that an answer or body can have."""
    if isinstance(kind, UnionType):
        return list(get_args(kind))
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return [kind]
    return []


def _responses(
    operation_id: str,
    answers: Mapping[int, Any],
    refusals: Sequence[int],
    other_types: Collection[str],
) -> dict[str, object]:
    """Return what a call answers, by status, with an example where the type has none."""
    example = read_examples().get(operation_id)
    responses: dict[str, object] = {}
    for status, kind in answers.items():
        responses[str(status)] = _answer(status, kind, example, other_types)
    for status in refusals:
        responses[str(status)] = HTTPStatus(status).name
    responses["default"] = "DEFAULT_ERROR"
    return responses


def _answer(
    status: int, kind: Any, example: object, other_types: Collection[str] = ()
) -> dict[str, object]:
    if isinstance(kind, tuple):
        content_types, description = kind
        if isinstance(content_types, str):
            content_types = (content_types,)
        content = {name: _media(_schema_of_type(name)) for name in content_types}
    else:
        description, content = HTTPStatus(status).phrase, _content(kind)
    for content_type in other_types:
        name = content_type.partition(";")[0]
        content.setdefault(name, _media(_schema_of_type(name)))
    if example is not None and JSON in content:
        content[JSON]["example"] = example
    return {"description": description, "content": content}


def _headers(described: Mapping[str, str]) -> dict[str, object]:
    """Return headers of an answer as the document has them."""
    headers: dict[str, object] = {}
    for name, description in described.items():
        headers[name] = {"description": description, "schema": {"type": "string"}}
    return headers


def _content(kind: Any) -> dict[str, dict[str, object]]:
    """Return the schema of a body by its content type."""
    if isinstance(kind, str):
        return {kind: _media(_schema_of_type(kind))}
    if isinstance(kind, dict):
        return {JSON: _media(kind)}
    references = [{"$ref": _REFERENCE.format(name=kind.__name__)} for kind in _structs_in(kind)]
    if len(references) == 1:
        return {JSON: _media(references[0])}
    return {JSON: _media({"anyOf": references})}


def _media(schema: Mapping[str, object]) -> dict[str, object]:
    return {"schema": schema}


def _schema_of_type(content_type: str) -> dict[str, object]:
    """Return the schema of a body that is described by its content type alone."""
    if content_type.endswith("json"):
        return {}
    if content_type.startswith("text/"):
        return {"type": "string"}
    return {"type": "string", "format": "binary"}


def _add_items(schema: Any) -> None:
    """Say of each array in a schema what it holds, also where that is anything.

    msgspec leaves `items` out for a list of anything, and makers of clients then skip the type.
    """
    if isinstance(schema, dict):
        # False stands for a tuple, whose maxItems says the same; apispec takes it for a name
        if schema.get("type") == "array" and not schema.get("items"):
            schema["items"] = {}
        for part in schema.values():
            _add_items(part)
    elif isinstance(schema, list):
        for part in schema:
            _add_items(part)
