"""Which recipes did not pass when they were rerun, how campaigns stand, and what is rerun next."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from jobprov.provenance.answers.addresses import job_page
from jobprov.provenance.answers.reruns.proofs import (
    CampaignProofs,
    JobsToProve,
    JobToProve,
    NotProvenRecipe,
    ProofList,
)
from jobprov.provenance.bundle.comparison.comparators import OutputRule
from jobprov.provenance.db.queries.reruns.proofs import (
    NotProven,
    count_by_campaign,
    list_not_proven,
)
from jobprov.provenance.records.proofs import STATES
from jobprov.provenance.services.lookup.gaps import proof_counts
from jobprov.provenance.services.reruns.proof_budgets import ProofBudget
from jobprov.provenance.services.reruns.proving import next_to_prove, recipe_name
from jobprov.provenance.times import exact_utc_text

MOST_RECIPES = 100
MOST_NEXT = 100


def list_proofs(connection: Connection, *, experiment: str | None = None) -> ProofList:
    """Return the state of the recipes of campaigns, and the recipes that did not pass."""
    campaigns = []
    for (name, campaign), counts in sorted(count_by_campaign(connection, experiment).items()):
        campaigns.append(CampaignProofs(name, campaign, proof_counts(counts)))
    rows = list_not_proven(connection, experiment=experiment, limit=MOST_RECIPES)
    return ProofList(campaigns, [_recipe(row) for row in rows])


def list_next(connection: Connection, experiment: str, *, limit: int = MOST_NEXT) -> JobsToProve:
    """Return the jobs of an experiment whose recipes are to be rerun next, in order.

    Raises:
        NotFoundError: no such experiment is recorded.
    """
    jobs = []
    for candidate in next_to_prove(connection, experiment, ProofBudget(), limit=limit):
        job = JobToProve(
            candidate.job_id,
            candidate.experiment,
            recipe_name(candidate.recipe),
            is_again=candidate.drilled_at is not None,
        )
        jobs.append(job)
    return JobsToProve(jobs)


def comparator_lines(verdict: Mapping[str, Any]) -> str | None:
    """Return the rules that a verdict offers as lines of TOML; None where it offers none."""
    offers = verdict.get("offers")
    if not isinstance(offers, list) or not offers:
        return None
    return "\n\n".join(_rule_lines(offer) for offer in offers if isinstance(offer, Mapping))


def _rule_lines(rule: Mapping[str, Any]) -> str:
    lines = ["[[output]]"]
    for name in OutputRule.__struct_fields__:
        if name not in rule:
            continue
        # What JSON writes of a text, a number or a list of texts is TOML as well
        lines.append(f"{name} = {_visible(json.dumps(rule[name], ensure_ascii=False))}")
    return "\n".join(lines)


def _visible(text: str) -> str:
    """Return TOML in which no letter changes how others look."""
    letters = []
    for letter in text:
        if letter.isprintable():
            letters.append(letter)
        else:
            letters.append(f"\\U{ord(letter):08x}")
    return "".join(letters)


def _recipe(row: NotProven) -> NotProvenRecipe:
    return NotProvenRecipe(
        experiment=row.experiment,
        recipe_id=recipe_name(row.recipe),
        state=STATES[row.state],
        message=row.message,
        proved_at=exact_utc_text(row.proved_at),
        job_count=row.jobs,
        job_id=row.job_id,
        comparators=comparator_lines(json.loads(row.document)),
        url=job_page(row.job_id),
    )


def total_jobs(campaigns: Sequence[CampaignProofs]) -> int:
    """Return how many jobs of these campaigns are over."""
    total = 0
    for campaign in campaigns:
        proof = campaign.proof
        total += proof.proven + proof.failed + proof.differs + proof.unproven
    return total
