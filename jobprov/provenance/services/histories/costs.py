"""What a file cost: the resources of all jobs in its history, by stage, and of failed attempts."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar, Unpack

from sqlalchemy import Connection

from jobprov.provenance.answers.histories.costs import CostSum, FileCost, StageCost
from jobprov.provenance.db.connections.time_limits import limited
from jobprov.provenance.db.queries.histories.costs import (
    JobCost,
    costs_of_failed_attempts,
    job_costs,
    output_bytes,
)
from jobprov.provenance.lineage.keys import row_numbers
from jobprov.provenance.services.histories.lineage import PastAsked, find_version, trace_history

Number = TypeVar("Number", int, float)


@limited("ask for a file in between")
def sum_costs(connection: Connection, name: str, **asked: Unpack[PastAsked]) -> FileCost:
    """Return the cost of making a version of a file.

    Raises:
        NotFoundError, AmbiguousError, BadInputError: see `find_version`.
        LimitError: it took more than five seconds.
    """
    file, focus = find_version(connection, name, **asked)
    as_of = asked.get("as_of")
    history = trace_history(connection, focus, as_of=as_of)
    nodes = history.distances_before()
    jobs = row_numbers(nodes, "j")

    made = job_costs(connection, jobs)
    failed = costs_of_failed_attempts(connection, made, as_of=as_of)
    sizes = output_bytes(connection, [cost.key for cost in (*made, *failed)])
    return FileCost(
        file=file.as_answer(),
        version=focus.version,
        versions=focus.versions,
        files=len(nodes) - len(jobs),
        made=_sum(made, sizes),
        failed=_sum(failed, sizes),
        stages=_by_stage(made, failed, sizes),
        is_truncated=history.is_cut,
    )


def _by_stage(
    made: Sequence[JobCost], failed: Sequence[JobCost], sizes: Mapping[int, int]
) -> list[StageCost]:
    """Return the costs of each stage, the most expensive stage first."""
    names = sorted({cost.stage for cost in (*made, *failed)})
    stages = []
    for name in names:
        made_here = _sum([cost for cost in made if cost.stage == name], sizes)
        failed_here = _sum([cost for cost in failed if cost.stage == name], sizes)
        stages.append(StageCost(name or None, made_here, failed_here))
    return sorted(stages, key=_expense, reverse=True)


def _expense(stage: StageCost) -> float:
    return stage.made.cpu_seconds or stage.made.wall_seconds or 0


def _sum(costs: Sequence[JobCost], sizes: Mapping[int, int]) -> CostSum:
    # Jobs without recorded resources: the sums leave them out, so they are counted
    silent = [cost for cost in costs if cost.wall_seconds is None and cost.cpu_seconds is None]
    return CostSum(
        jobs=len(costs),
        silent_jobs=len(silent),
        wall_seconds=known_total(cost.wall_seconds for cost in costs),
        cpu_seconds=known_total(cost.cpu_seconds for cost in costs),
        output_bytes=known_total(sizes.get(cost.key) for cost in costs),
    )


def known_total(values: Iterable[Number | None]) -> Number | None:
    """Return the sum of the known values; None if no value is known."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None
