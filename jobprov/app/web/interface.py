"""The HTTP interface as pages, drawn from its own OpenAPI document: sections, calls and types.

Nothing here knows the calls: the document says everything. Source: OpenAPI 3.1.0.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from flask import Response, current_app
from markupsafe import Markup, escape

from jobprov.app.web.frame.page import answer, pages
from jobprov.app.web.manual import shelves
from jobprov.provenance.answers.addresses import interface_page, interface_type
from jobprov.provenance.errors import NotFoundError

_METHODS = ("get", "put", "post", "delete")
_SCHEMAS = "#/components/schemas/"
_EXAMPLE_LETTERS = 6000
_MOST_USERS = 20
_READ = "jobprov-interface"
_ATTRIBUTE = re.compile(r"^ {8}(\w[\w, ]*): (.*?)(?=^ {8}\w|\Z)", re.MULTILINE | re.DOTALL)


class Parameter(NamedTuple):
    """What is asked with a call."""

    name: str
    place: str
    kind: Markup
    is_required: bool
    description: str


class Outcome(NamedTuple):
    """What a call answers with a status."""

    status: str
    description: str
    kinds: list[Markup]


class Call(NamedTuple):
    """A method of an address."""

    method: str
    path: str
    anchor: str
    section: str
    summary: str
    description: list[str]
    needs_token: bool
    parameters: list[Parameter]
    body: list[Markup]
    outcomes: list[Outcome]

    def uses(self, kind: Markup) -> bool:
        """Return whether the call takes or answers a type, maybe inside another."""
        kinds = list(self.body)
        for outcome in self.outcomes:
            kinds += outcome.kinds
        return any(kind in other for other in kinds)


class Field(NamedTuple):
    """A member of a type."""

    name: str
    kind: Markup
    is_required: bool
    description: str


class InterfaceSection(NamedTuple):
    """Calls of one kind."""

    name: str
    description: str
    url: str
    calls: list[Call]


class Interface:
    """The OpenAPI document, read once."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        """Read the sections and calls of the document."""
        self._components = document["components"]
        self.schemas: Mapping[str, Any] = self._components["schemas"]
        self.sections = {}
        for tag in document["tags"]:
            name = tag["name"]
            self.sections[name] = InterfaceSection(
                name, tag["description"], interface_page(name), []
            )
        for path, operations in document["paths"].items():
            shared = operations.get("parameters", ())
            for method in _METHODS:
                if method in operations:
                    call = self._call(path, method, operations[method], shared)
                    self.sections[call.section].calls.append(call)

    def users(self, name: str) -> list[Call]:
        """Return the first calls that take or answer a type themselves."""
        link = _kind({"$ref": f"{_SCHEMAS}{name}"})
        users = []
        for section in self.sections.values():
            users += [call for call in section.calls if call.uses(link)]
        return users[:_MOST_USERS]

    def _call(self, path: str, method: str, operation: Mapping[str, Any], shared: Any) -> Call:
        body = operation.get("requestBody", {}).get("content", {})
        outcomes = operation["responses"].items()
        return Call(
            method=method.upper(),
            path=path,
            anchor=operation["operationId"],
            section=operation["tags"][0],
            summary=operation.get("summary", ""),
            description=_paragraphs(operation.get("description", "")),
            needs_token="security" in operation,
            parameters=[
                _parameter(parameter) for parameter in (*shared, *operation.get("parameters", ()))
            ],
            body=_media(body),
            outcomes=[self._outcome(status, outcome) for status, outcome in outcomes],
        )

    def _outcome(self, status: str, outcome: Mapping[str, Any]) -> Outcome:
        if "$ref" in outcome:
            outcome = self._components["responses"][outcome["$ref"].rpartition("/")[2]]
        shown = "else" if status == "default" else status
        return Outcome(shown, outcome.get("description", ""), _media(outcome.get("content", {})))


@pages.get("/docs/api", endpoint="interface")
def show_sections() -> Response:
    """List all calls by section."""
    sections = [section for section in _interface().sections.values() if section.calls]
    return answer(
        "manual/interface.html", twin="/openapi.json", sections=sections, shelves=shelves(None)
    )


@pages.get("/docs/api/<name>", endpoint="interface_section")
def show_section(name: str) -> Response:
    """Show what each call of a section takes and answers."""
    section = _interface().sections.get(name)
    if section is None:
        raise NotFoundError(f"The HTTP interface has no section {name[:100]!r}.")
    return answer("manual/calls.html", section=section, shelves=shelves(None))


@pages.get("/docs/api/types/<name>", endpoint="interface_type")
def show_type(name: str) -> Response:
    """Show the members of a type, with an example where there is one."""
    schema = _interface().schemas.get(name)
    if schema is None:
        raise NotFoundError(f"The HTTP interface has no type {name[:100]!r}.")
    description = schema.get("description", "")
    return answer(
        "manual/type.html",
        name=name,
        description=_paragraphs(description.partition("Attributes:")[0]),
        fields=list(_fields(schema)),
        choices=[_kind(choice) for choice in schema.get("anyOf", ())],
        example=_example(schema),
        users=_interface().users(name),
        shelves=shelves(None),
    )


def _interface() -> Interface:
    """Return the interface of this application."""
    extensions = current_app.extensions
    if _READ not in extensions:
        extensions[_READ] = Interface(extensions["jobprov-openapi"]())
    read: Interface = extensions[_READ]
    return read


def _parameter(parameter: Mapping[str, Any]) -> Parameter:
    return Parameter(
        name=parameter["name"],
        place=parameter["in"],
        kind=_kind(parameter.get("schema", {})),
        is_required=bool(parameter.get("required")),
        description=parameter.get("description", ""),
    )


def _media(content: Mapping[str, Any]) -> list[Markup]:
    """Return what a body is: a type where it is JSON, else its content type."""
    kinds = []
    for media_type, media in content.items():
        if media_type.endswith("json") and media.get("schema"):
            kinds.append(_kind(media["schema"]))
        else:
            kinds.append(escape(media_type))
    return kinds


def _kind(schema: Mapping[str, Any]) -> Markup:
    """Return a schema in a few words, types of ours as links to their page."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_SCHEMAS)
        return Markup('<a href="{}">{}</a>').format(interface_type(name), name)
    if "anyOf" in schema:
        return Markup(" or ").join(_kind(choice) for choice in schema["anyOf"])
    if "enum" in schema:
        return escape(" or ".join(json.dumps(value) for value in schema["enum"]))
    if schema.get("type") == "array":
        return Markup("list of {}").format(_kind(schema.get("items") or {}))
    inner = schema.get("additionalProperties")
    if schema.get("type") == "object" and isinstance(inner, Mapping) and inner:
        return Markup("object of {}").format(_kind(inner))
    return escape(_plain_kind(schema))


def _plain_kind(schema: Mapping[str, Any]) -> str:
    """Return the format or type of a schema that holds no other one."""
    named = schema.get("format") or schema.get("type") or "anything"
    if isinstance(named, str):
        return named
    return " or ".join(named)


def _fields(schema: Mapping[str, Any]) -> Iterator[Field]:
    """Yield the members of a type, explained by the docstring in its description."""
    words_by_name = _told(schema.get("description", ""))
    required = schema.get("required", ())
    for name, member in schema.get("properties", {}).items():
        words = member.get("description") or words_by_name.get(name, "")
        yield Field(name, _kind(member), name in required, words)


def _told(description: str) -> dict[str, str]:
    """Return the explanations in a docstring's list of attributes, by name."""
    words_by_name = {}
    for names, words in _ATTRIBUTE.findall(description.partition("Attributes:\n")[2]):
        for name in names.split(","):
            words_by_name[name.strip()] = " ".join(words.split())
    return words_by_name


def _example(schema: Mapping[str, Any]) -> str:
    """Return an example of a type as JSON, cut if it is long; '' if no example is known."""
    if not schema.get("examples"):
        return ""
    text = json.dumps(schema["examples"][0], indent=2, ensure_ascii=False)
    if len(text) <= _EXAMPLE_LETTERS:
        return text
    return text[:_EXAMPLE_LETTERS].rpartition("\n")[0] + "\n…"


def _paragraphs(text: str) -> list[str]:
    parts = re.split(r"\n\s*\n", text.strip())
    return [" ".join(part.split()) for part in parts if part]
