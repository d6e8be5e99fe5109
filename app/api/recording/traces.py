"""Telling hooks which jobs are to be traced."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec
from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.bodies import read_body
from jobprov.app.api.wire.documenting import Section
from jobprov.app.api.wire.guard import check_experiment, recording_grant
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.recording import TraceAnswer
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.records.job_record import ExperimentName
from jobprov.provenance.records.reading.decoding import DecodedRecord
from jobprov.provenance.services.intake.trace_turns import may_get_turn, note_traced, take_turn
from jobprov.provenance.services.recording.submissions import Outcome

section = Section("traces", "Which jobs are traced.")

_QUESTION_BYTES = 4096
_KEY = re.compile(r"[0-9a-f]{64}")


class TraceQuestion(msgspec.Struct):
    """A job that is about to run: its experiment, and the SHA-256 of what its hook knows it by."""

    experiment: ExperimentName
    key: str


_question = msgspec.json.Decoder(TraceQuestion)


@section.call(
    "POST",
    "/traces/turns",
    body=TraceQuestion,
    answers={200: TraceAnswer},
    errors=(413, 415, 422),
    writes=True,
)
def ask_turn() -> Response:
    """Return whether a job that is about to run is to be traced: the first of each kind is."""
    grant = recording_grant()
    question = _read_question()
    check_experiment(grant, question.experiment)
    service, now = get_service(), datetime.now(UTC)
    if not service.settings.trace_first:
        return json_answer(TraceAnswer(is_wanted=False))
    kind = question.experiment, question.key
    with service.reading() as connection:  # what nearly all are told costs no write
        is_wanted = may_get_turn(connection, *kind, now)
    if is_wanted:
        is_wanted = service.write(lambda writing: take_turn(writing.connection, *kind, now))
    return json_answer(TraceAnswer(is_wanted))


def note_traces(taken: Iterable[tuple[DecodedRecord, Outcome]]) -> None:
    """Note which kinds of jobs need no other trace."""
    kinds: set[tuple[str, str]] = set()
    for decoded, outcome in taken:
        trace = decoded.record.trace if decoded.record is not None else None
        if trace is not None and trace.key and outcome.change != "conflict":
            kinds.add((decoded.experiment, trace.key))
    if kinds:
        now = datetime.now(UTC)
        get_service().write(lambda writing: note_traced(writing.connection, kinds, now))


def _read_question() -> TraceQuestion:
    try:
        question = _question.decode(read_body(_QUESTION_BYTES))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as problem:
        raise BadInputError(
            f"The body cannot be read: {problem}.", {"": ["experiment and key"]}
        ) from None
    if not _KEY.fullmatch(question.key):
        raise BadInputError(
            "A key is 64 lower-case hex digits.", {"key": ["not a SHA-256 in lower-case hex"]}
        )
    return question
