"""The one state of each unit, from everything that is known of it: the one place that decides it.

What a process returned does not make a unit done; files do: as many as the declaration asks for (1
where it does not say), seen by the record of a job that succeeded, by the storage folder or by the
catalog. All pages, calls, commands, mails and exports take states and their numbers from here, by
`units.py`.

Source: glossary.md, "state of a unit".
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.answers.tasks import UnitState
from jobprov.provenance.db.queries.tasks.queue import Queued
from jobprov.provenance.db.queries.tasks.unit_facts import (
    Attempts,
    attempts_by_unit,
    cataloged_outputs_by_unit,
    ended_orders,
    queued_units,
    sighted_outputs_by_unit,
    waived_units,
)
from jobprov.provenance.launchers.job import NOT_SUBMITTED
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
        queued: it as queues and hooks have it that say what runs and waits; None where it is not
            there.
        is_ordered: its last order is over, with a problem or without a record.
        problem: of that order.
        cataloged: how many outputs of it a catalog or transfer service knows.
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
        why: why it is held, has no output, was not submitted, or was killed before it began; None
            where nobody says.
        is_named: False for a job that names no unit, and is one by itself.
        is_by_catalog: it is done, and no record says so, only the catalog.
        files: how many files it has that count, where a record shows it to be done.
    """

    state: UnitState
    why: str | None = None
    is_named: bool = True
    is_by_catalog: bool = False
    files: int = 0


def stand(facts: UnitFacts, needed: int) -> StandingUnit:
    """Return how a unit stands that is to have so many outputs.

    What is furthest counts: done, then running, waived, on the way to run, and last what went
    wrong.
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


def _has_outputs(facts: UnitFacts, needed: int) -> bool:
    """Return whether a job succeeded, left enough outputs, and they came home."""
    outputs = facts.attempts.outputs
    if outputs is None or outputs < needed:
        return False
    return facts.problem is None or facts.was_refused


def _stand_without_hope(facts: UnitFacts, needed: int) -> StandingUnit:
    """Return the state of a unit for which nothing more will happen by itself."""
    attempts = facts.attempts
    # It began, and neither its queue nor the job itself says any more that it runs
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
        return StandingUnit(_MISHAPS[attempts.mishap], why, attempts.is_named)
    if facts.is_ordered and not facts.was_refused:
        return StandingUnit(UnitState.SILENT, facts.problem)
    return StandingUnit(UnitState.NOT_SUBMITTED, facts.problem)


def outputs_needed(declaration: Declaration | None) -> int:
    """Return how many outputs complete a unit of a task: 1 where it was not declared."""
    files = None if declaration is None else declaration.files_per_unit()
    return 1 if files is None else files


def standing_units(
    connection: Connection, needed: Mapping[int, int]
) -> Iterator[dict[str, StandingUnit]]:
    """Yield for each task the units about which anything is known, each in its one state.

    Some statements for all these tasks together. The units are in no order.

    Args:
        connection: where from.
        needed: by the key of a task, how many outputs a unit is to have; see `outputs_needed`.
    """
    tasks = list(needed)
    attempts = attempts_by_unit(connection, tasks)
    silent_before = datetime.now(UTC) - SILENT_AFTER
    queued = queued_units(connection, tasks, silent_before=silent_before)
    orders = ended_orders(connection, tasks)
    by_attempts = {task: _by_attempts_alone(attempts[task], needed[task]) for task in tasks}

    def is_open(task: int, unit: str) -> bool:
        """Whether no record shows a unit to be done: only then does the catalog matter."""
        known = by_attempts[task].get(unit)
        # Where its order is over with a problem, its file may not have come home
        return known is None or known.state != UnitState.SUCCEEDED or unit in orders[task]

    cataloged = cataloged_outputs_by_unit(connection, tasks, is_wanted=is_open)
    sighted = sighted_outputs_by_unit(connection, needed)
    waived = waived_units(connection, tasks)
    for task in tasks:
        units = by_attempts[task]
        others: dict[str, None] = {}
        for source in (queued, orders, cataloged, sighted, waived):
            others.update(dict.fromkeys(source[task]))
        for name in others:
            facts = UnitFacts(
                attempts=attempts[task].get(name, _NEVER_TRIED),
                queued=queued[task].get(name),
                is_ordered=name in orders[task],
                problem=orders[task].get(name),
                cataloged=max(cataloged[task].get(name, 0), sighted[task].get(name, 0)),
                is_waived=name in waived[task],
            )
            units[name] = stand(facts, needed[task])
        yield units


def _by_attempts_alone(attempts: Mapping[str, Attempts], needed: int) -> dict[str, StandingUnit]:
    """Return the state of units about which only their jobs are known, as is true of nearly all.

    A million of them came to a handful of ends, most of which are the same object: each is judged
    once. To compare them by what they hold would take as long as to read them.
    """
    keys = list(map(id, attempts.values()))
    ends = dict(zip(keys, attempts.values(), strict=True))
    by_end = {key: stand(UnitFacts(end), needed) for key, end in ends.items()}
    return dict(zip(attempts, map(by_end.__getitem__, keys), strict=True))
