"""Observations of refs: what each was seen to name, and above all tags that moved.

A fetch reports what changed since the mirror was last updated. That is not enough: the mirror may
have been lost, a process may end between fetch and entry, and a tag may be deleted and set again
elsewhere. So the server's tags are also compared with the objects that were entered before.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from jobprov.provenance.db.changes.code import (
    RefObservationDraft,
    add_ref_observations,
    antedate_ref_observation,
)
from jobprov.provenance.db.changes.ledger import NewEntry
from jobprov.provenance.db.queries.code.ref_observations import first_seen_at, objects_by_ref
from jobprov.provenance.db.queries.code.repositories import RegisteredRepository
from jobprov.provenance.db.queries.code.software import (
    first_experiment,
    first_user_of_repository,
    resolved_entries,
)
from jobprov.provenance.services.code.ambiguous_code import MOST_NAMED, TAGS, names_commit, tag_ref
from jobprov.provenance.services.code.repositories import note_fetched
from jobprov.provenance.services.ledger.entries import append_document
from jobprov.provenance.services.work.notices import REFRESH
from jobprov.provenance.services.work.queue import Parts, enqueue_news
from jobprov.provenance.services.writing import Writing
from jobprov.provenance.software.mirrors import FetchReport, Mirror

_Pair = tuple[str, str]
"""A ref and an object that it named."""


def mirror_of(parts: Parts, repository: RegisteredRepository) -> Mirror:
    """Return the service's own mirror of a repository, made empty where there is none."""
    folder = parts.mirrors / str(repository.id)
    return Mirror.open_or_create(
        folder,
        repository.url,
        is_local=repository.is_local,
        trusted_hosts=parts.trusted_hosts,
    )


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
    """Enter in the ledger what refs were seen to name, if that is new."""
    connection = writing.connection
    # First: this locks the repository's row, so that processes take turns with its observations
    note_fetched(writing, repository.id)
    match_key = repository.match_key
    objects = objects_by_ref(connection, match_key)
    pairs = _moved(report)
    for ref in sorted(objects):
        if ref.startswith(TAGS) and ref in report.refs:
            pairs.append((ref, report.refs[ref]))
    fresh = _fresh(objects, pairs)
    if not fresh:
        return
    experiment = _experiment_for(connection, match_key)
    if experiment is not None:
        _enter(connection, experiment, match_key, objects, fresh)


def observe(connection: Connection, experiment: int, match_key: str, ref: str, oid: str) -> None:
    """Enter that a ref names an object, unless that is known.

    If a tag named another object before, the jobs that name the tag are queued.
    """
    objects = objects_by_ref(connection, match_key, ref)
    _enter(connection, experiment, match_key, objects, _fresh(objects, [(ref, oid)]))


def write_observation_row(
    connection: Connection, entry: int, body: Mapping[str, Any], received_at: datetime
) -> None:
    """Write the row of an observation whose ledger entry exists.

    Chains of several experiments are not replayed in order of time: the earliest entry counts.
    """
    draft = RefObservationDraft(
        body["match_key"], body["ref"], body["oid"], first_seen_at=received_at, entry_id=entry
    )
    seen_at = first_seen_at(connection, draft.match_key, draft.ref, draft.oid)
    if seen_at is None:
        add_ref_observations(connection, [draft])
    elif received_at < seen_at:
        antedate_ref_observation(connection, draft)


def _moved(report: FetchReport) -> list[_Pair]:
    """Return both objects of every tag that the fetch saw move: the old one and the new one."""
    pairs = []
    for change in report.moved_tags:
        pairs += [(change.ref, oid) for oid in (change.old, change.new) if oid]
    return pairs


def _fresh(objects: dict[str, set[str]], seen: Iterable[_Pair]) -> list[_Pair]:
    """Return the pairs that are not among the known objects by ref, each once."""
    return [(ref, oid) for ref, oid in dict.fromkeys(seen) if oid not in objects.get(ref, ())]


def _enter(
    connection: Connection,
    experiment: int,
    match_key: str,
    objects: dict[str, set[str]],
    fresh: list[_Pair],
) -> None:
    """Enter observations, and queue the jobs whose gaps they change."""
    now = datetime.now(UTC)
    moved, drafts = set(), []
    for ref, oid in fresh:
        body = {"match_key": match_key, "ref": ref, "oid": oid}
        new = NewEntry(experiment, "ref_observation", now, None, b"")
        entry = append_document(connection, new, body)
        drafts.append(RefObservationDraft(match_key, ref, oid, first_seen_at=now, entry_id=entry))
        named = objects.setdefault(ref, set())
        # A gap names `MOST_NAMED` other objects, then "and others": still more do not change it
        if ref.startswith(TAGS) and 0 < len(named) < MOST_NAMED + 2:
            moved.add(ref)
        named.add(oid)
    add_ref_observations(connection, drafts)
    if moved:
        tags_seen(connection, match_key, moved)


def _experiment_for(connection: Connection, match_key: str) -> int | None:
    """Return the experiment whose ledger gets the observations of a repository.

    It is the first that used the repository, else the first one of all.
    """
    experiment = first_user_of_repository(connection, match_key)
    if experiment is None:  # no job has named the repository yet, but one still may
        experiment = first_experiment(connection)
    return experiment


def tags_seen(connection: Connection, match_key: str, refs: Iterable[str]) -> None:
    """Queue the jobs whose records name one of these tags of a repository, and no commit."""
    wanted = set(refs)
    keys = []
    for entry in resolved_entries(connection, match_key):
        if names_commit(entry.revision):
            continue
        if tag_ref(entry.requested_ref or entry.revision or "") in wanted:
            keys.append(f"software:{entry.sha256}")
    enqueue_news(connection, REFRESH, sorted(keys))
