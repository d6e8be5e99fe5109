"""The pages: read-only, drawn on the server, the same without JavaScript.

Each page answers one question in its first line, in words, and names its JSON twin under /api/v1.
Nothing here knows SQL: the use cases of `provenance.services` answer, `app.web` says it.
"""

from flask import Flask

from jobprov.app.web.catalogs import arrivals
from jobprov.app.web.catalogs import differences as catalog
from jobprov.app.web.comparisons import jobs as comparison
from jobprov.app.web.comparisons import recipes
from jobprov.app.web.configurations import configuration as configurations
from jobprov.app.web.failures import errors, rules
from jobprov.app.web.frame.page import make_blueprint
from jobprov.app.web.frame.problems import problem_page
from jobprov.app.web.histories import (
    costs,
    divergence,
    ends,
    impact,
    lineage,
    rebuilds,
    relations,
)
from jobprov.app.web.lookup import file as files
from jobprov.app.web.lookup import job, jobs, logs
from jobprov.app.web.lookup import search as searching
from jobprov.app.web.orders import retries, workflows
from jobprov.app.web.reruns import proofs
from jobprov.app.web.statistics import campaign_graph as campaign_lineage
from jobprov.app.web.statistics import estimates as estimate
from jobprov.app.web.statistics import home, modules, reports, resources
from jobprov.app.web.tasks import campaigns, queue, samples, tasks, waivers

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
    queue,
    workflows,
    retries,
    campaigns,
    campaign_lineage,
    errors,
    rules,
    catalog,
    arrivals,
    impact,
    rebuilds,
    ends,
    relations,
    costs,
    resources,
    modules,
    estimate,
    recipes,
    proofs,
    reports,
    samples,
    waivers,
)


def register_pages(app: Flask) -> None:
    """Put every page, the stylesheet and the error page on the application."""
    blueprint = make_blueprint()
    for page in _PAGES:
        page.add_routes(blueprint)
    app.register_blueprint(blueprint)
    app.extensions["jobprov-error-page"] = problem_page
