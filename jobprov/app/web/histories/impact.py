"""The page of what is touched by a commit, a parameter's value, a host or a file."""

from typing import NamedTuple

from flask import Response

from jobprov.app.web.frame.cuts import address
from jobprov.app.web.frame.formats import counted
from jobprov.app.web.frame.page import (
    answer,
    asked,
    asked_file,
    asked_flag,
    first_page,
    next_page,
    pages,
)
from jobprov.app.web.lookup.jobs import asked_filters, asked_words
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.histories.impact import Impact
from jobprov.provenance.services.code.commit_ranges import resolve_range
from jobprov.provenance.services.histories.impact import find_impact
from jobprov.provenance.services.histories.sentences import impact_sentence
from jobprov.provenance.services.lookup.named_filters import name_file

_FILTERS = (
    "experiment", "campaign", "stage", "task_id", "state", "site", "host", "software", "revision",
    "reads", "file_experiment", "checksum", "parameter", "value", "variable", "seed", "started_after",
    "started_before",
)  # fmt: skip
_OF_A_FILE = {"experiment", "reads", "file_experiment", "namespace", "checksum"}
_ROWS = 100


class ImpactQuestion(NamedTuple):
    """Which jobs the address asks about, and how far what they made is followed.

    Attributes:
        filters: those that the address sets, by name.
        is_direct: only what these jobs made themselves.
    """

    filters: dict[str, str]
    is_direct: bool

    @property
    def is_of_file(self) -> bool:
        """Whether the address asks about one file and nothing else."""
        return "reads" in self.filters and self.filters.keys() <= _OF_A_FILE

    def query(self) -> dict[str, str]:
        """Return the parameters that ask the same over HTTP."""
        return {**self.filters, "direct": "true" if self.is_direct else ""}


def _asked_question() -> ImpactQuestion:
    filters = asked_words(_FILTERS)
    # So addresses of 0.1.0 name the file
    if (file := asked("file")) is not None:
        filters.setdefault("reads", file)
    namespace = asked_file()["namespace"]
    if "reads" in filters and namespace is not None:
        filters["namespace"] = namespace
    return ImpactQuestion(filters, asked_flag("direct"))


@pages.get("/impact", endpoint="impact")
def show_impact() -> Response:
    """Show what some jobs made and all that was made from it.

    Where the address names no jobs, show a form.
    """
    question = _asked_question()
    query = question.query()
    impact, twin, following = None, None, None
    if question.filters:
        impact = _ask(question)
        twin = address("/lineage/impact", query)
        following = next_page(impact.next)
    return answer(
        "histories/impact.html",
        twin=twin,
        csv=address("/api/v1/lineage/impact", {**query, "format": "csv"}),
        question=question,
        filters={**dict.fromkeys(_FILTERS, ""), **question.filters},
        impact=impact,
        first_line=_first_line(question, impact),
        first_page=first_page(),
        next_page=following,
    )


def _ask(question: ImpactQuestion) -> Impact:
    service = get_service()
    with service.reading() as connection:
        jobs = asked_filters((*_FILTERS, "namespace"))
        # Jobs that read the file: the one that made it made others beside it
        jobs = name_file(connection, jobs._replace(reads=question.filters.get("reads")))
        jobs = resolve_range(connection, jobs, service.settings.git_mirrors)
        return find_impact(
            connection, jobs, is_direct=question.is_direct, limit=_ROWS, cursor=asked("cursor")
        )


def _first_line(question: ImpactQuestion, impact: Impact | None) -> str:
    if impact is None:
        return (
            "Which files were made with a commit, a parameter's value or a seed, on a host or from a "
            "file, and what was made from these?"
        )
    if impact.made is None or impact.touched is None or impact.touched_jobs is None:
        jobs = counted(impact.jobs, "job")
        return f"{jobs}: too many to follow what was made from their files. Narrow them down."
    if question.is_of_file:
        return impact_sentence(impact, is_direct=question.is_direct)
    if not impact.jobs:
        return "No job matches, or a name is not spelt as it is recorded."
    sentence = f"{counted(impact.jobs, 'job')} made {counted(impact.made, 'file')}"
    if impact.touched > impact.made:
        files, jobs = counted(impact.touched, "file"), counted(impact.touched_jobs, "job")
        sentence += f"; {files} of {jobs} are touched in all"
    return sentence + "."
