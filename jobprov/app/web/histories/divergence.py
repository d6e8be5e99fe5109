"""The page of where the histories of two files part.

It also shows what differs there, and files to compare with.
"""

from typing import NamedTuple

from flask import Response

from jobprov.app.web.comparisons import shown_row
from jobprov.app.web.frame.cuts import address
from jobprov.app.web.frame.formats import counted
from jobprov.app.web.frame.page import answer, asked, asked_pair, pages
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.addresses import difference_page
from jobprov.provenance.answers.comparisons.jobs import Difference, JobComparison
from jobprov.provenance.answers.histories.divergence import Divergence
from jobprov.provenance.services.comparisons.jobs import compare_jobs
from jobprov.provenance.services.histories.divergence import (
    AlikeFiles,
    find_alike_files,
    find_divergence,
)

_MOST_PARAMETERS = 12


class PairQuestion(NamedTuple):
    """The two files that the address asks about, and their experiments."""

    a: str | None
    b: str | None
    experiments: dict[str, str | None]

    @property
    def first(self) -> str | None:
        """The file that the address names where it names only one."""
        return self.a or self.b

    @property
    def experiment(self) -> str | None:
        """The experiment of that file."""
        of_one = "experiment_a" if self.a is not None else "experiment_b"
        return self.experiments[of_one] or self.experiments["experiment"]

    def swapped(self) -> dict[str, str | None]:
        """Return the query that asks the same the other way round."""
        return {
            "a": self.b,
            "b": self.a,
            "experiment": self.experiments["experiment"],
            "experiment_a": self.experiments["experiment_b"],
            "experiment_b": self.experiments["experiment_a"],
        }


@pages.get("/diverge", endpoint="diverge")
def show_page() -> Response:
    """Show where the histories of two files part; ask for files that the address does not name."""
    question = PairQuestion(asked("a"), asked("b"), asked_pair())
    if question.a is None or question.b is None:
        return _ask_for_files(question)
    service = get_service()
    compared: JobComparison | None = None
    with service.reading() as connection:
        divergence = find_divergence(connection, question.a, question.b, **question.experiments)
        if divergence.a and divergence.b:
            job_ids = divergence.a.job_id, divergence.b.job_id
            compared = compare_jobs(
                connection, service.store, *job_ids, deciding=service.physics_variables
            )
    query = {"a": question.a, "b": question.b, **question.experiments}
    parameters = _parameters(compared)
    return answer(
        "histories/diverge.html",
        twin=address("/lineage/diverge", query),
        names=(question.a, question.b),
        experiments=question.experiments,
        first_line=divergence_sentence(divergence, compared),
        divergence=divergence,
        parameters=parameters.rows[:_MOST_PARAMETERS],
        parameter_count=parameters.total,
        shown=shown_row,
        swapped=address("/diverge", question.swapped()),
        diff=_diff_address(divergence),
        alike=[],
    )


def _ask_for_files(question: PairQuestion) -> Response:
    """Ask for one file or two, and offer some."""
    first_line = "Where do the histories of two files part?"
    alike: list[AlikeFiles] = []
    if question.first is not None:
        first_line = "With which other file?"
        with get_service().reading() as connection:
            alike = find_alike_files(connection, question.first, experiment=question.experiment)
    return answer(
        "histories/diverge.html",
        names=(question.first, None),
        experiments={
            "experiment": question.experiment,
            "experiment_a": None,
            "experiment_b": None,
        },
        first_line=first_line,
        divergence=None,
        parameters=[],
        swapped=None,
        alike=alike,
    )


def divergence_sentence(divergence: Divergence, compared: JobComparison | None) -> str:
    """Return where two histories part, in words."""
    common = "no job made both"
    if divergence.common_jobs:
        common = f"{counted(divergence.common_jobs, 'job')} made both"
    if not divergence.a and not divergence.b:
        return f"They part nowhere: {common}, and the others have the same recipes."
    stage = "in a stage that no record names"
    if divergence.stage:
        stage = f"in stage {divergence.stage}"
    if compared is None:
        having, lacking = ("first", "second") if divergence.a else ("second", "first")
        return (
            f"They part {stage}: only the {having} has a job there, the {lacking} has none; "
            f"{common}."
        )
    return f"They part {stage}; {common}. {compared.first_line}"


class ParameterDifferences(NamedTuple):
    """Parameters that differ, and how many they are; there may be more than are listed."""

    rows: list[Difference]
    total: int


def _parameters(compared: JobComparison | None) -> ParameterDifferences:
    """Return what differs in the configurations of the two jobs."""
    for facet in compared.facets if compared else ():
        if facet.name == "configuration":
            return ParameterDifferences(facet.differences, facet.count)
    return ParameterDifferences([], 0)


def _diff_address(divergence: Divergence) -> str | None:
    if not (divergence.a and divergence.b):
        return None
    return difference_page(divergence.a.job_id, divergence.b.job_id)
