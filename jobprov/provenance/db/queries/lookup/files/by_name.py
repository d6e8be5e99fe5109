"""Files by name: which there are, who claims them, who mentions them."""

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    BindParameter,
    Connection,
    Select,
    and_,
    bindparam,
    exists,
    func,
    or_,
    select,
    tuple_,
)
from sqlalchemy.orm import aliased

from jobprov.provenance.answers.addresses import file_page, job_page
from jobprov.provenance.answers.lookup.files import Consumer, ReadContent, Relative
from jobprov.provenance.answers.names import FileName
from jobprov.provenance.db.queries.fragments.named_files import is_named
from jobprov.provenance.db.queries.fragments.patterns import begins
from jobprov.provenance.db.queries.fragments.stages import STAGE_OF_JOB
from jobprov.provenance.db.queries.lookup.files.focus import Focus, identities_of
from jobprov.provenance.db.queries.lookup.files.versions import Version, numbers_that_tell_apart
from jobprov.provenance.db.recording.job_rows import STATES
from jobprov.provenance.db.statements.composed import run
from jobprov.provenance.db.tables import (
    Claim,
    Experiment,
    File,
    Identity,
    Job,
    Mention,
    Parent,
    Producer,
    Sighting,
    Stage,
    TaskRow,
)
from jobprov.provenance.errors import LimitError
from jobprov.provenance.records.files.names import full_name, splits
from jobprov.provenance.records.job_record import JsonObject

MOST_CONSUMERS = 100
MOST_MAKERS = 100
"""Jobs that made one parent: tens of thousands may have made the same empty log."""
MOST_CHILDREN = 1000
MOST_CONTENTS = 20
_MOST_LOOKED_AT = 10_000
"""Contents of one name in which a checksum is looked for."""
_MOST_PARENTS = 1000
NEAREST = 8
_SHORTEST_BEGINNING = 3
_LONGEST_SLIP = 61
"""Letters at the end of a name that may be mistyped, before it counts as another name."""


_FOUND = (
    select(File.id, File.name, File.namespace, Experiment.name, File.is_crowded)
    .join(Experiment, Experiment.id == File.experiment_id)
    .where(is_named())
    .order_by(Experiment.name, File.namespace, File.name)
)
_IDENTITIES = select(Identity.id).where(Identity.file_id == bindparam("file"))
_CHOSEN: BindParameter[Any] = bindparam("identities", expanding=True)
_CONSUMER_COUNT = select(func.count(func.distinct(Mention.job_id)))
_CONSUMERS = (
    select(
        Job.uuid, Job.state, Job.batch_id, Mention.role, STAGE_OF_JOB, TaskRow.task_id,
        exists().where(Producer.identity_id == Mention.identity_id),
    )
    .select_from(Mention)
    .join(Job, Job.id == Mention.job_id)
    .outerjoin(TaskRow, TaskRow.id == Job.task_id)
    .outerjoin(Stage, Stage.id == TaskRow.stage_id)
    .order_by(Mention.job_id, Mention.position)
    .limit(bindparam("limit"))
)  # fmt: skip
_CONSUMERS_OF_FILE = _CONSUMERS.where(Mention.identity_id.in_(_IDENTITIES))
_CONSUMERS_OF_IDENTITIES = _CONSUMERS.where(Mention.identity_id.in_(_CHOSEN))
_CONSUMER_COUNT_OF_FILE = _CONSUMER_COUNT.where(Mention.identity_id.in_(_IDENTITIES))
_CONSUMER_COUNT_OF_IDENTITIES = _CONSUMER_COUNT.where(Mention.identity_id.in_(_CHOSEN))
_READERS = func.count(func.distinct(Mention.job_id))
_READ_CONTENTS = (
    select(Identity.size_bytes, Identity.checksums, _READERS)
    .join(Mention, Mention.identity_id == Identity.id)
    .where(Identity.file_id == bindparam("file"), Identity.checksums != "")
    .group_by(Identity.id)
    .order_by(_READERS.desc(), Identity.id)
    .limit(bindparam("limit"))
)
_child = aliased(Claim)
_maker = aliased(Producer)
_FIRST_MAKER = (
    select(_maker.claim_id)
    .where(_maker.identity_id == Parent.identity_id)
    .order_by(_maker.claim_id.desc())
    .offset(MOST_MAKERS - 1)
    .limit(1)
    .correlate(Parent)
    .scalar_subquery()
)
_parent = (
    select(Parent.claim_id, Parent.identity_id, func.coalesce(_FIRST_MAKER, 0).label("first_maker"))
    .where(Parent.claim_id == bindparam("claim"))
    .cte("parent")
    .prefix_with("MATERIALIZED")  # else PostgreSQL looks for the first maker at each of them
)
# the job, not all columns: only then SQLite goes by the index of identities, and not through all
# that the job read
_USED = select(Mention.job_id).where(
    Mention.identity_id == _parent.c.identity_id, Mention.job_id == _child.job_id
)
_PARENTS = (
    select(
        File.name, File.namespace, Experiment.name.label("experiment"), Producer.is_sure, Job.uuid,
        _parent.c.identity_id, File.id.label("file_id"), Claim.id.label("claim_id"),
        (Job.id == _child.job_id).label("is_own"), _USED.exists().label("is_input"),
    )
    .select_from(_parent)
    .join(_child, _child.id == _parent.c.claim_id)
    .join(Identity, Identity.id == _parent.c.identity_id)
    .join(File, File.id == Identity.file_id)
    .join(Experiment, Experiment.id == File.experiment_id)
    .outerjoin(
        Producer,
        and_(
            Producer.identity_id == _parent.c.identity_id,
            Producer.claim_id >= _parent.c.first_maker,
        ),
    )
    .outerjoin(Claim, Claim.id == Producer.claim_id)
    .outerjoin(Job, Job.id == Claim.job_id)
    .order_by(File.name, _parent.c.identity_id, Claim.id)
    .limit(bindparam("limit"))
)  # fmt: skip
_made_from = (
    select(Parent.claim_id, Parent.identity_id)
    .where(Parent.identity_id.in_(bindparam("identities", expanding=True)))
    .limit(bindparam("limit"))
    .subquery()
)
_CHILDREN = (
    select(
        File.id,
        File.name,
        File.namespace,
        Experiment.name,
        Job.uuid,
        Claim.id,
        _made_from.c.identity_id,
    )
    .select_from(_made_from)
    .join(Claim, Claim.id == _made_from.c.claim_id)
    .join(File, File.id == Claim.file_id)
    .join(Experiment, Experiment.id == File.experiment_id)
    .join(Job, Job.id == Claim.job_id)
)
_SIGHTINGS = (
    select(Sighting.document, Sighting.seen_at)
    .where(Sighting.file_id == bindparam("file"))
    .order_by(Sighting.entry_id.desc())
    .limit(20)
)
_name_of_claim = select(File.name, File.namespace).join(Claim, Claim.file_id == File.id)
_ALIASES = _name_of_claim.where(Claim.alias_of.in_(bindparam("claims", expanding=True)))
_BIRTHS = _name_of_claim.where(Claim.id.in_(bindparam("births", expanding=True)))


class FoundFile(NamedTuple):
    """A file: its key and what names it."""

    id: int
    name: str
    namespace: str
    experiment: str
    is_crowded: bool

    def as_answer(self) -> FileName:
        """Return what names the file in an answer."""
        url = file_page(self.name, self.experiment, self.namespace)
        return FileName(self.name, self.namespace, self.experiment, url)


def find_files(
    connection: Connection,
    name: str,
    *,
    experiment: str | None = None,
    namespace: str | None = None,
) -> list[FoundFile]:
    """Return the files of this name; with colons in it also those named `namespace:name`.

    With `namespace`, '' being none, a file of exactly this name goes before what it could mean
    besides.
    """
    pairs = splits(name)
    query = _named(
        of_experiment=experiment is not None,
        of_namespace=namespace is not None,
        may_be_full=bool(pairs),
    )
    values = {"name": name, "experiment": experiment, "namespace": namespace, "pairs": pairs}
    # `run` binds lists of plain values, and no pairs
    rows = connection.execute(query, values) if pairs else run(connection, query, values)
    files = [FoundFile(*row) for row in rows]
    if namespace is None:
        return files
    exact = [file for file in files if file.name == name]
    return exact or files


@cache
def _named(
    *, of_experiment: bool, of_namespace: bool, may_be_full: bool
) -> Select[int, str, str, str, bool]:
    """Return the statement that finds files by name."""
    is_called = File.name == bindparam("name")
    if may_be_full:
        is_called = or_(
            is_called, tuple_(File.namespace, File.name).in_(bindparam("pairs", expanding=True))
        )
    query = _FOUND.where(is_called)
    if of_experiment:
        query = query.where(Experiment.name == bindparam("experiment"))
    if of_namespace:
        query = query.where(File.namespace == bindparam("namespace"))
    return query


def nearest_names(connection: Connection, name: str) -> list[str]:
    """Return recorded names that begin like this one, the longest common beginning first.

    A few index look-ups.
    """
    shortest = max(_SHORTEST_BEGINNING, len(name) - _LONGEST_SLIP)
    for length in range(len(name), shortest - 1, -1):
        query = select(File.name).where(begins(File.name, name[:length]), is_named())
        query = query.order_by(File.name).distinct().limit(NEAREST)
        if names := list(connection.execute(query).scalars()):
            return names
    return []


class FileConsumers(NamedTuple):
    """How many jobs read a file, and the first of them."""

    job_count: int
    first: list[Consumer]


def consumers(
    connection: Connection, file: int, *, identities: Iterable[int] | None = None
) -> FileConsumers:
    """Return the jobs that read the file; only as some identities where these are given."""
    values: dict[str, object] = {"file": file, "limit": MOST_CONSUMERS}
    listing, counting = _CONSUMERS_OF_FILE, _CONSUMER_COUNT_OF_FILE
    if identities is not None:
        values = {"identities": sorted(identities), "limit": MOST_CONSUMERS}
        listing, counting = _CONSUMERS_OF_IDENTITIES, _CONSUMER_COUNT_OF_IDENTITIES
    rows = run(connection, listing, values)
    # a job of several steps may read it in each: its first mention counts
    first_mentions: dict[str, Consumer] = {}
    for row in rows:
        consumer = _consumer(row)
        first_mentions.setdefault(consumer.job_id, consumer)
    listed = list(first_mentions.values())
    if len(rows) < MOST_CONSUMERS:
        # these are all, so no second query is needed
        return FileConsumers(len(listed), listed)
    return FileConsumers(run(connection, counting, values)[0][0], listed)


def _consumer(row: Any) -> Consumer:
    job_id, state, batch_id, role, stage, task_id, is_linked = row
    return Consumer(
        job_id=job_id,
        state=STATES[state],
        batch_id=batch_id,
        role=role,
        stage=stage,
        task_id=task_id,
        is_linked=bool(is_linked),
        url=job_page(job_id),
    )


def read_contents(connection: Connection, file: int) -> list[ReadContent]:
    """Return what jobs found when they read the file, most jobs first; only with a checksum."""
    rows = run(connection, _READ_CONTENTS, {"file": file, "limit": MOST_CONTENTS})
    return [ReadContent(size, checksums.split(), jobs) for size, checksums, jobs in rows]


def contents_with(connection: Connection, file: int, checksum: str) -> frozenset[int]:
    """Return the keys of the contents of a file that have this checksum, or one that begins so.

    Raises:
        LimitError: the file was seen with too many contents to look at.
    """
    query = select(Identity.id, Identity.checksums).where(Identity.file_id == file)
    rows = connection.execute(query.limit(_MOST_LOOKED_AT + 1)).all()
    if len(rows) > _MOST_LOOKED_AT:
        problem = f"The file was seen with more than {_MOST_LOOKED_AT:,} contents; ask without one."
        raise LimitError(problem, _MOST_LOOKED_AT)
    found = set()
    for key, checksums in rows:
        if any(known.startswith(checksum) for known in checksums.split()):
            found.add(key)
    return frozenset(found)


def parents_of(connection: Connection, claim: int) -> list[Relative]:
    """Return the files that a claim was made from, with the jobs that made them.

    Of very many makers of one parent, only the last recorded are returned.
    """
    rows = run(connection, _PARENTS, {"claim": claim, "limit": _MOST_PARENTS})
    numbers = numbers_that_tell_apart(connection, {row.file_id for row in rows})
    parents = []
    for _, group in itertools.groupby(rows, key=lambda row: row.identity_id):
        makers = list(group)
        others = [row for row in makers if not row.is_own]
        if not others and makers[0].is_input:
            # a job's output never satisfies its own input: who made that is not known
            parents.append(_relative(makers[0]))
            continue
        for row in others or makers:
            number = numbers.get(row.claim_id)
            parents.append(_relative(row, row.is_sure, row.uuid, version=number))
    return parents


class _Child(NamedTuple):
    """A claim that was made from an identity of a file; one row for each such identity."""

    file: int
    name: str
    namespace: str
    experiment: str
    job_id: str
    claim: int
    identity: int


def children_of(
    connection: Connection, file: int, *, identities: Mapping[int, bool] | None = None
) -> list[Relative]:
    """Return files that were made from a file, whichever of its versions, or under another name.

    With the job that made each. Only from some identities where these are given, each with whether
    it surely is what was asked for.

    Of very many the first thousand that were recorded: to sort a million names of a hub takes
    seconds.
    """
    if identities is None:
        identities = identities_of(connection, Focus(file, None))
    parameters = {"identities": sorted(identities), "limit": MOST_CHILDREN}
    rows = [_Child(*row) for row in run(connection, _CHILDREN, parameters)]
    is_sure: dict[int, bool] = {}
    by_claim: dict[int, _Child] = {}
    for child in rows:
        is_sure[child.claim] = is_sure.get(child.claim, False) or identities[child.identity]
        if child.file != file:
            by_claim[child.claim] = child
    numbers = numbers_that_tell_apart(connection, {child.file for child in by_claim.values()})
    children = []
    for child in sorted(by_claim.values(), key=lambda child: (child.name, child.claim)):
        number = numbers.get(child.claim)
        children.append(_relative(child, is_sure[child.claim], child.job_id, version=number))
    return children


def _relative(
    file: Any,
    is_sure: bool | None = None,  # noqa: FBT001 - a column of the rows
    job_id: str | None = None,
    *,
    version: int | None = None,
) -> Relative:
    """Return a relative; that it is one is sure unless a link says that it is not.

    `file` is a row with its name, namespace and experiment.
    """
    url = file_page(file.name, file.experiment, file.namespace)
    is_relative = is_sure is not False
    return Relative(file.name, file.namespace, file.experiment, is_relative, job_id, url, version)


def other_names_of(connection: Connection, versions: Sequence[Version]) -> list[str]:
    """Return other names of the same bytes: what they were renamed to, or called at birth.

    With their namespaces, where they have one.
    """
    claims = [version.claim_id for version in versions]
    births = [version.alias_of for version in versions if version.alias_of is not None]
    rows: list[Any] = []
    if claims:
        rows += run(connection, _ALIASES, {"claims": claims})
    if births:
        rows += run(connection, _BIRTHS, {"births": births})
    return sorted({full_name(name, namespace) for name, namespace in rows})


def new_names_among(connection: Connection, files: Sequence[int]) -> dict[int, set[int]]:
    """Return which of some files are new names of what jobs wrote under the name of another one.

    By the one with the name at birth. What a job wrote under a name itself is no new name.
    """
    birth, own = aliased(Claim), aliased(Claim)
    is_written = exists().where(own.file_id == Claim.file_id, own.alias_of.is_(None))
    query = (
        select(birth.file_id, Claim.file_id)
        .join(birth, birth.id == Claim.alias_of)
        .where(Claim.file_id.in_(files), birth.file_id.in_(files), ~is_written)
        .distinct()
    )
    new_names: dict[int, set[int]] = {}
    for file, new_name in connection.execute(query):
        new_names.setdefault(file, set()).add(new_name)
    return new_names


def sightings_of(connection: Connection, file: int) -> list[JsonObject]:
    """Return the catalog sightings of a file, newest first: the documents as they were sent."""
    rows = run(connection, _SIGHTINGS, {"file": file})
    return [{**json.loads(row[0]), "seen_at": row[1].isoformat()} for row in rows]
