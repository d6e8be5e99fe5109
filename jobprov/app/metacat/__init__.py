"""MetaCat's answers, read only, under /metacat/EXPERIMENT: what an unmodified metacat asks.

Addresses, parameters and answers are MetaCat's own: they are no sections of our API and not in its
OpenAPI document.

Source: docs/reference/catalog-answers.md, the calls of metacat-client, and MetaCat's server.
"""

from flask import Blueprint, Flask, Response, request

from jobprov.app.access.catalog_readers import check_reading
from jobprov.app.metacat import datasets, files
from jobprov.app.metacat.answers import answer_error, refused, text_answer
from jobprov.provenance.errors import NotFoundError

_ALL_METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH")
_VERSION = "4.1.5 (jobprov, read only)"
"""The version of MetaCat whose client was tried, and who answers."""
_WRITES = (
    "create_", "update_", "declare_", "add_", "remove_", "move_", "delete_", "retire_",
)  # fmt: skip
"""How calls that write begin, some of which are GETs."""


def register_metacat(app: Flask) -> None:
    """Put MetaCat's answers on the application."""
    blueprint = Blueprint("metacat", __name__, url_prefix="/metacat/<experiment>")
    blueprint.before_request(check_reading)
    blueprint.register_error_handler(Exception, answer_error)
    blueprint.add_url_rule("/data/version", view_func=_version)
    for room in (files, datasets):
        blueprint.register_blueprint(room.calls)
    blueprint.add_url_rule("/<path:rest>", view_func=_not_answered, methods=_ALL_METHODS)
    app.register_blueprint(blueprint)


def _version(experiment: str) -> Response:  # noqa: ARG001 - the same for all
    return text_answer(_VERSION)


def _not_answered(experiment: str, rest: str) -> Response:
    """Refuse a write, or a question that is not answered here."""
    call = rest.removeprefix("data/")
    if request.method != "GET" or call.startswith(_WRITES):
        return refused(experiment)
    raise NotFoundError(f"jobprov does not answer /{rest[:200]} in place of MetaCat.")
