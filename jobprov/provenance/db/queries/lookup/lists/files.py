"""Files in lists: by a pattern of their names, a page at a time in the order of names."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, exists, func, select, tuple_

from jobprov.provenance.answers.addresses import file_page
from jobprov.provenance.answers.histories.ends import Orphan
from jobprov.provenance.db.queries.fragments.named_files import is_named
from jobprov.provenance.db.queries.fragments.patterns import matches
from jobprov.provenance.db.queries.fragments.versions import is_version
from jobprov.provenance.db.statements.selecting import moment_for, select_among
from jobprov.provenance.db.tables import (
    Claim,
    Experiment,
    File,
    Identity,
    Job,
    Mention,
    Parent,
    TaskRow,
)
from jobprov.provenance.lineage.graph import SHARED_ROLES
from jobprov.provenance.lineage.keys import row_numbers
from jobprov.provenance.lineage.sentences import MOST_READERS

_MOST_LOOKED_AT = 100_000
_CONSUMERS = {
    "c": """
SELECT c.id, (
    SELECT count(*) FROM (
        SELECT DISTINCT m.job_id FROM producers AS r CROSS JOIN mentions AS m
        WHERE r.claim_id = c.id AND m.identity_id = r.identity_id {known} LIMIT {most}
    ) AS few
)
FROM claims AS c WHERE c.id {among}
""",
    "f": """
SELECT f.id, (
    SELECT count(*) FROM (
        SELECT DISTINCT m.job_id FROM identities AS i CROSS JOIN mentions AS m
        WHERE i.file_id = f.id AND m.identity_id = i.id {known} LIMIT {most}
    ) AS few
)
FROM files AS f WHERE f.id {among}
""",
}
"""A hub has millions of consumers: no more of them are counted than tell it apart."""
_KNOWN = "AND EXISTS (SELECT 1 FROM jobs AS j WHERE j.id = m.job_id AND j.received_at <= ?)"


_ROLES_LOOKED_AT = 20
_SHARED = ", ".join(f"'{role}'" for role in sorted(SHARED_ROLES))
_READERS = _CONSUMERS["f"].format(most=MOST_READERS, known="", among="{among}")
_UNSHARED = f"""
SELECT i.file_id, (
    SELECT count(*)
    FROM (
        SELECT m.role FROM mentions AS m WHERE m.identity_id = i.id LIMIT {_ROLES_LOOKED_AT}
    ) AS few
    WHERE coalesce(few.role, '') NOT IN ({_SHARED})
)
FROM identities AS i WHERE i.file_id {{among}}
"""  # noqa: S608 - constants of this module


class FileFilters(NamedTuple):
    """What a list of files is narrowed to; None for what does not matter.

    Attributes:
        name: a pattern: `*` stands for any letters, `?` for one.
        task_id: of a job that made the file.
        data_tier: as a job that made it says.
        whole_name: the name itself, no pattern.
    """

    experiment: str | None = None
    namespace: str | None = None
    name: str | None = None
    task_id: str | None = None
    data_tier: str | None = None
    whole_name: str | None = None


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
    """Return the first files that pass the filters, from behind `after`.

    In the order of (name, namespace, experiment), which `after` names.
    """
    order = (File.name, File.namespace, File.experiment_id)
    query = (
        select(File.id, *order, Experiment.name)
        .join(Experiment, Experiment.id == File.experiment_id)
        .where(is_named())
        .order_by(*order)
        .limit(limit)
    )
    if filters.experiment is not None:
        query = query.where(Experiment.name == filters.experiment)
    if filters.namespace is not None:
        query = query.where(File.namespace == filters.namespace)
    if filters.name is not None:
        query = query.where(*matches(connection.dialect.name, File.name, filters.name))
    if filters.whole_name is not None:
        query = query.where(File.name == filters.whole_name)
    if filters.task_id is not None:
        of_task = (
            select(Claim.file_id)
            .join(Job, Job.id == Claim.job_id)
            .join(TaskRow, TaskRow.id == Job.task_id)
            .where(TaskRow.task_id == filters.task_id)
        )
        query = query.where(File.id.in_(of_task))
    if filters.data_tier is not None:
        query = query.where(
            exists().where(Claim.file_id == File.id, Claim.data_tier == filters.data_tier)
        )
    if after is not None:
        query = query.where(File.name >= after[0], tuple_(*order) > tuple_(*after))
    return [FileRow(*row) for row in connection.execute(query)]


class UnmadeFiles(NamedTuple):
    """Files that no recorded job made, and the key after which to go on; None at the end."""

    files: list[Orphan]
    next_after: int | None


def list_unmade(
    connection: Connection,
    *,
    experiment: str | None,
    namespace: str | None,
    isolated: bool,
    unread: bool,
    after: int,
    limit: int,
) -> UnmadeFiles:
    """Return files that no recorded job made, after the one with key `after`.

    A bounded number of files is looked through, since there may be millions of others between two.
    Outputs of reruns do not count as made; those of failed jobs count only where something was
    surely made from them, as among versions.

    Args:
        isolated: only files from which no other file was made.
        unread: only files that no job read.
    """
    first = connection.execute(_first_behind(after)).scalar()
    if first is None:
        return UnmadeFiles([], None)
    # a range of keys: a search in their order can stop once the page is full
    last = first + _MOST_LOOKED_AT - 1
    made = exists().where(
        Claim.file_id == File.id,
        Job.id == Claim.job_id,
        Job.rerun_of.is_(None),
        is_version(Job.state),
    )
    has_children = exists().where(Identity.file_id == File.id, Parent.identity_id == Identity.id)
    is_read = exists().where(Identity.file_id == File.id, Mention.identity_id == Identity.id)
    query = (
        select(File.id, File.name, File.namespace, Experiment.name, ~has_children)
        .join(Experiment, Experiment.id == File.experiment_id)
        .where(File.id.between(first, last), ~made, is_named())
        .order_by(File.id)
        .limit(limit)
    )
    if experiment is not None:
        query = query.where(Experiment.name == experiment)
    if namespace is not None:
        query = query.where(File.namespace == namespace)
    if isolated or unread:
        query = query.where(~has_children)
    if unread:
        query = query.where(~is_read)
    rows = connection.execute(query).all()
    orphans = _orphans(connection, rows)
    if len(rows) == limit:
        return UnmadeFiles(orphans, rows[-1].id)
    is_end = connection.execute(_first_behind(last)).scalar() is None
    return UnmadeFiles(orphans, None if is_end else last)


def _first_behind(key: int) -> Select[Any]:
    return select(func.min(File.id)).where(File.id > key)


def _orphans(connection: Connection, rows: Sequence[Row[int, str, str, str, bool]]) -> list[Orphan]:
    """Return the files with their readers, a job once whatever it read of a file.

    Whether they read it as a shared input is seen from the first few.
    """
    keys = [row.id for row in rows]
    counts: dict[int, int] = dict(select_among(connection, _READERS, keys))
    unshared = {file for file, others in select_among(connection, _UNSHARED, keys) if others}
    orphans = []
    for key, name, namespace, experiment, is_isolated in rows:
        orphan = Orphan(
            name,
            namespace,
            experiment,
            url=file_page(name, experiment, namespace),
            is_isolated=bool(is_isolated),
            reader_count=counts[key],
            is_shared=counts[key] > 0 and key not in unshared,
        )
        orphans.append(orphan)
    return orphans


def count_consumers(
    connection: Connection, keys: Collection[str], *, most: int, as_of: datetime | None = None
) -> dict[str, int]:
    """Return how many jobs consumed each file, by its key in a graph (`c7`, `f9`).

    They are counted up to `most`; with `as_of`, only jobs that had been recorded then count.
    """
    counts = dict.fromkeys(keys, 0)
    moment, known = [], ""
    if as_of is not None:
        moment, known = [moment_for(connection, as_of)], _KNOWN
    for letter, template in _CONSUMERS.items():
        numbers = sorted(row_numbers(keys, letter))
        statement = template.format(most=most, among="{among}", known=known)
        for number, count in select_among(connection, statement, numbers, *moment):
            counts[f"{letter}{number}"] = count
    return counts
