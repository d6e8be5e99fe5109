"""The page of a job: everything recorded of it, why it failed first, what is missing and how to close that."""

from typing import Any

from flask import Blueprint, Response, redirect

from jobprov.app.errors import STATUS, problem_of
from jobprov.app.web.frame.cuts import address, asked_section
from jobprov.app.web.frame.formats import shown_state
from jobprov.app.web.frame.page import answer, asked, experiment_asked
from jobprov.app.web.lookup.job_sections import sections
from jobprov.app.web.lookup.job_sentences import ending, first_line, wall_seconds
from jobprov.app.web.lookup.log_text import excerpt
from jobprov.app.wiring import get_service
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.lineage.graph import SHARED_ROLES
from jobprov.provenance.records.verdicts import LEVELS, REPRODUCED
from jobprov.provenance.services.intake.log_tails import list_tails
from jobprov.provenance.services.lookup.job import find_job, show_job
from jobprov.provenance.services.lookup.logs import read_log

_UNHAPPY = ("failed", "killed", "lost", "silent")
_EXCERPTS_AT_MOST = 2
_NOT_THERE = ("dropped", "copy_failed", "not_kept")
_PRIMARY = (None, "primary")


def add_routes(blueprint: Blueprint) -> None:
    """Put the page on the blueprint."""
    blueprint.add_url_rule("/jobs/<job_id>", view_func=show_page, endpoint="job")


def show_page(job_id: str) -> Response:
    """Show a job; a batch id leads to the newest of its attempts."""
    experiment = experiment_asked()
    service = get_service()
    with service.reading() as connection:
        shown = show_job(
            connection, service.store, job_id, experiment=experiment, witness=asked("witness")
        )
        summary = shown["summary"]
        if summary["job_id"] != job_id:
            return Response(status=303, headers={"Location": redirect(summary["url"]).location})
        key = find_job(connection, summary["job_id"], experiment=summary["experiment"]).key
        tails = list_tails(connection, summary["experiment"], summary["job_id"])
        state = shown_state(summary["state"], summary["heard_at"])
        excerpts = (
            _excerpts(connection, shown, experiment)
            if state in _UNHAPPY and not asked_section()
            else {}
        )
    reproduced = bool(shown["verdicts"]) and shown["verdicts"][0].get("level") in REPRODUCED
    return answer(
        "lookup/job.html",
        twin=address(f"/jobs/{summary['job_id']}", {"experiment": experiment or ""}),
        is_live=state == "running",
        job=shown,
        summary=summary,
        record=shown["merged"],
        state=state,
        first_line=first_line(shown),
        ending=ending(summary),
        is_unhappy=state in _UNHAPPY,
        is_reproduced=reproduced,
        took=wall_seconds(summary),
        later=_later_success(shown),
        lineage=lineage_of(shown, key),
        excerpts=excerpts,
        levels=LEVELS,
        whole=asked_section(),
        log_tails=tails,
        **sections(shown),
    )


def lineage_of(shown: dict[str, Any], key: int) -> tuple[str, str] | None:
    """Return the words and address of the lineage that a job is in.

    Of what it made, else of what it read, with its box chosen.

    None where it has neither; what many jobs share leads nowhere.
    """
    if shown["summary"]["state"] == "succeeded":
        made = [
            file["url"]
            for file in shown["outputs"]
            if file["url"] and file.get("status") not in _NOT_THERE
        ]
        if made:
            return "Lineage of what it made", _lineage_url(made[0])
    own = [file for file in shown["inputs"] if file["url"] and file.get("role") not in SHARED_ROLES]
    first = min(own, key=lambda file: file.get("role") not in _PRIMARY, default=None)
    return first and (
        "Lineage of what it read",
        f"{_lineage_url(first['url'])}&direction=both&at=j{key}",
    )


def _lineage_url(file_url: str) -> str:
    return file_url.replace("/files/", "/lineage/", 1)


def _excerpts(connection: Any, shown: dict[str, Any], experiment: str | None) -> dict[str, Any]:
    """Return the lines that matter, by log: of the failed step's logs, else of all.

    Or the sentence why they cannot be read.
    """
    logs = shown["merged"].get("logs") or []
    step = shown["summary"]["exit"]["failed_step"]
    chosen = [log for log in logs if step is not None and log.get("step") == step] or logs
    chosen = sorted(chosen, key=lambda log: not log["name"].endswith((".err", "stderr")))[
        :_EXCERPTS_AT_MOST
    ]
    store = get_service().store
    found: dict[str, Any] = {}
    for log in chosen:
        try:
            opened = read_log(
                connection, store, shown["summary"]["job_id"], log["name"], experiment=experiment
            )
            with opened.stream:
                found[log["name"]] = excerpt(
                    opened.stream, opened.size_bytes, shown["summary"]["exit"]["message"]
                )
        except NotFoundError:
            continue  # the gaps say that it was never uploaded
        except tuple(STATUS) as problem:
            found[log["name"]] = problem_of(problem).detail
    return found


def _later_success(shown: dict[str, Any]) -> dict[str, Any] | None:
    """Return the attempt at the same unit that succeeded, where this one did not."""
    if shown["summary"]["state"] == "succeeded":
        return None
    return next(
        (attempt for attempt in reversed(shown["attempts"]) if attempt["state"] == "succeeded"),
        None,
    )
