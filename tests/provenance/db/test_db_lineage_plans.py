"""How SQLite plans the walks: never by scanning a whole table. Tiny and huge tables hide a bad plan; this one is in between."""

import re
from typing import Any

import pytest
from production_samples import Production, file_entry, job
from sqlalchemy import text

from provenance.db.queries import walking

JOBS = 2000


@pytest.fixture
def analysed(production: Production) -> Production:
    records = [
        job(
            n,
            inputs=[file_entry(f"f{n // 3}", n // 3), file_entry("calib", 7, role="shared")],
            outputs=[file_entry(f"f{n + 1}", n + 1)],
        )
        for n in range(JOBS)
    ]
    for start in range(0, JOBS, 500):
        production.record(*records[start : start + 500])
    production.write(lambda connection: connection.execute(text("ANALYZE")))
    return production


def plan(production: Production, statement: str) -> list[str]:
    parameters: dict[str, Any] = {"claim": 5, "most": 1000, "file": -1}
    used = {name: value for name, value in parameters.items() if f":{name}" in statement}
    with production.database.reading.connect() as connection:
        return [row[3] for row in connection.execute(text(f"EXPLAIN QUERY PLAN {statement}"), used)]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_walks_scan_no_table(analysed: Production) -> None:
    statements = [walking._ANCESTOR_ROWS, walking._DESCENDANT_ROWS, *walking._COUNTS.values()]
    for statement in statements:
        steps = plan(analysed, statement)
        scans = [step for step in steps if re.match(r"SCAN (?!met|up|down|seed|\(subquery)", step)]
        assert not scans, steps
        assert not any("AUTOMATIC" in step for step in steps), steps

    assert plan(analysed, "SELECT * FROM claims WHERE status = 'x'")[0].startswith("SCAN claims")  # would be noticed
