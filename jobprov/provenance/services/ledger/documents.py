"""The JSON documents in entries of the ledger, one type for each kind, as a replay reads them.

A type here has only the fields that are read. What some documents wrap (a task, a verdict)
is a `JsonObject`, read again by the use case that wrote it. Records are not here: their bytes are
exactly what the client sent.
"""

import json
from datetime import datetime
from typing import NamedTuple, TypeVar

import msgspec
from msgspec import Struct

from jobprov.provenance.records.job_record import JsonObject

D = TypeVar("D")


class RevisionDocument(Struct, frozen=True):
    """A record that replaced another of its witness.

    Attributes:
        record: its exact bytes, as text.
        revision: its number, from 1.
    """

    record: str
    reason: str | None
    revision: int


class PossessionDocument(Struct, frozen=True):
    """Digests of blobs that the experiment uploaded."""

    sha256: list[str]


class ExpiredLogDocument(Struct, frozen=True):
    """A log that expired: the blob with what is kept of it, and the size of the whole log."""

    sha256: str
    kept_sha256: str
    size_bytes: int


class ExpiryDocument(Struct, frozen=True):
    """Logs that expired together."""

    logs: list[ExpiredLogDocument]

    @property
    def digests(self) -> list[str]:
        """Return the digests of the whole logs."""
        return [log.sha256 for log in self.logs]


class ErasedEntryDocument(Struct, frozen=True):
    """An entry whose bytes were erased.

    Attributes:
        revision: None for a conflict or an unread record, which no job was made from.
        sha256: digest of the record.
        leaf: of the entry, as in the head of its segment.
    """

    kind: str
    revision: int | None
    sha256: str
    leaf: str


class ErasureDocument(Struct, frozen=True):
    """Bytes that were erased on purpose: those of a record, or of a blob.

    Attributes:
        sha256: digests of bytes that are refused when they are sent again.
        plans: digests of bundle plans that held them.
        blob: digest of the blob; None where a record was erased.
        job_id: of the record; empty where a blob was erased.
        witness: of the record; empty where a blob was erased.
        replacement: leaf of the entry that took its place; None where none did.
        entries: those of the record.
    """

    sha256: list[str]
    plans: list[str]
    blob: str | None = None
    job_id: str = ""
    witness: str = ""
    replacement: str | None = None
    entries: list[ErasedEntryDocument] = []

    @property
    def digests(self) -> set[str]:
        """Return the digests of bytes that are refused from now on, and of plans with them."""
        return {*self.sha256, *self.plans}


class ResolutionDocument(Struct, frozen=True):
    """The commit that a software entry meant.

    Attributes:
        software: digest of that entry.
        match_key: of its repository.
        document: the commit, its tree and pack.
    """

    software: str
    match_key: str
    document: JsonObject


class ObservationDocument(Struct, frozen=True):
    """A ref of a repository and the object that it was seen to name."""

    match_key: str
    ref: str
    oid: str


class OfJobDocument(Struct, frozen=True):
    """A verdict or a plan, read only as far as the job that it is about."""

    job_id: str


class VerdictDocument(OfJobDocument, frozen=True):
    """The outcome of a rerun of a job."""

    verdict: JsonObject


class ComparatorsDocument(Struct, frozen=True):
    """How outputs of reruns are compared."""

    comparators: JsonObject


class ServedJobs(Struct, frozen=True):
    """Jobs that a capsule serves: of a list of software, by its digest, and a stage, or ''."""

    software_set: str
    stage: str


class CapsuleRegistration(Struct, frozen=True):
    """A capsule with the jobs that it serves; its bytes are in the archive."""

    name: str
    kind: str
    sha256: str
    size_bytes: int
    serves: list[ServedJobs]


class CapsuleDocument(Struct, frozen=True):
    """An environment capsule that an operator registered."""

    capsule: CapsuleRegistration


class TaskDocument(Struct, frozen=True):
    """A task that was declared."""

    task_id: str
    task: JsonObject


class WaiverDocument(Struct, frozen=True):
    """Units of a task that need not be done."""

    task_id: str
    waiver: JsonObject


class SightingDocument(Struct, frozen=True):
    """A file as a catalog saw it."""

    file: JsonObject


class ReclassificationDocument(Struct, frozen=True):
    """Failures to be classified again by a version of the rules: those of one task, or all."""

    task_id: str | None
    version: int


class WorkflowDocument(Struct, frozen=True):
    """A version of a workflow, read only as far as its name."""

    name: str


class PrivacyDocument(Struct, frozen=True):
    """Whether the experiment is private from here on."""

    is_private: bool


class PoliciesDocument(Struct, frozen=True):
    """The policies that decide what is retried without asking."""

    policies: JsonObject


class EntryDocument(NamedTuple):
    """An entry that is a JSON document, with the key of its row."""

    entry: int
    body: bytes
    received_at: datetime

    def read(self, kind: type[D]) -> D:
        """Return the document as this type."""
        return read_document(self.body, kind)

    def json(self) -> JsonObject:
        """Return the whole document, for a use case that reads it itself."""
        return read_document(self.body, JsonObject)


def read_document(body: bytes, kind: type[D]) -> D:
    """Return the document in the body of an entry, as this type."""
    # Not msgspec's own reader: `json` wrote the entries, and it writes NaN, which msgspec refuses
    return msgspec.convert(json.loads(body), kind)
