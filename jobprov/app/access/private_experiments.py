"""Which experiments the sender of a request may not see.

An experiment is open unless an operator made it private: by `jobprov experiment private`, or by
`JOBPROV_PRIVATE_EXPERIMENTS`. A private one is seen by those who are logged in and have a role in
it, and by whoever sends a token of it that lets its holder read. A token that records alone, such
as an upload ticket, sees the experiment only where something is written with it: such tokens lie on
worker nodes.

What is hidden is hidden by the connections that `Service.reading` gives: see
docs/decisions/0031-private-experiments.md.
"""

from dataclasses import replace
from http import HTTPMethod

from flask import Response, g, request

from jobprov.app.access.visitors import visitor
from jobprov.app.access.wrong_tokens import grant_of, header_tokens
from jobprov.app.errors import UnauthorizedError
from jobprov.app.wiring import Privacy, Service, get_service
from jobprov.provenance.errors import ForbiddenError, UnreachableError
from jobprov.provenance.services.intake.privacy import PrivateExperiments
from jobprov.provenance.services.intake.tokens import Grant, Scope, looks_like_token

_READING = (HTTPMethod.GET, HTTPMethod.HEAD)


def with_privacy(service: Service) -> Service:
    """Return the service as it answers requests: what is private is hidden by it."""
    known = PrivateExperiments(service.settings.private_experiments, service.database.reading)
    return replace(service, privacy=Privacy(known, hidden_experiments))


def hidden_experiments() -> frozenset[str]:
    """Return the private experiments that the sender of this request may not see."""
    if "hidden_experiments" not in g:
        privacy = get_service().privacy
        private = frozenset() if privacy is None else privacy.known.names()
        # Once a request: what becomes private meanwhile must not be hidden by half
        g.hidden_experiments = _find_hidden(private) if private else private
    hidden: frozenset[str] = g.hidden_experiments
    return hidden


def without_shared_copies(answer: Response) -> Response:
    """Have proxies keep no copy of an answer that may be for its reader alone."""
    privacy = get_service().privacy
    # As known last: an answer that read nothing must not wait for the database
    if privacy is not None and privacy.known.last_names and not answer.cache_control.no_store:
        answer.cache_control.private = True
    return answer


def _find_hidden(private: frozenset[str]) -> frozenset[str]:
    seen: set[str] = set()
    reader = visitor()
    if reader is not None:
        seen.update(reader.roles)
    for token in _sent_tokens():
        grant = _grant(token)
        if grant is not None and grant.experiment is not None and _shows(grant):
            seen.add(grant.experiment)
    return private - seen


def _shows(grant: Grant) -> bool:
    """Return whether a token shows its experiment in this request."""
    if grant.task_id is None and grant.may(Scope.READ):
        return True
    return request.method not in _READING and request.path.startswith("/api/")


def _sent_tokens() -> list[str]:
    """Return the tokens that may be in a request: headers of any client of ours, a form's field."""
    sent = header_tokens()
    if request.blueprint == "pages":  # elsewhere the body may be a blob, whatever its type says
        token = request.form.get("token", "").strip()
        if looks_like_token(token):
            sent.append(token)
    return sent


def _grant(token: str) -> Grant | None:
    """Return what a token allows; None where it is worth nothing: its sender is a stranger."""
    try:
        return grant_of(token)
    except (UnauthorizedError, ForbiddenError, UnreachableError):
        return None
