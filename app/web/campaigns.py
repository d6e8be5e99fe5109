"""The page of a campaign: its stages in order, and how far each is."""

from flask import Blueprint, Response, redirect

from app.web.cuts import address


def add_routes(blueprint: Blueprint) -> None:
    """Put the page on the blueprint."""
    blueprint.add_url_rule("/campaigns/<experiment>/<path:name>", view_func=show_page, endpoint="campaign")


def show_page(experiment: str, name: str) -> Response:
    """Show the jobs of a campaign."""
    target = address("/jobs", {"campaign": name, "experiment": experiment})
    return Response(status=303, headers={"Location": redirect(target).location})
