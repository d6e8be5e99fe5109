"""Names by which people find things: look-ups of the search box, and lists of recorded names.

Each look-up of the search box is by the beginning of one indexed column, and bounded.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    LargeBinary,
    Row,
    Select,
    exists,
    func,
    select,
    type_coerce,
)

from jobprov.provenance.answers.addresses import (
    campaign_page,
    file_page,
    job_page,
    jobs_list,
    task_page,
)
from jobprov.provenance.answers.lookup.search import Hit
from jobprov.provenance.db.queries.fragments.named_files import is_named
from jobprov.provenance.db.queries.fragments.patterns import begins
from jobprov.provenance.db.recording.job_rows import STATES
from jobprov.provenance.db.tables import (
    Experiment,
    File,
    Host,
    Job,
    Resolution,
    SoftwareRow,
    Stage,
    TaskRow,
)
from jobprov.provenance.records.files.names import full_name

_HEX_DIGITS = frozenset("0123456789abcdef")
_SHORTEST_JOB_ID, _LONGEST_JOB_ID = 8, 32
_SHORTEST_COMMIT = 6
_COLUMNS: Mapping[str, Any] = {
    "experiments": Experiment.name,
    "campaigns": Stage.campaign,
    "stages": Stage.name,
    "tasks": TaskRow.task_id,
    "sites": Host.site,
}
KINDS = tuple(_COLUMNS)
"""What names are listed of."""


def files_named(connection: Connection, text: str, most: int) -> list[Hit]:
    """Return files whose name begins so.

    With `namespace:` before it, those of that namespace; where it has none, those of any.
    """
    namespace, colon, name = text.rpartition(":")
    query = (
        select(File.name, File.namespace, Experiment.name)
        .join(Experiment, Experiment.id == File.experiment_id)
        .where(begins(File.name, name), is_named())
        .order_by(File.name, File.namespace, Experiment.name)
        .limit(most)
    )
    rows: Sequence[Row[str, str, str]] = []
    if colon:
        rows = connection.execute(query.where(File.namespace == namespace)).all()
    hits = []
    for row in rows or connection.execute(query).all():
        name, namespace, experiment = row
        url = file_page(name, experiment, namespace)
        hits.append(Hit("file", full_name(name, namespace), experiment, url))
    return hits


def jobs_by_id(connection: Connection, text: str, most: int) -> list[Hit]:
    """Return jobs whose id begins so; eight digits at least."""
    digits = text.lower().replace("-", "")
    if not _SHORTEST_JOB_ID <= len(digits) <= _LONGEST_JOB_ID or set(digits) - _HEX_DIGITS:
        return []
    # ids are compared as the 16 bytes that are stored, so that an index finds a range of them
    first = type_coerce(uuid.UUID(digits.ljust(_LONGEST_JOB_ID, "0")).bytes, LargeBinary)
    last = type_coerce(uuid.UUID(digits.ljust(_LONGEST_JOB_ID, "f")).bytes, LargeBinary)
    stored_id = type_coerce(Job.uuid, LargeBinary)
    query = (
        select(Job.uuid, Job.state, Experiment.name)
        .join(Experiment, Experiment.id == Job.experiment_id)
        .where(stored_id >= first, stored_id <= last)
        .limit(most)
    )
    hits = []
    for job_id, state, experiment in connection.execute(query):
        hits.append(Hit("job", job_id, f"{experiment}, {STATES[state]}", job_page(job_id)))
    return hits


def jobs_by_batch_id(connection: Connection, text: str, most: int) -> list[Hit]:
    """Return jobs whose batch id begins so; none where the text does not look like one."""
    if not text[0].isdigit():
        return []
    query = (
        select(Job.uuid, Job.batch_id, Job.state)
        .where(begins(Job.batch_id, text))
        .order_by(Job.batch_id)
        .limit(most)
    )
    hits = []
    for job_id, batch_id, state in connection.execute(query):
        hits.append(Hit("job", batch_id or "", STATES[state], job_page(job_id)))
    return hits


def tasks_named(connection: Connection, text: str, most: int) -> list[Hit]:
    """Return tasks whose id begins so."""
    query = (
        select(TaskRow.task_id, Experiment.name)
        .join(Experiment, Experiment.id == TaskRow.experiment_id)
        .where(begins(TaskRow.task_id, text))
        .order_by(TaskRow.task_id)
        .limit(most)
    )
    hits = []
    for task_id, experiment in connection.execute(query):
        hits.append(Hit("task", task_id, experiment, task_page(task_id, experiment)))
    return hits


def campaigns_named(connection: Connection, text: str, most: int) -> list[Hit]:
    """Return campaigns whose name begins so and that have a task.

    Of the others nothing is left but the name.
    """
    query = (
        select(Stage.campaign, Experiment.name)
        .join(Experiment, Experiment.id == Stage.experiment_id)
        .where(begins(Stage.campaign, text), exists().where(TaskRow.stage_id == Stage.id))
        .distinct()
        .order_by(Stage.campaign)
        .limit(most)
    )
    hits = []
    for campaign, experiment in connection.execute(query):
        hits.append(Hit("campaign", campaign, experiment, campaign_page(campaign, experiment)))
    return hits


def commits_named(connection: Connection, text: str, most: int) -> list[Hit]:
    """Return commits that begin so, or refs of this name."""
    digits = text.lower()
    is_commit = len(digits) >= _SHORTEST_COMMIT and not set(digits) - _HEX_DIGITS
    if not is_commit:
        return _recorded_commits(connection, SoftwareRow.requested_ref == text, most)
    recorded = _recorded_commits(connection, begins(SoftwareRow.revision, digits), most)
    recorded_names = {hit.text for hit in recorded}
    resolved = _resolved_commits(connection, digits, most)
    return recorded + [hit for hit in resolved if hit.text not in recorded_names]


def _recorded_commits(
    connection: Connection, condition: ColumnElement[bool], most: int
) -> list[Hit]:
    """Return commits that records name."""
    query = (
        select(SoftwareRow.revision, SoftwareRow.requested_ref, SoftwareRow.name)
        .where(condition)
        .distinct()
        .limit(most)
    )
    hits = []
    for revision, ref, name in connection.execute(query):
        commit = revision or ref or ""
        detail = f"{name or ''} {ref or ''}".strip()
        hits.append(Hit("commit", commit, detail, jobs_list(revision=commit)))
    return hits


def _resolved_commits(connection: Connection, digits: str, most: int) -> list[Hit]:
    """Return commits that the service found for a tag or product, whether recorded or not."""
    query = (
        select(Resolution.commit, Resolution.document)
        .where(begins(Resolution.commit, digits))
        .limit(most)
    )
    hits: dict[str, Hit] = {}
    for commit, text in connection.execute(query):
        document = json.loads(text)
        details = [document.get(key) for key in ("name", "requested_ref", "evidence")]
        detail = " ".join(detail for detail in details if detail)
        hits[commit] = Hit("commit", commit, detail, jobs_list(revision=commit))
    return list(hits.values())


def hosts_named(connection: Connection, text: str, most: int) -> list[Hit]:
    """Return worker nodes whose name begins so."""
    query = (
        select(Host.hostname, func.min(Host.site))
        .where(begins(Host.hostname, text))
        .group_by(Host.hostname)
        .order_by(Host.hostname)
        .limit(most)
    )
    hits = []
    for hostname, site in connection.execute(query):
        hits.append(Hit("host", hostname, site, jobs_list(host=hostname)))
    return hits


class NameFilters(NamedTuple):
    """Which names are wanted: those of an experiment, of a campaign, or one of them."""

    experiment: str | None = None
    campaign: str | None = None
    name: str | None = None


def recorded_names(
    connection: Connection, kind: str, filters: NameFilters, *, after: str, limit: int
) -> list[str]:
    """Return names behind `after`, each once, in order; what has no name is left out."""
    column = _COLUMNS[kind]
    query = _of_kind(kind, column, filters)
    if filters.name is not None:
        query = query.where(column == filters.name)
    # the empty name, of what records call nothing, comes before all others
    query = query.where(column > after).distinct().order_by(column).limit(limit)
    return list(connection.execute(query).scalars())


def _of_kind(kind: str, column: Any, filters: NameFilters) -> Select[Any]:
    """Return the names of a kind that an experiment or a campaign has."""
    query = select(column)
    if filters.experiment is None and filters.campaign is None:
        return query
    if kind == "tasks":
        query = query.join(Experiment, Experiment.id == TaskRow.experiment_id)
        query = query.outerjoin(Stage, Stage.id == TaskRow.stage_id)
        return query.where(*_conditions(filters))
    if kind == "sites":
        return query.where(_ran_there(filters))
    if kind == "experiments":
        query = query.outerjoin(Stage, Stage.experiment_id == Experiment.id)
        return query.where(*_conditions(filters))
    query = query.join(Experiment, Experiment.id == Stage.experiment_id)
    return query.where(*_conditions(filters))


def _conditions(filters: NameFilters) -> list[ColumnElement[bool]]:
    conditions = []
    if filters.experiment is not None:
        conditions.append(Experiment.name == filters.experiment)
    if filters.campaign is not None:
        conditions.append(Stage.campaign == filters.campaign)
    return conditions


def _ran_there(filters: NameFilters) -> ColumnElement[bool]:
    """Return whether a job of the experiment or campaign ran on a host of the site."""
    jobs = select(Job.id).join(Experiment, Experiment.id == Job.experiment_id)
    jobs = jobs.outerjoin(Stage, Stage.id == Job.stage_id)
    return exists(jobs.where(Job.host_id == Host.id, *_conditions(filters)))
