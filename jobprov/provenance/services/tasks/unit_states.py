"""The one state of each unit, from everything that is known of it: the one place that decides it.

What a process returned does not make a unit done; files do: as many as the declaration asks for (1
where it does not say), seen by the record of a job that succeeded, by the storage folder or by the
catalog. All pages, calls, commands, mails and exports take states and their numbers from here, by
`units.py`.

Source: glossary.md, "state of a unit".
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.answers.tasks.tasks import UnitState
from jobprov.provenance.db.queries.tasks.queue import Queued
from jobprov.provenance.db.queries.tasks.unit_facts import (
    Attempts,
    UnitsOfEnd,
    cataloged_outputs_by_unit,
    ended_orders,
    ends_of_units,
    queued_units,
    sighted_outputs_by_unit,
    together,
    waived_units,
)
from jobprov.provenance.launchers.job import NOT_SUBMITTED
from jobprov.provenance.lineage.words import counted
from jobprov.provenance.services.tasks.declarations import Declaration

SILENT_AFTER = timedelta(days=1)
"""For so long nothing is heard of a running job before it counts as silent."""
_NEVER_TRIED = Attempts(is_named=True, outputs=None, is_running=False, mishap=None)
_MISHAPS = {
    "failed": UnitState.FAILED,
    "killed": UnitState.KILLED,
    # The batch system no longer has the job, and nobody saw its end
    "lost": UnitState.SILENT,
    "never began": UnitState.KILLED,
}
_NEVER_BEGAN = "its job was removed before it began"


class UnitFacts(NamedTuple):
    """What is known of one unit.

    Attributes:
        attempts: its jobs, as their records have them.
        queued: its job in a queue, or announced by its hook; None where there is neither.
        is_ordered: its last order is over, with a problem or without a record.
        problem: what went wrong with that order.
        cataloged: how many of its outputs a catalog or transfer service knows.
        is_waived: somebody decided that the task goes on without it.
    """

    attempts: Attempts = _NEVER_TRIED
    queued: Queued | None = None
    is_ordered: bool = False
    problem: str | None = None
    cataloged: int = 0
    is_waived: bool = False

    @property
    def was_refused(self) -> bool:
        """Whether its last order could not become a job."""
        return self.problem is not None and self.problem.startswith(NOT_SUBMITTED)


class StandingUnit(NamedTuple):
    """A unit in its one state.

    Attributes:
        why: why it is held, has no output, was not submitted, or was killed before it began; what
            its job wrote before it was killed; None where that is not known.
        is_named: False for a job that names no unit, and counts as a unit of its own.
        is_by_catalog: it is done according to the catalog alone, not to any record.
        files: how many of its files count, where a record shows it to be done.
    """

    state: UnitState
    why: str | None = None
    is_named: bool = True
    is_by_catalog: bool = False
    files: int = 0


def stand(facts: UnitFacts, needed: int) -> StandingUnit:
    """Return the state of a unit that needs so many outputs.

    The best that is known of it counts: done before running, then waived, then waiting for its
    turn; what went wrong comes last.
    """
    is_named = facts.attempts.is_named
    if _has_outputs(facts, needed):
        files = facts.attempts.outputs or 0
        return StandingUnit(UnitState.SUCCEEDED, None, is_named, files=files)
    if facts.cataloged >= max(1, needed):
        return StandingUnit(UnitState.SUCCEEDED, None, is_named, is_by_catalog=True)
    if facts.queued is not None and facts.queued.state == UnitState.RUNNING:
        return StandingUnit(UnitState.RUNNING, None, is_named)
    if facts.is_waived:
        return StandingUnit(UnitState.WAIVED, None, is_named)
    if facts.queued is not None:
        return StandingUnit(facts.queued.state, facts.queued.why, is_named)
    return _stand_without_hope(facts, needed)


@lru_cache(maxsize=1024)
def _stand_by_jobs(attempts: Attempts, needed: int) -> StandingUnit:
    """Return the state of a unit that is known by its jobs alone.

    Answers are remembered, since the jobs of thousands of units end in few different ways.
    """
    return stand(UnitFacts(attempts), needed)


def _has_outputs(facts: UnitFacts, needed: int) -> bool:
    """Return whether a job succeeded, left enough outputs, and they came home."""
    outputs = facts.attempts.outputs
    if outputs is None or outputs < needed:
        return False
    return facts.problem is None or facts.was_refused


def _stand_without_hope(facts: UnitFacts, needed: int) -> StandingUnit:
    """Return the state of a unit for which nothing more will happen by itself."""
    attempts = facts.attempts
    # It began; its queue no longer has it, and its hook has been silent
    if attempts.is_running:
        return StandingUnit(UnitState.SILENT, None, attempts.is_named)
    if attempts.outputs is not None:
        why = facts.problem
        if why is None and needed > 1:
            why = f"{attempts.outputs} of {needed} files"
        return StandingUnit(UnitState.NO_OUTPUT, why, attempts.is_named)
    if attempts.mishap is not None:
        why = None
        if attempts.mishap == "never began":
            why = facts.problem or _NEVER_BEGAN
        elif attempts.mishap == "killed" and attempts.left:
            why = f"{counted(attempts.left, 'file')} written before; may be cut short"
        return StandingUnit(_MISHAPS[attempts.mishap], why, attempts.is_named)
    if facts.is_ordered and not facts.was_refused:
        return StandingUnit(UnitState.SILENT, facts.problem)
    return StandingUnit(UnitState.NOT_SUBMITTED, facts.problem)


def outputs_needed(declaration: Declaration | None) -> int:
    """Return how many outputs complete a unit of a task: 1 unless the declaration differs."""
    files = None if declaration is None else declaration.files_per_unit()
    return 1 if files is None else files


class StandingUnits(NamedTuple):
    """The units of a task about which anything is known, each in its one state.

    Attributes:
        done: those that a job did; in the end nearly all units of a task.
        done_by_end: the same units by state, which differ only in the number of files.
        others: the state of each other unit, in no order.
    """

    done: AbstractSet[str]
    done_by_end: Mapping[StandingUnit, AbstractSet[str]]
    others: Mapping[str, StandingUnit]

    def by_name(self) -> dict[str, StandingUnit]:
        """Return how each unit stands, in the order of their names."""
        units = dict(self.others)
        for standing, names in self.done_by_end.items():
            units.update(dict.fromkeys(names, standing))
        return {name: units[name] for name in sorted(units)}


def standing_units(connection: Connection, needed: Mapping[int, int]) -> Iterator[StandingUnits]:
    """Yield the units of each task, with a few statements for all of them together.

    Args:
        connection: where from.
        needed: by the key of a task, how many outputs a unit is to have; see `outputs_needed`.
    """
    tasks = list(needed)
    ends = ends_of_units(connection, tasks)
    silent_before = datetime.now(UTC) - SILENT_AFTER
    queued = queued_units(connection, tasks, silent_before=silent_before)
    orders = ended_orders(connection, tasks)
    done_by_end: dict[int, dict[StandingUnit, set[str]]] = {}
    done: dict[int, set[str]] = {}
    for task in tasks:
        # Where the order of a unit is over with a problem, its file may not have come home
        done_by_end[task] = _done_by_jobs(ends[task], needed[task], but=set(orders[task]))
        done[task] = _all_of(list(done_by_end[task].values()))

    # The catalog matters only for units that no record shows to be done
    cataloged = cataloged_outputs_by_unit(
        connection, tasks, is_wanted=lambda task, unit: unit not in done[task]
    )
    sighted = sighted_outputs_by_unit(connection, needed)
    waived = waived_units(connection, tasks)
    for task in tasks:
        attempts = _attempts_of_others(ends[task], done[task], needed[task], but=set(orders[task]))
        others = {name: _stand_by_jobs(attempt, needed[task]) for name, attempt in attempts.items()}
        beside_jobs = _FactsBesideJobs(
            queued[task], orders[task], cataloged[task], sighted[task], waived[task]
        )
        for name in beside_jobs.units().difference(done[task]):
            facts = beside_jobs.facts(name, attempts.get(name, _NEVER_TRIED))
            others[name] = stand(facts, needed[task])
        yield StandingUnits(done[task], done_by_end[task], others)


class _FactsBesideJobs(NamedTuple):
    """What is known of the units of a task from elsewhere than their jobs, by unit.

    Attributes:
        orders: why the last order is over.
        cataloged, sighted: how many outputs the catalog knows, and how many were seen there.
        waived: the ledger entry that waives the unit.
    """

    queued: Mapping[str, Queued]
    orders: Mapping[str, str | None]
    cataloged: Mapping[str, int]
    sighted: Mapping[str, int]
    waived: Mapping[str, int]

    def units(self) -> set[str]:
        """Return the units of which anything is known."""
        return set[str]().union(*self)

    def facts(self, unit: str, attempts: Attempts) -> UnitFacts:
        """Return everything that is known of a unit, its attempts included."""
        return UnitFacts(
            attempts=attempts,
            queued=self.queued.get(unit),
            is_ordered=unit in self.orders,
            problem=self.orders.get(unit),
            cataloged=max(self.cataloged.get(unit, 0), self.sighted.get(unit, 0)),
            is_waived=unit in self.waived,
        )


def _done_by_jobs(
    ends: Sequence[UnitsOfEnd], needed: int, *, but: set[str]
) -> dict[StandingUnit, set[str]]:
    """Return the units for which an attempt left enough outputs, by their state.

    They are judged by how their attempts ended, not one by one: a million units come to a handful
    of ends. A unit that was done twice has as many files as the attempt that left most.
    """
    enough = [end for end in ends if _has_outputs(UnitFacts(end.attempts), needed)]
    enough.sort(key=lambda end: end.attempts.outputs or 0, reverse=True)
    done: dict[StandingUnit, set[str]] = {}
    for end in enough:
        units = set(end.units)
        for known in (but, *done.values()):
            units.difference_update(known)
        standing = stand(UnitFacts(end.attempts), needed)
        if standing in done:
            units |= done[standing]
        done[standing] = units
    return done


def _all_of(groups: Sequence[set[str]]) -> set[str]:
    """Return the names of all groups; no copy of the only group, which may hold a million."""
    return groups[0] if len(groups) == 1 else set[str]().union(*groups)


def _attempts_of_others(
    ends: Sequence[UnitsOfEnd], done: AbstractSet[str], needed: int, *, but: set[str]
) -> dict[str, Attempts]:
    """Return how the attempts ended at each unit that is not done; see `_done_by_jobs`."""
    attempts: dict[str, Attempts] = {}
    for end in ends:
        units: Iterable[str] = end.units
        if _has_outputs(UnitFacts(end.attempts), needed):
            # All others of this end are done, and there may be a million
            units = but.intersection(units) if but else ()
        for unit in units:
            if unit in done:
                continue
            known = attempts.get(unit)
            attempts[unit] = end.attempts if known is None else together(known, end.attempts)
    return attempts
