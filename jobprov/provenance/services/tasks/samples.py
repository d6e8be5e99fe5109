"""Samples by data tier: what an analysis has, what it waits for, and which passes are obsolete.

Source: http.md, `GET /samples`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.answers.tasks.samples import ObsoletePass, Sample, SampleCell, Samples
from jobprov.provenance.db.connections.time_limits import time_limit
from jobprov.provenance.db.queries.tasks.samples import (
    NOTHING,
    TierOutput,
    outputs_of_tasks,
    versions_of_tasks,
)
from jobprov.provenance.db.queries.tasks.tasks import FoundTask, newest_declared_tasks
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.services.experiments import find_experiment
from jobprov.provenance.services.tasks.declarations import (
    Declaration,
    read_declaration,
    read_task_documents,
)
from jobprov.provenance.services.tasks.unit_states import outputs_needed
from jobprov.provenance.services.tasks.units import sum_if_known

MOST_TASKS = 2000


class _CellName(NamedTuple):
    """Where a cell is in the table of samples by data tier."""

    sample: str
    data_tier: str


class _TierOfTask(NamedTuple):
    """What a task has of one data tier; what it expects is None where it was not declared."""

    data_tier: str
    task_id: str
    definition: str | None
    files: int
    events: int
    expected_files: int | None
    expected_events: int | None
    releases: list[str]


def list_samples(connection: Connection, store: Store, experiment: str) -> Samples:
    """Return the declared tasks of an experiment as samples by data tier.

    Raises:
        NotFoundError: nothing of the experiment is recorded, or no task of it was declared.
        LimitError: counting took more than five seconds.
    """
    tasks = newest_declared_tasks(connection, experiment, most=MOST_TASKS)
    if not tasks:
        find_experiment(connection, experiment)
        raise NotFoundError(
            f"No task of experiment {experiment} was declared; "
            "`jobprov declare` or PUT /api/v1/tasks/ID does it."
        )
    documents = read_task_documents(connection, store, tasks)
    declarations = {key: read_declaration(document) for key, document in documents.items()}
    needed = {key: outputs_needed(declaration) for key, declaration in declarations.items()}
    with time_limit(
        connection, "this experiment has more jobs than can be counted while one waits"
    ):
        outputs = outputs_of_tasks(connection, needed)
        versions = versions_of_tasks(connection, needed)

    cells: dict[_CellName, list[_TierOfTask]] = {}
    archived: list[ObsoletePass] = []
    for task in reversed(tasks):  # the oldest first: stages in the order of production
        declaration = declarations[task.key]
        sample = declaration.sample or task.campaign or "no campaign"
        releases = versions.get(task.key, [])
        if declaration.release:
            releases = [declaration.release]
        for tier in _tiers(task, declaration, outputs.get(task.key, {}), releases):
            if declaration.is_obsolete:
                archived.append(ObsoletePass(sample=sample, **tier._asdict()))
            else:
                cells.setdefault(_CellName(sample, tier.data_tier), []).append(tier)
    archived.reverse()
    return Samples(
        experiment=experiment,
        data_tiers=list(dict.fromkeys(name.data_tier for name in cells)),
        samples=_samples(cells),
        archived=archived,
    )


def _tiers(
    task: FoundTask,
    declaration: Declaration,
    outputs: Mapping[str | None, TierOutput],
    releases: list[str],
) -> Iterator[_TierOfTask]:
    """Yield what a task has of each data tier; what it expects is with the tier of most files."""
    unnamed_tier = declaration.data_tier or task.stage or "no tier"
    made: dict[str, TierOutput] = {}
    for name, output in outputs.items():
        tier = name or unnamed_tier
        before = made.get(tier, NOTHING)
        made[tier] = TierOutput(before.files + output.files, before.events + output.events)

    main_tier = declaration.data_tier
    if main_tier is None:
        main_tier = max(made, key=lambda tier: (made[tier].files, tier), default=unnamed_tier)
    for tier in sorted(made.keys() | {main_tier}):
        output = made.get(tier, NOTHING)
        of_task = _TierOfTask(
            data_tier=tier,
            task_id=task.task_id,
            definition=None,
            files=output.files,
            events=output.events,
            expected_files=None,
            expected_events=None,
            releases=releases,
        )
        if tier == main_tier:
            # Outputs of several tiers share outputs_per_unit: how many each has is not declared
            expected_files = declaration.expected_files() if len(made) <= 1 else None
            of_task = of_task._replace(
                definition=declaration.definition,
                expected_files=expected_files,
                expected_events=declaration.expected_events(),
            )
        yield of_task


def _samples(cells: Mapping[_CellName, Sequence[_TierOfTask]]) -> list[Sample]:
    cells_by_sample: dict[str, list[SampleCell]] = {}
    for name, tiers in cells.items():
        cells_by_sample.setdefault(name.sample, []).append(_cell(name.data_tier, tiers))
    return [Sample(name, cells_by_sample[name]) for name in sorted(cells_by_sample)]


def _cell(data_tier: str, tiers: Sequence[_TierOfTask]) -> SampleCell:
    releases: set[str] = set()
    for tier in tiers:
        releases.update(tier.releases)
    return SampleCell(
        data_tier=data_tier,
        definitions=sorted({tier.definition for tier in tiers if tier.definition}),
        releases=sorted(releases),
        tasks=[tier.task_id for tier in tiers],
        files=sum(tier.files for tier in tiers),
        expected_files=sum_if_known([tier.expected_files for tier in tiers]),
        events=sum(tier.events for tier in tiers),
        expected_events=sum_if_known([tier.expected_events for tier in tiers]),
    )
