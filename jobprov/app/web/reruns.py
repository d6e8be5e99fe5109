"""The page of proofs: how campaigns stand, which recipes failed, and what would accept them."""

from flask import Response

from jobprov.app.kept_answers import read_answer
from jobprov.app.web.frame.cuts import address, cut_rows
from jobprov.app.web.frame.page import answer, experiment_asked, pages
from jobprov.provenance.answers.reruns.proofs import ProofCounts, ProofList
from jobprov.provenance.lineage.words import proof_line
from jobprov.provenance.services.kept_answers.counting import PROOFS

_CAMPAIGNS = 40
_RECIPES = 25


@pages.get("/proofs", endpoint="proofs")
def show_page() -> Response:
    """Show which recipes came out as recorded when they were rerun."""
    experiment = experiment_asked()
    query = {} if experiment is None else {"experiment": experiment}
    listed = read_answer(PROOFS, **query)
    proof = _all_together(listed)
    return answer(
        "reruns/proofs.html",
        twin=address("/proofs", query),
        listed=listed,
        experiment=experiment,
        first_line=proof_line(proof),
        was_rerun=bool(proof.proven or proof.failed or proof.differs),
        campaigns=cut_rows("campaigns", listed.campaigns, _CAMPAIGNS),
        recipes=cut_rows("recipes", listed.recipes, _RECIPES),
    )


def _all_together(listed: ProofList) -> ProofCounts:
    """Return how the jobs of all campaigns together stand."""
    sums = [0, 0, 0, 0]
    for campaign in listed.campaigns:
        proof = campaign.proof
        counts = (proof.proven, proof.failed, proof.differs, proof.unproven)
        sums = [total + count for total, count in zip(sums, counts, strict=True)]
    return ProofCounts(*sums)
