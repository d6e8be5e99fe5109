"""What one record means in the tables: the columns of its job, its claims, mentions and parents, by natural keys.

Pure translation; `writing.py` finds the integer keys.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from provenance.db.recording.identities import FileKey, SeenIdentity, see_identity
from provenance.records.checks import PARENT_ROLES
from provenance.records.job_record import FclConfiguration, Input, JobRecord, Output, Software
from provenance.records.recipes import recipe_of, result_of
from provenance.records.repairing import utc

STATES = ("running", "succeeded", "failed", "killed", "lost")
MESSAGE_LENGTH = 300
INDEX_VERSION = 2
"""What the rows of a job mean: one more whenever the same record gives other rows, edges, gaps or grade (`services/derive_again.py`)."""
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


def job_columns(record: JobRecord) -> dict[str, Any]:
    """Return the columns of `jobs` that follow from the record alone."""
    exit_, resources = record.exit, record.resources
    cpu = (
        [seconds for seconds in (resources.cpu_user_seconds, resources.cpu_system_seconds) if seconds is not None]
        if resources
        else []
    )
    return {
        "uuid": record.job_id,
        "index_version": INDEX_VERSION,
        "state": STATES.index(record.state),
        "unit": record.task.unit if record.task else None,
        "batch_id": record.batch.id if record.batch else None,
        "retry_of": record.retry_of,
        "rerun_of": record.rerun_of,
        "started_at": utc(record.started_at) if record.started_at else None,
        "ended_at": utc(record.ended_at) if record.ended_at else None,
        "exit_code": exit_.code if exit_ else None,
        "exit_signal": exit_.signal if exit_ else None,
        "failed_step": exit_.failed_step if exit_ else None,
        "error_class": exit_.error_class if exit_ else None,
        "message": exit_.message[:MESSAGE_LENGTH] if exit_ and exit_.message else None,
        "wall_seconds": resources.wall_seconds if resources else None,
        "cpu_seconds": sum(cpu) if cpu else None,
        "max_rss_bytes": resources.max_rss_bytes if resources else None,
        "recipe": recipe_of(record),
        "result": result_of(record),
    }


def host_key(record: JobRecord) -> tuple[str, str, str] | None:
    """Return (hostname, site, facility), '' for what is not said; None where nothing is."""
    host = record.host
    if host is None or not (host.hostname or host.site or host.facility):
        return None
    return host.hostname or "", host.site or "", host.facility or ""


def stage_key(record: JobRecord) -> tuple[str, str] | None:
    """Return (campaign, stage), '' for what is not said; None where neither is."""
    task = record.task
    if task is None or not (task.campaign or task.stage):
        return None
    return task.campaign or "", task.stage or ""


def shared_document(value: FclConfiguration | Software | list[Any]) -> tuple[str, bytes]:
    """Return digest and JSON of what many jobs share, in one canonical form."""
    body = _encode(value)
    return hashlib.sha256(body).hexdigest(), body


def mention_rows(record: JobRecord, experiment_ids: Mapping[str, int]) -> list[MentionRow]:
    """Return the inputs as mentions; an input may name another experiment."""
    rows = []
    for position, file in enumerate(record.inputs or ()):
        experiment = experiment_ids[file.experiment or record.experiment]
        key = FileKey(file.name, file.namespace or "", experiment)
        rows.append(MentionRow(see_identity(key, file.size_bytes, file.checksums, file.sha256), position, file))
    return rows


def claim_rows(record: JobRecord, mentions: list[MentionRow], experiment_ids: Mapping[str, int]) -> list[ClaimRow]:
    """Return the outputs as claims. Outputs that were never there (status `empty` and `not_kept` were) claim all the same."""
    experiment = experiment_ids[record.experiment]
    rows, inside = [], _Inside(record, mentions, experiment)
    is_rerun = record.rerun_of is not None  # claims nothing, and so leads from its inputs to nothing
    for position, output in enumerate(record.outputs or ()):
        key = FileKey(output.name, output.namespace or "", experiment)
        identity = see_identity(key, output.size_bytes, output.checksums, output.sha256)
        parents = dict.fromkeys(() if is_rerun else _parents(output, inside, experiment))
        rows.append(ClaimRow(identity, position, output, tuple(parents)))
    return rows


class _Inside:
    """The files of one job by name: with many of them, looking through all for each would take minutes."""

    def __init__(self, record: JobRecord, mentions: list[MentionRow], experiment: int) -> None:
        self.mentions = mentions
        self._outputs: dict[FileKey, list[Output]] = {}
        self._mentions: dict[str, list[MentionRow]] = {}
        steps = record.command.steps if record.command else None
        self._places = {step.name: place for place, step in enumerate(steps or ())}
        for output in record.outputs or ():
            self._outputs.setdefault(FileKey(output.name, output.namespace or "", experiment), []).append(output)
        for mention in mentions:
            self._mentions.setdefault(mention.input.name, []).append(mention)

    def made_before(self, step: str | None, file: FileKey) -> Output | None:
        """Return the last output that is this file and that another step wrote, none that is known to be later."""
        written = reversed(self._outputs.get(file, ()))
        return next((found for found in written if found.step != step and not self._is_later(found.step, step)), None)

    def _is_later(self, one: str | None, other: str | None) -> bool:
        places = self._places
        return one in places and other in places and places[one] > places[other]

    def mentioned(self, name: str) -> MentionRow | None:
        """Return the first input that is called so, by its name alone or with its namespace before it."""
        namespace, _, bare = name.rpartition(":")
        found = [row for row in self._mentions.get(bare, ()) if (row.input.namespace or "") == namespace]
        return min(found[:1] + self._mentions.get(name, [])[:1], key=lambda row: row.position, default=None)


def _parents(output: Output, inside: _Inside, experiment: int) -> Iterator[SeenIdentity]:
    """Yield the parents of an output: those it declares, else the primary and secondary inputs of its step.

    An input that an earlier step of the same job wrote stands for that output's own parents: a job's output never
    satisfies its own input, and ancestry must not end inside a job.
    """
    if output.parents is not None:
        for name in output.parents:
            yield _declared_parent(name, inside, experiment)
        return
    done: set[FileKey] = {FileKey(output.name, output.namespace or "", experiment)}
    steps = [output.step]
    while steps:
        step = steps.pop()
        for mention in inside.mentions:
            if mention.input.role not in PARENT_ROLES or (step and mention.input.step and mention.input.step != step):
                continue
            file = mention.identity.file
            made_here = inside.made_before(mention.input.step or step, file)
            if made_here is None:
                yield mention.identity
            elif file not in done:
                done.add(file)
                steps.append(made_here.step)


def _declared_parent(name: str, inside: _Inside, experiment: int) -> SeenIdentity:
    if (mention := inside.mentioned(name)) is not None:
        return mention.identity
    namespace, _, bare = name.rpartition(":")
    return see_identity(FileKey(bare, namespace, experiment), None, None, None)
