"""The page of what a file cost: the sums in its first line, then by stage."""

from flask import Response

from jobprov.app.web.frame.cuts import cut_rows
from jobprov.app.web.frame.formats import counted, duration
from jobprov.app.web.frame.page import answer, pages
from jobprov.app.web.histories.question import asked_question, query_of, twin_of, version_sentence
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.addresses import history_page
from jobprov.provenance.answers.histories.costs import CostSum, FileCost
from jobprov.provenance.services.histories.costs import sum_costs

_MOST_STAGES = 60


@pages.get("/cost/<path:name>", endpoint="cost")
def show_cost(name: str) -> Response:
    """Show what it took to make a file."""
    question = asked_question()
    with get_service().reading() as connection:
        cost = sum_costs(connection, name, **question._asdict())
    file = cost.file
    return answer(
        "histories/cost.html",
        twin=twin_of(file, "/cost", query_of(file)),
        first_line=cost_sentence(cost) + version_sentence(cost.version, cost.versions),
        cost=cost,
        stages=cut_rows("stages", cost.stages, _MOST_STAGES),
        lineage=history_page("lineage", file.name, file.experiment, file.namespace),
    )


def cost_sentence(cost: FileCost) -> str:
    """Return what a file cost, in words."""
    made, failed = cost.made, cost.failed
    if not made.jobs:
        return "No recorded job made this file, so its cost is unknown."

    sentence = counted(made.jobs, "job")
    taken = _time(made)
    sentence += f" took {taken}" if taken else "; no record says what they took"

    if not failed.jobs:
        return sentence + "; no attempt failed."
    sentence += f"; {counted(failed.jobs, 'attempt')} failed"
    if wasted := _time(failed):
        sentence += f" and took another {wasted}"
    return sentence + "."


def _time(jobs: CostSum) -> str | None:
    """Return the CPU time, or where no record says it the wall time, with its kind."""
    if jobs.cpu_seconds is not None:
        return f"{duration(jobs.cpu_seconds)} of CPU"
    if jobs.wall_seconds is not None:
        return f"{duration(jobs.wall_seconds)} of wall time"
    return None
