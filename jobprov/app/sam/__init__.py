"""SAM's answers, read only, under /sam/EXPERIMENT/api: what an unmodified samweb asks.

Everything is a GET, or a POST where a question is long. Whatever else a client sends is refused in
SAM's form of an error. Addresses, parameters and answers are SAM's own: they are no sections of our
API and not in its OpenAPI document. Source: docs/reference/catalog-answers.md, and the calls of the
official client.
"""

from flask import Blueprint, Flask, Response, request

from jobprov.app.access.catalog_readers import check_reading
from jobprov.app.sam import definitions, files
from jobprov.app.sam.answers import answer_error, refused, text_answer
from jobprov.provenance.errors import NotFoundError

_POSTED_QUESTIONS = frozenset({"files/list/locations", "files/validate_metadata"})
"""What a client sends as a POST and writes nothing by."""
_ALL_METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH")


def register_sam(app: Flask) -> None:
    """Put SAM's answers on the application."""
    blueprint = Blueprint("sam", __name__, url_prefix="/sam/<experiment>/api")
    blueprint.before_request(check_reading)
    blueprint.register_error_handler(Exception, answer_error)
    blueprint.add_url_rule("", view_func=_server_info, strict_slashes=False)
    blueprint.add_url_rule("/", view_func=_server_info, endpoint="root")
    for room in (files, definitions):
        blueprint.register_blueprint(room.calls)
    blueprint.add_url_rule("/<path:rest>", view_func=_not_answered, methods=_ALL_METHODS)
    app.register_blueprint(blueprint)


def _server_info(experiment: str) -> Response:
    """Answer `samweb server-info`."""
    what = "files (list, count, summary, metadata, lineage, locations), definitions and projects"
    return text_answer(
        [
            f"SAM web API of jobprov, for {experiment}, read only",
            f"What is answered: {what}, which are tasks and campaigns.",
        ]
    )


def _not_answered(experiment: str, rest: str) -> Response:
    """Refuse a write, or a question that is not answered here."""
    if request.method != "GET" and rest not in _POSTED_QUESTIONS:
        return refused(experiment)
    raise NotFoundError(f"jobprov does not answer /{rest[:200]} in place of SAM.")
