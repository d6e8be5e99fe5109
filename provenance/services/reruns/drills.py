"""Drills: runs recorded jobs again from their bundles, to check that they still reproduce.

Each runs in an empty folder with an empty environment and no network; its outputs are compared, and
the verdict is recorded. One job of each recipe is run: first the recipes that were never compared,
in the order of their digests, which makes an unbiased sample; then those compared longest ago. Each
verdict is recorded at once, so a drill that was stopped continues where it was.

A drill runs the recorded jobs' own code, with the rights of whoever calls this. How a rerun works is
in execution.py.
"""

import fcntl
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection

from jobprov.archive.errors import ArchiveError, ArchiveUnreachableError
from jobprov.archive.store import Store
from jobprov.provenance.db.engines import Database
from jobprov.provenance.db.queries.reruns.reproduction import (
    Candidate,
    least_recently_drilled,
    never_drilled,
)
from jobprov.provenance.db.queries.tasks.samples import is_recorded
from jobprov.provenance.errors import BundleError, NotFoundError, ProvenanceError
from jobprov.provenance.records.recipes import recipe_text
from jobprov.provenance.services.bundles.job_bundle import build_bundle
from jobprov.provenance.services.reruns.execution import RerunResult, rerun, unpack
from jobprov.provenance.services.reruns.isolation import Isolation
from jobprov.provenance.services.reruns.verdicts import post_verdict
from jobprov.provenance.services.writing import Writer

_AT_ONCE = 20
_UNPACKED = 3
"""Disk that a rerun takes, in sizes of its bundle: the tar, its contents, the job's own copies."""
_REASON_LENGTH = 1000


class DrillLimits(NamedTuple):
    """The limits of a drill.

    Attributes:
        jobs: number of reruns.
        seconds: no rerun starts after this time.
        job_seconds: a rerun that takes longer is stopped.
        disk_bytes: for one rerun, including its bundle.
        again_after: a recipe that was compared more recently is not run.
    """

    jobs: int = 10
    seconds: float = 3600.0
    job_seconds: float = 600.0
    disk_bytes: int = 10 * 1024**3
    again_after: timedelta = timedelta(days=1)


class DrilledJob(NamedTuple):
    """A rerun of the drill.

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


class _Outcome(NamedTuple):
    """The outcome of a rerun.

    Attributes:
        verdict: the one to be recorded; None where there was no rerun.
        reason: why it did not run, or could not be compared; None where it was compared.
    """

    verdict: dict[str, Any] | None
    reason: str | None


class DrillParts(NamedTuple):
    """What a drill needs. It works in `folder`, and empties it."""

    database: Database
    writer: Writer
    store: Store
    folder: Path
    isolation: Isolation


def drill(
    parts: DrillParts,
    limits: DrillLimits,
    *,
    experiment: str | None = None,
    report: Callable[[DrilledJob], None] = lambda _job: None,
) -> list[DrilledJob] | None:
    """Run jobs again until a limit is reached.

    Return the outcome of each; None if another drill is working in the folder.

    Args:
        parts: what to work with.
        limits: where to end.
        experiment: only jobs of this experiment.
        report: is called with each job as it ends.

    Raises:
        NotFoundError: no such experiment is recorded.
        OSError: the folder cannot be written.
        ArchiveUnreachableError: the archive does not answer.
    """
    if experiment is not None:
        with parts.database.reading.connect() as connection:
            if not is_recorded(connection, experiment):
                raise NotFoundError(f"No experiment {experiment} is recorded.")
    parts.folder.mkdir(parents=True, exist_ok=True)
    with _locked(parts.folder / "lock") as is_mine:
        if not is_mine:
            return None
        return _drill(parts, limits, experiment, report)


@contextmanager
def _locked(file: Path) -> Iterator[bool]:
    """Take the lock of the folder, which ends with the process; yield whether it was free."""
    with file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _drill(
    parts: DrillParts,
    limits: DrillLimits,
    experiment: str | None,
    report: Callable[[DrilledJob], None],
) -> list[DrilledJob]:
    began = time.monotonic()
    done: list[DrilledJob] = []
    for candidate in _chosen(parts, limits, experiment):
        if len(done) >= limits.jobs or time.monotonic() - began >= limits.seconds:
            break
        done.append(_drill_one(parts, limits, candidate))
        report(done[-1])
    return done


def _chosen(parts: DrillParts, limits: DrillLimits, experiment: str | None) -> Iterator[Candidate]:
    """Yield recipes, each once, in the order in which they are to be run.

    They are read in batches, because the verdicts recorded meanwhile change the order.
    """
    seen: set[bytes] = set()
    before = datetime.now(UTC) - limits.again_after
    queries: tuple[Callable[[Connection, int], list[Candidate]], ...] = (
        lambda connection, count: never_drilled(connection, experiment=experiment, limit=count),
        lambda connection, count: least_recently_drilled(
            connection, experiment=experiment, before=before, limit=count
        ),
    )
    for query in queries:
        while True:
            with parts.database.reading.connect() as connection:
                # So many, because those yielded before may come back: they got no verdict
                candidates = query(connection, len(seen) + _AT_ONCE)
            fresh = [candidate for candidate in candidates if candidate.recipe not in seen]
            if not fresh:
                break
            for candidate in fresh:
                seen.add(candidate.recipe)
                yield candidate


def _drill_one(parts: DrillParts, limits: DrillLimits, candidate: Candidate) -> DrilledJob:
    began = time.monotonic()
    folder = parts.folder / "job"
    _empty(folder)
    try:
        outcome = _rerun(parts, limits, candidate, folder)
    except ArchiveUnreachableError:
        # No other job can be read either, so the drill ends here
        raise
    except (ProvenanceError, ArchiveError, OSError) as problem:
        # This affects one job alone: a blob is missing, or its disk space is used up
        outcome = _Outcome(None, str(problem))
    finally:
        _empty(folder)
    level = None
    if outcome.verdict is not None:
        _record(parts, candidate, outcome.verdict)
        level = str(outcome.verdict["level"])
    return DrilledJob(
        job_id=candidate.job_id,
        experiment=candidate.experiment,
        recipe_id=recipe_text(candidate.recipe),
        level=level,
        seconds=time.monotonic() - began,
        reason=outcome.reason,
    )


def _rerun(parts: DrillParts, limits: DrillLimits, candidate: Candidate, folder: Path) -> _Outcome:
    """Run a job again from its bundle; return its verdict."""
    bundle = build_bundle(
        parts.database, parts.writer, parts.store, candidate.job_id, experiment=candidate.experiment
    )
    base = {
        "plan": bundle.etag,
        "when": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "by": "drill",
    }
    if bundle.size_bytes * _UNPACKED > limits.disk_bytes:
        reason = f"its bundle has {bundle.size_bytes} bytes, too many for the disk allowed"
        return _Outcome(None, reason)
    folder.mkdir()
    tar = folder / "bundle.tar"
    with tar.open("wb") as file:
        for piece in bundle.stream():
            file.write(piece)
    root = unpack(tar, folder / "bundle")
    tar.unlink()
    isolation = parts.isolation.within(limits.job_seconds, limits.disk_bytes, folder)
    return _outcome(base, rerun(root, folder / "out", isolation=isolation))


def _outcome(base: dict[str, Any], result: RerunResult) -> _Outcome:
    """Return the verdict on a rerun: R0, with the reason, if nothing could be compared."""
    if result.verified is not None and result.verified.verdict is not None:
        return _Outcome({**base, **result.verified.verdict}, None)
    if result.stopped is not None:
        reason = result.stopped
    elif result.verified is None:
        reason = "not started: " + " ".join(result.lines[-5:])
    else:
        reason = "ran, and cannot be compared here: " + " ".join(result.verified.lines[-3:])
    return _Outcome({**base, "level": "R0", "reason": reason[:_REASON_LENGTH]}, reason)


def _record(parts: DrillParts, candidate: Candidate, verdict: dict[str, Any]) -> None:
    now = datetime.now(UTC)
    parts.writer.run(
        lambda writing: post_verdict(
            writing,
            candidate.job_id,
            verdict,
            experiment=candidate.experiment,
        ),
        received_at=now,
        submitter="drill",
    )


def _empty(folder: Path) -> None:
    """Remove everything that a rerun left, including folders without write permission.

    Raises:
        BundleError: something cannot be removed.
    """
    if not folder.exists():
        return
    for below in [folder, *folder.rglob("*")]:
        if below.is_dir() and not below.is_symlink():
            below.chmod(0o700)
    try:
        shutil.rmtree(folder)
    except OSError as problem:
        raise BundleError(f"{folder} cannot be emptied ({problem}); remove it by hand.") from None
