"""Units of a task, counted against its frozen list, and files that are ready for the next stage.

Numbers come from the frozen list and from jobs, never from names that look alike. `unit_states.py`
decides the state of each unit.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace
from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.answers.tasks.tasks import (
    NEEDS_SOMEBODY,
    MissingUnits,
    OpenUnit,
    ReadyFiles,
    UnitState,
)
from jobprov.provenance.db.queries.tasks.tasks import FoundTask
from jobprov.provenance.db.queries.tasks.unit_facts import (
    Mishap,
    lost_files_of_units,
    newest_mishaps,
    waived_units,
)
from jobprov.provenance.db.queries.tasks.units import ready_files
from jobprov.provenance.db.writer.keys import chunks
from jobprov.provenance.lineage.words import lost_words
from jobprov.provenance.services.paging import check_limit, next_cursor, read_cursor
from jobprov.provenance.services.tasks.declarations import Declaration, find_declaration
from jobprov.provenance.services.tasks.unit_states import (
    StandingUnit,
    StandingUnits,
    outputs_needed,
    standing_units,
)

MOST_READY = 1000
_TASKS_AT_ONCE = 100
_MISHAPS = (UnitState.FAILED, UnitState.KILLED)
_MAY_HAVE_LOST_FILES = (UnitState.NO_OUTPUT, UnitState.NOT_SUBMITTED)
_MOST_EXPLAINED = 10_000
_NOT_SUBMITTED = StandingUnit(UnitState.NOT_SUBMITTED)


class Units(NamedTuple):
    """The units of a task, each counted once, in its one state.

    Attributes:
        expected: how many the declaration expects; None where it gives no number.
        states: how many units are in each state; states without units are left out.
        unlisted: units with attempts that are not on the frozen list; they count nowhere else.
        open: the units that are neither done nor waived.
        entries: the ledger entry that waives each unit counted as waived.
        by_catalog: how many of the done units no record shows to be done, only the catalog.
        files: how many files the other done units have that count.
    """

    expected: int | None
    states: Mapping[UnitState, int]
    unlisted: int
    open: list[OpenUnit]
    entries: Mapping[str, int]
    by_catalog: int = 0
    files: int = 0

    @property
    def missing(self) -> int | None:
        """How many units are still to be made; None where `expected` is."""
        if self.expected is None:
            return None
        return max(0, self.expected - self.waived - self.produced)

    @property
    def produced(self) -> int:
        """How many units are done."""
        return self.states.get(UnitState.SUCCEEDED, 0)

    @property
    def running(self) -> int:
        """How many units have a job that runs, and none that succeeded."""
        return self.states.get(UnitState.RUNNING, 0)

    @property
    def no_output(self) -> int:
        """How many units have a job that succeeded, and too few files."""
        return self.states.get(UnitState.NO_OUTPUT, 0)

    @property
    def failed(self) -> int:
        """How many units have only attempts that failed or were killed."""
        return self.states.get(UnitState.FAILED, 0) + self.states.get(UnitState.KILLED, 0)

    @property
    def waived(self) -> int:
        """How many units the task goes on without."""
        return self.states.get(UnitState.WAIVED, 0)

    @property
    def needs_somebody(self) -> int:
        """How many units do not become done by waiting."""
        return sum(self.states.get(state, 0) for state in NEEDS_SOMEBODY)


def count_units(connection: Connection, task: FoundTask, declaration: Declaration | None) -> Units:
    """Return the units of a task."""
    [units] = units_of_tasks(connection, [(task, declaration)])
    return units


def units_of_tasks(
    connection: Connection, tasks: Sequence[tuple[FoundTask, Declaration | None]]
) -> Iterator[Units]:
    """Yield the units of each task, in order.

    A hundred tasks take a few statements, whatever the number of units.
    """
    for part in chunks(tasks, _TASKS_AT_ONCE):
        needed = {task.key: outputs_needed(declaration) for task, declaration in part}
        waived = waived_units(connection, list(needed))
        standing = standing_units(connection, needed)
        for (task, declaration), units in zip(part, standing, strict=True):
            yield _count(units, waived[task.key], declaration)


def states_of_units(
    connection: Connection, task: FoundTask, declaration: Declaration | None
) -> dict[str, StandingUnit]:
    """Return the state of each unit of a task, also of listed units that were never tried."""
    [standing] = standing_units(connection, {task.key: outputs_needed(declaration)})
    units = standing.by_name()
    for unit in _listed(declaration) or ():
        units.setdefault(unit, _NOT_SUBMITTED)
    return units


def _count(
    standing: StandingUnits, waived: Mapping[str, int], declaration: Declaration | None
) -> Units:
    """Count units by state: those of the frozen list, or without a list those that jobs name."""
    listed = _listed(declaration)
    if listed is None:
        tally = _tally_all(standing)
        expected = None if declaration is None else declaration.unit_count()
    else:
        units = set(listed)
        tally, expected = _tally_listed(standing, listed, units), len(units)
    never_tried = (expected or 0) - sum(tally.states.values())
    if never_tried > 0:
        tally.states[UnitState.NOT_SUBMITTED] += never_tried
    known = len(standing.done) + len(standing.others)
    return Units(
        expected=expected,
        states=in_order(tally.states),
        unlisted=known - tally.known,
        open=tally.open,
        entries={unit: waived[unit] for unit in tally.waived},
        by_catalog=tally.by_catalog,
        files=tally.files,
    )


class _Tally:
    """Counts units by state.

    Attributes:
        known: how many units were counted about which anything is known.
        waived: the units that count as waived.
    """

    def __init__(self) -> None:
        self.states: Counter[UnitState] = Counter()
        self.open: list[OpenUnit] = []
        self.waived: list[str] = []
        self.known = self.by_catalog = self.files = 0

    def add_done(self, standing: StandingUnit, count: int) -> None:
        """Count units that jobs did and that all have the same state."""
        self.states[standing.state] += count
        self.files += count * standing.files
        self.known += count

    def add(self, name: str, standing: StandingUnit | None) -> None:
        """Count a unit that no job did; None of one about which nothing is known."""
        if standing is None:
            standing = _NOT_SUBMITTED
        else:
            self.known += 1
        self.states[standing.state] += 1
        self.by_catalog += standing.is_by_catalog
        self.files += standing.files
        if standing.state == UnitState.WAIVED:
            self.waived.append(name)
        # A job that names no unit is one by itself, and nobody can ask for it again
        elif standing.state != UnitState.SUCCEEDED and standing.is_named:
            self.open.append(OpenUnit(name, standing.state, standing.why))


def _tally_all(standing: StandingUnits) -> _Tally:
    """Count all units about which anything is known."""
    tally = _Tally()
    for end, names in standing.done_by_end.items():
        tally.add_done(end, len(names))
    for name in sorted(standing.others):
        tally.add(name, standing.others[name])
    return tally


def _tally_listed(standing: StandingUnits, listed: Sequence[str], units: set[str]) -> _Tally:
    """Count the units of a list, each once; `units` are those of the list.

    Nearly all of a million units are done, so that each pass over them costs time.
    """
    tally = _Tally()
    done = standing.done
    # As keys of a dictionary: each unit once, in the order of the list
    not_done = dict.fromkeys([name for name in listed if name not in done])
    left = len(units) - len(not_done)
    ends = sorted(standing.done_by_end.items(), key=lambda end: len(end[1]))
    for end, names in ends[:-1]:
        count = len(names & units)
        tally.add_done(end, count)
        left -= count
    # All others that are done came to the end that most came to
    for end, _ in ends[-1:]:
        tally.add_done(end, left)
    for name in not_done:
        tally.add(name, standing.others.get(name))
    return tally


def _listed(declaration: Declaration | None) -> list[str] | None:
    return None if declaration is None else declaration.listed_units()


def in_order(states: Mapping[UnitState, int]) -> dict[UnitState, int]:
    """Return the states that any unit is in, in reading order."""
    return {state: states[state] for state in UnitState if states.get(state)}


def sum_if_known(counts: Sequence[int | None]) -> int | None:
    """Return the sum of the counts, None where one of them is not known."""
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def missing_units(connection: Connection, store: Store, task: FoundTask) -> MissingUnits:
    """Return the units of a task that are still to be made, in the order of its list."""
    counted_units = count_units(connection, task, find_declaration(connection, store, task))
    units = with_lost_files(connection, task, counted_units.open)
    if any(unit.state in _MISHAPS for unit in units):
        mishaps = newest_mishaps(connection, task.key)
        reasons = {end: _mishap_words(mishap) for end, mishap in mishaps.items()}
        units = [_with_reason(unit, reasons.get((unit.unit, unit.state.value))) for unit in units]
    unnamed = (counted_units.missing or 0) - len(units)
    return MissingUnits(units, max(0, unnamed))


def with_lost_files(
    connection: Connection, task: FoundTask, units: Sequence[OpenUnit]
) -> list[OpenUnit]:
    """Return units whose `why` also tells which of their files the catalog lost or never got.

    Where a task lost files in very many units, the reason is given only for the first ones.
    """
    doubtful = []
    for state in _MAY_HAVE_LOST_FILES:
        doubtful += [unit.unit for unit in units if unit.state == state]
    lost = lost_files_of_units(connection, task.key, doubtful[:_MOST_EXPLAINED])
    reasons = {unit: lost_words(files) for unit, files in lost.items()}
    return [_with_reason(unit, reasons.get(unit.unit)) for unit in units]


def _with_reason(unit: OpenUnit, reason: str | None) -> OpenUnit:
    """Return a unit whose `why` ends with a reason, if there is one."""
    reasons = [why for why in (unit.why, reason) if why is not None]
    return replace(unit, why="; ".join(reasons) or None)


def _mishap_words(mishap: Mishap) -> str:
    """Return how a job ended: its error, or at least its signal or exit code."""
    # The class of a hold or an eviction says what the batch system did; its message says why
    words = [word for word in (mishap.error_class, mishap.message) if word]
    if not words and mishap.signal is not None:
        words = [f"signal {mishap.signal}"]
    if not words and mishap.exit_code is not None:
        words = [f"exit code {mishap.exit_code}"]
    if mishap.failed_step:
        words.insert(0, f"step {mishap.failed_step}")
    return ": ".join(words) or "no reason recorded"


def list_ready(
    connection: Connection,
    store: Store,
    task: FoundTask,
    *,
    limit: int = 100,
    cursor: str | None = None,
) -> ReadyFiles:
    """Return files that jobs of the task made and that no other job has read yet, the oldest first.

    Only files that count for a unit, of jobs that made as many of them as a unit needs. A file
    leaves the list when a job that reads it runs or succeeds, and comes back when that job fails.

    Raises:
        BadInputError: the limit or the cursor is not valid.
    """
    check_limit(limit, MOST_READY)
    needed = outputs_needed(find_declaration(connection, store, task))
    # one more than asked for shows whether there is a next page
    placed_files = ready_files(
        connection, task.key, needed=needed, after=read_cursor(cursor) or 0, limit=limit + 1
    )
    following = next_cursor(placed_files, limit, lambda placed: placed[0])
    return ReadyFiles([file for _, file in placed_files[:limit]], following)
