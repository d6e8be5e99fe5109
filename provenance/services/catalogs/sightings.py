"""Takes a file as a catalog or transfer service saw it, and joins it to the job that made it.

Either may come first.

Source: http.md, `POST /files`; record.md, "Files and edges": by `prov.job_id` and `prov.output`
first, then by checksum and size, then by name; renames become aliases.
"""

import json
from datetime import datetime
from typing import Annotated, Any

import msgspec
from sqlalchemy import Connection, select

from jobprov.provenance.answers.addresses import file_page, job_page
from jobprov.provenance.db.recording.aliases import alias_files
from jobprov.provenance.db.recording.identities import FileKey, see_identity
from jobprov.provenance.db.recording.writing import intern_experiments, table_of
from jobprov.provenance.db.tables import Claim, File, Identity, Job, Producer, Sighting, TaskRow
from jobprov.provenance.db.turns import stop_derivations
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.records.job_record import Digest, ExperimentName, JobId, Name, Word
from jobprov.provenance.records.reading.checks import checksum_problem, name_problem
from jobprov.provenance.records.reading.repairing import split_message, unstorable_text
from jobprov.provenance.services.ledger.entries import enter_document
from jobprov.provenance.services.writing import Writing

MOST_LOCATIONS = 1000


class _Provenance(msgspec.Struct, kw_only=True):
    """The keys that the hook wrote into the file's metadata."""

    task_id: Name | None = msgspec.field(default=None, name="prov.task_id")
    job_id: JobId | None = msgspec.field(default=None, name="prov.job_id")
    output: Name | None = msgspec.field(default=None, name="prov.output")


class SightedFile(msgspec.Struct, kw_only=True):
    """What `POST /files` takes; fields that it does not name are kept with it.

    Attributes:
        locations: where the file lies, as URLs or paths; never fetched.
        metadata: the catalog's, with `prov.task_id`, `prov.job_id` and `prov.output` where the
            hook's sidecar was used.
    """

    experiment: ExperimentName
    name: Name
    namespace: Word | None = None
    size_bytes: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | None = None
    checksums: list[str] | None = None
    sha256: Digest | None = None
    locations: Annotated[list[Word], msgspec.Meta(max_length=MOST_LOCATIONS)] | None = None
    metadata: dict[str, Any] | None = None

    @property
    def provenance(self) -> _Provenance:
        """Return the keys of the hook."""
        return msgspec.convert(self.metadata or {}, _Provenance)


def read_sighting(document: dict[str, Any]) -> SightedFile:
    """Return the typed reading of a sighting.

    Raises:
        BadInputError: a field is missing or wrong; `fields` says which.
    """
    place = ""
    try:
        seen = msgspec.convert(document, SightedFile)
        place = "metadata."
        _ = seen.provenance
    except msgspec.ValidationError as problem:
        path, message = split_message(str(problem))
        raise BadInputError(
            f"{place}{path or 'the file'}: {message}.", {f"{place}{path}": [message]}
        ) from None
    problems = {
        "name": name_problem(seen.name),
        "namespace": name_problem(seen.namespace) if seen.namespace else None,
    }
    problems |= {
        f"checksums[{at}]": checksum_problem(word) for at, word in enumerate(seen.checksums or ())
    }
    problems["metadata.prov.task_id"] = name_problem(seen.provenance.task_id or "-")
    if (hidden := unstorable_text(document, "")) is not None:
        problems[hidden] = "NUL or lone surrogate"
    if found := {path: [message] for path, message in problems.items() if message}:
        path, messages = next(iter(found.items()))
        raise BadInputError(f"{path}: {messages[0]}.", found)
    return seen


def record_sighting(writing: Writing, document: dict[str, Any]) -> dict[str, Any]:
    """Take a sighting; return what names the file and the job that it was joined to.

    The answer is `{change, name, namespace, experiment, url, job_id, job_url, joined_by, is_sure,
    aliases}`: `change` is `created`, or `same` where exactly this was seen before; `joined_by` is
    `job`, `checksum`, `name`, or None while no job claims the file; `aliases` are names of the file
    at birth.

    Raises:
        BadInputError: the sighting cannot be read.
    """
    connection = writing.connection
    seen = read_sighting(document)
    stop_derivations(connection)
    experiment = intern_experiments(writing, {seen.experiment})[seen.experiment]
    file, identity = _intern_file(writing, seen, experiment)
    text = _text(document)
    before = select(Sighting.entry_id).where(Sighting.file_id == file, Sighting.document == text)
    is_new = connection.execute(before).first() is None
    if is_new:
        entry = enter_document(writing, experiment, "sighting", {"file": document})
        write_sighting_row(writing, document, entry=entry, received_at=writing.received_at)
    return {
        "change": "created" if is_new else "same",
        "name": seen.name,
        "namespace": seen.namespace or "",
        "experiment": seen.experiment,
        "url": file_page(seen.name, seen.experiment, seen.namespace or ""),
        **_joined(connection, seen, file, identity),
    }


def write_sighting_row(
    writing: Writing, document: dict[str, Any], *, entry: int, received_at: datetime
) -> None:
    """Write the row of a sighting whose ledger entry is there, and join it."""
    connection = writing.connection
    seen = read_sighting(document)
    stop_derivations(connection)
    experiment = intern_experiments(writing, {seen.experiment})[seen.experiment]
    file, identity = _intern_file(writing, seen, experiment)
    provenance = seen.provenance
    row = {
        "entry_id": entry,
        "file_id": file,
        "identity_id": identity,
        "task_id": _intern_task(writing, experiment, provenance.task_id)
        if provenance.task_id
        else None,
        "job_uuid": provenance.job_id,
        "output": provenance.output,
        "document": _text(document),
        "seen_at": received_at,
    }
    connection.execute(table_of(Sighting).insert(), [row])
    alias_files(connection, [file])


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, sort_keys=True, ensure_ascii=False)


def _intern_file(writing: Writing, seen: SightedFile, experiment: int) -> tuple[int, int]:
    key = FileKey(seen.name, seen.namespace or "", experiment)
    identity = see_identity(key, seen.size_bytes, seen.checksums, seen.sha256)
    columns = ["name", "namespace", "experiment_id"]
    row = {**key._asdict(), "is_crowded": False}
    file = writing.intern(table_of(File), columns, {tuple(key): row})[tuple(key)]
    values = {
        "file_id": file,
        "key": identity.key,
        "size_bytes": identity.size_bytes,
        "checksums": identity.checksums,
    }
    natural = (file, identity.key)
    return file, writing.intern(table_of(Identity), ["file_id", "key"], {natural: values})[natural]


def _intern_task(writing: Writing, experiment: int, task_id: str) -> int:
    key = (experiment, task_id)
    row = {"experiment_id": experiment, "task_id": task_id}
    return writing.intern(table_of(TaskRow), ["experiment_id", "task_id"], {key: row})[key]


def _joined(connection: Connection, seen: SightedFile, file: int, identity: int) -> dict[str, Any]:
    """Return which job the sighting was joined to, by what, and the file's names at birth."""
    query = (
        select(Job.uuid, Producer.is_sure, Claim.alias_of)
        .select_from(Producer)
        .join(Claim, Claim.id == Producer.claim_id)
        .join(Job, Job.id == Claim.job_id)
        .where(Producer.identity_id == identity)
        .order_by(Producer.is_sure.desc(), Claim.id)
    )
    rows = connection.execute(query).all()
    named = [row for row in rows if row[0] == seen.provenance.job_id]
    best = next(iter(named or rows), None)
    by = None if best is None else "job" if named else "checksum" if best[1] else "name"
    births = sorted({row[2] for row in rows if row[2] is not None})
    names = (
        select(File.name)
        .join(Claim, Claim.file_id == File.id)
        .where(Claim.id.in_(births), File.id != file)
    )
    return {
        "job_id": best[0] if best else None,
        "job_url": job_page(best[0]) if best else None,
        "joined_by": by,
        "is_sure": bool(best and best[1]),
        "aliases": sorted({row[0] for row in connection.execute(names)}),
    }
