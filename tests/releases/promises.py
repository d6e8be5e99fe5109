"""What an OpenAPI document promises to clients, and which promises a later one breaks."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Schema = dict[str, Any]
_METHODS = ("get", "put", "post", "delete", "patch")


@dataclass
class Comparison:
    """A document of a release beside one of now.

    Attributes:
        old: of the release.
        new: of now.
        compared: pairs of references that were compared already; a type may hold itself.
    """

    old: Schema
    new: Schema
    compared: set[tuple[str, str]] = field(default_factory=set)

    def broken(self) -> list[str]:
        """Return each broken promise in words."""
        found: list[str] = []
        for path, item in self.old["paths"].items():
            for method in _METHODS:
                if method in item:
                    call = f"{method.upper()} {path}"
                    now = self.new["paths"].get(path, {}).get(method)
                    found += self._of_call(call, item[method], now) if now else [f"{call} is gone"]
        return found

    def _of_call(self, call: str, old: Schema, new: Schema) -> Iterator[str]:
        yield from self._of_parameters(call, old, new)
        yield from self._of_request(call, old, new)
        for status, answer in old["responses"].items():
            if status not in new["responses"]:
                yield f"{call}: status {status} is gone"
                continue
            earlier = _resolved(self.old, answer).get("content", {})
            now = _resolved(self.new, new["responses"][status]).get("content", {})
            for kind, content in earlier.items():
                if kind not in now:
                    yield f"{call}: {status} no longer answers {kind}"
                else:
                    place = f"{call}: {status}"
                    yield from self._answered(place, content.get("schema"), now[kind].get("schema"))

    def _of_parameters(self, call: str, old: Schema, new: Schema) -> Iterator[str]:
        before, now = _parameters(self.old, old), _parameters(self.new, new)
        for name in sorted(before.keys() - now.keys()):
            yield f"{call}: parameter {name} is gone"
        for name in sorted(now.keys() - before.keys()):
            if now[name].get("required"):
                yield f"{call}: parameter {name} is required and new"

    def _of_request(self, call: str, old: Schema, new: Schema) -> Iterator[str]:
        before, now = (
            _resolved(document, operation.get("requestBody", {})).get("content", {})
            for document, operation in ((self.old, old), (self.new, new))
        )
        for kind, content in before.items():
            if kind not in now:
                yield f"{call}: a body of {kind} is no longer taken"
                continue
            earlier = _resolved(self.old, content.get("schema", {}))
            later = _resolved(self.new, now[kind].get("schema", {}))
            for name in earlier.get("properties", {}).keys() - later.get("properties", {}).keys():
                yield f"{call}: {name} is no longer taken"
            for name in set(later.get("required", ())) - set(earlier.get("required", ())):
                yield f"{call}: {name} is required and was not"

    def _answered(self, place: str, old: Schema | None, new: Schema | None) -> Iterator[str]:
        """Yield what a client that reads `old` would miss in an answer of `new`."""
        if not old or not new:
            return
        references = (old.get("$ref", ""), new.get("$ref", ""))
        if any(references):
            if references in self.compared:
                return
            self.compared.add(references)
        old, new = _resolved(self.old, old), _resolved(self.new, new)
        if gone := _types(new) - _types(old):
            yield f"{place} may be {', '.join(sorted(gone))}, and was {', '.join(_types(old))}"
        for name, schema in old.get("properties", {}).items():
            if name not in new.get("properties", {}):
                yield f"{place}.{name} is gone"
            else:
                yield from self._answered(f"{place}.{name}", schema, new["properties"][name])
        for name in set(old.get("required", ())) - set(new.get("required", ())):
            yield f"{place}.{name} was always there"
        yield from self._answered(f"{place}[]", old.get("items"), new.get("items"))
        for earlier, now in zip(old.get("anyOf", ()), new.get("anyOf", ()), strict=False):
            yield from self._answered(place, earlier, now)


def _resolved(document: Schema, schema: Schema) -> Schema:
    """Return what a schema, or a reference to one, says."""
    while "$ref" in schema:
        found: Any = document
        for name in schema["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        schema = found
    return schema


def _parameters(document: Schema, operation: Schema) -> dict[str, Schema]:
    found = [_resolved(document, parameter) for parameter in operation.get("parameters", ())]
    return {parameter["name"]: parameter for parameter in found}


def _types(schema: Schema) -> set[str]:
    kinds = schema.get("type", ())
    return {kinds} if isinstance(kinds, str) else set(kinds)
