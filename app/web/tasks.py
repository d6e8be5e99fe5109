"""The page of a task: how many of its units are done, what failed and why."""

from flask import Blueprint, Response, redirect

from app.web.cuts import address
from app.web.frame import asked


def add_routes(blueprint: Blueprint) -> None:
    """Put the page on the blueprint."""
    blueprint.add_url_rule("/tasks/<path:task_id>", view_func=show_page, endpoint="task")


def show_page(task_id: str) -> Response:
    """Show the jobs of a task."""
    target = address("/jobs", {"task_id": task_id, "experiment": asked("experiment") or ""})
    return Response(status=303, headers={"Location": redirect(target).location})
