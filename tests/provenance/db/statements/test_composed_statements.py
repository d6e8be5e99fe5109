"""Statements that are composed once give the rows, types and errors of SQLAlchemy.

That is so on both databases.
"""

from typing import Any

import pytest
from sqlalchemy import Connection, bindparam, select
from sqlalchemy.exc import DBAPIError

from jobprov.provenance.db.queries.histories import neighbours
from jobprov.provenance.db.queries.lookup import node_facts
from jobprov.provenance.db.queries.lookup.files import by_name, versions
from jobprov.provenance.db.queries.lookup.jobs import code_versions, summaries
from jobprov.provenance.db.statements.composed import run
from jobprov.provenance.db.tables import File, Job
from tests.library.production import Production
from tests.library.records import a_record, chain, file_entry

KEYS = list(range(1, 12))
QUESTIONS: dict[str, tuple[Any, dict[str, Any]]] = {
    "consumers": (by_name._CONSUMERS, {"file": 2, "limit": 3}),
    "contents that were read": (by_name._READ_CONTENTS, {"file": 2, "limit": 3}),
    "parents of a file": (by_name._PARENTS, {"claim": 2, "limit": 100}),
    "children": (by_name._CHILDREN, {"identities": KEYS, "limit": 10}),
    "versions": (versions._CLAIMS, {"files": KEYS}),
    "last tries": (versions._TRIES, {"files": KEYS}),
    "summaries of jobs": (summaries._SUMMARIES_OF, {"keys": KEYS}),
    "jobs of a picture": (node_facts._JOBS, {"jobs": KEYS}),
    "files of a picture": (node_facts._CLAIMS, {"claims": KEYS}),
    "code": (code_versions._SOFTWARE, {"sets": KEYS}),
    "parents in a picture": (neighbours._PARENTS, {"claims": KEYS, "most": 100}),
    "consumers in a picture": (neighbours._CONSUMERS, {"identities": KEYS, "most": 100}),
    "children in a picture": (neighbours._CHILDREN, {"identities": KEYS, "most": 100}),
    "shared inputs": (neighbours._SHARED, {"jobs": KEYS}),
    "inputs of jobs": (neighbours._INPUTS, {"jobs": KEYS}),
    "uses of files": (neighbours._USES, {"identities": KEYS, "most": 100}),
    "nothing": (summaries._SUMMARIES_OF, {"keys": []}),
}


def record(production: Production) -> None:
    """Record successes, a failure, a shared input and a name of two jobs.

    So every column has values of each kind.
    """
    production.record(
        *chain("a", "b", "c", "d"),
        a_record(40, outputs=[file_entry("z", 1)], state="failed"),
        a_record(
            41,
            inputs=[file_entry("a", 1), file_entry("calib", 7, role="shared")],
            outputs=[file_entry("e", 5)],
        ),
        a_record(42, inputs=[file_entry("calib", 7, role="shared")], outputs=[file_entry("e", 6)]),
    )


def typed(rows: Any) -> list[tuple[tuple[type, Any], ...]]:
    """Return the cells with their types: True and 1 are equal, but not the same answer."""
    return sorted((tuple((type(cell), cell) for cell in row) for row in rows), key=repr)


def rows_of(connection: Connection, statement: Any, values: dict[str, Any]) -> Any:
    return connection.execute(statement, values).all()


@pytest.mark.parametrize("name", QUESTIONS)
def test_rows_are_those_that_sqlalchemy_gives(production: Production, name: str) -> None:
    statement, values = QUESTIONS[name]
    record(production)
    with production.database.reading.connect() as connection:
        expected = rows_of(connection, statement, values)

        assert typed(run(connection, statement, values)) == typed(expected)
        assert expected or name in ("nothing", "code")


def test_columns_are_found_by_name(production: Production) -> None:
    record(production)
    statement = (
        select(Job.id, Job.uuid, File.id.label("file")).where(Job.id == File.id).order_by(Job.id)
    )
    with production.database.reading.connect() as connection:
        found = run(connection, statement, {})

        assert [(row.id, row.uuid, row.file) for row in found] == [
            tuple(row) for row in rows_of(connection, statement, {})
        ]


def test_lists_may_be_of_texts_and_exclude(production: Production) -> None:
    record(production)
    wanted = (
        select(File.name)
        .where(File.name.in_(bindparam("names", expanding=True)))
        .order_by(File.name)
    )
    others = select(File.name).where(File.name.not_in(["a", "b", "100% ?"])).order_by(File.name)
    with production.database.reading.connect() as connection:
        assert [
            row[0] for row in run(connection, wanted, {"names": ["b", "a", "'; DROP TABLE files"]})
        ] == ["a", "b"]
        assert [row[0] for row in run(connection, others, {})] == ["c", "calib", "d", "e", "z"]


def test_an_error_is_sqlalchemys(production: Production) -> None:
    statement = select(Job.id).where(Job.id == bindparam("job"))
    with production.database.reading.connect() as connection, pytest.raises(DBAPIError):
        run(connection, statement, {"job": object()})
