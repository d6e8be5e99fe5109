"""Takes a file as a catalog or transfer service saw it, and joins it to the job that made it.

Either may come first.

Source: http.md, `POST /files`; record.md, "Files and edges": by `prov.job_id` and `prov.output`
first, then by checksum and size, then by name; renames become aliases.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, NamedTuple

import msgspec
from sqlalchemy import Connection

from jobprov.provenance.answers.addresses import file_page, job_page
from jobprov.provenance.answers.catalogs.sightings import SightingAnswer
from jobprov.provenance.db.changes.catalogs import (
    SightedKeys,
    SightingDraft,
    add_sightings,
    intern_sighted_files,
)
from jobprov.provenance.db.changes.tasks import intern_task
from jobprov.provenance.db.queries.catalogs.sightings import (
    names_of_claims,
    producing_jobs,
    seen_before,
)
from jobprov.provenance.db.recording.files.aliases import alias_files
from jobprov.provenance.db.recording.files.full_names import name_sighted
from jobprov.provenance.db.recording.identities import FileKey, see_identity
from jobprov.provenance.db.recording.writing import intern_experiments
from jobprov.provenance.db.writer.turns import stop_derivations
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.records.job_record import (
    Digest,
    ExperimentName,
    JobId,
    JsonObject,
    Name,
    Word,
)
from jobprov.provenance.records.reading.checks import checksum_problem, name_problem
from jobprov.provenance.records.reading.misfits import misfit
from jobprov.provenance.records.reading.repairing import unstorable_text
from jobprov.provenance.services.ledger.entries import enter_documents
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
        is_only_namespace: whether the catalog has the name in no other namespace; inputs that jobs
            recorded by the name alone are then this file.
    """

    experiment: ExperimentName
    name: Name
    namespace: Word | None = None
    size_bytes: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | None = None
    checksums: list[str] | None = None
    sha256: Digest | None = None
    locations: Annotated[list[Word], msgspec.Meta(max_length=MOST_LOCATIONS)] | None = None
    metadata: JsonObject | None = None
    is_only_namespace: bool | None = None

    @property
    def provenance(self) -> _Provenance:
        """Return the keys of the hook."""
        return msgspec.convert(self.metadata or {}, _Provenance)


def read_sighting(document: Mapping[str, Any]) -> SightedFile:
    """Return the typed reading of a sighting.

    Raises:
        BadInputError: a field is missing or wrong; `fields` says which.
    """
    kind: type[SightedFile | _Provenance] = SightedFile
    place = ""
    try:
        sighted = msgspec.convert(document, SightedFile)
        kind, place = _Provenance, "metadata."
        _ = sighted.provenance
    except msgspec.ValidationError as problem:
        path, message = misfit(problem, kind)
        raise BadInputError(
            f"{place}{path or 'the file'}: {message}.", {f"{place}{path}": [message]}
        ) from None
    _check_texts(sighted, document)
    return sighted


def _check_texts(sighted: SightedFile, document: Mapping[str, Any]) -> None:
    """Refuse names, checksums and texts that no record may hold."""
    problems = {"name": name_problem(sighted.name)}
    if sighted.namespace:
        problems["namespace"] = name_problem(sighted.namespace, "a namespace")
    for place, checksum in enumerate(sighted.checksums or ()):
        problems[f"checksums[{place}]"] = checksum_problem(checksum)
    problems["metadata.prov.task_id"] = name_problem(
        sighted.provenance.task_id or "-", "the id of a task"
    )
    unstorable = unstorable_text(document, "")
    if unstorable is not None:
        problems[unstorable] = "NUL or lone surrogate"
    messages = {path: [message] for path, message in problems.items() if message}
    if messages:
        path = next(iter(messages))
        raise BadInputError(f"{path}: {problems[path]}.", messages)


def record_sighting(writing: Writing, document: Mapping[str, Any]) -> SightingAnswer:
    """Take a sighting; return what names the file and the job that it was joined to.

    Raises:
        BadInputError: the sighting cannot be read.
    """
    connection = writing.connection
    sighted = read_sighting(document)
    stop_derivations(connection)
    experiment = intern_experiments(writing, {sighted.experiment})[sighted.experiment]
    [seen] = _intern(writing, experiment, [document])
    change = "created" if _take(writing, experiment, [seen]) else "same"
    namespace = sighted.namespace or ""
    joined = _joined(connection, sighted, seen.keys)
    return SightingAnswer(
        change=change,
        name=sighted.name,
        namespace=namespace,
        experiment=sighted.experiment,
        url=file_page(sighted.name, sighted.experiment, namespace),
        job_id=joined.job_id,
        job_url=job_page(joined.job_id) if joined.job_id else None,
        joined_by=joined.by,
        is_sure=joined.is_sure,
        aliases=joined.aliases,
    )


def record_sightings(
    writing: Writing, experiment: str, documents: Sequence[Mapping[str, Any]]
) -> None:
    """Take sightings of files of one experiment, a few statements for all of them.

    Raises:
        BadInputError: one cannot be read.
    """
    stop_derivations(writing.connection)
    key = intern_experiments(writing, {experiment})[experiment]
    _take(writing, key, _intern(writing, key, documents))


def write_sighting_row(
    writing: Writing, document: Mapping[str, Any], *, entry: int, received_at: datetime
) -> None:
    """Write the row of a sighting whose ledger entry is there, and join it."""
    sighted = read_sighting(document)
    stop_derivations(writing.connection)
    experiment = intern_experiments(writing, {sighted.experiment})[sighted.experiment]
    [seen] = _intern(writing, experiment, [document])
    _write_rows(writing, experiment, {entry: seen}, received_at)


class _Seen(NamedTuple):
    """A sighting, as it was sent and read, with the keys of its file."""

    document: Mapping[str, Any]
    sighted: SightedFile
    keys: SightedKeys

    @property
    def text(self) -> str:
        """The document in one form."""
        return json.dumps(self.document, sort_keys=True, ensure_ascii=False)


def _intern(
    writing: Writing, experiment: int, documents: Sequence[Mapping[str, Any]]
) -> list[_Seen]:
    """Return sightings with the keys of their files, which are added where they are new."""
    sighted_files = [read_sighting(document) for document in documents]
    identities = []
    for sighted in sighted_files:
        name = FileKey(sighted.name, sighted.namespace or "", experiment)
        identities.append(see_identity(name, sighted.size_bytes, sighted.checksums, sighted.sha256))
    keys = intern_sighted_files(writing, identities)
    return [_Seen(*seen) for seen in zip(documents, sighted_files, keys, strict=True)]


def _take(writing: Writing, experiment: int, seen: Sequence[_Seen]) -> bool:
    """Enter the sightings that are new and write their rows; return whether there are any."""
    by_text = {(sighting.keys.file, sighting.text): sighting for sighting in seen}
    known = seen_before(writing.connection, by_text.keys())
    new = [sighting for name, sighting in by_text.items() if name not in known]
    if not new:
        return False
    documents = [{"file": sighting.document} for sighting in new]
    entries = enter_documents(writing, experiment, "sighting", documents)
    by_entry = dict(zip(entries, new, strict=True))
    _write_rows(writing, experiment, by_entry, writing.received_at)
    return True


def _write_rows(
    writing: Writing, experiment: int, seen: Mapping[int, _Seen], received_at: datetime
) -> None:
    """Write the rows of sightings, by their ledger entries, and join them."""
    drafts = []
    for entry, sighting in seen.items():
        provenance = sighting.sighted.provenance
        task = None
        if provenance.task_id:
            task = intern_task(writing, experiment, provenance.task_id)
        draft = SightingDraft(
            entry_id=entry,
            file_id=sighting.keys.file,
            identity_id=sighting.keys.identity,
            task_id=task,
            job_uuid=provenance.job_id,
            output=provenance.output,
            document=sighting.text,
            seen_at=received_at,
        )
        drafts.append(draft)
    if not drafts:
        return
    add_sightings(writing.connection, drafts)
    alias_files(writing.connection, {draft.file_id for draft in drafts})
    in_namespaces = {sighting.keys.file for sighting in seen.values() if sighting.sighted.namespace}
    name_sighted(writing, sorted(in_namespaces))


class _Joined(NamedTuple):
    """The job that a sighting was joined to, by what, and the file's names at birth."""

    job_id: str | None
    by: str | None
    is_sure: bool
    aliases: list[str]


def _joined(connection: Connection, sighted: SightedFile, keys: SightedKeys) -> _Joined:
    jobs = producing_jobs(connection, keys.identity)
    births = {job.birth for job in jobs if job.birth is not None}
    aliases = names_of_claims(connection, births, but=keys.file)
    for job in jobs:
        if job.job_id == sighted.provenance.job_id:
            return _Joined(job.job_id, "job", job.is_sure, aliases)
    if not jobs:
        return _Joined(None, None, is_sure=False, aliases=aliases)
    best = jobs[0]  # sure ones come first
    by = "checksum" if best.is_sure else "name"
    return _Joined(best.job_id, by, best.is_sure, aliases)
