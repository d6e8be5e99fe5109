"""The pages of catalogs: where a task and its catalog differ, what is late, where a file is now."""

from typing import NamedTuple, Self
from urllib.parse import quote

from flask import Response

from jobprov.app.web.frame.cuts import Cut, address, cut_rows
from jobprov.app.web.frame.formats import counted, day
from jobprov.app.web.frame.page import (
    answer,
    answer_rows,
    asked,
    asked_file,
    asked_number,
    experiment_asked,
    first_page,
    here,
    next_page,
    pages,
)
from jobprov.app.wiring import Service, get_service
from jobprov.provenance.answers.addresses import task_call, with_query
from jobprov.provenance.answers.catalogs.arrivals import Arrivals
from jobprov.provenance.answers.catalogs.differences import CatalogComparison, CatalogDifference
from jobprov.provenance.answers.catalogs.replicas import LocatedFile, LocatedFiles, Replica
from jobprov.provenance.catalogs.opening import Catalogs
from jobprov.provenance.db.queries.tasks.tasks import FoundTask
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.lineage.words import units_of
from jobprov.provenance.services.catalogs.arrivals import (
    MOST_DAYS,
    arrivals_sentence,
    hours_to_arrive,
    list_arrivals,
)
from jobprov.provenance.services.catalogs.differences import LATE_AFTER_HOURS, compare_catalog
from jobprov.provenance.services.catalogs.draining import FORMS, list_draining
from jobprov.provenance.services.catalogs.replicas import (
    PATIENCE,
    can_locate,
    locate_files,
    names_of_copies,
)
from jobprov.provenance.services.experiments import only_experiment
from jobprov.provenance.services.lookup.file import find_file, show_found
from jobprov.provenance.services.tasks.tasks import find_task

_FILES, _UNITS = 20, 30
_MOST_HOURS = 100_000
_FORM_WORDS = {
    "plain": "as a plain list",
    "did": "as namespace:name",
    "mql": "as a query of MetaCat",
    "sam": "as a SAM dimension",
}
_LATE_ROWS = 50


class Question(NamedTuple):
    """Which task the page is about; `experiment` is None where the address does not name it.

    Attributes:
        late_after_hours: an output that is not in the catalog so long after its job never arrived;
            None for the hours of the experiment.
    """

    task_id: str
    experiment: str | None
    late_after_hours: int | None

    @classmethod
    def from_request(cls) -> Self:
        """Return the question in the address.

        Raises:
            BadInputError: it names no task.
        """
        task_id = asked("task_id")
        if task_id is None:
            raise BadInputError("task_id: name a task.", {"task_id": ["missing"]})
        hours = asked_number("late_after_hours", least=0, most=_MOST_HOURS)
        return cls(task_id, experiment_asked(), hours)


class ShownDifference(NamedTuple):
    """Files that differ in one way, and as many rows of them as the page shows."""

    difference: CatalogDifference
    files: Cut


@pages.get("/catalog", endpoint="catalog")
def show_differences() -> Response:
    """Show where the jobs of a task and its catalog differ."""
    question, service = Question.from_request(), get_service()
    catalogs = service.catalogs()
    draining = []
    with service.reading() as connection:
        task = find_task(connection, question.task_id, experiment=question.experiment)
        hours = question.late_after_hours
        if hours is None:
            hours = hours_to_arrive(catalogs, task.experiment, unset=LATE_AFTER_HOURS)
        comparison = compare_catalog(
            connection, service.store, task, catalogs=catalogs, late_after_hours=hours
        )
        if comparison.synced_at is not None and comparison.units.without:
            draining = list_draining(connection, service.store, task)

    return answer(
        "catalogs/differences.html",
        twin=_twin(task, question),
        late_after_hours=hours,
        later=here(late_after_hours=str(max(1, 4 * hours))),
        task=task,
        comparison=comparison,
        first_line=first_line(comparison),
        differences=_shown(comparison.differences),
        silent=cut_rows("silent", comparison.silent, _UNITS),
        draining=cut_rows("draining", draining, _UNITS),
        draining_links=_draining_links(catalogs, task),
    )


def _draining_links(catalogs: Catalogs, task: FoundTask) -> dict[str, str]:
    """Return the addresses of the draining list by their words, in the forms of the catalog."""
    settings = catalogs.get(task.experiment)
    forms = ["plain", *FORMS[settings.kind if settings else "sam"]]
    links = {}
    for form in forms:
        query = {"experiment": task.experiment, "format": form}
        links[_FORM_WORDS[form]] = f"/api/v1{task_call(task.task_id, '/draining', query)}"
    return links


def catalog_kind(service: Service, experiment: str) -> str | None:
    """Return `sam` or `metacat`; None where an experiment has no catalog that can be asked.

    The pages of tasks stay there while the operator's file of catalogs is wrong.
    """
    try:
        settings = service.catalogs().get(experiment)
    except BadInputError:
        return None
    return settings.kind if settings else None


def _twin(task: FoundTask, question: Question) -> str:
    """Return the address of the same as JSON, below /api/v1."""
    query = {"experiment": task.experiment}
    if question.late_after_hours is not None:
        query["late_after_hours"] = str(question.late_after_hours)
    return task_call(task.task_id, "/catalog", query)


def _shown(differences: list[CatalogDifference]) -> list[ShownDifference]:
    shown = []
    for difference in differences:
        files = cut_rows(difference.kind, difference.files, _FILES)
        shown.append(ShownDifference(difference, files))
    return shown


def first_line(comparison: CatalogComparison) -> str:
    """Return in a sentence how far jobs and catalog agree."""
    if comparison.synced_at is None:
        why = (comparison.not_compared or "").replace("`", "")
        return f"Not compared with its catalog yet. {why}"
    units = comparison.units
    known = units_of(units.in_catalog, units.expected)
    differences = sum(difference.count for difference in comparison.differences)
    verdict = counted(differences, "difference") if differences else "jobs and catalog agree"
    return (
        f"The catalog knows the outputs of {known}; {verdict}, as of {day(comparison.synced_at)}."
    )


class ArrivalsPage(NamedTuple):
    """What the page of arrivals shows.

    Attributes:
        late_count: of all days shown; the list may go on elsewhere.
        first_page: where the list begins; None on its first page.
    """

    twin: str
    first_line: str
    arrivals: Arrivals
    late_count: int
    days: int
    first_page: str | None
    next_page: str | None


@pages.get("/arrivals", endpoint="arrivals")
def show_arrivals() -> Response:
    """Show what was written, a day each, and what did not arrive in time."""
    days = asked_number("days", least=1, most=MOST_DAYS) or 7
    hours = asked_number("hours", least=0, most=_MOST_HOURS)
    cursor = asked("cursor")
    service = get_service()
    with service.reading() as connection:
        experiment = experiment_asked() or only_experiment(connection)
    query = {"experiment": experiment, "days": str(days)}
    if hours is not None:
        query["hours"] = str(hours)

    def page_of(rows: int) -> ArrivalsPage:
        with service.reading() as connection:
            arrivals = list_arrivals(
                connection,
                experiment,
                catalogs=service.catalogs(),
                days=days,
                hours=hours,
                limit=rows,
                cursor=cursor,
            )
        return ArrivalsPage(
            twin=address("/arrivals", query),
            first_line=arrivals_sentence(arrivals),
            arrivals=arrivals,
            late_count=sum(day.late for day in arrivals.days),
            days=days,
            first_page=first_page(),
            next_page=next_page(arrivals.next),
        )

    return answer_rows("catalogs/arrivals.html", _LATE_ROWS, page_of)


class CopyRow(NamedTuple):
    """A copy of a file under one of its names, as a catalog has it."""

    file: LocatedFile
    replica: Replica


@pages.get("/replicas/<path:name>", endpoint="replicas")
def show_replicas(name: str) -> Response:
    """Show where a file is now."""
    service = get_service()
    catalogs = service.catalogs()
    with service.reading() as connection:
        shown = show_found(connection, find_file(connection, name, **asked_file()))
        names = names_of_copies(connection, service.store, shown)
    located = locate_files(names, catalogs, shown.file.experiment, patience=PATIENCE)
    rows = []
    for file in located.files:
        rows += [CopyRow(file, replica) for replica in file.replicas]
    place = {"experiment": shown.file.experiment, "namespace": shown.file.namespace}
    path = f"/files/{quote(shown.file.name, safe='')}/replicas"
    return answer(
        "catalogs/replicas.html",
        twin=with_query(path, place),
        file=shown.file,
        first_line=replicas_sentence(located, can_ask=can_locate(catalogs, shown.file.experiment)),
        problem=located.problem,
        copies=cut_rows("copies", rows, _FILES),
        recorded=cut_rows("recorded", shown.locations, _FILES),
    )


def replicas_sentence(located: LocatedFiles, *, can_ask: bool) -> str:
    """Return how many copies the catalog knows, in words."""
    if not can_ask:
        return (
            "No catalog is set up here that knows where this experiment's files are: an operator "
            "names its Rucio or SAM in the file of JOBPROV_CATALOGS."
        )
    count = sum(len(file.replicas) for file in located.files)
    if count == 0 and located.problem is None:
        return "The catalog knows no copy of this file."
    copies = counted(count, "copy", "copies")
    on_tape = 0
    for file in located.files:
        on_tape += len([copy for copy in file.replicas if copy.medium == "tape"])
    if on_tape == count and count:
        return f"{copies}, on tape only: to be staged before it can be read."
    return f"{copies} found just now."
