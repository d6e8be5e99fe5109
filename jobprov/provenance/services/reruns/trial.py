"""Reruns one recorded job from its bundle in an emptied folder, within limits; gives the verdict.

Drills, `jobprov prove` and agents that prove do this, each with jobs chosen in its own order. The
job's own code runs, with the rights of whoever calls this. How a bundle is run is in execution.py.
"""

import fcntl
import os
import resource
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from jobprov.archive.errors import ArchiveError, ArchiveUnreachableError
from jobprov.provenance.bundle.verdicts import PostedVerdict
from jobprov.provenance.errors import BundleError, LimitError, ProvenanceError, UnreachableError
from jobprov.provenance.records.proofs import INPUT_NOT_HERE, NOT_COMPARED, STOPPED
from jobprov.provenance.services.reruns.execution import RerunResult, rerun, unpack
from jobprov.provenance.services.reruns.first_missing import (
    first_missing,
    last_words,
    missing_inputs_alone,
)
from jobprov.provenance.services.reruns.isolation import Isolation, RerunLimits
from jobprov.provenance.services.reruns.offered_comparators import KeptFile, offer_comparators

_UNPACKED = 3
"""Disk that a rerun takes, in sizes of its bundle: the tar, its contents, the job's own copies."""
_REASON_LENGTH = 1000
_LOG_BYTES = 4 * 1024 * 1024


class PackedJob(NamedTuple):
    """A job's bundle, about to be written.

    Attributes:
        plan: the ETag of the bundle.
        size_bytes: of the tar.
        save: writes the tar to a file.
        kept: where recorded outputs come from, to find a comparator by.
    """

    plan: str
    size_bytes: int
    save: Callable[[Path], None]
    kept: KeptFile


class Workplace(NamedTuple):
    """Where and how reruns are made.

    Attributes:
        folder: for one rerun at a time; what is in it is removed.
        input_dirs: where inputs are looked for that are not in a bundle.
        by: `drill` or `prove`, as verdicts name it.
    """

    folder: Path
    isolation: Isolation
    limits: RerunLimits
    by: str
    input_dirs: Sequence[Path] = ()


class Trial(NamedTuple):
    """The outcome of a rerun.

    Attributes:
        verdict: the one to be recorded; None where there was no rerun.
        reason: why it did not run, or could not be compared; None where it was compared.
        seconds: the whole of it took.
        cpu_seconds: its processes took.
        is_limit: it did not run since its bundle is too large.
    """

    verdict: PostedVerdict | None
    reason: str | None
    seconds: float
    cpu_seconds: float
    is_limit: bool = False

    @property
    def level(self) -> str | None:
        """The level of the verdict."""
        return None if self.verdict is None else self.verdict.level


class _Judged(NamedTuple):
    """The outcome of a rerun: the verdict, and the reason where nothing was compared."""

    verdict: PostedVerdict
    reason: str | None


@contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Take the lock of a folder, which ends with the process; yield whether it was free.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def try_job(place: Workplace, pack: Callable[[], PackedJob]) -> Trial:
    """Rerun a job from the bundle that `pack` returns.

    Raises:
        ArchiveUnreachableError, UnreachableError: no other job could be read, either.
        BundleError: what an earlier rerun left cannot be removed.
    """
    began, cpu = time.monotonic(), _cpu_seconds()
    folder = place.folder / "job"
    verdict, is_limit = None, False
    _empty(folder)
    try:
        verdict, reason = _try(place, folder, pack())
    except LimitError as problem:
        reason, is_limit = str(problem), True
    except (ArchiveUnreachableError, UnreachableError):
        raise
    except (ProvenanceError, ArchiveError, OSError) as problem:
        # This affects one job alone: a blob is missing, or its disk space is used up
        reason = str(problem)
    finally:
        _empty(folder)
    seconds, cpu_seconds = time.monotonic() - began, _cpu_seconds() - cpu
    return Trial(verdict, reason, seconds, cpu_seconds, is_limit)


def verdict_of(trial: Trial, by: str) -> PostedVerdict:
    """Return the verdict on a rerun, also where none was made: the recipe then has a reason."""
    if trial.verdict is not None:
        return trial.verdict
    reason = (trial.reason or "no reason is known")[:_REASON_LENGTH]
    return PostedVerdict(
        level="R0",
        reason=reason,
        missing=f"Its bundle cannot be rerun: {reason}",
        unproven=STOPPED if trial.is_limit else None,
        when=_now(),
        by=by,
    )


def _try(place: Workplace, folder: Path, packed: PackedJob) -> _Judged:
    """Rerun a job in an empty folder.

    Raises:
        LimitError: its bundle is too large.
    """
    when = _now()
    if packed.size_bytes * _UNPACKED > place.limits.disk_bytes:
        message = f"its bundle has {packed.size_bytes} bytes, too many for the disk allowed"
        raise LimitError(message, place.limits.disk_bytes)
    folder.mkdir()
    tar = folder / "bundle.tar"
    packed.save(tar)
    root = unpack(tar, folder / "bundle")
    tar.unlink()
    isolation = place.isolation.within(place.limits, folder)
    out = folder / "out"
    result = rerun(root, out, isolation=isolation, input_dirs=place.input_dirs)
    judged = _judged(result)
    verdict = judged.verdict
    verdict.plan, verdict.by, verdict.when = packed.plan, place.by, verdict.when or when
    if verdict.level == "R2":
        comparisons = verdict.comparisons or []
        verdict.offers = offer_comparators(root, out, comparisons, isolation, packed.kept)
    return judged


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _judged(result: RerunResult) -> _Judged:
    """Return the outcome of a rerun: R0, with the reason, if nothing could be compared."""
    if result.stopped is not None:
        return _unproven(STOPPED, result.stopped)
    if result.verified is None:
        return _not_started(result)
    verdict = result.verified.verdict
    if verdict is None:
        lines = " ".join(result.verified.lines[-3:])
        return _unproven(NOT_COMPARED, f"ran, and cannot be compared here: {lines}")
    if verdict.level in ("R1", "R2"):
        _add_cause(verdict, result)
    return _Judged(verdict, None)


def _unproven(why: str, reason: str) -> _Judged:
    """Return the verdict on a rerun that proves nothing about the recipe."""
    verdict = PostedVerdict(level="R0", reason=reason[:_REASON_LENGTH], unproven=why)
    return _Judged(verdict, reason)


def _not_started(result: RerunResult) -> _Judged:
    reason = "not started: " + " ".join(result.lines[-5:])
    verdict = PostedVerdict(level="R0", reason=reason[:_REASON_LENGTH])
    missing = first_missing(result.lines)
    if missing is not None:
        verdict.missing = missing.sentence
    if missing_inputs_alone(result.lines):
        verdict.unproven = INPUT_NOT_HERE
    return _Judged(verdict, reason)


def _add_cause(verdict: PostedVerdict, result: RerunResult) -> None:
    """Name the first thing missing, of a job that ended otherwise or made something else."""
    has_failed = verdict.level == "R1"
    log = _log_lines(result.log)
    missing = first_missing(result.lines, log)
    # A job that succeeds may well print that a file is not there
    if missing is not None and (has_failed or missing.is_limit):
        verdict.missing = missing.sentence
        if missing.is_limit:
            verdict.unproven = STOPPED
    elif has_failed:
        sentence = f"It ended with exit code {result.exit_code}, not as recorded."
        last_line = last_words(log)
        if last_line:
            sentence += f" Its last line: {last_line}"
        verdict.missing = sentence


def _log_lines(log: Path) -> list[str]:
    """Return the first lines of a job's log; a job may have written without end."""
    try:
        with log.open("rb") as file:
            return file.read(_LOG_BYTES).decode("utf-8", "replace").splitlines()
    except OSError:
        return []


def _cpu_seconds() -> float:
    """Return what processes that are over and were waited for have taken."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _empty(folder: Path) -> None:
    """Remove everything that a rerun left, including folders without write permission.

    Raises:
        BundleError: something cannot be removed.
    """
    if not os.path.lexists(folder):
        return
    for parent, names, _ in os.walk(folder):
        Path(parent).chmod(0o700)
        for name in names:
            below = Path(parent, name)
            if not below.is_symlink():
                below.chmod(0o700)
    try:
        shutil.rmtree(folder)
    except OSError as problem:
        raise BundleError(f"{folder} cannot be emptied ({problem}); remove it by hand.") from None
