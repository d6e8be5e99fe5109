"""The page of two files: where their histories part, what differs there, and which other file one would put beside a file."""

from typing import Any

from flask import Blueprint, Response

from jobprov.app.web.comparisons.jobs import shown_row
from jobprov.app.web.frame.cuts import address
from jobprov.app.web.frame.formats import counted
from jobprov.app.web.frame.page import answer, asked, asked_pair
from jobprov.app.wiring import get_service
from jobprov.provenance.services.comparisons.jobs import compare_jobs
from jobprov.provenance.services.histories.divergence import find_alike_files, find_divergence

_PARAMETERS = 12


def add_routes(blueprint: Blueprint) -> None:
    """Put the page on the blueprint."""
    blueprint.add_url_rule("/diverge", view_func=show_page, endpoint="diverge")


def show_page() -> Response:
    """Show where the histories of two files part; ask for what the address does not name."""
    before, after, experiments = asked("a"), asked("b"), asked_pair()
    if before is None or after is None:
        of = "experiment_a" if before is not None else "experiment_b"
        return _ask(before or after, experiments[of] or experiments["experiment"])
    service = get_service()
    with service.reading() as connection:
        found = find_divergence(connection, before, after, **experiments)
        jobs = found["a"], found["b"]
        compared = (
            compare_jobs(connection, service.store, jobs[0]["job_id"], jobs[1]["job_id"])
            if all(jobs)
            else None
        )
    configuration = _configuration(compared)
    return answer(
        "histories/diverge.html",
        twin=address("/lineage/diverge", {"a": before, "b": after, **experiments}),
        names=(before, after),
        found=found,
        first_line=first_line(found, compared),
        parameters=configuration["differences"][:_PARAMETERS],
        parameter_count=configuration["count"],
        shown=shown_row,
        swapped=address("/diverge", {"a": after, "b": before, **_swapped(experiments)}),
        diff=_diff_address(found),
        alike=[],
        experiments=experiments,
    )


def _swapped(experiments: dict[str, str | None]) -> dict[str, str | None]:
    a, b = experiments["experiment_a"], experiments["experiment_b"]
    return {**experiments, "experiment_a": b, "experiment_b": a}


def first_line(found: dict[str, Any], compared: dict[str, Any] | None) -> str:
    """Return where two histories part, in words."""
    common = (
        f"{counted(found['common_jobs'], 'job')} made both"
        if found["common_jobs"]
        else "no job made both"
    )
    if not found["a"] and not found["b"]:
        return f"They part nowhere: {common}, and the others are of the same recipes."
    stage = f"in stage {found['stage']}" if found["stage"] else "in a stage that no record names"
    if compared is None:
        return f"They part {stage}: only the {'first' if found['a'] else 'second'} has a job there that the other has not; {common}."
    return f"They part {stage}; {common}. {compared['first_line']}"


def _ask(name: str | None, experiment: str | None) -> Response:
    """Ask for one file or two, and offer some."""
    alike: list[dict[str, Any]] = []
    if name is not None:
        with get_service().reading() as connection:
            alike = find_alike_files(connection, name, experiment=experiment)["alike"]
    return answer(
        "histories/diverge.html",
        names=(name, None),
        first_line="Where do the histories of two files part?"
        if name is None
        else "With which other file?",
        alike=alike,
        experiments={"experiment": experiment},
    )


def _configuration(compared: dict[str, Any] | None) -> dict[str, Any]:
    """Return what differs in the configurations of the two jobs."""
    facets = compared["facets"] if compared else ()
    return next(
        (facet for facet in facets if facet["name"] == "configuration"),
        {"differences": [], "count": 0},
    )


def _diff_address(found: dict[str, Any]) -> str | None:
    if not (found["a"] and found["b"]):
        return None
    return address(f"/jobs/{found['a']['job_id']}/diff/{found['b']['job_id']}", {})
