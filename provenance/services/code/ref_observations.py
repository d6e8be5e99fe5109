"""What refs were seen to name.

Every fetch is compared with what was seen before, and a second object of a tag is entered.

A fetch says what changed since the mirror was last brought up to date. That alone is not enough: a
mirror may be lost, a process may end between fetch and entry, and a tag may go and come back
elsewhere. So what the server has now is compared with the entries, too.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, func, select

from jobprov.provenance.db.changes.ledger import NewEntry
from jobprov.provenance.db.inserting import insert_rows
from jobprov.provenance.db.keys import allocate_keys
from jobprov.provenance.db.recording.writing import table_of
from jobprov.provenance.db.tables import (
    Experiment,
    Job,
    RefObservation,
    Resolution,
    SoftwareRow,
    SoftwareSetMember,
)
from jobprov.provenance.services.code.ambiguous_code import MOST_NAMED, TAGS, names_commit, tag_ref
from jobprov.provenance.services.code.repositories import RegisteredRepository, note_fetched
from jobprov.provenance.services.ledger.entries import append_document
from jobprov.provenance.services.work.notices import REFRESH
from jobprov.provenance.services.work.queue import Parts, enqueue_all
from jobprov.provenance.services.writing import Writing
from jobprov.provenance.software.mirrors import FetchReport, Mirror

_Pair = tuple[str, str]
"""A ref and an object that it named."""


def mirror_of(parts: Parts, repository: RegisteredRepository) -> Mirror:
    """Return the service's own mirror of a repository, made empty where there is none."""
    folder = parts.mirrors / str(repository.id)
    return Mirror.open_or_create(folder, repository.url, is_local=repository.is_local)


def fetch_and_observe(
    parts: Parts, repository: RegisteredRepository, mirror: Mirror
) -> FetchReport:
    """Update a repository's mirror, enter every tag that moved, and return what the fetch found.

    Raises:
        SoftwareError: the repository cannot be fetched.
    """
    report = mirror.fetch()
    parts.writer.run(lambda writing: _note(writing, repository, report))
    return report


def _note(writing: Writing, repository: RegisteredRepository, report: FetchReport) -> None:
    connection = writing.connection
    # First: its row is the turn at what refs were seen to name
    note_fetched(writing, repository.id)
    match_key = repository.match_key
    held = _held(connection, match_key)
    again = [
        (ref, report.refs[ref])
        for ref in sorted(held)
        if ref.startswith(TAGS) and ref in report.refs
    ]
    fresh = _fresh(held, [*_moved(report), *again])
    if fresh and (experiment := _experiment_for(connection, match_key)) is not None:
        _enter(connection, experiment, match_key, held, fresh)


def observe(connection: Connection, experiment: int, match_key: str, ref: str, oid: str) -> None:
    """Enter that a ref names an object, unless that is known.

    Where a tag named another one, jobs are looked at again.
    """
    held = _held(connection, match_key, ref)
    _enter(connection, experiment, match_key, held, _fresh(held, [(ref, oid)]))


def write_observation_row(
    connection: Connection, entry: int, body: dict[str, Any], received_at: datetime
) -> None:
    """Write the row of a ref observation whose ledger entry is there.

    Of one that is known, when it was seen first.
    """
    table = table_of(RefObservation)
    here = (
        (table.c.match_key == body["match_key"])
        & (table.c.ref == body["ref"])
        & (table.c.oid == body["oid"])
    )
    seen_at = connection.execute(select(table.c.first_seen_at).where(here)).scalar_one_or_none()
    if seen_at is None:
        _insert(connection, [{**body, "first_seen_at": received_at, "entry_id": entry}])
    elif received_at < seen_at:
        connection.execute(
            table.update().where(here).values(first_seen_at=received_at, entry_id=entry)
        )


def _moved(report: FetchReport) -> list[_Pair]:
    return [
        (change.ref, oid) for change in report.moved_tags for oid in (change.old, change.new) if oid
    ]


def _held(connection: Connection, match_key: str, ref: str | None = None) -> dict[str, set[str]]:
    """Return what the refs of a repository, or one of them, were seen to name."""
    query = select(RefObservation.ref, RefObservation.oid).where(
        RefObservation.match_key == match_key
    )
    held: dict[str, set[str]] = {}
    for name, oid in connection.execute(
        query if ref is None else query.where(RefObservation.ref == ref)
    ):
        held.setdefault(name, set()).add(oid)
    return held


def _fresh(held: dict[str, set[str]], seen: Iterable[_Pair]) -> list[_Pair]:
    return [(ref, oid) for ref, oid in dict.fromkeys(seen) if oid not in held.get(ref, ())]


def _enter(
    connection: Connection,
    experiment: int,
    match_key: str,
    held: dict[str, set[str]],
    fresh: list[_Pair],
) -> None:
    now = datetime.now(UTC)
    moved, rows = set(), []
    for ref, oid in fresh:
        body = {"match_key": match_key, "ref": ref, "oid": oid}
        entry = append_document(
            connection, NewEntry(experiment, "ref_observation", now, None, b""), body
        )
        rows.append({**body, "first_seen_at": now, "entry_id": entry})
        named = held.setdefault(ref, set())
        if ref.startswith(TAGS) and 0 < len(named) < MOST_NAMED + 2:  # later ones change no gap
            moved.add(ref)
        named.add(oid)
    _insert(connection, rows)
    if moved:
        tags_seen(connection, match_key, moved)


def _insert(connection: Connection, rows: list[dict[str, Any]]) -> None:
    table = table_of(RefObservation)
    numbers = allocate_keys(connection, table, len(rows))
    insert_rows(
        connection,
        table,
        [{"id": number, **row} for number, row in zip(numbers, rows, strict=True)],
    )


def _experiment_for(connection: Connection, match_key: str) -> int | None:
    """Return the experiment in whose ledger is entered what a repository's refs named.

    The first that uses it, else the first.
    """
    query = (
        select(func.min(Job.experiment_id))
        .join(SoftwareSetMember, SoftwareSetMember.software_set_id == Job.software_set_id)
        .join(SoftwareRow, SoftwareRow.id == SoftwareSetMember.software_id)
    )
    named = connection.execute(query.where(SoftwareRow.match_key == match_key)).scalar_one()
    if named is None:
        of_products = query.join(Resolution, Resolution.id == SoftwareRow.resolution_id)
        named = connection.execute(
            of_products.where(Resolution.match_key == match_key)
        ).scalar_one()
    if named is None:  # a job that names it may come yet
        named = connection.execute(select(func.min(Experiment.id))).scalar_one()
    return named


def tags_seen(connection: Connection, match_key: str, refs: Iterable[str]) -> None:
    """Have the jobs looked at again whose records name one of these tags and no commit.

    The tags are those of one repository.
    """
    wanted = set(refs)
    query = select(SoftwareRow.sha256, SoftwareRow.requested_ref, SoftwareRow.revision).where(
        SoftwareRow.match_key == match_key, SoftwareRow.resolution_id.is_not(None)
    )
    keys = []
    for row in connection.execute(query):
        if (
            not names_commit(row.revision)
            and tag_ref(row.requested_ref or row.revision or "") in wanted
        ):
            keys.append(f"software:{row.sha256}")  # noqa: PERF401 - plainer so
    enqueue_all(connection, REFRESH, sorted(keys))
