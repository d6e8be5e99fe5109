"""The page of the plan that makes a lost file again."""

from typing import NamedTuple

from flask import Blueprint, Response

from jobprov.app.web.frame.cuts import cut_rows
from jobprov.app.web.frame.formats import counted, duration
from jobprov.app.web.frame.page import answer, asked, asked_file, asked_flag
from jobprov.app.web.histories.question import place_of, twin_of
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.addresses import history_page, with_query
from jobprov.provenance.answers.histories import RebuildPlan
from jobprov.provenance.answers.names import FileName
from jobprov.provenance.services.histories.rebuilds import listed_files, plan_rebuild

_MOST_JOBS = 60
_MOST_FILES = 40


def add_routes(blueprint: Blueprint) -> None:
    """Put the page on the blueprint."""
    blueprint.add_url_rule("/rebuild/<path:name>", view_func=show_plan, endpoint="rebuild")


class NeededFile(NamedTuple):
    """A file that is taken as it is, and the address of the plan without it."""

    file: FileName
    lost_too: str


def show_plan(name: str) -> Response:
    """Show which jobs make a file again."""
    from_scratch = asked_flag("from_scratch")
    service = get_service()
    with service.reading() as connection:
        lost = listed_files(connection, asked("lost") or "")
        plan = plan_rebuild(
            connection, service.store, name, **asked_file(), lost=lost, from_scratch=from_scratch
        )
    file = plan.file
    place, path = place_of(file), history_page("rebuild", file.name)
    needs = [_needed(path, place, lost, need) for need in plan.needs]
    scratch_query = {**place, "from_scratch": "true" if from_scratch else ""}
    return answer(
        "histories/rebuild.html",
        twin=twin_of(file, "/rebuild", {**scratch_query, "lost": ",".join(lost)}),
        plan=plan,
        lost=[_briefly(lost_name, file.experiment) for lost_name in lost],
        from_scratch=from_scratch,
        first_line=plan_sentence(plan),
        jobs=cut_rows("jobs", plan.jobs, _MOST_JOBS),
        needs=cut_rows("needs", needs, _MOST_FILES),
        beyond=cut_rows("beyond", plan.beyond, _MOST_FILES),
        scratch=with_query(path, {**place, "from_scratch": "1"}),
        least=with_query(path, place),
    )


def _needed(path: str, place: dict[str, str], lost: list[str], file: FileName) -> NeededFile:
    # its name alone would take files of other experiments as lost too
    full_name = f"{file.experiment}/{file.namespace}:{file.name}"
    return NeededFile(file, with_query(path, {**place, "lost": ",".join([*lost, full_name])}))


def _briefly(name: str, experiment: str) -> str:
    """Return the name of a lost file, short on a page of the same experiment."""
    return name.removeprefix(f"{experiment}/").removeprefix(":")


def plan_sentence(plan: RebuildPlan) -> str:
    """Return what it takes to make the file again, in words."""
    if plan.circle and not plan.beyond:
        return f"It cannot be made again. {plan.why}"
    if not plan.is_possible:
        files = counted(len(plan.beyond), "file")
        return f"It cannot be made again: no recorded job made {files} that it takes."
    jobs, files = counted(len(plan.jobs), "job"), counted(len(plan.needs), "file")
    sentence = f"{jobs}, from {files} that must still exist"
    if seconds := plan.resources.wall_seconds:
        subject = "it" if len(plan.jobs) == 1 else "they"
        sentence += f"; the first time {subject} took {duration(seconds)}"
    return sentence + "."
