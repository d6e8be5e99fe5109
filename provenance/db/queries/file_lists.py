"""Files in lists: by a pattern of their names, a page at a time in the order of names."""

from typing import NamedTuple

from sqlalchemy import Connection, exists, select, tuple_

from provenance.db.queries.patterns import matches
from provenance.db.tables import Claim, Experiment, File, Job, TaskRow


class FileFilters(NamedTuple):
    """What a list of files is narrowed to; None for what does not matter.

    Attributes:
        name: a pattern: `*` stands for any letters, `?` for one.
        task_id: of a job that made the file.
        data_tier: as a job that made it says.
    """

    experiment: str | None = None
    namespace: str | None = None
    name: str | None = None
    task_id: str | None = None
    data_tier: str | None = None


class FileRow(NamedTuple):
    """A file in a list; what follows the key is its place in the order."""

    key: int
    name: str
    namespace: str
    experiment_key: int
    experiment: str


def list_file_rows(
    connection: Connection, filters: FileFilters, *, limit: int, after: tuple[str, str, int] | None
) -> list[FileRow]:
    """Return the first files that pass the filters, in the order of (name, namespace, experiment), from behind `after`."""
    order = (File.name, File.namespace, File.experiment_id)
    query = (
        select(File.id, *order, Experiment.name)
        .join(Experiment, Experiment.id == File.experiment_id)
        .order_by(*order)
        .limit(limit)
    )
    if filters.experiment is not None:
        query = query.where(Experiment.name == filters.experiment)
    if filters.namespace is not None:
        query = query.where(File.namespace == filters.namespace)
    if filters.name is not None:
        query = query.where(*matches(connection.dialect.name, File.name, filters.name))
    if filters.task_id is not None:
        of_task = (
            select(Claim.file_id)
            .join(Job, Job.id == Claim.job_id)
            .join(TaskRow, TaskRow.id == Job.task_id)
            .where(TaskRow.task_id == filters.task_id)
        )
        query = query.where(File.id.in_(of_task))
    if filters.data_tier is not None:
        query = query.where(exists().where(Claim.file_id == File.id, Claim.data_tier == filters.data_tier))
    if after is not None:
        query = query.where(File.name >= after[0], tuple_(*order) > tuple_(*after))
    return [FileRow(*row) for row in connection.execute(query)]
