"""The page of retries: units of a task that are not done, or a selection of jobs.

Their jobs are ordered for the agent, or shown as a resubmission by hand in one of three forms.
Units have boxes of their own to be waived, or waited for again; `tasks/tasks.py` does that.
"""

import math
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple, cast
from urllib.parse import quote

from flask import Response, redirect, request
from werkzeug.exceptions import Unauthorized

from jobprov.app.command_lines import command_line
from jobprov.app.web.frame.cuts import address, cut_rows
from jobprov.app.web.frame.formats import counted, number
from jobprov.app.web.frame.guard import form_grant, needs_token, who_decides
from jobprov.app.web.frame.page import (
    answer,
    asked,
    asked_number,
    come_back_to,
    filled_in,
    named_task,
    pages,
)
from jobprov.app.wiring import Connection, get_service
from jobprov.provenance.answers.lookup.jobs import Failure
from jobprov.provenance.answers.names import is_job_id
from jobprov.provenance.answers.orders.orders import (
    FailedJob,
    OutsideInput,
    Retry,
    RetryChoice,
    SkippedJob,
)
from jobprov.provenance.answers.tasks.tasks import OpenUnit
from jobprov.provenance.errors import BadInputError, NotFoundError
from jobprov.provenance.launchers.resubmitting import Destination, FileCommands
from jobprov.provenance.records.job_record import JsonObject
from jobprov.provenance.services.intake.tokens import Scope
from jobprov.provenance.services.orders.resubmission import FORMS, repeats_of, resubmission
from jobprov.provenance.services.orders.retries import (
    RetryBody,
    choose_retries,
    order_retries,
    read_retry,
)
from jobprov.provenance.services.orders.retry_choice import (
    Choice,
    show_choice,
    without_bare_submissions,
)
from jobprov.provenance.services.tasks.tasks import find_task
from jobprov.provenance.services.tasks.waivers import UnitsToDecide, units_to_decide

_ROWS = 80
_MOST = 1_000_000
_MOST_FACTOR = 10
_TEXT = 20_000
_MOST_SHOWN_JOBS = 150
"""Of a resubmission: an address has room for so many ids."""
_FIELDS = ("experiment", "task_id", "who", "why", "memory_factor")


class UndoneUnit(NamedTuple):
    """A row of the table of units.

    Attributes:
        unit: None for a job that names none.
        state: of the unit; of the job where only that is known.
        is_waivable: whether the task can go on without it.
        job: its last attempt; None where there is none to retry.
        failure: what the failure was; None where the job did not fail, or `reason` stands instead.
        reason: why the policy does not offer the job, or why the unit is in its state.
        is_selected: whether the box of the job is ticked at first.
        outside_inputs: inputs that a retry has to fetch, since the bundle lacks them.
    """

    unit: str | None
    state: str
    is_waivable: bool = False
    job: FailedJob | None = None
    failure: Failure | None = None
    reason: str | None = None
    is_selected: bool = False
    outside_inputs: Sequence[OutsideInput] = ()

    @property
    def lost_inputs(self) -> list[OutsideInput]:
        """Those without a recorded place: a retry cannot find them."""
        return [file for file in self.outside_inputs if not file.places]


class ChosenJobs(NamedTuple):
    """The selected jobs, with their resubmission as text where a form of it was asked for.

    Attributes:
        is_cut: the text is only the beginning.
        problem: why there is no text in this form.
    """

    choice: RetryChoice
    text: str = ""
    is_cut: bool = False
    problem: str | None = None


class Entered(NamedTuple):
    """What was ticked and typed in the form, to be shown again with the reason of a refusal.

    Attributes:
        jobs: those that were ticked; None before anybody did, where the policy's are.
    """

    jobs: Sequence[str] | None = None
    who: str = ""
    why: str = ""
    memory_factor: str = ""
    other_site: bool = False
    every: bool = False
    problem: str | None = None


class _Question(NamedTuple):
    """What the address asks for: the jobs of a task, a selection of jobs, or both."""

    experiment: str
    task_id: str | None
    jobs: list[str]
    form: str | None

    def query(self) -> dict[str, str]:
        """Return the query of the call that answers the same."""
        query = {"experiment": self.experiment, "task_id": self.task_id or ""}
        if self.jobs:
            query["jobs"] = ",".join(self.jobs)
        return query

    def command(self) -> str:
        """Return the command for these jobs, which an address holds a hundred or two of."""
        return command_line("retry", *self.jobs, experiment=self.experiment)


@pages.get("/retry", endpoint="retry")
def show_page() -> Response:
    """Show what of a task, or of a selection of jobs, would be retried."""
    question = _asked_question()
    return _page(question, Entered(jobs=question.jobs or None))


def _page(question: _Question, entered: Entered) -> Response:
    offered = _offered(question)
    chosen = _chosen(question)
    decidable = _decidable(question)
    rows = _rows(offered, decidable, entered.jobs)
    classes, short_count = {}, 0
    if offered is not None:
        classes = offered.by_class
        short_count = sum(retry.runs_out_again for retry in offered.tries)
    page = answer(
        "orders/retry.html",
        twin=address("/retries", question.query()),
        experiment=question.experiment,
        task_id=question.task_id,
        entered=entered,
        sent_to=_form_address(question),
        offered=cut_rows("offered", rows, _ROWS),
        **_count_rows(rows)._asdict(),
        waived_units=cut_rows("waived", decidable.newest_waived, _ROWS),
        waived_count=len(decidable.waived),
        classes=classes,
        short_count=short_count,
        lost_inputs=_lost_inputs(chosen),
        chosen=chosen,
        jobs=question.jobs,
        form=question.form,
        forms=FORMS,
        command=question.command(),
        ordered=asked_number("ordered", least=0, most=_MOST),
        waived=asked_number("waived", least=0, most=_MOST),
        restored=asked_number("restored", least=0, most=_MOST),
        first_line=first_line(question.task_id, offered, chosen, rows),
    )
    if chosen is not None and chosen.problem is not None:
        page.status_code = 422
    return page


def refused_page(experiment: str, task_id: str, problem: str) -> Response:
    """Return the page of a task again, with the reason why one of its forms did nothing."""
    page = _page(_Question(experiment, task_id, [], None), Entered(problem=problem))
    page.status_code = 422
    return page


def _form_address(question: _Question) -> str:
    """Return the address of the form; it names the shown rows, for a refusal to show them again."""
    shown = {name: asked(name) for name in ("whole", "from")}
    place = {"experiment": question.experiment, "task_id": question.task_id}
    return address("/retry", {**place, **shown})


class RowCounts(NamedTuple):
    """Of the units that are not done, how many there are of each kind.

    Attributes:
        states: by state.
        job_count: with a job that can be retried.
        waivable_count: without which the task can go on.
        lost_count: whose retry cannot find an input.
    """

    states: Counter[str]
    job_count: int
    waivable_count: int
    lost_count: int


def _count_rows(rows: Sequence[UndoneUnit]) -> RowCounts:
    return RowCounts(
        states=Counter(str(row.state) for row in rows),
        job_count=sum(row.job is not None for row in rows),
        waivable_count=sum(row.is_waivable for row in rows),
        lost_count=sum(bool(row.lost_inputs) for row in rows),
    )


def _asked_question() -> _Question:
    experiment = asked("experiment")
    jobs = _checked_ids(request.args.getlist("job"))
    if experiment is None:
        raise BadInputError("experiment: whose jobs?", {"experiment": ["missing"]})
    return _Question(experiment, asked("task_id"), jobs, asked("format"))


def _offered(question: _Question) -> RetryChoice | None:
    """Return what the policy of the task offers, and what not; None without a task."""
    if question.task_id is None:
        return None
    document = {"experiment": question.experiment, "task_id": question.task_id}
    service = get_service()
    with service.reading() as connection:
        return show_choice(choose_retries(connection, service.store, read_retry(document)))


def _chosen(question: _Question) -> ChosenJobs | None:
    """Return the selected jobs; None where none are selected."""
    if not question.jobs:
        return None
    service = get_service()
    selection = RetryBody(experiment=question.experiment, jobs=question.jobs)
    with service.reading() as connection:
        choice = without_bare_submissions(choose_retries(connection, service.store, selection))
        if question.form not in FORMS or not choice.tries:
            return ChosenJobs(show_choice(choice))
        try:
            text = _resubmission(connection, choice, question.experiment, question.form)
        except BadInputError as problem:
            return ChosenJobs(show_choice(choice), problem=str(problem))
    return ChosenJobs(show_choice(choice), text[:_TEXT], is_cut=len(text) > _TEXT)


def _lost_inputs(chosen: ChosenJobs | None) -> list[OutsideInput]:
    """Return the inputs of selected jobs that have no recorded place."""
    if chosen is None:
        return []
    inputs = [file for retry in chosen.choice.tries for file in retry.outside_inputs]
    return [file for file in inputs if not file.places]


def _resubmission(connection: Connection, choice: Choice, experiment: str, form: str) -> str:
    service = get_service()
    url = service.settings.public_url or f"{request.scheme}://{request.host}"
    repeats = repeats_of(connection, service.store, choice, experiment)
    commands = FileCommands(service.settings.fetch_command, service.settings.store_command)
    destination = Destination(experiment, url, None, commands)
    return resubmission(repeats, form, destination, with_ticket=needs_token())


def _decidable(question: _Question) -> UnitsToDecide:
    """Return which units of the task can be waived, and which are."""
    if question.task_id is None:
        return UnitsToDecide([], [], [])
    service = get_service()
    with service.reading() as connection:
        task = find_task(connection, question.task_id, experiment=question.experiment)
        return units_to_decide(connection, service.store, task)


def _rows(
    offered: RetryChoice | None, decidable: UnitsToDecide, ticked: Sequence[str] | None
) -> list[UndoneUnit]:
    """Return the units that are not done: first those that the policy offers to retry.

    Waived ones are left out, so that nobody retries them by mistake. `ticked` are the jobs whose
    boxes are; None for those that the policy offers.
    """
    rows = []
    waived = set(decidable.waived)
    units_without_job = {unit.unit: unit for unit in decidable.open}
    last_attempts: list[Retry | SkippedJob] = []
    if offered is not None:
        last_attempts = [*offered.tries, *offered.skipped]
    for job in last_attempts:
        if job.unit in waived:
            continue
        unit = units_without_job.pop(job.unit or "", None)
        rows.append(_row_of_job(job, unit, ticked))
    for unit in units_without_job.values():
        rows.append(UndoneUnit(unit.unit, unit.state, is_waivable=True, reason=unit.why))
    return rows


def _row_of_job(
    job: Retry | SkippedJob, unit: OpenUnit | None, ticked: Sequence[str] | None
) -> UndoneUnit:
    state = job.state if unit is None else unit.state
    row = UndoneUnit(job.unit, state, is_waivable=unit is not None, job=job)
    if isinstance(job, Retry):
        is_selected = ticked is None or job.job_id in ticked
        return row._replace(
            failure=job.failure, is_selected=is_selected, outside_inputs=job.outside_inputs
        )
    is_selected = ticked is not None and job.job_id in ticked
    return row._replace(reason=job.reason, is_selected=is_selected)


def first_line(
    task_id: str | None,
    offered: RetryChoice | None,
    chosen: ChosenJobs | None,
    rows: Sequence[UndoneUnit],
) -> str:
    """Return what would be retried, in words."""
    if chosen is not None:
        return _chosen_line(len(chosen.choice.tries), len(chosen.choice.skipped))
    if offered is None:
        return "Name a task, or select jobs on its page."
    offered_count = len(offered.tries)
    by_hand = sum(row.job is not None for row in rows) - offered_count
    if not offered_count and not by_hand:
        return f"No job of task {task_id} waits for a retry."
    return (
        f"{counted(offered_count, 'job')} of task {task_id} may be retried by its policy; "
        f"{number(by_hand)} only by hand."
    )


def _chosen_line(tried: int, skipped: int) -> str:
    """Return how many selected jobs would be retried, and how many not."""
    if not tried and skipped == 1:
        return "The selected job is not retried: see why below."
    if not tried:
        return f"None of the {number(skipped)} selected jobs is retried: see why below."
    rest = f"; {number(skipped)} cannot be, see below" if skipped else ""
    return f"{counted(tried, 'job')} selected to retry as recorded{rest}."


@pages.post("/retry", endpoint="decide_retry")
def decide() -> Response:
    """Order what was selected, or lead to its resubmission; if it is refused, show it again.

    All go by one method, so that no token gets into an address.
    """
    given = {name: request.form.get(name, "").strip() for name in _FIELDS}
    given["task_id"] = named_task(request.form.get("task_id", ""))
    jobs = _checked_ids(request.form.getlist("job"))
    refused: BadInputError | Unauthorized
    try:
        return _decided(given, jobs)
    except BadInputError as problem:
        refused, status, reason = problem, 422, str(problem)
    except Unauthorized as problem:
        # A session may end while somebody types, and browsers forget what was typed then
        refused, status, reason = problem, 401, str(problem.description)
    shown = _shown_again(given, jobs, reason)
    if shown is None:
        raise refused
    shown.status_code = status
    return shown


def _decided(given: dict[str, str], jobs: list[str]) -> Response:
    action = request.form.get("do")
    place = {"experiment": given["experiment"], "task_id": given["task_id"]}
    if action == "show":
        if "every" in request.form:
            jobs = _all_failed(given)
        _check_selection(jobs)
        _check_address(jobs)
        selection = "".join(f"&job={quote(job, safe='')}" for job in jobs)
        return _led_to(address("/retry", {**place, "format": "condor"}) + selection)
    if action != "order":
        raise BadInputError.of_field("do", "order or show")
    grant = form_grant(given["experiment"], Scope.RUN)
    given["who"] = who_decides(grant)
    if "every" in request.form:
        jobs = _all_failed(given)
    _check_decision(given, jobs)
    count = _order(given, jobs, grant.submitter)
    return _led_to(address("/retry", {**place, "ordered": str(count)}))


def _shown_again(given: dict[str, str], jobs: list[str], problem: str) -> Response | None:
    """Return the page with what was entered; None where no page has this form."""
    if not given["experiment"] or not given["task_id"]:
        return None
    entered = Entered(
        jobs=jobs,
        who=given["who"],
        why=given["why"],
        memory_factor=given["memory_factor"],
        other_site="other_site" in request.form,
        every="every" in request.form,
        problem=problem,
    )
    question = _Question(given["experiment"], given["task_id"], [], None)
    come_back_to(_form_address(question))
    try:
        return _page(question, entered)
    except NotFoundError:
        return None


def _check_selection(jobs: list[str]) -> None:
    if not jobs:
        raise BadInputError("job: select at least one job.", {"job": ["none is selected"]})


def _check_address(jobs: list[str]) -> None:
    """Refuse more jobs than an address can name."""
    if len(jobs) > _MOST_SHOWN_JOBS:
        raise BadInputError.of_field(
            "job",
            f"{number(len(jobs))} are selected, and a page shows the resubmission of "
            f"{_MOST_SHOWN_JOBS}: tick fewer, or order them",
        )


def _check_decision(given: dict[str, str], jobs: list[str]) -> None:
    _check_selection(jobs)
    for name in ("who", "why"):
        filled_in(name, given[name])


def _all_failed(given: dict[str, str]) -> list[str]:
    """Return the last attempt of each unit of the task that is neither done nor waived."""
    question = _Question(given["experiment"], given["task_id"], [], None)
    rows = _rows(_offered(question), _decidable(question), [])
    return [row.job.job_id for row in rows if row.job is not None]


def _led_to(where: str) -> Response:
    # 303: the browser reads the page anew, and to load it again orders nothing twice
    return cast("Response", redirect(where, 303))


def _order(given: dict[str, str], jobs: list[str], submitter: str | None) -> int:
    document: JsonObject = {name: given[name] for name in ("experiment", "who", "why")}
    document |= {"jobs": jobs, "other_site": "other_site" in request.form}
    if given["memory_factor"]:
        document["memory_factor"] = _factor(given["memory_factor"])
    service, now = get_service(), datetime.now(UTC)
    choice = service.write(
        lambda writing: order_retries(writing, document), received_at=now, submitter=submitter
    )
    return len(choice.tries)


def _checked_ids(listed: list[str]) -> list[str]:
    """Return ids of jobs, each once."""
    jobs = list(dict.fromkeys(word.strip() for word in listed if word.strip()))
    for job in jobs:
        if not is_job_id(job):
            raise BadInputError(
                f"job: {job[:40]!r} is not the id of a job.", {"job": ["not the id of a job"]}
            )
    return jobs


def _factor(word: str) -> float:
    try:
        factor = float(word)
    except ValueError:
        factor = math.nan
    if not 1 <= factor <= _MOST_FACTOR:  # nor is NaN
        raise BadInputError.of_field("memory_factor", "a number from 1 to 10, as 1.5")
    return factor
