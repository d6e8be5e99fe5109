"""Who may write and who may read: tokens, and the rule for a fresh service.

A service without any token takes writes from its own machine alone (`app.access.locality`).
"""

from collections.abc import Sequence

from flask import request

from jobprov.app.access.locality import is_local
from jobprov.app.access.visitors import visitor
from jobprov.app.access.wrong_tokens import grant_of
from jobprov.app.errors import UnauthorizedError
from jobprov.app.wiring import get_service
from jobprov.provenance.db.queries.intake import jobs_of_other_tasks
from jobprov.provenance.errors import ForbiddenError
from jobprov.provenance.records.reading.decoding import DecodedRecord
from jobprov.provenance.services.intake.tokens import Grant, Scope

_LOCAL = Grant(None, "this machine")
_UNNAMED = "unknown"  # the hook writes that where nobody told it the experiment


def writing_grant(scope: Scope = Scope.RECORD) -> Grant:
    """Return what the client may write; an upload ticket, which records jobs alone, is refused.

    Raises:
        UnauthorizedError, ForbiddenError: see `recording_grant`.
    """
    grant = recording_grant(scope)
    if grant.task_id is not None:
        raise ForbiddenError(
            f"An upload ticket (here of {grant.names()}) records jobs of its task and does "
            "nothing else: send a token instead."
        )
    return grant


def recording_grant(scope: Scope = Scope.RECORD) -> Grant:
    """Return what jobs the client may record, with their blobs; upload tickets count.

    Raises:
        UnauthorizedError: no token, or a worthless one.
        ForbiddenError: the token lacks the scope, or no token exists yet and the client is not on
            this machine.
        UnreachableError: see `grant_of`.
    """
    service = get_service()
    header = request.headers.get("Authorization")
    if header:
        grant = grant_of(_bearer(header))
        # A ticket is refused for what it is
        if grant.task_id is None and not grant.may(scope):
            raise ForbiddenError(grant.lack(scope))
        return grant
    if service.needs_token():
        readers = _grant_of_reader(scope)
        if readers is not None:
            return readers
        raise UnauthorizedError(
            "This needs a token: set JOBPROV_TOKEN, or send `Authorization: Bearer prov_…`; "
            "an operator makes one with `jobprov token create`."
        )
    if not is_local():
        raise ForbiddenError(
            "This service has no write token yet and takes writes from its own machine only; "
            "`jobprov token create --experiment E --name N` makes one."
        )
    return _LOCAL


def _grant_of_reader(scope: Scope) -> Grant | None:
    """Return what a visitor may read who is logged in on the pages; None if none is.

    Raises:
        ForbiddenError: their roles do not allow it.
    """
    reader = visitor() if request.method in ("GET", "HEAD") else None
    if reader is None:
        return None
    grant = reader.reading_grant(request.args.get("experiment"))
    if not grant.may(scope):
        raise ForbiddenError(
            f"This needs a role that {reader.name} does not have: an operator of this service says "
            "which groups do, in the file of JOBPROV_LOGIN."
        )
    return grant


def check_reading() -> Grant | None:
    """Return what a token that was sent allows, None where reading needs none.

    Raises:
        UnauthorizedError: reading needs a token and none came.
    """
    if get_service().settings.reading == "open":
        return None
    return writing_grant(Scope.READ)


def check_experiment(grant: Grant, experiment: str) -> None:
    """Check that the grant allows writing to the experiment.

    Raises:
        ForbiddenError: it is another one's token.
    """
    if not grant.allows(experiment):
        raise ForbiddenError(
            f"The token is of {grant.experiment}; this call is about {experiment}."
        )


def check_record(grant: Grant, decoded: DecodedRecord) -> None:
    """Check that the grant allows writing the decoded record.

    Raises:
        ForbiddenError: it is the token of another experiment, or the ticket of another task, or the
            job is known as another's.
    """
    if not grant.allows_record(decoded.experiment, decoded.task_id):
        raise ForbiddenError(refusal(grant, decoded))
    check_job(grant, decoded.job_id)


def check_jobs(grant: Grant, job_ids: Sequence[str]) -> dict[str, str]:
    """Return why a ticket may not write of some jobs, by job id: they are known as another task's.

    Tokens may, of all.
    """
    if grant.task_id is None or grant.experiment is None or not job_ids:
        return {}
    with get_service().reading() as connection:
        others = jobs_of_other_tasks(connection, grant.experiment, grant.task_id, job_ids)
    reasons: dict[str, str] = {}
    for job_id in others:
        reasons[job_id] = (
            f"The ticket is of {grant.names()}; job {job_id} is known as one of another task."
        )
    return reasons


def check_job(grant: Grant, job_id: str) -> None:
    """Check that the grant allows writing of a job as it is known.

    Raises:
        ForbiddenError: it is a ticket, and the job is another task's.
    """
    for reason in check_jobs(grant, [job_id]).values():
        raise ForbiddenError(reason)


def refusal(grant: Grant, decoded: DecodedRecord) -> str:
    """Return why a record may not be written."""
    if grant.task_id is None:
        whose = f"The token is of {grant.experiment}; the record is of {decoded.experiment}"
        if decoded.experiment == _UNNAMED:
            return f"{whose}: name it (--experiment, or JOBPROV_EXPERIMENT)."
        return f"{whose}."
    named = decoded.task_id or "(none)"
    return f"The ticket is of {grant.names()}; the record is of {decoded.experiment}, task {named}."


def _bearer(header: str) -> str:
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer":
        raise UnauthorizedError("Only `Authorization: Bearer …` is understood.")
    return token.strip()
