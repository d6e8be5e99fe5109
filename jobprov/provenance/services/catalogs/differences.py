"""Where the jobs of a task and its catalog differ: how often, and in which files.

The catalog is taken as `jobprov catalog sync` last saw it; nothing here asks it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import NamedTuple, Self

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.answers.addresses import file_page, job_page, jobs_list
from jobprov.provenance.answers.catalogs.differences import (
    CatalogComparison,
    CatalogDifference,
    CatalogStatement,
    CatalogUnits,
    DifferingFile,
    JobStatement,
    SilentUnit,
)
from jobprov.provenance.answers.tasks.tasks import UnitState
from jobprov.provenance.catalogs.opening import Catalogs
from jobprov.provenance.db.queries.catalogs.catalogs import (
    CatalogedOutput,
    ClaimedOutput,
    cataloged_outputs,
    claimed_outputs,
    process_counts,
    recorded_names,
    sync_state,
    used_units,
)
from jobprov.provenance.db.queries.tasks.tasks import FoundTask
from jobprov.provenance.db.queries.tasks.unit_facts import (
    EndedJob,
    newest_successes,
    units_in_catalog,
)
from jobprov.provenance.records.files.checksums import have_other_checksum
from jobprov.provenance.records.files.names import full_name
from jobprov.provenance.records.files.presence import Presence
from jobprov.provenance.services.catalogs.arrivals import hours_to_arrive
from jobprov.provenance.services.catalogs.draining import (
    draining_query_of,
    still_draining,
    why_not_compared,
)
from jobprov.provenance.services.tasks.declarations import find_declaration
from jobprov.provenance.services.tasks.unit_states import StandingUnit, outputs_needed
from jobprov.provenance.services.tasks.units import count_units, states_of_units

MOST_FILES = 1000
_ENDED = frozenset(
    {
        UnitState.SUCCEEDED,
        UnitState.NO_OUTPUT,
        UnitState.FAILED,
        UnitState.KILLED,
        UnitState.WAIVED,
    }
)
LATE_AFTER_HOURS = 6
"""An output that is not in the catalog so long after its job ended counts as never arrived.

An experiment may set another time, `arrive_within_hours`.
"""
DIFFERENCES = {
    "no-output": (
        "A job of the unit succeeded, and fewer of its files than declared were seen or are left."
    ),
    "never-arrived": (
        "A job says that it wrote the file and ended long ago; it never arrived in the catalog, or "
        "is not meant to, such as a histogram that nobody declares."
    ),
    "not-in-catalog": (
        "A job succeeded and says that it wrote the file; the catalog does not know it yet."
    ),
    "retired": (
        "A job succeeded and wrote the file; the catalog retired or removed it, and nothing that is "
        "there was made from it."
    ),
    "no-job": "The catalog knows the file; no job that succeeded says that it wrote it.",
    "size-differs": "Job and catalog say different sizes.",
    "checksum-differs": "Job and catalog say different checksums of the same kind.",
    "task-id-lost": "The catalog's metadata do not name the task; it was lost on the way.",
    "no-parent": "The catalog knows the file, but not as made from a unit of the task.",
}
"""Kinds of differences, in the order in which they matter."""


def compare_catalog(
    connection: Connection,
    store: Store,
    task: FoundTask,
    *,
    catalogs: Catalogs | None = None,
    late_after_hours: int | None = None,
) -> CatalogComparison:
    """Return where the jobs of a task and its catalog differ.

    Args:
        connection: where from.
        store: the archive, for the declaration of the task.
        task: which one.
        catalogs: those that are set up, by experiment; they give the query of what is unprocessed.
        late_after_hours: an output that is not in the catalog so long after its job ended never
            arrived; None for the hours of the experiment.
    """
    if late_after_hours is None:
        late_after_hours = hours_to_arrive(catalogs or {}, task.experiment, unset=LATE_AFTER_HOURS)
    declaration = find_declaration(connection, store, task)
    state = sync_state(connection, task.key)
    standing = states_of_units(connection, task, declaration)
    units = count_units(connection, task, declaration)
    cataloged_units = units_in_catalog(connection, task.key, needed=outputs_needed(declaration))
    draining_units: int | None = None
    is_listed = declaration is not None and declaration.listed_units() is not None
    if declaration is not None and is_listed:
        draining_units = len(still_draining(declaration, cataloged_units, units.entries))

    asked_at = problem = synced_at = None
    differences: list[CatalogDifference] = []
    if state is not None:
        asked_at, problem = state.asked_at.isoformat(), state.problem
    if state is not None and state.finished_at is not None:
        synced_at = state.finished_at.isoformat()
        late_before = state.finished_at - timedelta(hours=late_after_hours)
        differing_files = _find_differences(
            task,
            _ComparedFiles.of(connection, task),
            is_listed=is_listed,
            late_before=late_before,
        )
        differences = _units_without_output(connection, task, standing)
        differences += _by_kind(connection, task, differing_files)
    return CatalogComparison(
        task_id=task.task_id,
        experiment=task.experiment,
        synced_at=synced_at,
        asked_at=asked_at,
        problem=problem,
        not_compared=why_not_compared(task, declaration, state, catalogs),
        units=CatalogUnits(units.expected, len(cataloged_units), draining_units, units.by_catalog),
        differences=differences,
        silent=_silent_units(connection, task, standing),
        processes=process_counts(connection, task.key),
        draining_query=draining_query_of(declaration, catalogs or {}, task.experiment),
    )


class _MadeFile(NamedTuple):
    """A file that a successful job reports, and the files of the catalog that may be it.

    The first of its names is the one that it had at birth.
    """

    names: list[ClaimedOutput]
    outputs: list[CatalogedOutput]

    @property
    def claim(self) -> ClaimedOutput:
        """The file under the name that it had at birth."""
        return self.names[0]

    @property
    def is_spent(self) -> bool:
        """Whether the catalog retired it, under all its names, after something was made from it."""
        presences = {output.presence for output in self.outputs}
        return presences == {Presence.SPENT}


class _ComparedFiles(NamedTuple):
    """The files of a task on both sides. What was retired after use is on neither.

    Attributes:
        made: what successful jobs report.
        outputs: what is in the catalog.
        gone: claims at birth of made files that are gone from the catalog under every name.
    """

    made: list[_MadeFile]
    outputs: list[CatalogedOutput]
    gone: AbstractSet[int]

    @classmethod
    def of(cls, connection: Connection, task: FoundTask) -> Self:
        """Return the files of a task as jobs and the catalog have them."""
        cataloged = cataloged_outputs(connection, task.key)
        not_gone = [output for output in cataloged if output.presence != Presence.GONE]
        gone = [output for output in cataloged if output.presence == Presence.GONE]
        made_files = _made_files(task, claimed_outputs(connection, task.key), not_gone)
        made_files = [file for file in made_files if not file.is_spent]
        there = [output for output in not_gone if output.presence == Presence.THERE]
        return cls(made_files, there, _gone_files(made_files, gone))


def _made_files(
    task: FoundTask, claims: Iterable[ClaimedOutput], outputs: Iterable[CatalogedOutput]
) -> list[_MadeFile]:
    """Return each file that a successful job reports once, under whichever names it has."""
    outputs_by_name: dict[str, list[CatalogedOutput]] = defaultdict(list)
    for output in outputs:
        outputs_by_name[output.name].append(output)
    claims_by_file: dict[int, list[ClaimedOutput]] = defaultdict(list)
    for claim in claims:
        claims_by_file[claim.origin].append(claim)

    made_files = []
    for claims_of_file in claims_by_file.values():
        if not claims_of_file[0].is_done:
            continue
        known = []
        for claim in claims_of_file:
            match = _best_match(task, claim, outputs_by_name.get(claim.name, ()))
            if match is not None:
                known.append(match)
        made_files.append(_MadeFile(claims_of_file, known))
    return made_files


def _gone_files(made_files: Iterable[_MadeFile], gone: Iterable[CatalogedOutput]) -> set[int]:
    """Return the claims at birth of files that are gone from the catalog under every name."""
    gone_by_name: dict[str, list[CatalogedOutput]] = defaultdict(list)
    for output in gone:
        gone_by_name[output.name].append(output)
    origins: set[int] = set()
    for file in made_files:
        if file.outputs:
            continue
        for claim in file.names:
            if any(claim.may_be(output) for output in gone_by_name.get(claim.name, ())):
                origins.add(claim.origin)
    return origins


def _best_match(
    task: FoundTask, claim: ClaimedOutput, outputs: Iterable[CatalogedOutput]
) -> CatalogedOutput | None:
    """Return the file of the catalog that a claim is about.

    A claim without a namespace may fit several files; one that does not contradict it is preferred.
    """
    candidates = [output for output in outputs if claim.may_be(output)]
    return min(candidates, key=lambda output: _Unlikeness.of(task, claim, output), default=None)


class _Unlikeness(NamedTuple):
    """Reasons why a file of the catalog is not the claimed one, the strongest first."""

    contradicts: bool
    is_of_other_task: bool
    namespace: str

    @classmethod
    def of(cls, task: FoundTask, claim: ClaimedOutput, output: CatalogedOutput) -> Self:
        """Return the reasons against this file."""
        has_other_bytes = _has_other_size(claim, output) or have_other_checksum(
            claim.checksums, output.checksums
        )
        return cls(has_other_bytes, output.task_id != task.task_id, output.namespace)


class _Difference(NamedTuple):
    """A file on which job and catalog do not agree; the side that lacks it is None."""

    kind: str
    claim: ClaimedOutput | None
    output: CatalogedOutput | None


def _find_differences(
    task: FoundTask, compared: _ComparedFiles, *, is_listed: bool, late_before: datetime
) -> Iterator[_Difference]:
    """Yield what differs, by kind: first of files that jobs made, then of others in the catalog."""
    for file in compared.made:
        if file.outputs:
            yield from _contradictions(task, file.claim, file.outputs[0])
        elif file.claim.origin in compared.gone:
            yield _Difference("retired", file.claim, None)
        elif file.claim.ended_at < late_before:
            yield _Difference("never-arrived", file.claim, None)
        else:
            yield _Difference("not-in-catalog", file.claim, None)
    yield from _unexpected_outputs(compared, is_listed=is_listed)


def _unexpected_outputs(compared: _ComparedFiles, *, is_listed: bool) -> Iterator[_Difference]:
    """Yield the files of the catalog that no job made, or that are made from no listed unit."""
    claims_of_catalog: dict[tuple[str, str], ClaimedOutput] = {}
    for file in compared.made:
        for output in file.outputs:
            claims_of_catalog[output.namespace, output.name] = file.claim
    # a file of several parents has one row for each of them
    outputs_by_file: dict[tuple[str, str], list[CatalogedOutput]] = defaultdict(list)
    for output in compared.outputs:
        outputs_by_file[output.namespace, output.name].append(output)
    for name, rows in outputs_by_file.items():
        claim = claims_of_catalog.get(name)
        if claim is None:
            yield _Difference("no-job", None, rows[0])
        if is_listed and not any(output.unit for output in rows):
            yield _Difference("no-parent", claim, rows[0])


def _contradictions(
    task: FoundTask, claim: ClaimedOutput, output: CatalogedOutput
) -> Iterator[_Difference]:
    if _has_other_size(claim, output):
        yield _Difference("size-differs", claim, output)
    if have_other_checksum(claim.checksums, output.checksums):
        yield _Difference("checksum-differs", claim, output)
    if output.task_id != task.task_id:
        yield _Difference("task-id-lost", claim, output)


def _has_other_size(claim: ClaimedOutput, output: CatalogedOutput) -> bool:
    sizes = (claim.size_bytes, output.size_bytes)
    return None not in sizes and claim.size_bytes != output.size_bytes


def _by_kind(
    connection: Connection, task: FoundTask, differences: Iterable[_Difference]
) -> list[CatalogDifference]:
    """Return the differences of each kind, all of them counted and the first ones listed."""
    differences_by_kind: dict[str, list[_Difference]] = defaultdict(list)
    for difference in differences:
        differences_by_kind[difference.kind].append(difference)

    answers = []
    for kind, meaning in DIFFERENCES.items():
        if kind in differences_by_kind:
            of_kind = differences_by_kind[kind]
            files = _differing_files(connection, task, of_kind[:MOST_FILES])
            answers.append(CatalogDifference(kind, meaning, len(of_kind), files))
    return answers


def _units_without_output(
    connection: Connection, task: FoundTask, standing: Mapping[str, StandingUnit]
) -> list[CatalogDifference]:
    """Return the units that succeeded without output as a difference; none where there are none."""
    names = [name for name, unit in standing.items() if unit.state == UnitState.NO_OUTPUT]
    if not names:
        return []
    jobs = newest_successes(connection, task.key, names[:MOST_FILES])
    files = [_unit_of_no_file(task, jobs[name]) for name in names[:MOST_FILES]]
    return [CatalogDifference("no-output", DIFFERENCES["no-output"], len(names), files)]


def _unit_of_no_file(task: FoundTask, job: EndedJob) -> DifferingFile:
    """Return a unit without an output as a row in the list of files."""
    url = job_page(job.job_id)
    if job.unit is not None:
        url = jobs_list(experiment=task.experiment, task_id=task.task_id, unit=job.unit)
    return DifferingFile(
        name=job.unit or job.batch_id or job.job_id,
        url=url,
        unit=job.unit,
        job_id=job.job_id,
        job_url=job_page(job.job_id),
        process_id=None,
        batch_id=job.batch_id,
        node=job.node,
        job_says=None,
        catalog_says=None,
    )


def _differing_files(
    connection: Connection, task: FoundTask, differences: Sequence[_Difference]
) -> list[DifferingFile]:
    """Return the files as rows of the list; one that no record mentions has no page."""
    of_catalog_alone = []
    for difference in differences:
        if difference.claim is None and difference.output is not None:
            of_catalog_alone.append(difference.output.name)
    recorded = recorded_names(connection, task.experiment_key, of_catalog_alone)
    return [_differing_file(task, difference, recorded) for difference in differences]


def _differing_file(
    task: FoundTask, difference: _Difference, recorded: AbstractSet[tuple[str, str]]
) -> DifferingFile:
    claim, output = difference.claim, difference.output
    if claim is not None and output is not None:
        return _file_on_both_sides(task, claim, output)
    if claim is not None:
        return _file_of_job_alone(task, claim)
    if output is not None:
        has_page = (output.namespace, output.name) in recorded
        return _file_of_catalog_alone(task, output, has_page=has_page)
    raise AssertionError("a difference without a job has a file of the catalog")


def _file_on_both_sides(
    task: FoundTask, claim: ClaimedOutput, output: CatalogedOutput
) -> DifferingFile:
    return DifferingFile(
        name=full_name(output.name, output.namespace),
        url=file_page(claim.name, task.experiment, claim.namespace),
        unit=claim.unit or output.unit or None,
        job_id=claim.job_id,
        job_url=job_page(claim.job_id),
        process_id=output.process_id,
        batch_id=claim.batch_id or output.batch_id,
        node=claim.node or output.node,
        job_says=_job_statement(claim),
        catalog_says=_catalog_statement(output),
    )


def _file_of_job_alone(task: FoundTask, claim: ClaimedOutput) -> DifferingFile:
    return DifferingFile(
        name=claim.name,
        url=file_page(claim.name, task.experiment, claim.namespace),
        unit=claim.unit or None,
        job_id=claim.job_id,
        job_url=job_page(claim.job_id),
        process_id=None,
        batch_id=claim.batch_id or None,
        node=claim.node or None,
        job_says=_job_statement(claim),
        catalog_says=None,
    )


def _file_of_catalog_alone(
    task: FoundTask, output: CatalogedOutput, *, has_page: bool
) -> DifferingFile:
    page = file_page(output.name, task.experiment, output.namespace)
    return DifferingFile(
        name=full_name(output.name, output.namespace),
        url=page if has_page else None,
        unit=output.unit or None,
        job_id=output.job_id,
        job_url=None,  # the catalog names the job, but it may never have been recorded
        process_id=output.process_id,
        batch_id=output.batch_id,
        node=output.node,
        job_says=None,
        catalog_says=_catalog_statement(output),
    )


def _job_statement(claim: ClaimedOutput) -> JobStatement:
    return JobStatement(claim.size_bytes, claim.checksums.split())


def _catalog_statement(output: CatalogedOutput) -> CatalogStatement:
    return CatalogStatement(output.size_bytes, output.checksums.split(), output.task_id)


def _silent_units(
    connection: Connection, task: FoundTask, standing: Mapping[str, StandingUnit]
) -> list[SilentUnit]:
    """Return the units that a process was given and that no job has ended or stored since."""
    uses = used_units(connection, task.key)
    if not uses:
        return []
    newest_use: dict[str, SilentUnit] = {}
    for use in uses:
        unit = standing.get(use.unit)
        if unit is None or unit.state not in _ENDED:
            newest_use[use.unit] = use  # the newest process of a unit comes last
    return list(newest_use.values())[:MOST_FILES]
