"""The report of a campaign as a page that prints, without the frame of the others.

It is saved and sent on.
"""

from flask import Blueprint, Response, make_response

from jobprov.app.kept_answers import read_report
from jobprov.app.reports.page import report_page
from jobprov.app.web.frame.page import asked, asset
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.addresses import campaign_page


def add_routes(blueprint: Blueprint) -> None:
    """Put the page on the blueprint."""
    blueprint.add_url_rule(
        "/reports/<experiment>/<path:name>", view_func=show_report, endpoint="report"
    )


def show_report(experiment: str, name: str) -> Response:
    """Show the report of a campaign."""
    name = asked("campaign") or name
    report = read_report(experiment, name)
    address = f"{get_service().settings.public_url}{campaign_page(name, experiment)}"
    return make_response(report_page(report, address, stylesheet=asset("report.css")))
