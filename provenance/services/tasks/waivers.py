"""Waivers: somebody says that a task goes on without some of its units, and why.

Appended to the ledger, and visible for good.

Source: http.md, `POST /tasks/{task_id}/waivers`.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.db.inserting import insert_rows
from jobprov.provenance.db.keys import chunks
from jobprov.provenance.db.queries.tasks.tasks import FoundTask
from jobprov.provenance.db.queries.tasks.units import entry_times
from jobprov.provenance.db.recording.writing import table_of
from jobprov.provenance.db.tables import WaivedUnit
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.records.documents import read_document
from jobprov.provenance.services.ledger.entries import enter_document, read_entries
from jobprov.provenance.services.tasks.declarations import (
    MOST_UNITS,
    read_declaration,
    read_task_document,
)
from jobprov.provenance.services.writing import Writing

MOST_LISTED = 100
_NAMED = 5
_Word = Annotated[str, msgspec.Meta(min_length=1, max_length=3000)]


class Waiver(msgspec.Struct, kw_only=True):
    """What `POST /tasks/{task_id}/waivers` takes.

    Attributes:
        units: those that the task goes on without.
        who: the person who decided it.
        why: the reason, for whoever asks in a year.
        withdrawn: take an earlier waiver of these units back.
    """

    units: Annotated[list[_Word], msgspec.Meta(min_length=1, max_length=MOST_UNITS)]
    who: _Word
    why: _Word
    withdrawn: bool = False


def read_waiver(document: Mapping[str, Any]) -> Waiver:
    """Return the typed reading of a waiver.

    Raises:
        BadInputError: a field is missing or wrong; `fields` says which.
    """
    return read_document(document, Waiver, "The waiver")


def waive_units(writing: Writing, task: FoundTask, document: Mapping[str, Any]) -> int:
    """Waive units of a task, or take that back; return how many units it names.

    Raises:
        BadInputError: it cannot be read, or names units that are not on the task's frozen list.
    """
    connection = writing.connection
    waiver = read_waiver(document)
    declared = read_task_document(connection, writing.store, task)
    listed = read_declaration(declared).listed_units() if declared else None
    strange = sorted(set(waiver.units) - set(listed)) if listed is not None else []
    if strange:
        more = f" and {len(strange) - _NAMED} more" if len(strange) > _NAMED else ""
        message = (
            f"not on the frozen list of task {task.task_id}: {', '.join(strange[:_NAMED])}{more}"
        )
        raise BadInputError(f"units: {message}.", {"units": [message]})
    body = {"task_id": task.task_id, "waiver": dict(document)}
    entry = enter_document(writing, task.experiment_key, "waiver", body)
    write_waiver_rows(connection, task.key, entry, document)
    return len(set(waiver.units))


def write_waiver_rows(
    connection: Connection, task: int, entry: int, document: Mapping[str, Any]
) -> None:
    """Write what a waiver says whose ledger entry is there; the newest of a unit stands."""
    waiver = read_waiver(document)
    table = table_of(WaivedUnit)
    units = sorted(set(waiver.units))
    for part in chunks(units):
        connection.execute(table.delete().where(table.c.task_id == task, table.c.unit.in_(part)))
    if not waiver.withdrawn:
        insert_rows(
            connection,
            table,
            [{"task_id": task, "unit": unit, "entry_id": entry} for unit in units],
        )


def list_waivers(
    connection: Connection, store: Store, entries: Mapping[str, int]
) -> list[dict[str, Any]]:
    """Return the waivers that stand, newest first.

    `{who, why, waived_at, unit_count, units}`, the first hundred units of each.

    Args:
        connection: where from.
        store: the archive, for sealed entries.
        entries: the ledger entry that waives each unit.
    """
    units: dict[int, list[str]] = {}
    for unit, entry in entries.items():
        units.setdefault(entry, []).append(unit)
    newest = sorted(units, reverse=True)[:MOST_LISTED]
    bodies = read_entries(connection, store, newest)
    times = entry_times(connection, newest)
    return [
        _shown(json.loads(bodies[entry])["waiver"], times[entry], sorted(units[entry]))
        for entry in newest
    ]


def _shown(waiver: Mapping[str, Any], waived_at: str, units: Sequence[str]) -> dict[str, Any]:
    return {
        "who": waiver["who"],
        "why": waiver["why"],
        "waived_at": waived_at,
        "unit_count": len(units),
        "units": units[:MOST_LISTED],
    }
