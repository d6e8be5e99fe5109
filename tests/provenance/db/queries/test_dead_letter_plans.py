"""How databases find dead letters, of which there may be thousands that wait."""

from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.queries.recording.dead_letters import numbers_among
from tests.library.statements import plan_of, statements_sent


def test_letters_that_are_named_are_found_by_their_numbers(database: Database) -> None:
    with database.reading.connect() as connection:
        with statements_sent(connection) as statements:
            found = numbers_among(connection, [7, 8], None)
        if not database.is_sqlite:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        steps = "\n".join(plan_of(connection, statements[-1]))

    assert found == set()
    assert "pk_dead_letters" in steps or "SEARCH dead_letters USING INTEGER PRIMARY KEY" in steps
