"""Telling hooks which jobs are to be traced."""

import re
from datetime import UTC, datetime

import msgspec
from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.bodies import read_body, wrong_body
from jobprov.app.api.wire.documenting import Section
from jobprov.app.api.wire.guard import check_experiment, recording_grant
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.recording import TraceAnswer
from jobprov.provenance.db.changes.intake import confirm_turn
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.records.job_record import ExperimentName
from jobprov.provenance.services.intake.trace_turns import (
    may_get_turn,
    take_turn,
    what_kind_used,
)
from jobprov.provenance.services.writing import Writing

section = Section("traces", "Which jobs are traced.")

_QUESTION_BYTES = 4096
_KEY = re.compile(r"[0-9a-f]{64}")


class TraceQuestion(msgspec.Struct):
    """A job: its experiment, and the SHA-256 of what its hook knows it by.

    Attributes:
        can_be_traced: False if it is not wanted in any case, since it cannot be traced or is over.
        confirms: whether its hook tells by `is_traced` that it takes the turn.
        is_traced: whether it runs traced now.
    """

    experiment: ExperimentName
    key: str
    can_be_traced: bool = True
    confirms: bool = False
    is_traced: bool = False


_question = msgspec.json.Decoder(TraceQuestion)


@section.post("/traces/turns", TraceAnswer, body=TraceQuestion)
def ask_turn() -> Response:
    """Return whether a job that is about to run is to be traced: the first of each kind is.

    The answer to the others lists what the traced one used although nobody named it.
    """
    grant = recording_grant()
    question = _read_question()
    check_experiment(grant, question.experiment)
    service, now = get_service(), datetime.now(UTC)
    if not service.settings.trace_first:
        return json_answer(TraceAnswer(is_wanted=False))
    experiment, key = question.experiment, question.key
    if question.is_traced:
        service.write(lambda writing: confirm_turn(writing.connection, experiment, key, now))
        return json_answer(TraceAnswer(is_wanted=False, is_pending=True))

    with service.reading() as connection:  # the usual answer costs no write
        may_be_wanted = question.can_be_traced and may_get_turn(connection, experiment, key, now)
        used = what_kind_used(connection, experiment, key)
    if not may_be_wanted:
        return json_answer(used)

    def take(writing: Writing) -> bool:
        return take_turn(writing.connection, experiment, key, now, is_offer=question.confirms)

    if service.write(take):
        return json_answer(TraceAnswer(is_wanted=True, is_pending=True))
    return json_answer(used)


def _read_question() -> TraceQuestion:
    try:
        question = _question.decode(read_body(_QUESTION_BYTES))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as problem:
        raise wrong_body(problem, TraceQuestion) from None
    if not _KEY.fullmatch(question.key):
        raise BadInputError(
            "A key is 64 lower-case hex digits.", {"key": ["not a SHA-256 in lower-case hex"]}
        )
    return question
