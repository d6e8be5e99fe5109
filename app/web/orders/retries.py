"""The page that tries jobs again: a selection, and what its failures were.

The exact resubmission is there in three forms, or the agent does it.
"""

import re
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import quote

from flask import Blueprint, Response, redirect, request

from jobprov.app.web.frame.cuts import address, cut_rows
from jobprov.app.web.frame.formats import counted, number
from jobprov.app.web.frame.page import answer, asked, asked_number
from jobprov.app.web.frame.writing import TOKEN_FIELD, form_grant, needs_token
from jobprov.app.wiring import get_service
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.launchers.resubmitting import SUBMIT_FILE
from jobprov.provenance.services.orders.resubmission import FORMS, repeats_of, resubmission
from jobprov.provenance.services.orders.retries import (
    RetryBody,
    choose_retries,
    order_retries,
    read_retry,
    units_of,
)
from jobprov.provenance.services.orders.retry_choice import show_choice
from jobprov.provenance.services.tasks.tasks import find_task
from jobprov.provenance.services.tasks.waivers import waive_units

_ROWS = 80
_MOST = 1_000_000
_TEXT = 20_000
_JOB = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FIELDS = ("experiment", "task_id", "who", "why", "memory_factor")


def add_routes(blueprint: Blueprint) -> None:
    """Put the page on the blueprint."""
    blueprint.add_url_rule("/retry", view_func=show_page, endpoint="retry")
    blueprint.add_url_rule("/retry", view_func=decide, endpoint="decide_retry", methods=["POST"])


def show_page() -> Response:
    """Show what of a task, or of a selection of jobs, would be tried again."""
    experiment, task_id, jobs = (
        asked("experiment"),
        asked("task_id"),
        _selected(request.args.getlist("job")),
    )
    if experiment is None:
        raise BadInputError("experiment: say whose jobs.", {"experiment": ["missing"]})
    body = read_retry({"experiment": experiment, **({"task_id": task_id} if task_id else {})})
    service, form = get_service(), asked("format")
    with service.reading() as connection:
        offered = show_choice(choose_retries(connection, service.store, body)) if task_id else None
        chosen = _chosen(connection, body, jobs, form) if jobs else None
    words = {
        "experiment": experiment,
        "task_id": task_id or "",
        **({"jobs": ",".join(jobs)} if jobs else {}),
    }
    return answer(
        "orders/retry.html",
        twin=address("/retries", words),
        experiment=experiment,
        task_id=task_id,
        offered=cut_rows("offered", _rows(offered, jobs) if offered else [], _ROWS),
        classes=offered["by_class"] if offered else {},
        short_count=sum(each["runs_out_again"] for each in offered["tries"]) if offered else 0,
        chosen=chosen,
        jobs=jobs,
        form=form,
        forms=FORMS,
        submit_file=SUBMIT_FILE,
        token_field=TOKEN_FIELD if needs_token() else None,
        command=_command(experiment, jobs),
        ordered=asked_number("ordered", least=0, most=_MOST),
        waived=asked_number("waived", least=0, most=_MOST),
        first_line=first_line(task_id, offered, chosen),
    )


def decide() -> Response:
    """Order what was selected, waive its units, or lead to its resubmission.

    All go by one method, so that no token gets into an address.
    """
    given = {name: request.form.get(name, "").strip() for name in _FIELDS}
    jobs = _selected(request.form.getlist("job"))
    if request.form.get("do") == "show":
        where = address(
            "/retry",
            {"experiment": given["experiment"], "task_id": given["task_id"], "format": "condor"},
        )
        return _led_to(where + "".join(f"&job={quote(job, safe='')}" for job in jobs))
    grant = form_grant(given["experiment"])
    if "every" in request.form:
        jobs = _every(given)
    if not jobs:
        raise BadInputError("job: select at least one job.", {"job": ["none is selected"]})
    if lacking := [name for name in ("who", "why") if not given[name]]:
        raise BadInputError(
            f"{lacking[0]}: say it, for whoever asks in a year.", {lacking[0]: ["missing"]}
        )
    waives = request.form.get("do") == "waive"
    count = (_waive if waives else _order)(given, jobs, grant.submitter)
    words = {"experiment": given["experiment"], "task_id": given["task_id"]}
    words["waived" if waives else "ordered"] = str(count)
    return _led_to(address("/retry", words))


def _every(given: dict[str, str]) -> list[str]:
    """Return the last attempt of each unit of the task that failed and never succeeded."""
    service, body = (
        get_service(),
        read_retry({name: given[name] for name in ("experiment", "task_id")}),
    )
    with service.reading() as connection:
        choice = choose_retries(connection, service.store, body)
    return [each.job.job_id for each in choice.tries] + [job.job_id for job, _ in choice.skipped]


def _led_to(where: str) -> Response:
    return cast("Response", redirect(where, 303))


def _order(given: dict[str, str], jobs: list[str], submitter: str | None) -> int:
    document: dict[str, Any] = {name: given[name] for name in ("experiment", "who", "why")}
    document |= {"jobs": jobs, "other_site": "other_site" in request.form}
    if given["memory_factor"]:
        document["memory_factor"] = _factor(given["memory_factor"])
    service, now = get_service(), datetime.now(UTC)
    done = service.write(
        lambda writing: order_retries(writing, document), received_at=now, submitter=submitter
    )
    return len(done["tries"])


def _waive(given: dict[str, str], jobs: list[str], submitter: str | None) -> int:
    service, now = get_service(), datetime.now(UTC)
    with service.reading() as connection:
        task = find_task(connection, given["task_id"], experiment=given["experiment"])
        units = units_of(connection, given["experiment"], jobs)
    document = {"units": units, "who": given["who"], "why": given["why"]}
    return service.write(
        lambda writing: waive_units(writing, task, document), received_at=now, submitter=submitter
    )


def first_line(
    task_id: str | None, offered: dict[str, Any] | None, chosen: dict[str, Any] | None
) -> str:
    """Return what would be tried again, in words."""
    if chosen is not None:
        kept = len(chosen["skipped"])
        rest = f"; {number(kept)} not, as said below" if kept else ""
        return (
            f"{counted(len(chosen['tries']), 'job')} selected to be tried again as recorded{rest}."
        )
    if offered is None:
        return "Name a task, or select jobs on its page."
    tries, kept = len(offered["tries"]), len(offered["skipped"])
    if not tries and not kept:
        return f"Nothing of task {task_id} failed: there is nothing to try again."
    return (
        f"{counted(tries, 'job')} of task {task_id} may be tried again by its policy; "
        f"{number(kept)} only by hand."
    )


def _rows(offered: dict[str, Any], jobs: list[str]) -> list[dict[str, Any]]:
    rows = [
        {**each, "reason": None, "is_selected": not jobs or each["job_id"] in jobs}
        for each in offered["tries"]
    ]
    return rows + [
        {**each, "class": None, "is_selected": each["job_id"] in jobs}
        for each in offered["skipped"]
    ]


def _chosen(connection: Any, body: RetryBody, jobs: list[str], form: str | None) -> dict[str, Any]:
    service = get_service()
    selection = RetryBody(experiment=body.experiment, jobs=jobs)
    choice = choose_retries(connection, service.store, selection)
    shown: dict[str, Any] = {**show_choice(choice), "text": "", "is_cut": False}
    if form in FORMS and choice.tries:
        url = service.settings.public_url or f"{request.scheme}://{request.host}"
        repeats = repeats_of(connection, service.store, choice, body.experiment)
        text = resubmission(
            repeats, form, experiment=body.experiment, url=url, with_ticket=needs_token()
        )
        shown |= {"text": text[:_TEXT], "is_cut": len(text) > _TEXT}
    return shown


def _command(experiment: str, jobs: list[str]) -> str:
    # What a line bears
    listed = " ".join(jobs[:20]) + (" …" if len(jobs) > 20 else "")  # noqa: PLR2004
    return f"jobprov retry --experiment {experiment} {listed or 'JOB'}"


def _selected(listed: list[str]) -> list[str]:
    jobs = list(dict.fromkeys(word.strip() for word in listed if word.strip()))
    for job in jobs:
        if not _JOB.fullmatch(job):
            raise BadInputError(
                f"job: {job[:40]!r} is not the id of a job.", {"job": ["not the id of a job"]}
            )
    return jobs


def _factor(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise BadInputError(
            "memory_factor: a number from 1 to 10.", {"memory_factor": ["a number from 1 to 10"]}
        ) from None
