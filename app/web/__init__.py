"""The pages: read-only, drawn on the server, the same without JavaScript. Source: pages.md.

Each page answers one question in its first line, in words, and names its JSON twin under /api/v1. Nothing here knows SQL: the
use cases of `provenance.services` answer, `app.web` says it.
"""

from flask import Flask

from app.web import (
    campaign_lineage,
    campaigns,
    catalog,
    comparison,
    configurations,
    divergence,
    errors,
    estimate,
    files,
    histories,
    home,
    impact,
    job,
    jobs,
    lineage,
    logs,
    modules,
    recipes,
    reports,
    resources,
    retries,
    rules,
    samples,
    searching,
    tasks,
    workflows,
)
from app.web.frame import make_blueprint
from app.web.problems import problem_page

_PAGES = (
    home,
    searching,
    files,
    lineage,
    jobs,
    job,
    comparison,
    divergence,
    configurations,
    logs,
    tasks,
    workflows,
    retries,
    campaigns,
    campaign_lineage,
    errors,
    rules,
    catalog,
    impact,
    histories,
    resources,
    modules,
    estimate,
    recipes,
    reports,
    samples,
)


def register_pages(app: Flask) -> None:
    """Put every page, the stylesheet and the error page on the application."""
    blueprint = make_blueprint()
    for page in _PAGES:
        page.add_routes(blueprint)
    app.register_blueprint(blueprint)
    app.extensions["jobprov-error-page"] = problem_page
