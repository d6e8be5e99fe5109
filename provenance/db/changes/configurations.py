"""Writes what configurations evaluate to."""

from typing import NamedTuple

from sqlalchemy import Connection, delete, select

from jobprov.provenance.db.statements.inserting import insert_rows
from jobprov.provenance.db.tables import Evaluation
from jobprov.provenance.db.tables.base import table_of


class EvaluationDraft(NamedTuple):
    """What a configuration evaluates to for an experiment; columns of `Evaluation`."""

    experiment_id: int
    closure_id: int
    set_id: int | None
    parsed_as: str | None
    ran_as: str | None
    computed_as: str | None
    problem: str | None
    is_too_large: bool
    difference: str | None
    as_written: str | None


class EarlierEvaluation(NamedTuple):
    """What was wrong with a configuration when it was evaluated before."""

    problem: str | None
    difference: str | None


def replace_evaluation(connection: Connection, draft: EvaluationDraft) -> EarlierEvaluation | None:
    """Write an evaluation in place of the one before; return that one, None for the first."""
    table = table_of(Evaluation)
    is_same = (table.c.experiment_id == draft.experiment_id) & (
        table.c.closure_id == draft.closure_id
    )
    query = select(table.c.problem, table.c.difference).where(is_same)
    row = connection.execute(query).first()
    connection.execute(delete(table).where(is_same))
    insert_rows(connection, table, [draft._asdict()])
    return None if row is None else EarlierEvaluation(*row)
