"""Paths of pages: the one place that knows where the page of a file, job or campaign is.

Answers hold these paths as `url`, pages and their templates link to them. Names are quoted here and
nowhere else; ids of jobs and recipes are used as they are. Decision 20 says why the paths lie below
the services.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Literal
from urllib.parse import quote, urlencode

Question = Literal["lineage", "roots", "leaves", "cost", "rebuild"]
"""What a page tells about a file's history: the first part of its path."""

LOGIN_DONE = "/login/done"
LOGOUT_DONE = "/logout/done"
"""Where a provider of logins sends people back to."""
BACK_CHANNEL_LOGOUT = "/logout/back-channel"
"""Where a provider of logins itself says that somebody's session there is over."""


def with_query(path: str, words: Mapping[str, str | None]) -> str:
    """Return a quoted path with a query of the words that are not empty.

    An empty namespace stays: it says that a file has none.
    """
    query = {}
    for name, value in words.items():
        if value or (name == "namespace" and value is not None):
            query[name] = value
    return f"{path}?{urlencode(query)}" if query else path


def file_page(name: str, experiment: str | None = None, namespace: str | None = None) -> str:
    """Return the path of a file's page; namespace '' says that the file has none."""
    return f"/files/{quote(name, safe='')}{_query_of_file(experiment, namespace)}"


def replicas_page(name: str, experiment: str | None = None, namespace: str | None = None) -> str:
    """Return the path of the page that tells where a file is now."""
    return f"/replicas/{quote(name, safe='')}{_query_of_file(experiment, namespace)}"


def history_page(
    question: Question, name: str, experiment: str | None = None, namespace: str | None = None
) -> str:
    """Return the path of the page that answers a question about a file's history."""
    return f"/{question}/{quote(name, safe='')}{_query_of_file(experiment, namespace)}"


def lineage_of(page_of_file: str) -> str:
    """Return the path of the page of a file's history, from the path of the file's own page."""
    return page_of_file.replace("/files/", "/lineage/", 1)


@lru_cache(maxsize=1024)
def _query_of_file(experiment: str | None, namespace: str | None) -> str:
    """Return the part of an address that says whose file it is.

    Files of a picture have it in common, and quoting it takes as long as quoting the name.
    """
    return with_query("", {"experiment": experiment, "namespace": namespace})


def job_page(job_id: str) -> str:
    """Return the path of a job's page."""
    return f"/jobs/{job_id}"


def log_page(job_id: str, name: str, line: str | None = None) -> str:
    """Return the path of the page of a job's log, at a line of it if one is named."""
    return with_query(f"/jobs/{job_id}/logs/{quote(name)}", {"line": line})


def configuration_page(job_id: str, step: str) -> str:
    """Return the path of the page of a step's configuration; the step may be a position, too."""
    return f"/jobs/{job_id}/configurations/{quote(step, safe='')}"


def difference_page(before: str, after: str, **words: str | None) -> str:
    """Return the path of the page of two jobs side by side."""
    return with_query(f"/jobs/{quote(before)}/diff/{quote(after)}", words)


def productions_page(by: str, before: str, after: str, experiment: str | None = None) -> str:
    """Return the path of the page of two campaigns or releases, stage by stage."""
    return with_query("/diff", {"by": by, "a": before, "b": after, "experiment": experiment})


def jobs_list(**filters: str | None) -> str:
    """Return the path of the list of the jobs that pass these filters."""
    return with_query("/jobs", filters)


def errors_page(**filters: str | None) -> str:
    """Return the path of the page of why the jobs failed that pass these filters."""
    return with_query("/errors", filters)


def throughput_page(**filters: str | None) -> str:
    """Return the path of what ended when."""
    return with_query("/throughput", filters)


def queue_page(experiment: str | None = None) -> str:
    """Return the path of the page of what runs and waits, of an experiment or of all."""
    return with_query("/queue", {"experiment": experiment})


def alerts_page(experiment: str | None = None) -> str:
    """Return the path of the page of alerts."""
    return with_query("/alerts", {"experiment": experiment})


def home_page() -> str:
    """Return the path of the first page."""
    return "/"


def task_page(task_id: str, experiment: str | None = None) -> str:
    """Return the path of a task's page; an id that no path can hold stands in the query."""
    return _below_task(task_id, "", "task_id", {"experiment": experiment})


def task_call(task_id: str, view: str, words: Mapping[str, str | None]) -> str:
    """Return the path of a call about a task, below /api/v1, as `task_page` does of its page.

    Its parameter is `task`, since OpenAPI has the part of the path as `task_id`.
    """
    return _below_task(task_id, view, "task", words)


def _below_task(task_id: str, view: str, parameter: str, words: Mapping[str, str | None]) -> str:
    """Return a path below a task; an id that no path can hold stands in a parameter."""
    if not fits_path(task_id):
        words, task_id = {parameter: task_id, **words}, "-"
    return with_query(f"/tasks/{quote(task_id, safe='')}{view}", words)


def timeline_page(
    task_id: str, experiment: str, unit: str | None = None, by: str | None = None
) -> str:
    """Return the path of the page that tells when a task, or one of its units, waited and ran."""
    words = {"experiment": experiment, "task_id": task_id, "unit": unit, "by": by}
    return with_query("/timeline", words)


def arrivals_page(experiment: str) -> str:
    """Return the path of the page of what arrived of an experiment's files."""
    return with_query("/arrivals", {"experiment": experiment})


def campaign_page(name: str, experiment: str) -> str:
    """Return the path of a campaign's page."""
    return _page_of_campaign("campaigns", name, experiment)


def campaign_lineage_page(name: str, experiment: str, task_id: str | None = None) -> str:
    """Return the path of a campaign's folded lineage, or of one task's part of it."""
    return _page_of_campaign("campaigns", name, experiment, view="/lineage", task_id=task_id)


def report_page(name: str, experiment: str) -> str:
    """Return the path of a campaign's report."""
    return _page_of_campaign("reports", name, experiment)


def _page_of_campaign(
    kind: str, name: str, experiment: str, *, view: str = "", task_id: str | None = None
) -> str:
    words = {"task_id": task_id}
    if not fits_path(name):
        words, name = {"campaign": name, **words}, "-"
    return with_query(quote(f"/{kind}/{experiment}/{name}{view}"), words)


def fits_path(name: str) -> bool:
    """Return whether a name with slashes is safe in a path.

    Browsers and servers remove `.`, `..` and empty parts.
    """
    return not any(part in ("", ".", "..") for part in name.split("/"))


def recipe_page(recipe_id: str) -> str:
    """Return the path of a recipe's page."""
    return f"/recipes/{recipe_id}"


def workflow_page(name: str, experiment: str) -> str:
    """Return the path of a workflow's page."""
    return f"/workflows/{experiment}/{name}"


def log_in_page(wanted: str) -> str:
    """Return the path at which somebody logs in and comes back to the wanted page."""
    return with_query("/login", {"next": wanted})


def proofs_page(experiment: str | None = None) -> str:
    """Return the path of the page of recipes that are not proven."""
    return with_query("/proofs", {"experiment": experiment})


def manual_page(name: str, anchor: str = "", *, part: int = 1) -> str:
    """Return the path of a page of the documentation, at an anchor of it if one is named.

    Long pages are shown in parts, of which the first has number 1.
    """
    path = with_query(f"/docs/{quote(name)}", {"part": str(part) if part > 1 else None})
    return f"{path}#{quote(anchor)}" if anchor else path


def gap_help(code: str) -> str:
    """Return the path at which the documentation says what a gap is and how to close it."""
    return manual_page("reference/gaps", code)


def interface_page(section: str | None = None) -> str:
    """Return the path of the page of the HTTP interface, or of a section of it."""
    return f"/docs/api/{quote(section, safe='')}" if section else "/docs/api"


def interface_type(name: str) -> str:
    """Return the path of the page of a type that calls take or answer."""
    return f"/docs/api/types/{quote(name, safe='')}"
