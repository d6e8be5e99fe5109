"""Drills: reruns recorded jobs, to check that they still reproduce.

One job of each recipe is run: first the recipes that were never compared, in the order of their
digests, which makes an unbiased sample; then those compared longest ago. Each verdict is recorded
at once, so a drill that was stopped continues where it was.

How one job is rerun is in trial.py. `proving.py` reruns every new recipe, in another order.
"""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple

from jobprov.provenance.db.queries.reruns.reproduction import (
    Candidate,
    least_recently_drilled,
    never_drilled,
)
from jobprov.provenance.progress import tell
from jobprov.provenance.services.experiments import find_experiment
from jobprov.provenance.services.reruns.isolation import RerunLimits
from jobprov.provenance.services.reruns.recorded_trials import (
    TrialParts,
    TriedJob,
    record_trial,
    tried,
    try_recorded,
)
from jobprov.provenance.services.reruns.trial import Workplace, locked

_AT_ONCE = 20


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


def drill(
    parts: TrialParts,
    limits: DrillLimits,
    *,
    experiment: str | None = None,
    report: Callable[[TriedJob], None] = lambda _job: None,
) -> list[TriedJob] | None:
    """Run jobs again until a limit is reached.

    Return the outcome of each; None if another drill is working in the folder.

    Args:
        experiment: only jobs of this experiment.
        report: is called with each job as it ends.

    Raises:
        NotFoundError: no such experiment is recorded.
        OSError: the folder cannot be written.
        ArchiveUnreachableError: the archive does not answer.
    """
    if experiment is not None:
        with parts.database.reading.connect() as connection:
            find_experiment(connection, experiment)
    with locked(parts.folder) as is_mine:
        if not is_mine:
            return None
        return _drill(parts, limits, experiment, report)


def _drill(
    parts: TrialParts,
    limits: DrillLimits,
    experiment: str | None,
    report: Callable[[TriedJob], None],
) -> list[TriedJob]:
    """Rerun the chosen jobs, one after the other, until a limit is reached."""
    began = time.monotonic()
    bounds = RerunLimits(limits.job_seconds, limits.disk_bytes)
    place = Workplace(parts.folder, parts.isolation, bounds, "drill")
    done: list[TriedJob] = []
    for candidate in _chosen(parts, limits, experiment):
        if len(done) >= limits.jobs or time.monotonic() - began >= limits.seconds:
            break
        trial = try_recorded(parts, place, candidate)
        if trial.verdict is not None:
            record_trial(parts, candidate, trial.verdict)
        done.append(tried(candidate, trial))
        report(done[-1])
        tell("jobs rerun", len(done), limits.jobs)
    return done


def _chosen(parts: TrialParts, limits: DrillLimits, experiment: str | None) -> Iterator[Candidate]:
    """Yield recipes, each once, in the order in which they are to be run.

    They are read in batches, because the verdicts recorded meanwhile change the order.
    """
    before = datetime.now(UTC) - limits.again_after
    seen: set[bytes] = set()
    for read_candidates in (
        partial(never_drilled, experiment=experiment),
        partial(least_recently_drilled, experiment=experiment, before=before),
    ):
        while True:
            with parts.database.reading.connect() as connection:
                # So many, because those yielded before may come back: they got no verdict
                candidates = read_candidates(connection, limit=len(seen) + _AT_ONCE)
            fresh = [candidate for candidate in candidates if candidate.recipe not in seen]
            if not fresh:
                break
            for candidate in fresh:
                seen.add(candidate.recipe)
                yield candidate
