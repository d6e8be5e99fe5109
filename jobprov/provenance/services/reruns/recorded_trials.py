"""Reruns one recorded job from the archive's own bundle, and records the verdict."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

from jobprov.archive.store import Store
from jobprov.provenance.bundle.verdicts import PostedVerdict
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.queries.holdings.possessions import possessed_blobs
from jobprov.provenance.db.queries.reruns.reproduction import Candidate
from jobprov.provenance.records.recipes import recipe_text
from jobprov.provenance.services.bundles.job_bundle import Bundle, build_bundle
from jobprov.provenance.services.reruns.isolation import Isolation
from jobprov.provenance.services.reruns.trial import PackedJob, Trial, Workplace, try_job
from jobprov.provenance.services.reruns.verdicts import post_verdict
from jobprov.provenance.services.writing import Writer


class TrialParts(NamedTuple):
    """What reruns of recorded jobs need.

    Attributes:
        folder: where they work; they empty it.
        readable_by_readers_of: see `build_bundle`.
    """

    database: Database
    writer: Writer
    store: Store
    folder: Path
    isolation: Isolation
    readable_by_readers_of: Callable[[str], Database] | None = None


class TriedJob(NamedTuple):
    """A rerun of a recorded job.

    Attributes:
        level: of the recorded verdict; None where none was recorded.
        reason: why it did not run, or could not be compared.
    """

    job_id: str
    experiment: str
    recipe_id: str
    level: str | None
    seconds: float
    reason: str | None


def try_recorded(parts: TrialParts, place: Workplace, candidate: Candidate) -> Trial:
    """Rerun a job of the archive.

    Raises:
        ArchiveUnreachableError: the archive does not answer.
        BundleError: what an earlier rerun left cannot be removed.
    """
    return try_job(place, partial(_pack, parts, candidate))


def _pack(parts: TrialParts, candidate: Candidate) -> PackedJob:
    """Return the job as its bundle from the archive, with the blobs that the archive has."""
    bundle = build_bundle(
        parts.database,
        parts.writer,
        parts.store,
        candidate.job_id,
        experiment=candidate.experiment,
        readable_by_readers_of=parts.readable_by_readers_of,
    )
    return PackedJob(
        bundle.etag,
        bundle.size_bytes,
        save=partial(_save, bundle),
        kept=partial(_write_blob, parts, candidate.experiment),
    )


def _save(bundle: Bundle, tar: Path) -> None:
    with tar.open("wb") as file:
        for piece in bundle.stream():
            file.write(piece)


def _write_blob(parts: TrialParts, experiment: str, sha256: str, file: Path) -> bool:
    """Write a blob to a file; return whether the experiment has it."""
    with parts.database.reading.connect() as connection:
        if not possessed_blobs(connection, experiment, [sha256]):
            return False
    file.write_bytes(parts.store.get(sha256))
    return True


def record_trial(parts: TrialParts, candidate: Candidate, verdict: PostedVerdict) -> None:
    """Record the verdict on a rerun, sent by whoever made it."""
    now = datetime.now(UTC)
    parts.writer.run(
        lambda writing: post_verdict(
            writing, candidate.job_id, verdict.document(), experiment=candidate.experiment
        ),
        received_at=now,
        submitter=verdict.by,
    )


def tried(candidate: Candidate, trial: Trial) -> TriedJob:
    """Return the outcome of a rerun as commands report it."""
    return TriedJob(
        job_id=candidate.job_id,
        experiment=candidate.experiment,
        recipe_id=recipe_text(candidate.recipe),
        level=trial.level,
        seconds=trial.seconds,
        reason=trial.reason,
    )
