"""Units of a task against its frozen list: done, running, failed, waived, missing.

And files that are ready for the next stage.

Source: http.md, tasks. Numbers come from the frozen list and from jobs, never from names that look
alike.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.db.keys import chunks
from jobprov.provenance.db.queries.catalogs.catalogs import units_in_catalog
from jobprov.provenance.db.queries.tasks.tasks import FoundTask
from jobprov.provenance.db.queries.tasks.units import UnitRow, ready_files, unit_rows, waived_units
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.lookup.jobs import read_cursor
from jobprov.provenance.services.tasks.declarations import Declaration

_BEGUN = ("succeeded", "running")
MOST_READY = 1000
_TASKS_AT_ONCE = 100


class Units(NamedTuple):
    """The units of a task, each counted once, by its best attempt.

    Attributes:
        expected: of the declaration; None where nobody said how many there are to be.
        states: how many units stand in each state; the waived ones are left out.
        waived: units that nobody waits for: waived, and neither done nor running.
        unlisted: units with attempts that are not on the frozen list; they count nowhere else.
        open: the units without result that are not waived, with the state of the best attempt
            (None: never tried).
        entries: the ledger entry that waives each unit counted in `waived`.
        running: the units counted in `states` as running.
        by_catalog: how many of the done ones only the catalog knows: it has an output of them, and
            no job of theirs succeeded.
    """

    expected: int | None
    states: Mapping[str, int]
    waived: int
    unlisted: int
    open: list[dict[str, Any]]
    entries: Mapping[str, int]
    by_catalog: int = 0
    running: frozenset[str] = frozenset()

    @property
    def missing(self) -> int | None:
        """Units that are still to be made; None where nobody said how many there are to be."""
        return (
            None
            if self.expected is None
            else max(0, self.expected - self.waived - self.states.get("succeeded", 0))
        )


def count_units(connection: Connection, task: FoundTask, declaration: Declaration | None) -> Units:
    """Return the units of a task."""
    [units] = units_of_tasks(connection, [(task, declaration)])
    return units


def units_of_tasks(
    connection: Connection, tasks: Sequence[tuple[FoundTask, Declaration | None]]
) -> Iterator[Units]:
    """Yield the units of each task, in order: three statements for a hundred tasks, whatever the number of units."""
    for part in chunks(tasks, _TASKS_AT_ONCE):
        keys = [task.key for task, _ in part]
        rows, waived = unit_rows(connection, keys), waived_units(connection, keys)
        cataloged = units_in_catalog(connection, keys)
        for task, declaration in part:
            yield _count(rows[task.key], waived[task.key], cataloged[task.key], declaration)


def _count(
    rows: Sequence[UnitRow],
    waived: Mapping[str, int],
    cataloged: set[str],
    declaration: Declaration | None,
) -> Units:
    states = {row.unit: row.state for row in rows}
    by_catalog = {unit for unit in cataloged if states.get(unit) != "succeeded"}
    states.update(dict.fromkeys(by_catalog, "succeeded"))
    listed = declaration.listed_units() if declaration is not None else None
    units = dict.fromkeys(listed) if listed is not None else dict.fromkeys(row.unit for row in rows)
    entries = {
        unit: entry
        for unit, entry in waived.items()
        if (listed is None or unit in units) and states.get(unit) not in _BEGUN
    }
    named = {row.unit for row in rows if row.is_named} | by_catalog
    return Units(
        expected=declaration.unit_count() if declaration is not None else None,
        states=dict(
            Counter(states[unit] for unit in units if unit in states and unit not in entries)
        ),
        waived=len(entries),
        unlisted=len(states.keys() - units.keys()),
        open=[
            {"unit": unit, "state": states.get(unit)}
            for unit in units
            if states.get(unit) != "succeeded"
            and unit not in entries
            and (unit in named or unit not in states)
        ],
        entries=entries,
        by_catalog=len(by_catalog & units.keys()),
        running=frozenset(unit for unit in units if states.get(unit) == "running"),
    )


def list_ready(
    connection: Connection, task: FoundTask, *, limit: int = 100, cursor: str | None = None
) -> dict[str, Any]:
    """Return `{"files": [file], "next": cursor or None}`.

    What jobs of the task made and no other job has read yet, oldest first.

    A file is `{name, namespace, experiment, url, size_bytes, checksums, data_tier, event_count,
    job_id, job_url, unit, made_at, failed_attempts}`. It leaves the list when a job that reads it
    runs or succeeds, and comes back when that job fails.

    Raises:
        BadInputError: a limit or cursor that is none.
    """
    if not 1 <= limit <= MOST_READY:
        raise BadInputError(
            f"limit: between 1 and {MOST_READY}.", {"limit": [f"between 1 and {MOST_READY}"]}
        )
    rows = ready_files(connection, task.key, after=read_cursor(cursor) or 0, limit=limit + 1)
    shown = rows[:limit]
    return {
        "files": [file for _, file in shown],
        "next": str(shown[-1][0]) if len(rows) > limit else None,
    }
