"""Writes jobs set-wise: a few statements a table and batch, whatever the number of records. No per-row ORM.

Not here: whether a record may be written (services/record_job.py), and its exact bytes (the ledger).
"""

import json
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, delete, select, update

from provenance.db.inserting import insert_rows
from provenance.db.keys import KnownKeys, allocate_keys, chunks
from provenance.db.recording.job_rows import (
    ClaimRow,
    MentionRow,
    claim_rows,
    environment_difference,
    host_key,
    job_columns,
    mention_rows,
    pack,
    shared_document,
    stage_key,
    unpack,
)
from provenance.db.recording.linking import link_files, unlinked_files
from provenance.db.recording.software_rows import intern_software_sets, software_set_digest
from provenance.db.tables import (
    Claim,
    Closure,
    ClosureFile,
    EnvironmentBase,
    Experiment,
    File,
    GapSet,
    Host,
    Identity,
    Job,
    JobClosure,
    Mention,
    Parent,
    Producer,
    Stage,
    TaskRow,
)
from provenance.records.gaps import Gap
from provenance.records.job_record import FclConfiguration, JobRecord


def table_of(model: Any) -> Table:
    """Return the Core table of a mapped class."""
    return model.__table__  # type: ignore[no-any-return]


class JobDraft(NamedTuple):
    """A job about to be written: its merged record and what the service found out about it.

    Attributes:
        key: integer key, allocated.
        is_new: False where rows of an earlier reading have to go first.
    """

    key: int
    is_new: bool
    record: JobRecord
    received_at: datetime
    level: int
    gaps: list[Gap]


class _SharedKeys(NamedTuple):
    """Integer keys of what a batch of jobs shares, by natural key."""

    experiments: dict[str, int]
    hosts: dict[tuple[str, str, str], int]
    stages: dict[tuple[int, str, str], int]
    tasks: dict[tuple[int, str], int]
    closures: dict[int, list[int]]
    software_sets: dict[str, int]
    gap_sets: dict[str, int]


def intern_experiments(connection: Connection, known: KnownKeys, names: set[str]) -> dict[str, int]:
    """Return the integer key of each experiment, made where it is new."""
    return known.intern(connection, table_of(Experiment), ["name"], {name: {"name": name} for name in names})


def write_jobs(connection: Connection, known: KnownKeys, drafts: Sequence[JobDraft]) -> None:
    """Write the rows of every draft and bring the edges of all names that they touch up to date."""
    if not drafts:
        return
    shared = _intern_shared(connection, known, drafts)
    touched = _remove_earlier(connection, [draft.key for draft in drafts if not draft.is_new])
    _write_job_rows(connection, known, drafts, shared)
    more, claims = _write_files(connection, known, drafts, shared.experiments)
    link_files(connection, touched | more, claims)


def _intern_shared(connection: Connection, known: KnownKeys, drafts: Sequence[JobDraft]) -> _SharedKeys:
    records = [draft.record for draft in drafts]
    names = {record.experiment for record in records}
    names |= {file.experiment for record in records for file in record.inputs or () if file.experiment}
    experiments = intern_experiments(connection, known, names)
    hosts = {
        key: dict(zip(("hostname", "site", "facility"), key, strict=True)) for r in records if (key := host_key(r))
    }
    stages = _intern_stages(connection, known, records, experiments)
    return _SharedKeys(
        experiments,
        known.intern(connection, table_of(Host), ["hostname", "site", "facility"], hosts),
        stages,
        _intern_tasks(connection, known, records, experiments, stages),
        _intern_closures(connection, known, drafts),
        intern_software_sets(connection, known, [record.software or [] for record in records if record.software]),
        _intern_gap_sets(connection, known, drafts),
    )


def _intern_stages(
    connection: Connection, known: KnownKeys, records: Sequence[JobRecord], experiments: dict[str, int]
) -> dict[tuple[int, str, str], int]:
    rows = {}
    for record in records:
        if key := stage_key(record):
            experiment = experiments[record.experiment]
            rows[(experiment, *key)] = {"experiment_id": experiment, "campaign": key[0], "name": key[1]}
    return known.intern(connection, table_of(Stage), ["experiment_id", "campaign", "name"], rows)


def _intern_tasks(
    connection: Connection,
    known: KnownKeys,
    records: Sequence[JobRecord],
    experiments: dict[str, int],
    stages: dict[tuple[int, str, str], int],
) -> dict[tuple[int, str], int]:
    """Return task keys. A task's stage is what its declaration says, else the first by name that a job says."""
    rows: dict[tuple[int, str], dict[str, Any]] = {}
    said: dict[tuple[int, str], tuple[str, str]] = {}
    for record in records:
        if record.task is None or record.task.task_id is None:
            continue
        key = (experiments[record.experiment], record.task.task_id)
        rows[key] = {"experiment_id": key[0], "task_id": key[1]}
        if stage := stage_key(record):
            said[key] = min(said.get(key, stage), stage)
    tasks = known.intern(connection, table_of(TaskRow), ["experiment_id", "task_id"], rows)
    for key, stage in said.items():
        _place_task(connection, known, tasks[key], stage, stages[(key[0], *stage)])
    return tasks


def _place_task(connection: Connection, known: KnownKeys, task: int, stage: tuple[str, str], stage_id: int) -> None:
    note = ("task-stage", task)
    if note not in known.notes:
        held = connection.execute(
            select(TaskRow.entry_id, Stage.campaign, Stage.name)
            .outerjoin(Stage, TaskRow.stage_id == Stage.id)
            .where(TaskRow.id == task)
        ).one()
        known.notes[note] = "declared" if held[0] else (None if held[1] is None else (held[1], held[2]))
    held_stage = known.notes[note]
    if held_stage == "declared" or (held_stage is not None and held_stage <= stage):
        return
    connection.execute(update(TaskRow).where(TaskRow.id == task).values(stage_id=stage_id))
    known.notes[note] = stage


def _intern_closures(connection: Connection, known: KnownKeys, drafts: Sequence[JobDraft]) -> dict[int, list[int]]:
    """Return the closure keys of each job, in the order of its configurations."""
    found: dict[str, tuple[FclConfiguration, bytes]] = {}
    digests_of: dict[int, list[str]] = {}
    for draft in drafts:
        documents = [(each, *shared_document(each)) for each in draft.record.configurations or ()]
        digests_of[draft.key] = [digest for _, digest, _ in documents]
        found.update({digest: (configuration, body) for configuration, digest, body in documents})
    table = table_of(Closure)
    fresh = {digest for digest in found if known.get(table, digest) is None}
    rows = {
        digest: {"sha256": digest, "document": pack(body), "parameter_set_id": configuration.parameter_set_id}
        if digest in fresh
        else {}
        for digest, (configuration, body) in found.items()
    }
    keys = known.intern(connection, table, ["sha256"], rows)
    held = {
        row[0]
        for part in chunks([keys[digest] for digest in fresh])
        for row in connection.execute(select(ClosureFile.closure_id).where(ClosureFile.closure_id.in_(part)).distinct())
    }
    members = [
        {"closure_id": keys[digest], "position": position, "sha256": file.sha256, "name": file.name}
        for digest in sorted(fresh)
        if keys[digest] not in held
        for position, file in enumerate(found[digest][0].files or ())
    ]
    insert_rows(connection, table_of(ClosureFile), members)
    return {job: [keys[digest] for digest in digests] for job, digests in digests_of.items()}


def _intern_gap_sets(connection: Connection, known: KnownKeys, drafts: Sequence[JobDraft]) -> dict[str, int]:
    rows = {}
    for draft in drafts:
        digest, document = gap_document(draft.gaps)
        rows[digest] = {"sha256": digest, "document": document}
    return known.intern(connection, table_of(GapSet), ["sha256"], rows)


def gap_document(gaps: Sequence[Gap]) -> tuple[str, str]:
    """Return digest and text of the codes of a job's gaps, in order; the words are computed where a job is shown."""
    return _codes_document(tuple(gap.code for gap in gaps))


@lru_cache(maxsize=4096)
def _codes_document(codes: tuple[str, ...]) -> tuple[str, str]:
    digest, body = shared_document(list(codes))
    return digest, body.decode()


def _remove_earlier(connection: Connection, jobs: Sequence[int]) -> set[int]:
    """Delete what an earlier reading of these jobs wrote; return the files whose edges that touches."""
    touched: set[int] = set()
    for part in chunks(jobs):
        claims = list(connection.execute(select(Claim.id, Claim.file_id).where(Claim.job_id.in_(part))))
        touched |= {row[1] for row in claims} | _files_named(connection, part)
        unlink_claims(connection, [row[0] for row in claims])
        for model in (Mention, JobClosure):
            connection.execute(delete(model).where(model.job_id.in_(part)))
    return touched


def _files_named(connection: Connection, jobs: Sequence[int]) -> set[int]:
    """Return the files that these jobs name as inputs or as parents of outputs."""
    read = select(Identity.file_id).join(Mention, Mention.identity_id == Identity.id).where(Mention.job_id.in_(jobs))
    declared = (
        select(Identity.file_id)
        .join(Parent, Parent.identity_id == Identity.id)
        .join(Claim, Claim.id == Parent.claim_id)
        .where(Claim.job_id.in_(jobs))
    )
    return {row[0] for query in (read, declared) for row in connection.execute(query.distinct())}


def unlink_claims(connection: Connection, claims: Sequence[int]) -> None:
    """Delete claims with their edges."""
    for part in chunks(claims):
        connection.execute(delete(Parent).where(Parent.claim_id.in_(part)))
        connection.execute(delete(Producer).where(Producer.claim_id.in_(part)))
        connection.execute(delete(Claim).where(Claim.id.in_(part)))


def _write_job_rows(connection: Connection, known: KnownKeys, drafts: Sequence[JobDraft], shared: _SharedKeys) -> None:
    fresh, closures = [], []
    for draft in drafts:
        columns = {"id": draft.key, **_job_row(connection, known, draft, shared)}
        if draft.is_new:
            fresh.append(columns)
        else:
            connection.execute(update(Job).where(Job.id == draft.key).values(**columns))
        closures += [
            {"job_id": draft.key, "position": position, "closure_id": closure}
            for position, closure in enumerate(shared.closures[draft.key])
        ]
    insert_rows(connection, table_of(Job), fresh)
    insert_rows(connection, table_of(JobClosure), closures)


def _job_row(connection: Connection, known: KnownKeys, draft: JobDraft, shared: _SharedKeys) -> dict[str, Any]:
    record = draft.record
    experiment = shared.experiments[record.experiment]
    stage = stage_key(record)
    host = host_key(record)
    base, difference = _environment(connection, known, record, shared.stages[(experiment, *stage)] if stage else 0)
    return {
        **job_columns(record, received_at=draft.received_at),
        "experiment_id": experiment,
        "task_id": shared.tasks.get((experiment, record.task.task_id)) if record.task and record.task.task_id else None,
        "host_id": shared.hosts[host] if host else None,
        "software_set_id": shared.software_sets[software_set_digest(record.software)] if record.software else None,
        "environment_base_id": base,
        "environment_difference": difference,
        "level": draft.level,
        "gap_set_id": shared.gap_sets[gap_document(draft.gaps)[0]],
    }


def _environment(
    connection: Connection, known: KnownKeys, record: JobRecord, stage: int
) -> tuple[int | None, bytes | None]:
    if record.environment is None or record.environment.variables is None:
        return None, None
    variables = record.environment.variables
    site = (record.host.site if record.host else None) or ""
    key = (stage, site)
    table = table_of(EnvironmentBase)
    number = known.get(table, key)
    if number is None:
        packed = pack(json.dumps(variables, sort_keys=True, separators=(",", ":")).encode())
        row = {"stage_id": stage, "host_site": site, "variables": packed}
        number = known.intern(connection, table, ["stage_id", "host_site"], {key: row})[key]
    note = ("environment", number)
    if note not in known.notes:
        packed = connection.execute(select(EnvironmentBase.variables).where(EnvironmentBase.id == number)).scalar_one()
        known.notes[note] = json.loads(unpack(packed))
    return number, environment_difference(variables, known.notes[note])


def _write_files(
    connection: Connection, known: KnownKeys, drafts: Sequence[JobDraft], experiments: dict[str, int]
) -> tuple[set[int], list[int]]:
    """Write files, identities, claims, mentions and parents; return the files whose edges may have changed, and new claims."""
    mentions = {draft.key: mention_rows(draft.record, experiments) for draft in drafts}
    claims = {draft.key: claim_rows(draft.record, mentions[draft.key], experiments) for draft in drafts}
    seen = {row.identity.key: row.identity for rows in mentions.values() for row in rows}
    for rows in claims.values():
        for row in rows:
            seen[row.identity.key] = row.identity
            seen.update((parent.key, parent) for parent in row.parents)
    files = known.intern(
        connection,
        table_of(File),
        ["name", "namespace", "experiment_id"],
        {tuple(i.file): {**i.file._asdict(), "is_crowded": False} for i in seen.values()},
    )
    identities, fresh = _intern_identities(connection, known, seen, files)
    touched = {files[tuple(identity.file)] for key, identity in seen.items() if key in fresh}
    touched |= unlinked_files(connection, [number for key, number in identities.items() if key not in fresh])
    _insert_mentions(connection, mentions, identities)
    claimed, new_claims = _insert_claims(connection, claims, files, identities)
    return touched | claimed, new_claims


def _intern_identities(
    connection: Connection, known: KnownKeys, seen: dict[bytes, Any], files: dict[Any, int]
) -> tuple[dict[bytes, int], set[bytes]]:
    """Return the keys of all identities seen, and which of them may be new."""
    table = table_of(Identity)
    fresh = {key for key in seen if known.get(table, key) is None}
    rows = {
        key: {
            "file_id": files[tuple(identity.file)],
            "key": key,
            "size_bytes": identity.size_bytes,
            "checksums": identity.checksums,
        }
        for key, identity in seen.items()
    }
    return known.intern(connection, table, ["key"], rows), fresh


def _insert_mentions(
    connection: Connection, mentions: dict[int, list[MentionRow]], identities: dict[bytes, int]
) -> None:
    rows = [
        {
            "job_id": job,
            "position": row.position,
            "identity_id": identities[row.identity.key],
            "role": row.input.role,
            "status": row.input.status,
        }
        for job, inputs in mentions.items()
        for row in inputs
    ]
    insert_rows(connection, table_of(Mention), rows)


def _insert_claims(
    connection: Connection, claims: dict[int, list[ClaimRow]], files: dict[Any, int], identities: dict[bytes, int]
) -> tuple[set[int], list[int]]:
    flat = [(job, row) for job, rows in claims.items() for row in rows]
    numbers = allocate_keys(connection, table_of(Claim), len(flat))
    claim_values: list[dict[str, Any]] = []
    parent_values: list[dict[str, int]] = []
    for number, (job, row) in zip(numbers, flat, strict=True):
        claim_values.append(
            {
                "id": number,
                "file_id": files[tuple(row.identity.file)],
                "job_id": job,
                "identity_id": identities[row.identity.key],
                "position": row.position,
                "status": row.output.status,
                "data_tier": row.output.data_tier,
                "event_count": row.output.event_count,
            }
        )
        parent_values += [{"claim_id": number, "identity_id": identities[p.key]} for p in row.parents]
    insert_rows(connection, table_of(Claim), claim_values)
    insert_rows(connection, table_of(Parent), parent_values)
    return {row["file_id"] for row in claim_values}, numbers
