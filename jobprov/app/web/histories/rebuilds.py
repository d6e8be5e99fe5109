"""The page of the plan that makes a lost file again."""

from typing import NamedTuple

from flask import Response

from jobprov.app.web.frame.cuts import cut_rows
from jobprov.app.web.frame.formats import counted, duration
from jobprov.app.web.frame.page import answer, asked, asked_file, asked_flag, here, pages
from jobprov.app.web.histories.question import place_of, twin_of
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.addresses import history_page, with_query
from jobprov.provenance.answers.catalogs.replicas import LocatedFiles, Replica
from jobprov.provenance.answers.histories.rebuilds import RebuildPlan
from jobprov.provenance.answers.names import FileName
from jobprov.provenance.services.catalogs.replicas import PATIENCE
from jobprov.provenance.services.histories.rebuilds import listed_files, locate_needs, plan_rebuild

_MOST_JOBS = 60
_MOST_FILES = 40


class NeededFile(NamedTuple):
    """A file that is taken as it is, and the address of the plan without it.

    Attributes:
        replicas: its copies, as a catalog says; None where none was asked.
    """

    file: FileName
    lost_too: str
    replicas: list[Replica] | None


@pages.get("/rebuild/<path:name>", endpoint="rebuild")
def show_plan(name: str) -> Response:
    """Show which jobs make a file again."""
    from_scratch = asked_flag("from_scratch")
    service = get_service()
    with service.reading() as connection:
        lost = listed_files(connection, asked("lost") or "")
        plan = plan_rebuild(
            connection, service.store, name, **asked_file(), lost=lost, from_scratch=from_scratch
        )
    located: LocatedFiles | None = None
    if asked_flag("locate"):
        located = locate_needs(plan, service.catalogs(), patience=PATIENCE)
    file = plan.file
    path = history_page("rebuild", file.name)
    place = place_of(file)
    twin_query = {**place, "from_scratch": "", "lost": ",".join(lost)}
    if from_scratch:
        twin_query["from_scratch"] = "true"
    needs = _needed_files(plan, located, path, lost)
    return answer(
        "histories/rebuild.html",
        twin=twin_of(file, "/rebuild", twin_query),
        plan=plan,
        lost=[_briefly(lost_name, file.experiment) for lost_name in lost],
        from_scratch=from_scratch,
        first_line=plan_sentence(plan),
        jobs=cut_rows("jobs", plan.jobs, _MOST_JOBS),
        needs=cut_rows("needs", needs, _MOST_FILES),
        beyond=cut_rows("beyond", plan.beyond, _MOST_FILES),
        problem=None if located is None else located.problem,
        locate=here(locate="1") if located is None else None,
        scratch=with_query(path, {**place, "from_scratch": "1"}),
        least=with_query(path, place),
    )


def _needed_files(
    plan: RebuildPlan, located: LocatedFiles | None, path: str, lost: list[str]
) -> list[NeededFile]:
    """Return the files that a plan takes as they are, with their copies if these were located."""
    copies: dict[tuple[str, str, str], list[Replica]] = {}
    if located is not None:
        for file in located.files:
            copies[file.experiment, file.namespace, file.name] = file.replicas
    place = place_of(plan.file)
    needed = []
    for need in plan.needs:
        # its name alone would take files of other experiments as lost too
        full_name = f"{need.experiment}/{need.namespace}:{need.name}"
        lost_too = with_query(path, {**place, "lost": ",".join([*lost, full_name])})
        replicas = None
        if located is not None:
            replicas = copies.get((need.experiment, need.namespace, need.name), [])
        needed.append(NeededFile(need, lost_too, replicas))
    return needed


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
