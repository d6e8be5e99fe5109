"""What one record means in the tables, by natural keys.

That is the columns of its job, its claims, mentions and parents.

Pure translation; `writing.py` finds the integer keys.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple, TypedDict

import msgspec

from jobprov.provenance.db.recording.identities import FileKey, SeenIdentity, see_identity
from jobprov.provenance.records.attempts import unit_of
from jobprov.provenance.records.files.names import splits
from jobprov.provenance.records.files.outputs import count_made
from jobprov.provenance.records.files.parents import FilesOfJob, has_too_many_parents, name_inside
from jobprov.provenance.records.job_record import (
    Exit,
    Input,
    JobRecord,
    Output,
    Resources,
)
from jobprov.provenance.records.reading.repairing import utc
from jobprov.provenance.records.recipes import recipe_of, result_of

STATES = ("running", "succeeded", "failed", "killed", "lost")
RUNNING, SUCCEEDED, KILLED = map(STATES.index, ("running", "succeeded", "killed"))
FIRST_BAD = STATES.index("failed")
"""This state and those after it: jobs that failed, were killed, or lost sight of."""
MESSAGE_LENGTH = 300
INDEX_VERSION = 4
"""The version of what the rows of a job mean.

It goes up by one whenever the same record gives other rows, edges, gaps or grade. See
`services/recording/rederivation.py`.
"""
_MOST_INSIDE = 100_000
"""Parents of one job that stand for others which it declares."""
_NO_EXIT, _NO_RESOURCES = Exit(), Resources()
_encode = msgspec.json.Encoder(order="deterministic").encode


class ClaimRow(NamedTuple):
    """An output: what it claims, and the identities that are its parents."""

    identity: SeenIdentity
    position: int
    output: Output
    parents: tuple[SeenIdentity, ...]


class MentionRow(NamedTuple):
    """An input."""

    identity: SeenIdentity
    position: int
    input: Input


class _ExitColumns(TypedDict):
    exit_code: int | None
    exit_signal: int | None
    failed_step: str | None
    error_class: str | None
    message: str | None


class _ResourceColumns(TypedDict):
    wall_seconds: float | None
    cpu_seconds: float | None
    max_rss_bytes: int | None


class JobColumns(_ExitColumns, _ResourceColumns):
    """The columns of `jobs` that follow from a record alone."""

    uuid: str
    index_version: int
    state: int
    output_count: int
    unit: str | None
    batch_id: str | None
    retry_of: str | None
    rerun_of: str | None
    started_at: datetime | None
    ended_at: datetime | None
    recipe: bytes | None
    result: bytes | None


def job_columns(record: JobRecord) -> JobColumns:
    """Return the columns of `jobs` that follow from the record alone."""
    return {
        "uuid": record.job_id,
        "index_version": INDEX_VERSION,
        "state": STATES.index(record.state),
        "output_count": count_made(record),
        "unit": unit_of(record),
        "batch_id": record.batch.id if record.batch else None,
        "retry_of": record.retry_of,
        "rerun_of": record.rerun_of,
        "started_at": utc(record.started_at) if record.started_at else None,
        "ended_at": utc(record.ended_at) if record.ended_at else None,
        **_exit_columns(record.exit or _NO_EXIT),
        **_resource_columns(record.resources or _NO_RESOURCES),
        "recipe": recipe_of(record),
        "result": result_of(record),
    }


def _exit_columns(exit_: Exit) -> _ExitColumns:
    return {
        "exit_code": exit_.code,
        "exit_signal": exit_.signal,
        "failed_step": exit_.failed_step,
        "error_class": exit_.error_class,
        "message": exit_.message[:MESSAGE_LENGTH] if exit_.message else None,
    }


def _resource_columns(resources: Resources) -> _ResourceColumns:
    return {
        "wall_seconds": resources.wall_seconds,
        "cpu_seconds": _cpu_seconds(resources),
        "max_rss_bytes": resources.max_rss_bytes,
    }


def _cpu_seconds(resources: Resources) -> float | None:
    """Return user and system time together, or the only one that is recorded."""
    user, system = resources.cpu_user_seconds, resources.cpu_system_seconds
    if user is None:
        return system
    return user if system is None else user + system


def host_key(record: JobRecord) -> tuple[str, str, str] | None:
    """Return (hostname, site, facility), '' for what is not recorded; None if nothing is."""
    host = record.host
    if host is None or not (host.hostname or host.site or host.facility):
        return None
    return host.hostname or "", host.site or "", host.facility or ""


def stage_key(record: JobRecord) -> tuple[str, str] | None:
    """Return (campaign, stage), '' for what is not recorded; None if neither is."""
    task = record.task
    if task is None or not (task.campaign or task.stage):
        return None
    return task.campaign or "", task.stage or ""


def campaign_of(record: JobRecord) -> str | None:
    """Return the campaign that the record names."""
    return record.task.campaign if record.task else None


def shared_document(value: msgspec.Struct | list[Any]) -> tuple[str, bytes]:
    """Return digest and JSON of what many jobs share, in one canonical form."""
    body = _encode(value)
    return hashlib.sha256(body).hexdigest(), body


def mention_rows(record: JobRecord, experiment_ids: Mapping[str, int]) -> list[MentionRow]:
    """Return the inputs as mentions; an input may name another experiment."""
    rows = []
    for position, file in enumerate(record.inputs or ()):
        experiment = experiment_ids[file.experiment or record.experiment]
        key = FileKey(file.name, file.namespace or "", experiment)
        identity = see_identity(
            key, file.size_bytes, file.checksums, file.sha256, campaign=campaign_of(record)
        )
        rows.append(MentionRow(identity, position, file))
    return rows


def claim_rows(
    record: JobRecord, mentions: list[MentionRow], experiment_ids: Mapping[str, int]
) -> list[ClaimRow]:
    """Return the outputs as claims.

    Outputs that were never there (status `empty` and `not_kept` were) claim all the same.
    """
    experiment = experiment_ids[record.experiment]
    parents = _Parents(record, mentions, experiment)
    rows = []
    for position, output in enumerate(record.outputs or ()):
        key = FileKey(output.name, output.namespace or "", experiment)
        identity = see_identity(
            key, output.size_bytes, output.checksums, output.sha256, campaign=campaign_of(record)
        )
        rows.append(ClaimRow(identity, position, output, parents.of(output)))
    return rows


class _Parents:
    """Which inputs of a job each of its outputs was made from.

    Those that it declares, else what the job read before.
    """

    def __init__(self, record: JobRecord, mentions: list[MentionRow], experiment: int) -> None:
        outputs = record.outputs or ()
        # Claims nothing, and so leads from its inputs to nothing
        self._is_rerun = record.rerun_of is not None
        self._mentions = mentions
        self._within: FilesOfJob | None = None
        is_derived = any(output.parents is None for output in outputs) and not self._is_rerun
        if is_derived and not has_too_many_parents(record):
            self._within = FilesOfJob(record)
        # Inputs are looked up by name only where an output declares its parents
        is_declared = any(output.parents for output in outputs)
        named = mentions if is_declared else []
        self._declared = _Declared(record, named, experiment)

    def of(self, output: Output) -> tuple[SeenIdentity, ...]:
        """Return the parents of an output, each once."""
        if self._is_rerun:
            return ()
        parents: dict[SeenIdentity, None] = {}
        if output.parents is not None:
            for name in output.parents:
                parents.update(dict.fromkeys(self._declared.parents(name)))
        elif self._within is not None:
            for place in self._within.parents(output):
                parents[self._mentions[place].identity] = None
        return tuple(parents)


class _Declared:
    """The inputs of a job by name, as outputs that declare their parents name them."""

    def __init__(self, record: JobRecord, mentions: list[MentionRow], experiment: int) -> None:
        self._record = record
        self._mentions = mentions
        self._experiment = experiment
        outputs = record.outputs if mentions else ()
        self._written = {name_inside(output) for output in outputs or ()}
        self._inside = 0
        self._bare: dict[str, MentionRow] = {}
        self._full: dict[tuple[str, str], MentionRow] = {}
        for mention in mentions:
            self._bare.setdefault(mention.input.name, mention)
            self._full.setdefault((mention.input.namespace or "", mention.input.name), mention)

    def parents(self, name: str) -> list[SeenIdentity]:
        """Return the first input that is called so, else a file of that name.

        The input may be called so by its name alone, or with its namespace before it.

        An input that an earlier step wrote stands for what that was made from, as it does where
        nothing is declared.
        """
        mention = self._find(name)
        if mention is None:
            namespace, _, bare = name.rpartition(":")
            file = FileKey(bare, namespace, self._experiment)
            return [see_identity(file, None, None, None, campaign=campaign_of(self._record))]
        if name_inside(mention.input) not in self._written:
            return [mention.identity]
        places = self._within.origins(mention.input)
        if places is None or self._inside + len(places) > _MOST_INSIDE:
            return [mention.identity]
        self._inside += len(places)
        return [self._mentions[place].identity for place in places]

    def _find(self, name: str) -> MentionRow | None:
        """Return the first input that is called so; None where none is."""
        called = [*map(self._full.get, splits(name) or [("", name)]), self._bare.get(name)]
        mentions = [mention for mention in called if mention is not None]
        return min(mentions, key=lambda mention: mention.position, default=None)

    @cached_property
    def _within(self) -> FilesOfJob:
        return FilesOfJob(self._record)
