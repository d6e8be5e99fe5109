"""Units of a task, counted against its frozen list, and files that are ready for the next stage.

Numbers come from the frozen list and from jobs, never from names that look alike.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.answers.tasks import OpenUnit, ReadyFiles
from jobprov.provenance.db.keys import chunks
from jobprov.provenance.db.queries.catalogs.catalogs import units_in_catalog
from jobprov.provenance.db.queries.tasks.tasks import FoundTask
from jobprov.provenance.db.queries.tasks.units import UnitRow, ready_files, unit_rows, waived_units
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.lookup.jobs import read_cursor
from jobprov.provenance.services.tasks.declarations import Declaration, find_declaration

FAILURES = ("failed", "killed", "lost")
_BEGUN = ("succeeded", "running")
MOST_READY = 1000
_TASKS_AT_ONCE = 100


class Units(NamedTuple):
    """The units of a task, each counted once, by its best attempt.

    Attributes:
        expected: how many the declaration expects; None where it does not say.
        states: how many units are in each state, without the waived ones.
        waived: units that nobody waits for: waived, and neither done nor running.
        unlisted: units with attempts that are not on the frozen list; they count nowhere else.
        open: the units without a result that are not waived.
        entries: the ledger entry that waives each unit counted in `waived`.
        by_catalog: how many of the done units only the catalog knows: it has an output of them, and
            no job of theirs succeeded.
        running_units: the units counted in `states` as running.
    """

    expected: int | None
    states: Mapping[str, int]
    waived: int
    unlisted: int
    open: list[OpenUnit]
    entries: Mapping[str, int]
    by_catalog: int = 0
    running_units: frozenset[str] = frozenset()

    @property
    def missing(self) -> int | None:
        """How many units are still to be made; None where `expected` is."""
        if self.expected is None:
            return None
        return max(0, self.expected - self.waived - self.produced)

    @property
    def produced(self) -> int:
        """How many units are done."""
        return self.states.get("succeeded", 0)

    @property
    def running(self) -> int:
        """How many units have a job that runs, and none that succeeded."""
        return self.states.get("running", 0)

    @property
    def failed(self) -> int:
        """How many units have only attempts that did not succeed."""
        return sum(self.states.get(state, 0) for state in FAILURES)


def count_units(connection: Connection, task: FoundTask, declaration: Declaration | None) -> Units:
    """Return the units of a task."""
    [units] = units_of_tasks(connection, [(task, declaration)])
    return units


def units_of_tasks(
    connection: Connection, tasks: Sequence[tuple[FoundTask, Declaration | None]]
) -> Iterator[Units]:
    """Yield the units of each task, in order.

    A hundred tasks take three statements, whatever the number of units.
    """
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
    # the catalog has an output of these: their jobs may never have reported, or not as succeeded
    by_catalog = {unit for unit in cataloged if states.get(unit) != "succeeded"}
    states.update(dict.fromkeys(by_catalog, "succeeded"))

    listed = None if declaration is None else declaration.listed_units()
    # as keys of a dictionary: each unit once, in the order of the list
    units = dict.fromkeys(row.unit for row in rows)
    if listed is not None:
        units = dict.fromkeys(listed)
        waived = {unit: entry for unit, entry in waived.items() if unit in units}
    entries = _waivers_in_force(waived, states)
    named = by_catalog | {row.unit for row in rows if row.is_named}
    expected = None if declaration is None else declaration.unit_count()
    return Units(
        expected=expected,
        states=_count_states(units, states, entries),
        waived=len(entries),
        unlisted=len(states.keys() - units.keys()),
        open=_open_units(units, states, entries, named),
        entries=entries,
        by_catalog=len(by_catalog & units.keys()),
        running_units=_in_state("running", units, states),
    )


def _in_state(state: str, units: Iterable[str], states: Mapping[str, str]) -> frozenset[str]:
    return frozenset(unit for unit in units if states.get(unit) == state)


def _count_states(
    units: Iterable[str], states: Mapping[str, str], waived: Mapping[str, int]
) -> dict[str, int]:
    """Return how many of the units are in each state; waived ones and those not begun in none."""
    counts: Counter[str] = Counter()
    for unit in units:
        if unit in states and unit not in waived:
            counts[states[unit]] += 1
    return dict(counts)


def _waivers_in_force(waived: Mapping[str, int], states: Mapping[str, str]) -> dict[str, int]:
    """Return the ledger entry of each waived unit that is neither done nor running."""
    return {unit: entry for unit, entry in waived.items() if states.get(unit) not in _BEGUN}


def _open_units(
    units: Iterable[str], states: Mapping[str, str], waived: Mapping[str, int], named: set[str]
) -> list[OpenUnit]:
    open_units = []
    for unit in units:
        state = states.get(unit)
        # a job that names no unit is one by itself, and nobody can ask for it again
        is_job_by_itself = unit in states and unit not in named
        if state != "succeeded" and unit not in waived and not is_job_by_itself:
            open_units.append(OpenUnit(unit, state))
    return open_units


def missing_units(connection: Connection, store: Store, task: FoundTask) -> list[OpenUnit]:
    """Return the units of a task that are still to be made, in the order of its list."""
    declaration = find_declaration(connection, store, task)
    return count_units(connection, task, declaration).open


def list_ready(
    connection: Connection, task: FoundTask, *, limit: int = 100, cursor: str | None = None
) -> ReadyFiles:
    """Return files that jobs of the task made and that no other job has read yet, the oldest first.

    A file leaves the list when a job that reads it runs or succeeds, and comes back when that job
    fails.

    Raises:
        BadInputError: the limit or the cursor is not valid.
    """
    if not 1 <= limit <= MOST_READY:
        problem = f"between 1 and {MOST_READY}"
        raise BadInputError(f"limit: {problem}.", {"limit": [problem]})
    # one more than asked for shows whether there is a next page
    placed_files = ready_files(
        connection, task.key, after=read_cursor(cursor) or 0, limit=limit + 1
    )
    shown = placed_files[:limit]
    next_cursor = None
    if len(placed_files) > limit:
        last_place, _ = shown[-1]
        next_cursor = str(last_place)
    return ReadyFiles([file for _, file in shown], next_cursor)
