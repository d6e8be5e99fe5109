"""Waivers: somebody decides that a task goes on without some of its units, and gives a reason.

They are appended to the ledger and stay visible. Source: http.md, `POST /tasks/{task_id}/waivers`.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from itertools import islice
from typing import Annotated, Any, NamedTuple

import msgspec
from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.answers.tasks.tasks import OpenUnit, StandingWaiver, UnitState
from jobprov.provenance.db.changes.tasks import add_waivers, forget_waivers
from jobprov.provenance.db.queries.tasks.tasks import FoundTask
from jobprov.provenance.db.queries.tasks.units import entry_times
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.lineage.words import enumerated
from jobprov.provenance.records.reading.documents import read_document
from jobprov.provenance.services.ledger.entries import enter_document, read_entries
from jobprov.provenance.services.tasks.declarations import (
    MOST_UNITS,
    Declaration,
    find_declaration,
)
from jobprov.provenance.services.tasks.units import count_units, states_of_units
from jobprov.provenance.services.writing import Writing

MOST_LISTED = 100
MOST_WAIVED = 1000
_NAMED = 5
_MOST_COMPARED = 5000
"""So many names are compared with one that nobody knows: a task may have a million."""
_Word = Annotated[str, msgspec.Meta(min_length=1, max_length=3000)]


class Waiver(msgspec.Struct, kw_only=True):
    """What `POST /tasks/{task_id}/waivers` takes.

    Attributes:
        units: those that the task goes on without.
        who: the person who decided it.
        why: the reason, for whoever asks in a year.
        withdrawn: take back an earlier waiver of these units.
        known_only: refuse units of which nothing is known, where the task has no frozen list.
    """

    units: Annotated[list[_Word], msgspec.Meta(min_length=1, max_length=MOST_UNITS)]
    who: _Word
    why: _Word
    withdrawn: bool = False
    known_only: bool = False


class WaivedUnit(NamedTuple):
    """A unit that the task goes on without: who decided that, why and when."""

    unit: str
    who: str
    why: str
    waived_at: str


class WaiverTaken(NamedTuple):
    """What a waiver, or its withdrawal, did.

    Attributes:
        unit_count: how many units it names.
        not_waived: those among them, sorted, that a withdrawal took nothing back of.
    """

    unit_count: int
    not_waived: list[str]


class UnitsToDecide(NamedTuple):
    """The units of a task about which somebody may decide whether it waits for them.

    Attributes:
        open: those that can be waived: neither done nor waived, and no job of theirs runs or waits
            in the queue.
        waived: the names of those that are waived.
        newest_waived: the first thousand of these, those that were waived last first.
    """

    open: list[OpenUnit]
    waived: list[str]
    newest_waived: list[WaivedUnit]


def units_to_decide(connection: Connection, store: Store, task: FoundTask) -> UnitsToDecide:
    """Return the units of a task that can be waived, and those that are."""
    units = count_units(connection, task, find_declaration(connection, store, task))
    on_the_way = (UnitState.RUNNING, UnitState.IDLE)
    return UnitsToDecide(
        open=[unit for unit in units.open if unit.state not in on_the_way],
        waived=sorted(units.entries),
        newest_waived=_list_waived(connection, store, units.entries),
    )


def _list_waived(
    connection: Connection, store: Store, entries: Mapping[str, int]
) -> list[WaivedUnit]:
    """Return the units that were waived last, with who decided that."""
    newest = sorted(entries, key=lambda unit: (-entries[unit], unit))[:MOST_WAIVED]
    waivers = _read_waivers(connection, store, {entries[unit] for unit in newest})
    times = entry_times(connection, list(waivers))
    waived = []
    for unit in newest:
        entry = entries[unit]
        waiver = waivers[entry]
        waived.append(WaivedUnit(unit, waiver.who, waiver.why, times[entry]))
    return waived


def _read_waivers(
    connection: Connection, store: Store, entries: Collection[int]
) -> dict[int, Waiver]:
    """Return waivers by their ledger entry."""
    bodies = read_entries(connection, store, entries)
    return {entry: read_waiver(json.loads(body)["waiver"]) for entry, body in bodies.items()}


def read_waiver(document: Mapping[str, Any]) -> Waiver:
    """Return the typed reading of a waiver.

    Raises:
        BadInputError: a field is missing or wrong; `fields` says which.
    """
    return read_document(document, Waiver, "The waiver")


def waive_units(writing: Writing, task: FoundTask, document: Mapping[str, Any]) -> WaiverTaken:
    """Waive units of a task, or take a waiver back; where none was waived, nothing is entered.

    Raises:
        BadInputError: the waiver cannot be read, or names units that are not on the frozen list.
    """
    connection = writing.connection
    waiver = read_waiver(document)
    _check_listed(task, waiver, find_declaration(connection, writing.store, task))
    # How it was to be checked is no part of the decision
    decided = {name: value for name, value in document.items() if name != "known_only"}
    body = {"task_id": task.task_id, "waiver": decided}
    named = set(waiver.units)
    if not waiver.withdrawn:
        entry = enter_document(writing, task.experiment_key, "waiver", body)
        write_waiver_rows(connection, task.key, entry, document)
        return WaiverTaken(len(named), [])
    waived_before = forget_waivers(connection, task.key, sorted(named))
    if waived_before:
        enter_document(writing, task.experiment_key, "waiver", body)
    return WaiverTaken(len(named), sorted(named - waived_before))


def check_known_units(
    connection: Connection, store: Store, task: FoundTask, units: Iterable[str]
) -> None:
    """Make sure that something is known of these units, where the task has no frozen list.

    Raises:
        BadInputError: no job, order, queue or catalog has one of them; it names those that are
            written much alike.
    """
    declaration = find_declaration(connection, store, task)
    if declaration is not None and declaration.listed_units() is not None:
        return  # `waive_units` compares them with the list
    known = states_of_units(connection, task, declaration)
    unknown = sorted(set(units).difference(known))
    if not unknown:
        return
    names = _named_with_nearest(unknown, known)
    problem = f"nothing is known of these units of task {task.task_id}: {names}"
    raise BadInputError(
        f"units: {problem}. To waive them all the same, use `jobprov waive --force`, "
        "or a call without known_only.",
        {"units": [problem]},
    )


def _named_with_nearest(units: Sequence[str], known: Collection[str]) -> str:
    """Return the names of units, the first of them each with those that are written much alike."""
    named = [_with_nearest(unit, known) for unit in units[:_NAMED]]
    return enumerated([*named, *units[_NAMED:]], _NAMED)


def _with_nearest(unit: str, known: Iterable[str]) -> str:
    nearest = get_close_matches(unit, islice(known, _MOST_COMPARED), cutoff=0.75)
    return f"{unit} (did you mean {' or '.join(nearest)}?)" if nearest else unit


def _check_listed(task: FoundTask, waiver: Waiver, declaration: Declaration | None) -> None:
    listed = None if declaration is None else declaration.listed_units()
    if listed is None:
        return
    unlisted = sorted(set(waiver.units) - set(listed))
    if unlisted:
        names = _named_with_nearest(unlisted, listed)
        problem = f"not on the frozen list of task {task.task_id}: {names}"
        raise BadInputError(f"units: {problem}.", {"units": [problem]})


def write_waiver_rows(
    connection: Connection, task: int, entry: int, document: Mapping[str, Any]
) -> None:
    """Write the rows of a waiver whose ledger entry is there; a unit's newest waiver counts."""
    waiver = read_waiver(document)
    units = sorted(set(waiver.units))
    # of two waivers of a unit the newer one counts, and a withdrawal takes back any
    forget_waivers(connection, task, units)
    if not waiver.withdrawn:
        add_waivers(connection, task, units, entry)


def list_waivers(
    connection: Connection, store: Store, entries: Mapping[str, int]
) -> list[StandingWaiver]:
    """Return the waivers in force, the newest first.

    Args:
        connection: where from.
        store: the archive, for sealed entries.
        entries: the ledger entry that waives each unit.
    """
    units_by_entry: dict[int, list[str]] = {}
    for unit, entry in entries.items():
        units_by_entry.setdefault(entry, []).append(unit)
    newest = sorted(units_by_entry, reverse=True)[:MOST_LISTED]
    waivers = _read_waivers(connection, store, newest)
    times = entry_times(connection, newest)

    standing = []
    for entry in newest:
        waiver, units = waivers[entry], sorted(units_by_entry[entry])
        standing_waiver = StandingWaiver(
            who=waiver.who,
            why=waiver.why,
            waived_at=times[entry],
            unit_count=len(units),
            units=units[:MOST_LISTED],
        )
        standing.append(standing_waiver)
    return standing
