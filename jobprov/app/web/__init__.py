"""The pages: read-only, drawn on the server, the same without JavaScript.

Each page answers one question in its first line, in words, and names its JSON twin under /api/v1.
Nothing here knows SQL: the use cases of `provenance.services` answer, `app.web` says it.
"""

from flask import Flask

from jobprov.app.web import (
    alerts,
    catalogs,
    comparisons,
    estimates,
    interface,
    logins,
    manual,
    reruns,
    search,
    starred,
    trail,
)
from jobprov.app.web.configurations import configuration as configurations
from jobprov.app.web.failures import errors, rules
from jobprov.app.web.frame.page import pages
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
from jobprov.app.web.lookup import file, job, job_selection, jobs, logs
from jobprov.app.web.orders import retries, workflows
from jobprov.app.web.statistics import campaign_graph, home, modules, resources, throughput
from jobprov.app.web.tasks import campaigns, queue, samples, tasks, timelines


def register_pages(app: Flask) -> None:
    """Put every page, the stylesheet and the error page on the application."""
    app.jinja_env.globals["is_starred"] = starred.is_starred
    app.register_blueprint(pages)
    app.extensions["jobprov-error-page"] = problem_page
