"""Proves recipes: each new one is rerun within hours, while its release still lives.

First come recipes that failed or differed, of which something has come since (a blob, a capsule,
comparators) or whose last rerun is old; then recipes that were never rerun. Of both, those that
most jobs share come first. Each verdict is recorded at once, with `by: prove`.

How one job is rerun is in trial.py; `drills.py` reruns a sample of all recipes, over years.
"""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.bundle.verdicts import PostedVerdict
from jobprov.provenance.db.queries.fragments.proofs import job_of_key
from jobprov.provenance.db.queries.lookup.experiments import experiment_names
from jobprov.provenance.db.queries.reruns.proofs import recipes_to_prove
from jobprov.provenance.db.queries.reruns.reproduction import Candidate
from jobprov.provenance.records.proofs import PROVEN, STATES, UNPROVEN, proof_of
from jobprov.provenance.records.recipes import recipe_text
from jobprov.provenance.services.experiments import find_experiment
from jobprov.provenance.services.reruns.isolation import check_offline
from jobprov.provenance.services.reruns.proof_budgets import ProofBudget
from jobprov.provenance.services.reruns.recorded_trials import (
    TrialParts,
    record_trial,
    try_recorded,
)
from jobprov.provenance.services.reruns.trial import Trial, Workplace, locked, verdict_of


class ProvedJob(NamedTuple):
    """A rerun that was to prove a recipe.

    Attributes:
        state: of the recipe now: `proven`, `failed`, `differs` or `unproven`.
        message: why it is not proven.
        recipe_id: None where the job has none, and is proven by itself.
        level: of the recorded verdict.
    """

    job_id: str
    experiment: str
    recipe_id: str | None
    state: str
    message: str | None
    level: str
    seconds: float
    cpu_seconds: float

    @property
    def is_proven(self) -> bool:
        """Whether the recipe passed."""
        return self.state == STATES[PROVEN]


def prove(
    parts: TrialParts,
    budgets: Mapping[str, ProofBudget],
    standard: ProofBudget,
    *,
    experiment: str | None = None,
    report: Callable[[ProvedJob], None] = lambda _job: None,
) -> list[ProvedJob] | None:
    """Rerun recipes that are not proven, each experiment within its budget.

    Return the outcome of each; None if another `prove` is working in the folder.

    Args:
        budgets: by experiment.
        standard: the budget of an experiment that has none of its own.
        experiment: only jobs of this experiment.
        report: is called with each job as it ends.

    Raises:
        NotFoundError: no such experiment is recorded.
        BundleError: the kernel allows no namespace without a network.
        OSError: the folder cannot be written.
        ArchiveUnreachableError: the archive does not answer.
    """
    check_offline(parts.isolation)
    with parts.database.reading.connect() as connection:
        if experiment is None:
            names = experiment_names(connection)
        else:
            find_experiment(connection, experiment)
            names = [experiment]
    done: list[ProvedJob] = []
    with locked(parts.folder) as is_mine:
        if not is_mine:
            return None
        for name in names:
            done += _prove_experiment(parts, budgets.get(name, standard), name, report)
    return done


def next_to_prove(
    connection: Connection, experiment: str, budget: ProofBudget, *, limit: int
) -> list[Candidate]:
    """Return the jobs of an experiment whose recipes are to be rerun next, in order.

    Raises:
        NotFoundError: no such experiment is recorded.
    """
    key = find_experiment(connection, experiment)
    before = datetime.now(UTC) - budget.again_after
    return recipes_to_prove(connection, key, before=before, limit=limit)


def proved(candidate: Candidate, trial: Trial, verdict: PostedVerdict) -> ProvedJob:
    """Return the outcome of a rerun as commands report it."""
    proof = proof_of(verdict.document())
    state, message = (UNPROVEN, None) if proof is None else proof
    return ProvedJob(
        job_id=candidate.job_id,
        experiment=candidate.experiment,
        recipe_id=recipe_name(candidate.recipe),
        state=STATES[state],
        message=message,
        level=verdict.level,
        seconds=trial.seconds,
        cpu_seconds=trial.cpu_seconds,
    )


def recipe_name(key: bytes) -> str | None:
    """Return a recipe's id; None for the key of a job without one."""
    return None if job_of_key(bytes(key)) else recipe_text(bytes(key))


def _prove_experiment(
    parts: TrialParts,
    budget: ProofBudget,
    experiment: str,
    report: Callable[[ProvedJob], None],
) -> list[ProvedJob]:
    """Rerun recipes of one experiment until its budget is used up."""
    began, cpu_seconds = time.monotonic(), 0.0
    with parts.database.reading.connect() as connection:
        candidates = next_to_prove(connection, experiment, budget, limit=budget.jobs)
    place = Workplace(parts.folder, parts.isolation, budget.of_rerun(), "prove", budget.input_dirs)
    done: list[ProvedJob] = []
    for candidate in candidates:
        if time.monotonic() - began >= budget.seconds or cpu_seconds >= budget.cpu_seconds:
            break
        trial = try_recorded(parts, place, candidate)
        verdict = verdict_of(trial, place.by)
        record_trial(parts, candidate, verdict)
        cpu_seconds += trial.cpu_seconds
        done.append(proved(candidate, trial, verdict))
        report(done[-1])
    return done
