"""The pages of impact and of rebuild plans.

What is touched by something, and what makes a lost file again.
"""

from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response

from jobprov.app.web.frame.cuts import address, cut_rows
from jobprov.app.web.frame.formats import counted, duration
from jobprov.app.web.frame.page import answer, asked, asked_file, asked_flag, here
from jobprov.app.web.lookup.jobs import asked_filters
from jobprov.app.wiring import get_service
from jobprov.provenance.lineage.sentences import impact_words
from jobprov.provenance.services.code.commit_ranges import resolve_range
from jobprov.provenance.services.histories.impact import find_impact
from jobprov.provenance.services.histories.rebuilds import listed_files, plan_rebuild
from jobprov.provenance.services.lookup.file_names import name_file

_FILTERS = (
    "experiment", "campaign", "stage", "task_id", "state", "site", "host", "software", "revision", "file", "file_experiment",
    "parameter", "value", "started_after", "started_before",
)  # fmt: skip
_OF_A_FILE = {"experiment", "file", "file_experiment", "namespace"}
_ROWS = 100


def add_routes(blueprint: Blueprint) -> None:
    """Put the pages on the blueprint."""
    blueprint.add_url_rule("/impact", view_func=show_impact, endpoint="impact")
    blueprint.add_url_rule("/rebuild/<path:name>", view_func=show_plan, endpoint="rebuild")


def show_impact() -> Response:
    """Show what the jobs of the address made, and all that was made from it.

    A form where the address names none.
    """
    filters = {name: value for name in _FILTERS if (value := asked(name))}
    if filters.get("file") and (namespace := asked_file()["namespace"]) is not None:
        filters["namespace"] = namespace
    found, is_direct = None, asked_flag("direct")
    if filters:
        with (service := get_service()).reading() as connection:
            jobs = name_file(connection, asked_filters((*_FILTERS, "namespace")))
            # what came of a file is asked of those that read it: who made it made others beside it
            jobs = jobs._replace(file_key=None, reads_key=jobs.file_key)
            chosen = resolve_range(connection, jobs, service.settings.git_mirrors)
            found = find_impact(
                connection, chosen, is_direct=is_direct, limit=_ROWS, cursor=asked("cursor")
            )
    of_file = "file" in filters and filters.keys() <= _OF_A_FILE
    query = {
        **filters,
        "reads": filters.get("file", ""),
        "file": "",
        "direct": "true" if is_direct else "",
    }
    return answer(
        "histories/impact.html",
        twin=address("/lineage/impact", query) if filters else None,
        csv=address("/api/v1/lineage/impact", {**query, "format": "csv"}),
        filters=filters,
        is_direct=is_direct,
        found=found,
        of_file=of_file,
        first_line=impact_line(found, of_file=of_file, is_direct=is_direct),
        next_page=here(cursor=found["next"]) if found and found["next"] else None,
        first_page=here(cursor=None) if asked("cursor") else None,
    )


def impact_line(
    found: dict[str, Any] | None, *, of_file: bool = False, is_direct: bool = False
) -> str:
    """Return how much is touched; `of_file` where nothing but a file was asked for."""
    if found is None:
        return "Which files were made with a commit, a parameter's value, on a host or from a file, and what was made from these?"
    if found["made"] is None:
        return f"{counted(found['jobs'], 'job')}: too many to follow what was made from their files. Narrow them down."
    if of_file:
        return impact_words(found, is_direct=is_direct)
    if not found["jobs"]:
        return "No job was found: none ran so, or a name is not spelt as it is recorded."
    made = f"{counted(found['jobs'], 'job')} made {counted(found['made'], 'file')}"
    more = f"; {counted(found['touched'], 'file')} of {counted(found['touched_jobs'], 'job')} are touched in all"
    return f"{made}{more if found['touched'] > found['made'] else ''}."


def show_plan(name: str) -> Response:
    """Show which jobs make a file again."""
    from_scratch = asked_flag("from_scratch")
    service = get_service()
    with service.reading() as connection:
        lost = listed_files(connection, asked("lost") or "")
        plan = plan_rebuild(
            connection, service.store, name, **asked_file(), lost=lost, from_scratch=from_scratch
        )
    file = plan["file"]
    place = {"experiment": file["experiment"], "namespace": file["namespace"]}
    path = f"/rebuild/{quote(file['name'], safe='')}"
    needs = [
        {**need, "lose": address(path, {**place, "lost": ",".join([*lost, _full_name(need)])})}
        for need in plan["needs"]
    ]
    return answer(
        "histories/rebuild.html",
        twin=address(
            f"/files/{quote(file['name'], safe='')}/rebuild",
            {**place, "lost": ",".join(lost), "from_scratch": "true" if from_scratch else ""},
        ),
        plan=plan,
        file=file,
        lost=[_briefly(name, file["experiment"]) for name in lost],
        from_scratch=from_scratch,
        first_line=plan_line(plan),
        jobs=cut_rows("jobs", plan["jobs"], 60),
        needs=cut_rows("needs", needs, 40),
        beyond=cut_rows("beyond", plan["beyond"], 40),
        scratch=address(path, {**place, "from_scratch": "1"}),
        least=address(path, place),
    )


def _full_name(file: dict[str, str]) -> str:
    """Return a file as `experiment/namespace:name`.

    Its name alone would take those of others as lost too.
    """
    return f"{file['experiment']}/{file['namespace']}:{file['name']}"


def _briefly(name: str, experiment: str) -> str:
    """Return a file that is taken as lost without what goes without saying on a page of this experiment."""
    return name.removeprefix(f"{experiment}/").removeprefix(":")


def plan_line(plan: dict[str, Any]) -> str:
    """Return what it takes to make the file again."""
    if plan["circle"] and not plan["beyond"]:
        return f"It cannot be made again. {plan['why']}"
    if not plan["is_possible"]:
        return f"It cannot be made again: no recorded job made {counted(len(plan['beyond']), 'file')} that it takes."
    seconds = plan["resources"]["wall_seconds"]
    took = (
        f"; the first time {'it' if len(plan['jobs']) == 1 else 'they'} took {duration(seconds)}"
        if seconds
        else ""
    )
    return f"{counted(len(plan['jobs']), 'job')}, from {counted(len(plan['needs']), 'file')} that must be there{took}."
