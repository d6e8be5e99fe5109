"""What is known of each unit of a task, from which its one state follows.

Jobs, orders, the queue of the batch system, catalogs and waivers are each asked once for a hundred
tasks. The rule that makes a state of it is in `services/tasks/unit_states.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    BindParameter,
    Connection,
    Text,
    and_,
    bindparam,
    cast,
    func,
    literal,
    or_,
    select,
)

from jobprov.provenance.answers.tasks.tasks import UnitState
from jobprov.provenance.db.queries.catalogs.retired import gone_among, gone_outputs
from jobprov.provenance.db.queries.fragments.bad_jobs import NEVER_BEGAN
from jobprov.provenance.db.queries.fragments.membership import rows_among
from jobprov.provenance.db.queries.tasks.queue import Queued, units_in_queue
from jobprov.provenance.db.recording.job_rows import KILLED, RUNNING, STATES, SUCCEEDED
from jobprov.provenance.db.recording.task_rows import patterns_of_tasks
from jobprov.provenance.db.statements.composed import run
from jobprov.provenance.db.statements.selecting import select_among
from jobprov.provenance.db.tables import (
    CatalogFileRow,
    CatalogOutput,
    Claim,
    File,
    Host,
    Job,
    LedgerEntry,
    Order,
    Sighting,
    UnarrivedFile,
    WaivedUnit,
)
from jobprov.provenance.db.writer.keys import chunks
from jobprov.provenance.records.files.outputs import count_named, counts_for_unit
from jobprov.provenance.records.files.presence import LostFiles

# Of attempts that went wrong, the most telling one counts
_WORST_KNOWN_FIRST = ("failed", "killed", "lost", "never began")
# A job that names no unit counts as a unit of its own
_NAME = func.coalesce(Job.unit, literal("job ") + cast(Job.id, Text))

# A name holds no control characters (record.md)
_NAMES = {"sqlite": "group_concat(unit, '\n')", "postgresql": "string_agg(unit, chr(10))"}
# The index has jobs in this order; to group them by more sorts them all, with their names. All jobs
# are counted beside the names: more of them name no unit, and to look for these reads every job again
_BY_STATE = """
SELECT task_id, state, MIN(output_count), MAX(output_count), COUNT(*), {names}
FROM jobs WHERE rerun_of IS NULL AND task_id {among}
GROUP BY task_id, state
"""
_BY_END = """
SELECT task_id, state, output_count, {never_began}, {names} FROM jobs
WHERE unit IS NOT NULL AND rerun_of IS NULL AND state = ? AND task_id {among}
GROUP BY 1, 2, 3, 4
"""
_UNNAMED = """
SELECT task_id, id, state, output_count, {never_began} FROM jobs
WHERE unit IS NULL AND rerun_of IS NULL AND task_id {among}
"""
_CATALOGED = """
SELECT o.task_id, o.unit, a.name FROM catalog_outputs o
JOIN catalog_files a ON a.id = o.file_id
WHERE o.unit <> '' AND o.presence <> 2 AND o.task_id {among}
"""

_TASKS: BindParameter[Any] = bindparam("tasks", expanding=True)
_last_order = (
    select(func.max(Order.id).label("id"))
    .where(Order.task_id.in_(_TASKS))
    .group_by(Order.task_id, Order.unit)
    .subquery()
)
_job_of_order = and_(Job.uuid == Order.uuid, Job.task_id == Order.task_id)
_ORDERED = (
    select(Order.task_id, Order.unit, LedgerEntry.received_at)
    .join(_last_order, Order.id == _last_order.c.id)
    .join(LedgerEntry, LedgerEntry.id == Order.entry_id)
    .outerjoin(Job, _job_of_order)
    .where(Order.batch_id.is_not(None), Order.ended_at.is_(None), Job.id.is_(None))
)
_ENDED_ORDERS = (
    select(Order.task_id, Order.unit, Order.problem)
    .join(_last_order, Order.id == _last_order.c.id)
    .outerjoin(Job, _job_of_order)
    .where(Order.ended_at.is_not(None), or_(Order.problem.is_not(None), Job.id.is_(None)))
)
_MISHAPS = (
    select(
        Job.unit, Job.state, Job.failed_step, Job.error_class, Job.message, Job.exit_code,
        Job.exit_signal,
    )
    .where(
        Job.task_id == bindparam("task"),
        Job.state.in_([STATES.index("failed"), KILLED]),
        Job.unit.is_not(None),
        Job.rerun_of.is_(None),
    )
    .order_by(Job.id)
)  # fmt: skip
_WAIVED = select(WaivedUnit.task_id, WaivedUnit.unit, WaivedUnit.entry_id).where(
    WaivedUnit.task_id.in_(_TASKS)
)
_SIGHTED_TASKS = (
    select(Sighting.task_id)
    .where(Sighting.task_id.in_(_TASKS), Sighting.job_uuid.is_not(None))
    .distinct()
)

ByTask = dict[int, dict[str, int]]
"""A number for each unit, by the key of its task."""


class Attempts(NamedTuple):
    """How the attempts at a unit ended; reruns for comparison are left out.

    Attributes:
        is_named: False for a job that names no unit, and counts as a unit of its own.
        outputs: the most files that a successful attempt left; None where none succeeded.
        is_running: whether an attempt runs.
        mishap: how an attempt went wrong: `failed`, else `killed`, else `lost`, else `never began`
            for a job that was removed before it began; None where none went wrong.
        left: the most files that a killed attempt had written; they do not count as outputs.
    """

    is_named: bool
    outputs: int | None
    is_running: bool
    mishap: str | None
    left: int = 0


class UnitsOfEnd(NamedTuple):
    """The units that have an attempt that ended in one way."""

    attempts: Attempts
    units: list[str]


def ends_of_units(connection: Connection, tasks: Sequence[int]) -> dict[int, list[UnitsOfEnd]]:
    """Return by task in which ways attempts at its units ended, each way with these units.

    A million units came to a handful of ends: the database gives the names of each end as one text.
    To have it group by unit, or to fetch a row a unit, takes several times as long. All jobs of a
    task in one state came to the same end, as a rule; the others are grouped by end. A unit with
    several attempts may be at several ends, or twice at one.
    """
    ends: dict[int, list[UnitsOfEnd]] = {task: [] for task in tasks}
    mixed: dict[int, list[int]] = {}
    with_unnamed = []
    names_of_units = _NAMES[connection.dialect.name]
    by_state = _BY_STATE.format(names=names_of_units, among="{among}")
    for task, state, least, most, jobs, names in select_among(connection, by_state, tasks):
        units = _split(names)
        if jobs > len(units):
            with_unnamed.append(task)
        if not units:
            continue
        # Of those that were killed, some may never have begun
        if least == most and state != KILLED:
            attempt = _one_attempt(state, most, never_began=False, is_named=True)
            ends[task].append(UnitsOfEnd(attempt, units))
        else:
            mixed.setdefault(state, []).append(task)
    for state, tasks_of_state in mixed.items():
        _add_ends_of_state(connection, ends, state, tasks_of_state)
    for (task, attempt), unnamed in _ends_of_unnamed(connection, with_unnamed).items():
        ends[task].append(UnitsOfEnd(attempt, unnamed))
    return ends


def _add_ends_of_state(
    connection: Connection, ends: Mapping[int, list[UnitsOfEnd]], state: int, tasks: Sequence[int]
) -> None:
    """Add the ends of jobs in one state that did not all come to the same end."""
    names_of_units = _NAMES[connection.dialect.name]
    by_end = _BY_END.format(names=names_of_units, never_began=NEVER_BEGAN, among="{among}")
    for task, _, outputs, never_began, names in select_among(connection, by_end, tasks, state):
        attempt = _one_attempt(state, outputs, never_began=bool(never_began), is_named=True)
        ends[task].append(UnitsOfEnd(attempt, _split(names)))


def _ends_of_unnamed(
    connection: Connection, tasks: Sequence[int]
) -> dict[tuple[int, Attempts], list[str]]:
    """Return the jobs of tasks that name no unit, as names of units, by task and end."""
    query = _UNNAMED.format(never_began=NEVER_BEGAN, among="{among}")
    jobs_by_end: dict[tuple[int, Attempts], list[str]] = {}
    for task, job, state, outputs, never_began in select_among(connection, query, tasks):
        attempt = _one_attempt(state, outputs, never_began=bool(never_began), is_named=False)
        jobs_by_end.setdefault((task, attempt), []).append(f"job {job}")
    return jobs_by_end


def _split(names: str | None) -> list[str]:
    """Return the names that the database gave as one text; None stands for no name."""
    return [] if names is None else names.split("\n")


def _one_attempt(state: int, outputs: int, *, never_began: bool, is_named: bool) -> Attempts:
    """Return how one attempt ended; files of an attempt that did not succeed do not count."""
    attempt = Attempts(is_named=is_named, outputs=None, is_running=state == RUNNING, mishap=None)
    if state == SUCCEEDED:
        return attempt._replace(outputs=outputs)
    if never_began:
        return attempt._replace(mishap="never began")
    if STATES[state] in _WORST_KNOWN_FIRST:
        left = outputs if STATES[state] == "killed" else 0
        return attempt._replace(mishap=STATES[state], left=left)
    return attempt


def together(first: Attempts, second: Attempts) -> Attempts:
    """Return how two attempts ended together: the better success and the most telling mishap."""
    outputs = [attempt.outputs for attempt in (first, second) if attempt.outputs is not None]
    mishaps = [attempt.mishap for attempt in (first, second) if attempt.mishap is not None]
    return Attempts(
        is_named=first.is_named or second.is_named,
        outputs=max(outputs, default=None),
        is_running=first.is_running or second.is_running,
        mishap=min(mishaps, key=_WORST_KNOWN_FIRST.index, default=None),
        left=max(first.left, second.left),
    )


def queued_units(
    connection: Connection, tasks: Sequence[int], *, silent_before: datetime
) -> dict[int, dict[str, Queued]]:
    """Return by task the units whose jobs wait or run, according to queues, hooks and orders.

    A job that its hook announced runs if it was heard of since `silent_before`, unless its queue
    knows better. An order that was placed and is not over waits in the queue until its job is heard
    of. A report of the queue is newer than the order, and goes before it.
    """
    # From the moment of the order on: a job may report before the agent does that it was placed
    ordered = {
        (task, unit): moment for task, unit, moment in run(connection, _ORDERED, {"tasks": tasks})
    }
    heard_of = _newest_records(connection, ordered)
    units: dict[int, dict[str, Queued]] = {task: {} for task in tasks}
    for (task, unit), ordered_at in ordered.items():
        record_at = heard_of.get((task, unit))
        if record_at is None or record_at < ordered_at:
            units[task][unit] = Queued(UnitState.IDLE)
    for task, seen in units_in_queue(connection, tasks, silent_before=silent_before).items():
        units[task].update(seen)
    return units


def _newest_records(
    connection: Connection, ordered: Mapping[tuple[int, str], datetime]
) -> dict[tuple[int, str], datetime]:
    """Return when the last record of each unit came, as far back as the first of these moments.

    A batch system chooses the ids of jobs: only unit and time lead from an order to its job.
    """
    if not ordered:
        return {}
    query = (
        select(Job.task_id, Job.unit, func.max(Job.received_at))
        .where(
            Job.task_id.in_({task for task, _ in ordered}),
            Job.received_at >= min(ordered.values()),
            Job.unit.is_not(None),
            Job.rerun_of.is_(None),
        )
        .group_by(Job.task_id, Job.unit)
    )
    rows = connection.execute(query)
    return {(task or 0, unit or ""): received_at for task, unit, received_at in rows}


def ended_orders(connection: Connection, tasks: Sequence[int]) -> dict[int, dict[str, str | None]]:
    """Return by task the units whose last order is over with a problem or without a record.

    The problem is why it could not become a job, or what went wrong after the job: its output did
    not reach the storage folder, for example. It is None where only the record is missing.
    """
    orders: dict[int, dict[str, str | None]] = {task: {} for task in tasks}
    for task, unit, problem in run(connection, _ENDED_ORDERS, {"tasks": tasks}):
        orders[task][unit] = problem or None
    return orders


class Mishap(NamedTuple):
    """How a job of a unit failed or was killed, as its record has it."""

    failed_step: str | None
    error_class: str | None
    message: str | None
    exit_code: int | None
    signal: int | None


def newest_mishaps(connection: Connection, task: int) -> dict[tuple[str, str], Mishap]:
    """Return how the newest failed and the newest killed job of each unit ended.

    By the name of the unit and the state of the job.
    """
    mishaps: dict[tuple[str, str], Mishap] = {}
    for unit, state, *mishap in run(connection, _MISHAPS, {"task": task}):
        mishaps[unit, STATES[state]] = Mishap._make(mishap)
    return mishaps


def lost_files_of_units(
    connection: Connection, task: int, units: Sequence[str]
) -> dict[str, LostFiles]:
    """Return the files that these units of a task lost; units that lost none are left out."""
    lost: dict[str, LostFiles] = {}
    has_gone_files = bool(gone_outputs(connection, task, limit=1))
    for part in chunks(units):
        if has_gone_files:
            for unit, name in _gone_files(connection, task, part):
                lost.setdefault(unit, LostFiles([], [])).retired.append(name)
        for unit, name in _unarrived_files(connection, task, part):
            lost.setdefault(unit, LostFiles([], [])).unarrived.append(name)
    return lost


def _gone_files(connection: Connection, task: int, units: Sequence[str]) -> list[tuple[str, str]]:
    """Return units and names of their files that are gone from the catalog, in order."""
    made = (
        select(Job.unit, File.name, File.namespace)
        .join(Claim, Claim.job_id == Job.id)
        .join(File, File.id == Claim.file_id)
        .where(Job.task_id == task, Job.state == SUCCEEDED, Job.rerun_of.is_(None))
        .where(Job.unit.in_(units), Claim.alias_of.is_(None))
    )
    cataloged = (
        select(CatalogOutput.unit, CatalogFileRow.name, CatalogFileRow.namespace)
        .join(CatalogFileRow, CatalogFileRow.id == CatalogOutput.file_id)
        .where(CatalogOutput.task_id == task, CatalogOutput.unit.in_(units))
    )
    units_by_file: dict[tuple[str, str], set[str]] = {}
    for query in (made, cataloged):
        for unit, name, namespace in connection.execute(query):
            units_by_file.setdefault((name, namespace), set()).add(unit or "")
    gone: set[tuple[str, str]] = set()
    for name, namespace in gone_among(connection, task, units_by_file):
        gone.update((unit, name) for unit in units_by_file[name, namespace])
    return sorted(gone)


def _unarrived_files(
    connection: Connection, task: int, units: Sequence[str]
) -> list[tuple[str, str]]:
    """Return units and names of their files that never arrived in the catalog, in order."""
    query = (
        select(Job.unit, File.name)
        .select_from(UnarrivedFile)
        .join(Job, Job.id == UnarrivedFile.job_id)
        .join(File, File.id == UnarrivedFile.file_id)
        .where(UnarrivedFile.task_id == task, Job.task_id == task, Job.unit.in_(units))
        .distinct()
    )
    return sorted((unit or "", name) for unit, name in connection.execute(query))


class EndedJob(NamedTuple):
    """A job of a unit that succeeded; `unit` is None where it names none."""

    unit: str | None
    job_id: str
    batch_id: str | None
    node: str | None


def newest_successes(
    connection: Connection, task: int, names: Sequence[str]
) -> dict[str, EndedJob]:
    """Return the newest job that succeeded of each of these units, by the name of the unit."""
    query = (
        select(_NAME, Job.unit, Job.uuid, Job.batch_id, Host.hostname)
        .outerjoin(Host, Host.id == Job.host_id)
        .where(Job.task_id == task, Job.state == SUCCEEDED, Job.rerun_of.is_(None))
        .order_by(Job.id)
    )
    rows = rows_among(connection, query, _NAME, names)
    return {name: EndedJob._make(job) for name, *job in rows}


def cataloged_outputs_by_unit(
    connection: Connection,
    tasks: Sequence[int],
    *,
    is_wanted: Callable[[int, str], bool],
) -> ByTask:
    """Return by task how many outputs the catalog knows of each unit, as it was last asked.

    Only those that count for their unit by their names, and none that is gone.

    Args:
        is_wanted: whether a unit of a task is to be counted.
    """
    patterns = patterns_of_tasks(connection, tasks)
    counts: ByTask = {task: {} for task in tasks}
    for task, unit, name in select_among(connection, _CATALOGED, tasks):
        if is_wanted(task, unit) and counts_for_unit(name, patterns.get(task, ())):
            counts[task][unit] = counts[task].get(unit, 0) + 1
    return counts


def units_in_catalog(connection: Connection, task: int, *, needed: int) -> set[str]:
    """Return the units of a task that have as many outputs in the catalog as they need.

    At least one: a unit that needs no output is not shown to be done by having none.
    """
    counts = cataloged_outputs_by_unit(connection, [task], is_wanted=lambda _, __: True)[task]
    return {unit for unit, count in counts.items() if count >= max(1, needed)}


def sighted_outputs_by_unit(connection: Connection, needed: Mapping[int, int]) -> ByTask:
    """Return by task how many files a catalog or transfer service saw of units that lack some.

    Such a sighting names the task and the job. Only jobs that succeeded and whose own record has
    too few outputs are looked up.

    Args:
        needed: by task, how many outputs a unit is to have.
    """
    counts: ByTask = {task: {} for task in needed}
    patterns = patterns_of_tasks(connection, needed)
    for task in _sighted_tasks(connection, list(needed)):
        query = select(Job.uuid, _NAME).where(
            Job.task_id == task,
            Job.state == SUCCEEDED,
            Job.output_count < needed[task],
            Job.rerun_of.is_(None),
        )
        units = {row[0]: row[1] for row in connection.execute(query)}
        for part in chunks(list(units)):
            for job_id, names in _sighted_files(connection, task, part).items():
                unit, count = units[job_id], count_named(names, patterns.get(task, ()))
                counts[task][unit] = max(count, counts[task].get(unit, 0))
    return counts


def _sighted_tasks(connection: Connection, tasks: Sequence[int]) -> list[int]:
    """Return those of the tasks that sightings with a job name."""
    return [task for (task,) in run(connection, _SIGHTED_TASKS, {"tasks": tasks})]


def _sighted_files(
    connection: Connection, task: int, job_ids: Sequence[str]
) -> dict[str, list[str]]:
    """Return the names of the files that were seen of these jobs and not retired since."""
    query = (
        select(Sighting.job_uuid, File.id, File.name, File.namespace)
        .join(File, File.id == Sighting.file_id)
        .where(Sighting.job_uuid.in_(job_ids))
        .distinct()
    )
    sighted = connection.execute(query).all()
    gone = gone_among(connection, task, [(name, namespace) for *_, name, namespace in sighted])
    names: dict[str, list[str]] = {}
    for job_id, _, name, namespace in sighted:
        if (name, namespace) not in gone:
            names.setdefault(str(job_id), []).append(name)
    return names


def waived_units(connection: Connection, tasks: Sequence[int]) -> ByTask:
    """Return by task the ledger entry that waives each unit that is waived."""
    entries: ByTask = {task: {} for task in tasks}
    for task, unit, entry in run(connection, _WAIVED, {"tasks": tasks}):
        entries[task][unit] = entry
    return entries
