"""What entries of the ledger state, by kind: the JSON documents that a replay reads.

A type here has the fields that are read of a document. What is within one (a task, a verdict, a
capsule) is a `JsonObject`, which the use case that wrote it reads again. Records are no documents
of the ledger's: their bytes are what the client sent.
"""

import json
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

import msgspec
from msgspec import Struct

D = TypeVar("D")
JsonObject = dict[str, Any]
"""A JSON object whose fields another room reads."""


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
    """A log that expired: the blob that is kept of it, and its whole size in bytes."""

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
        revision: None where the record changed nothing.
        sha256: digest of the record.
        leaf: of the entry, as the head of its segment has it.
    """

    kind: str
    revision: int | None
    sha256: str
    leaf: str


class ErasureDocument(Struct, frozen=True):
    """Bytes that were erased on purpose: those of a record, or of a blob.

    Attributes:
        sha256: digests of bytes that are not taken back.
        plans: digests of bundle plans that held them.
        blob: digest of the blob; None where a record was erased.
        job_id: of the record; '' where a blob was erased, as the next one.
        witness: of the record.
        replacement: leaf of the entry that took the place; None where none did.
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
        """Return the digests of bytes that are not taken back, and of plans that held them."""
        return {*self.sha256, *self.plans}


class ResolutionDocument(Struct, frozen=True):
    """Which commit an entry of software meant.

    Attributes:
        software: digest of that entry.
        match_key: of its repository.
        document: the commit, its tree and pack.
    """

    software: str
    match_key: str
    document: JsonObject


class ObservationDocument(Struct, frozen=True):
    """An object that a ref of a repository named."""

    match_key: str
    ref: str
    oid: str


class OfJobDocument(Struct, frozen=True):
    """A verdict or a plan: the job that it is about."""

    job_id: str


class VerdictDocument(OfJobDocument, frozen=True):
    """How a rerun of a job compared."""

    verdict: JsonObject


class ComparatorsDocument(Struct, frozen=True):
    """How outputs of reruns are compared."""

    comparators: JsonObject


class CapsuleDocument(Struct, frozen=True):
    """An environment capsule that an operator registered."""

    capsule: JsonObject


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
    """Failures that are read again by a version of the rules; those of one task, or of all."""

    task_id: str | None
    version: int


class WorkflowDocument(Struct, frozen=True):
    """A version of a workflow; only its name."""

    name: str


class PoliciesDocument(Struct, frozen=True):
    """When jobs are tried again."""

    policies: JsonObject


class EntryDocument(NamedTuple):
    """An entry that is a JSON document, with the key of its row."""

    entry: int
    body: bytes
    received_at: datetime

    def read(self, kind: type[D]) -> D:
        """Return what the entry states, as this type."""
        return read_document(self.body, kind)

    def json(self) -> JsonObject:
        """Return the whole document, for a use case that reads it itself."""
        return read_document(self.body, JsonObject)


def read_document(body: bytes, kind: type[D]) -> D:
    """Return what the body of an entry states, as this type."""
    # Not msgspec's own reader: entries were written by `json`, which also knows NaN
    return msgspec.convert(json.loads(body), kind)
