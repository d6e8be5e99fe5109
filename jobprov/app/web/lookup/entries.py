"""Entries of a record as pages show them: as sent, with every member a template may ask for."""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from jobprov.provenance.records.job_record import JsonObject


def complete(entry: Mapping[str, Any] | None, kind: type[Struct]) -> JsonObject:
    """Return an entry of a record with all members of its kind, None where it does not have them.

    What a record says that is not of the kind stays: pages show the record as it was sent.
    """
    return {**dict.fromkeys(kind.__struct_fields__), **(entry or {})}


def complete_all(
    entries: Iterable[Mapping[str, Any]] | None, kind: type[Struct]
) -> list[JsonObject]:
    """Return the entries of a list alike."""
    return [complete(entry, kind) for entry in entries or ()]
