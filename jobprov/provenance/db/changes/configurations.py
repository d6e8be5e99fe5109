"""Writes what configurations evaluate to."""

from typing import NamedTuple

from sqlalchemy import Connection, delete, select

from jobprov.provenance.db.queries.recording.findings import KnownEvaluation
from jobprov.provenance.db.statements.inserting import insert_rows
from jobprov.provenance.db.tables import Evaluation
from jobprov.provenance.db.tables.base import table_of


class EarlierEvaluation(NamedTuple):
    """What was wrong with a configuration when it was evaluated before."""

    problem: str | None
    difference: str | None


def replace_evaluation(
    connection: Connection,
    experiment: int,
    closure: int,
    set_id: int | None,
    evaluation: KnownEvaluation,
) -> EarlierEvaluation | None:
    """Write an evaluation in place of the one before; return that one, None for the first.

    Args:
        experiment: key of the experiment that possesses the files.
        closure: key of the configuration.
        set_id: of the set that is searched.
    """
    table = table_of(Evaluation)
    is_same = (table.c.experiment_id == experiment) & (table.c.closure_id == closure)
    query = select(table.c.problem, table.c.difference).where(is_same)
    row = connection.execute(query).first()
    connection.execute(delete(table).where(is_same))
    keys = {"experiment_id": experiment, "closure_id": closure, "set_id": set_id}
    insert_rows(connection, table, [{**keys, **evaluation._asdict()}])
    return None if row is None else EarlierEvaluation(*row)
