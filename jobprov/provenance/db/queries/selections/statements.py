"""Makes one statement of a selection: the keys of its files, set by set.

A file is selected by its name, by the jobs that made it or by those that read it. Conditions on
one maker that are joined by `and` hold for the same version of a file; a file with several versions
is found by any of them. What reruns for comparison and failed jobs wrote is no version
(`queries/lookup/files/versions.py`). A file that no job made has the data tier, events and size
that a catalog gave; by other metadata of catalogs any file can be selected (`sighted.py`).

Sets are joined by UNION, INTERSECT and EXCEPT, never row by row, and relations are nested IN lists
and one recursion, so that each table is entered by an index.
"""

import fnmatch
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Select,
    SQLColumnExpression,
    and_,
    bindparam,
    except_,
    false,
    func,
    intersect,
    or_,
    select,
    union,
)

from jobprov.provenance.db.queries.fragments.named_files import is_named
from jobprov.provenance.db.queries.fragments.versions import is_version
from jobprov.provenance.db.queries.selections.sighted import (
    Members,
    newest_sightings,
    sighted_members,
    sighted_number,
    sighted_text,
)
from jobprov.provenance.db.queries.selections.values import (
    CONSUMED_STATUS,
    OTHER_STATUSES,
    TEXT,
    condition_on,
    read_job_id,
    text_of,
)
from jobprov.provenance.db.queries.tasks.tasks import is_no_rerun
from jobprov.provenance.db.recording.job_rows import STATES
from jobprov.provenance.db.tables import (
    Claim,
    File,
    Host,
    Identity,
    Job,
    Mention,
    Parent,
    Producer,
    Sighting,
    SoftwareRow,
    SoftwareSetMember,
    Stage,
    TaskRow,
)
from jobprov.provenance.lineage.graph import SHARED_ROLES
from jobprov.provenance.selections.conditions import (
    All,
    Combined,
    Comparison,
    Everything,
    Keys,
    Not,
    Operator,
    Portion,
    Related,
    Relation,
    Selection,
    SetOperator,
    Some,
    nodes_of,
)
from jobprov.provenance.selections.fields import FIELDS, NUMBER, MetadataKey, key_in_metadata
from jobprov.provenance.selections.members import compares_numbers, split_by_kind
from jobprov.provenance.selections.tokens import SelectionError

FileKeys = Select[Any]
"""A query with one column, `id`: keys of files, each once."""
MOST_ALTERNATIVES = 40
_OF_FILE = frozenset({"file_name", "namespace", "file_id"})
_OF_READERS = frozenset({"project_name", "consumed_status", "consumer_process_description"})
_CATALOGED_TOO = frozenset({"data_tier", "event_count", "file_size"})


def select_keys(selection: Selection, *, experiment: int, dialect: str) -> FileKeys:
    """Return the query for the keys of the selected files of an experiment, unordered.

    Definitions have been replaced by what they stand for before.

    Raises:
        SelectionError: a value does not fit its field.
    """
    return _Maker(experiment, dialect).keys(selection)


@dataclass(frozen=True)
class _Maker:
    """Makes queries for one experiment and database."""

    experiment: int
    dialect: str

    def keys(self, selection: Selection) -> FileKeys:
        """Return the query for the keys of a selection."""
        match selection:
            case All():
                return self._all(selection.parts)
            case Everything() | Comparison() | Not() | Keys():
                return self._all((selection,))
            case Some():
                return self._some(selection.parts)
            case Combined():
                join = _COMBINED[selection.operator]
                return _joined(join, [self.keys(selection.left), self.keys(selection.right)])
            case Related():
                return self._related(selection)
            case Portion():
                return _portion(self.keys(selection.part), selection)
            case _:
                raise TypeError(f"no SQL for {type(selection).__name__}")

    def _all(self, parts: Iterable[Selection]) -> FileKeys:
        """Return the files that are in every part."""
        compared: dict[str, list[Comparison]] = {"file": [], "reader": [], "catalog": []}
        of_maker: list[Selection] = []
        others: list[FileKeys] = []
        excluded: list[FileKeys] = []
        for part in parts:
            if _is_of_maker(part):
                of_maker.append(part)
            elif isinstance(part, Comparison):
                compared[_side_of(part.field)].append(part)
            elif isinstance(part, Not):
                excluded.append(self.keys(part.part))
            elif isinstance(part, Keys):
                others.append(_found(part))
            elif not isinstance(part, Everything):
                others.append(self.keys(part))
        if compared["reader"]:
            others.append(self._read_by(compared["reader"]))
        if compared["catalog"]:
            others.append(self._told(compared["catalog"]))
        keys = self._compared(compared["file"], of_maker, is_alone=not others)
        if keys is not None:
            others.insert(0, keys)
        included = _joined(intersect, others)
        return _joined(except_, [included, *excluded])

    def _some(self, parts: tuple[Selection, ...]) -> FileKeys:
        """Return the files that are in at least one part; what is asked of makers is one query."""
        of_maker = tuple(part for part in parts if _is_of_maker(part))
        queries = [self.keys(part) for part in parts if not _is_of_maker(part)]
        if of_maker:
            queries.insert(0, self._all([Some(of_maker)]))
        if len(queries) > MOST_ALTERNATIVES:
            raise SelectionError(
                f"More than {MOST_ALTERNATIVES} alternatives that are no conditions on one maker "
                "are not answered; ask for a part of them at a time."
            )
        return _joined(union, queries)

    def _compared(
        self, of_file: list[Comparison], of_maker: list[Selection], *, is_alone: bool
    ) -> FileKeys | None:
        """Return the files that a name and their maker select; None if neither is asked for."""
        conditions = []
        for comparison in of_file:
            field = comparison.field
            conditions.append(self._holds(comparison, _FILE_COLUMNS[field], FIELDS[field].kind))
        if of_maker:
            if of_file:
                made = self._made(File.id, of_maker).join(File, File.id == Claim.file_id)
                made = made.where(File.experiment_id == self.experiment, *conditions)
            else:
                made = self._made(Claim.file_id, of_maker)
            if not all(map(_is_cataloged_too, of_maker)):
                return made
            return _joined(union, [made, self._unmade(of_maker).where(*conditions)])
        if not of_file and not is_alone:
            return None
        query = select(File.id.label("id")).where(File.experiment_id == self.experiment)
        return query.where(*conditions, is_named())

    def _made(self, column: Any, parts: list[Selection]) -> FileKeys:
        """Return the files with a version whose maker meets all parts."""
        query = (
            select(column.label("id"))
            .select_from(Claim)
            .join(Job, Job.id == Claim.job_id)
            .where(*_counts())
            .distinct()
        )
        if not any(map(_names_experiment, parts)):
            query = query.where(Job.experiment_id == self.experiment)
        if any(map(_compares_size, parts)):
            query = query.join(Identity, Identity.id == Claim.identity_id)
        return query.where(*map(self._maker_meets, parts))

    def _unmade(self, parts: list[Selection]) -> FileKeys:
        """Return the files that no job made and that meet all parts according to a catalog."""
        made = (
            select(Claim.id)
            .join(Job, Job.id == Claim.job_id)
            .where(Claim.file_id == Sighting.file_id, *_counts())
        )
        query = newest_sightings(self.experiment).where(~made.exists())
        return query.where(*map(self._told_meets, parts))

    def _told_meets(self, part: Selection) -> ColumnElement[bool]:
        """Return the condition on a sighting that a part about a maker stands for."""
        match part:
            case All(parts):
                return and_(*map(self._told_meets, parts))
            case Some(parts):
                return or_(*map(self._told_meets, parts))
            case Comparison("file_size"):
                size = select(Identity.size_bytes).where(Identity.id == Sighting.identity_id)
                return self._holds(part, size.scalar_subquery(), NUMBER)
            case Comparison("event_count"):
                return self._holds(
                    part,
                    sighted_number(self.dialect, MetadataKey("core.event_count")),
                    NUMBER,
                )
            case Comparison("data_tier"):
                return self._holds(part, sighted_text(self.dialect, MetadataKey("core.data_tier")))
            case _:
                raise TypeError(f"catalogs do not tell {part}")

    def _told(self, comparisons: list[Comparison]) -> FileKeys:
        """Return the files whose metadata in a catalog meet all comparisons."""
        conditions: list[ColumnElement[bool]] = []
        for comparison in comparisons:
            key = key_in_metadata(comparison.field)
            if key is None:
                raise TypeError(f"catalogs do not tell {comparison.field}")
            if comparison.operator is Operator.IS_THERE:
                conditions.append(sighted_text(self.dialect, key).is_not(None))
                continue
            members = sighted_members(self.dialect, key)
            holds = [self._member_holds(members, part) for part in split_by_kind(comparison)]
            meets = and_ if comparison.operator is Operator.UNEQUAL else or_
            conditions.append(members.any_where(meets(*holds)))
        return newest_sightings(self.experiment).where(*conditions)

    def _member_holds(self, members: Members, comparison: Comparison) -> ColumnElement[bool]:
        """Return the condition that a member of a value meets a comparison."""
        if compares_numbers(comparison):
            return self._holds(comparison, members.number, NUMBER)
        return self._holds(comparison, members.text)

    def _maker_meets(self, part: Selection) -> ColumnElement[bool]:
        """Return the condition on a version and its maker that a part stands for."""
        match part:
            case All(parts):
                return and_(*map(self._maker_meets, parts))
            case Some(parts):
                return or_(*map(self._maker_meets, parts))
            case Comparison():
                return self._of_maker(part)
            case _:
                raise TypeError(f"{type(part).__name__} is no condition on a maker")

    def _of_maker(self, comparison: Comparison) -> ColumnElement[bool]:
        """Return the condition on a version and the job that made it."""
        kind = FIELDS[comparison.field].kind
        if comparison.field in _MAKER_COLUMNS:
            return self._holds(comparison, _MAKER_COLUMNS[comparison.field], kind)
        if comparison.field == "job_id":
            return _is_job(comparison)
        if comparison.operator is Operator.UNEQUAL:
            equal = Comparison(comparison.field, Operator.EQUAL, comparison.values)
            return and_(
                _HOLDS_SOMETHING[comparison.field], ~func.coalesce(self._linked(equal), false())
            )
        if comparison.operator is Operator.IS_THERE:
            return _HOLDS_SOMETHING[comparison.field]
        return self._linked(comparison)

    def _linked(self, comparison: Comparison) -> ColumnElement[bool]:
        """Return the condition on a row that the job names: its task, stage, host or code."""
        field = comparison.field
        if field == "task_id":
            holds = self._holds(comparison, TaskRow.task_id)
            own = TaskRow.experiment_id == self.experiment
            return Job.task_id.in_(select(TaskRow.id).where(own, holds))
        if field in ("campaign", "stage"):
            column = Stage.campaign if field == "campaign" else Stage.name
            return self._at_stage(self._holds(comparison, column))
        if field in ("host", "site"):
            column = Host.hostname if field == "host" else Host.site
            return Job.host_id.in_(select(Host.id).where(self._holds(comparison, column)))
        return Job.software_set_id.in_(
            select(SoftwareSetMember.software_set_id)
            .join(SoftwareRow, SoftwareRow.id == SoftwareSetMember.software_id)
            .where(self._of_code(comparison))
        )

    def _at_stage(self, holds: ColumnElement[bool]) -> ColumnElement[bool]:
        """Return the condition that a job's own stage, else that of its task, meets another."""
        stages = select(Stage.id).where(Stage.experiment_id == self.experiment, holds)
        tasks = select(TaskRow.id).where(TaskRow.stage_id.in_(stages))
        return or_(Job.stage_id.in_(stages), and_(Job.stage_id.is_(None), Job.task_id.in_(tasks)))

    def _of_code(self, comparison: Comparison) -> ColumnElement[bool]:
        if comparison.field == "application":
            return self._holds(comparison, SoftwareRow.name)
        refs = self._holds(comparison, SoftwareRow.requested_ref)
        return or_(refs, self._holds(comparison, SoftwareRow.revision))

    def _read_by(self, comparisons: list[Comparison]) -> FileKeys:
        """Return the files that a job read which meets all comparisons; shared inputs left out."""
        conditions = [self._of_reader(comparison) for comparison in comparisons]
        read = (
            select(Mention.identity_id)
            .join(Job, Job.id == Mention.job_id)
            .where(
                Job.experiment_id == self.experiment,
                Job.rerun_of.is_(None),
                func.coalesce(Mention.role, "").not_in(sorted(SHARED_ROLES)),
                *conditions,
            )
        )
        return select(Identity.file_id.label("id")).where(Identity.id.in_(read)).distinct()

    def _of_reader(self, comparison: Comparison) -> ColumnElement[bool]:
        if comparison.field == "project_name":
            return self._linked(Comparison("task_id", comparison.operator, comparison.values))
        if comparison.field == "consumed_status":
            return Job.state.in_(_states_of(comparison))
        return self._holds(comparison, Job.batch_id)

    def _related(self, related: Related) -> FileKeys:
        """Return the relatives of files."""
        files = self.keys(related.part)
        made = _made_claims(files)
        if related.relation in (Relation.PARENTS, Relation.ANCESTORS):
            read: Any = select(Parent.identity_id.label("id")).where(Parent.claim_id.in_(made))
            if related.relation is Relation.ANCESTORS:
                read = _all_above(read)
            return select(Identity.file_id.label("id")).where(Identity.id.in_(read)).distinct()
        claims: Any = select(Parent.claim_id.label("id")).where(
            Parent.identity_id.in_(_known_as(files))
        )
        if related.relation is Relation.DESCENDANTS:
            claims = _all_below(claims)
        return (
            select(Claim.file_id.label("id"))
            .join(Job, Job.id == Claim.job_id)
            .where(Claim.id.in_(claims), *_counts())
            .distinct()
        )

    def _holds(self, comparison: Comparison, column: Any, kind: str = TEXT) -> ColumnElement[bool]:
        """Return the condition that a column of a kind meets a comparison."""
        return condition_on(self.dialect, comparison, column, kind)


_COMBINED = {
    SetOperator.UNION: union,
    SetOperator.INTERSECT: intersect,
    SetOperator.MINUS: except_,
}
_FILE_COLUMNS: dict[str, SQLColumnExpression[Any]] = {
    "file_name": File.name,
    "namespace": File.namespace,
    "file_id": File.id,
}
_MAKER_COLUMNS: dict[str, SQLColumnExpression[Any]] = {
    "file_size": Identity.size_bytes,
    "data_tier": Claim.data_tier,
    "event_count": Claim.event_count,
    "create_date": Job.ended_at,
    "start_time": Job.started_at,
    "end_time": Job.ended_at,
    "unit": Job.unit,
    "batch_id": Job.batch_id,
}
_HOLDS_SOMETHING: dict[str, ColumnElement[bool]] = {
    "task_id": Job.task_id.is_not(None),
    "campaign": or_(Job.stage_id.is_not(None), Job.task_id.is_not(None)),
    "stage": or_(Job.stage_id.is_not(None), Job.task_id.is_not(None)),
    "host": Job.host_id.is_not(None),
    "site": Job.host_id.is_not(None),
    "application": Job.software_set_id.is_not(None),
    "version": Job.software_set_id.is_not(None),
}


def _side_of(field: str) -> str:
    if field in _OF_FILE:
        return "file"
    if key_in_metadata(field) is not None:
        return "catalog"
    return "reader" if field in _OF_READERS else "maker"


def _is_of_maker(selection: Selection) -> bool:
    """Return whether a selection is a condition on one version and its maker."""
    if isinstance(selection, All | Some):
        return all(map(_is_of_maker, selection.parts))
    return isinstance(selection, Comparison) and _side_of(selection.field) == "maker"


def _is_cataloged_too(part: Selection) -> bool:
    """Return whether catalogs, too, know all that a part asks of a maker."""
    compared = {node.field for node in nodes_of(part) if isinstance(node, Comparison)}
    return compared <= _CATALOGED_TOO


def _names_experiment(part: Selection) -> bool:
    """Return whether a part restricts jobs to the experiment, by its tasks or stages.

    An index then answers what else is asked of jobs, without their rows.
    """
    if not isinstance(part, Comparison) or part.operator is not Operator.EQUAL:
        return False
    return part.field in ("task_id", "campaign", "stage")


def _compares_size(part: Selection) -> bool:
    """Return whether a part compares the size, which stands with the identity of a version."""
    nodes = nodes_of(part)
    return any(isinstance(node, Comparison) and node.field == "file_size" for node in nodes)


def _counts() -> tuple[ColumnElement[bool], ...]:
    """Return the conditions that a claim is a version: see `queries/lookup/files/versions.py`."""
    return is_no_rerun(), is_version(Job.state)


def _joined(join: Callable[..., Any], queries: list[FileKeys]) -> FileKeys:
    """Return the keys of several queries joined by a set operation; SQLite takes no parentheses."""
    if len(queries) == 1:
        return queries[0]
    parts = [select(query.subquery().c.id) for query in queries]
    return select(join(*parts).subquery().c.id.label("id"))


def _portion(keys: FileKeys, portion: Portion) -> FileKeys:
    """Return a part of the files in the order of their keys."""
    chosen = keys.subquery()
    query = select(chosen.c.id.label("id")).order_by(chosen.c.id)
    if portion.stride > 1:
        place = func.row_number().over(order_by=chosen.c.id)
        numbered = select(chosen.c.id, place.label("place")).subquery()
        behind = numbered.c.place - portion.offset - 1
        query = (
            select(numbered.c.id.label("id"))
            .where(behind >= 0, behind % portion.stride == 0)
            .order_by(numbered.c.id)
        )
    elif portion.offset:
        query = query.offset(portion.offset)
    return query.limit(portion.limit) if portion.limit is not None else _unlimited(query, portion)


def _unlimited(query: FileKeys, portion: Portion) -> FileKeys:
    """Return a query that SQLite takes: there an offset needs a limit."""
    return query.limit(_ALL_FILES) if portion.offset and portion.stride == 1 else query


_ALL_FILES = 2**62


def _found(found: Keys) -> FileKeys:
    """Return the query for files that were found already; their keys stand in the statement."""
    among: BindParameter[Any] = bindparam(
        None, list(found.keys), expanding=True, literal_execute=True, unique=True
    )
    return select(File.id.label("id")).where(File.id.in_(among))


def _made_claims(files: FileKeys) -> Any:
    """Return the query for the versions of files."""
    return (
        select(Claim.id)
        .join(Job, Job.id == Claim.job_id)
        .where(Claim.file_id.in_(files), *_counts())
    )


def _known_as(files: FileKeys) -> Any:
    """Return the query for what readers of files saw: their contents, under any of their names."""
    own = select(Identity.id).where(Identity.file_id.in_(files))
    claims = select(Claim.id).where(Claim.file_id.in_(files))
    renamed = select(Producer.identity_id).where(Producer.claim_id.in_(claims))
    return union(own, renamed)


def _all_above(read: Any) -> Any:
    """Return what these contents were made from, at any depth, and they themselves."""
    above = read.cte(recursive=True)
    step = (
        select(Parent.identity_id)
        .select_from(above)
        .join(Producer, Producer.identity_id == above.c.id)
        .join(Parent, Parent.claim_id == Producer.claim_id)
    )
    return select(above.union(step).c.id)


def _all_below(claims: Any) -> Any:
    """Return the versions that were made from these, at any depth, and they themselves."""
    below = claims.cte(recursive=True)
    step = (
        select(Parent.claim_id)
        .select_from(below)
        .join(Producer, Producer.claim_id == below.c.id)
        .join(Parent, Parent.identity_id == Producer.identity_id)
    )
    return select(below.union(step).c.id)


def _states_of(comparison: Comparison) -> list[int]:
    """Return the states of jobs to which a status of a consumed file may belong."""
    wanted = [text_of(value) for value in comparison.values]
    is_wanted = comparison.operator is Operator.EQUAL
    states = []
    for state, status in CONSUMED_STATUS.items():
        words = [status, *OTHER_STATUSES.get(status, ())]
        if any(fnmatch.filter(words, pattern) for pattern in wanted) is is_wanted:
            states.append(STATES.index(state))
    return states


def _is_job(comparison: Comparison) -> ColumnElement[bool]:
    """Return the condition that a job has comparison of these ids."""
    if comparison.operator is Operator.IS_THERE:
        return Job.uuid.is_not(None)
    ids = [str(read_job_id(text_of(value), comparison.field)) for value in comparison.values]
    if comparison.operator is Operator.EQUAL:
        return Job.uuid.in_(ids)
    if comparison.operator is Operator.UNEQUAL:
        return Job.uuid.not_in(ids)
    raise SelectionError("job_id: ids of jobs have no order; use = or !=.")
