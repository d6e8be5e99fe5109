"""How SQLite plans the walks: never by scanning a whole table.

Tiny and huge tables hide a bad plan; this one is in between.
"""

import re
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, func, select, text

from jobprov.provenance.db.queries.fragments.named_files import is_named
from jobprov.provenance.db.queries.histories import (
    neighbours,
    own_inputs,
    pasts,
    shared_inputs,
    whole_walks,
)
from jobprov.provenance.db.queries.histories import rebuilds as remaking
from jobprov.provenance.db.queries.histories import walks as walking
from jobprov.provenance.db.queries.histories import whole_histories as histories
from jobprov.provenance.db.queries.lookup.files import by_name, focus
from jobprov.provenance.db.queries.lookup.lists import files
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters, job_conditions
from jobprov.provenance.db.tables import File, Job
from jobprov.provenance.services.histories.lineage import trace_lineage
from jobprov.provenance.services.histories.lineage_lists import list_ancestors, list_descendants
from jobprov.provenance.services.lookup.file import show_file
from tests.library.production import Production
from tests.library.records import a_record, chain, file_entry

JOBS = 2000
LOOK_UPS = [
    value
    for module in (
        histories,
        by_name,
        files,
        focus,
        own_inputs,
        pasts,
        remaking,
        shared_inputs,
    )
    for name, value in vars(module).items()
    if name.startswith("_") and isinstance(value, str) and "{among}" in value
] + [
    whole_walks._READERS.format(most=5, among="{among}"),
    *(
        statement.format(most=5, among="{among}", known=known.replace("?", "'2026-01-01'"))
        for statement in files._CONSUMERS.values()
        for known in ("", files._KNOWN)
    ),
]
"""Statements for many keys at once."""
WALKS = [
    str(statement)
    for statement in (
        *(
            walking._ANCESTOR_ROWS,
            walking._DESCENDANT_ROWS,
            walking._ANCESTOR_EDGES,
            walking._DESCENDANT_CLAIMS,
        ),
        walking._READERS,
    )
]


@pytest.fixture
def analysed(production: Production) -> Production:
    records = [
        a_record(
            n,
            inputs=[file_entry(f"f{n // 3}", n // 3), file_entry("calib", 7, role="shared")],
            outputs=[file_entry(f"f{n + 1}", n + 1)],
        )
        for n in range(JOBS)
    ]
    for start in range(0, JOBS, 500):
        production.record(*records[start : start + 500])
    production.write(lambda writing: writing.connection.execute(text("ANALYZE")))
    return production


def plan(production: Production, statement: str) -> list[str]:
    parameters: dict[str, Any] = {"claim": 5, "most": 1000, "file": -1}
    used = {name: value for name, value in parameters.items() if f":{name}" in statement}
    with production.database.reading.connect() as connection:
        return [row[3] for row in connection.execute(text(f"EXPLAIN QUERY PLAN {statement}"), used)]


def plans_of(production: Production, ask: Callable[[Connection], object]) -> list[list[str]]:
    """Return how SQLite plans each statement of a question, as it was run."""
    told: list[str] = []
    with production.database.reading.connect() as connection:
        driver: Any = connection.connection.driver_connection
        driver.set_trace_callback(told.append)
        ask(connection)
        driver.set_trace_callback(None)
        asked = [statement for statement in told if re.match(r"\s*(SELECT|WITH)", statement)]
        return [
            [row[3] for row in driver.execute(f"EXPLAIN QUERY PLAN {statement}")]
            for statement in asked
        ]


QUESTIONS: dict[str, Callable[[Connection], object]] = {
    "a file": lambda connection: show_file(connection, "f9"),
    "a picture": lambda connection: trace_lineage(connection, "f9", depth=1),
    "a large picture": lambda connection: trace_lineage(connection, "f9"),
    "ancestors": lambda connection: list_ancestors(connection, "f9"),
    "descendants": lambda connection: list_descendants(connection, "f9"),
}


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("ask", QUESTIONS.values(), ids=QUESTIONS.keys())
def test_statements_of_pages_go_from_keys_to_tables(
    analysed: Production, ask: Callable[[Connection], object]
) -> None:
    plans = plans_of(analysed, ask)

    assert plans
    scans = r"SCAN (?!(json_each|met|up|down|seeds?|parent|looked_at|experiments|few|anon_1)\b|\()"
    assert not [steps for steps in plans if any(re.match(scans, step) for step in steps)]


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_walks_scan_no_table(analysed: Production) -> None:
    for statement in WALKS:
        steps = plan(analysed, statement)
        scans = [step for step in steps if re.match(r"SCAN (?!met|up|down|seed|\(subquery)", step)]
        assert not scans, steps
        assert not any("AUTOMATIC" in step for step in steps), steps

    # Would be noticed
    assert plan(analysed, "SELECT * FROM claims WHERE status = 'x'")[0].startswith("SCAN claims")


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_histories_and_consumers_are_looked_up(analysed: Production) -> None:
    """Each statement for many keys goes from the keys to the table, never through the table."""
    assert len(LOOK_UPS) >= 25  # those of a file's own names are among the QUESTIONS
    for statement in LOOK_UPS:
        steps = plan(analysed, statement.format(among="IN (SELECT value FROM json_each('[1, 2]'))"))
        assert not [step for step in steps if re.match(r"SCAN (?!json_each|few|\()", step)], (
            statement,
            steps,
        )


NEIGHBOURS: dict[str, Callable[[Connection], object]] = {
    "parents in a picture": lambda connection: neighbours.parent_rows(connection, [2], 10),
    "children in a picture": lambda connection: neighbours.child_rows(connection, [1], 10),
    "parents on a page": lambda connection: by_name.parents_of(connection, 2),
}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("ask", NEIGHBOURS.values(), ids=NEIGHBOURS.keys())
def test_how_a_job_read_a_file_is_looked_up_without_the_others_that_it_read(
    production: Production, ask: Callable[[Connection], object]
) -> None:
    """A job may read thirty thousand files: to look through all of them for each took a minute."""
    production.record(*chain("a", "b"))

    plans = plans_of(production, ask)

    steps = [step for plan_steps in plans for step in plan_steps if "mentions" in step]
    assert steps
    assert not [step for step in steps if step.endswith("USING PRIMARY KEY (job_id=?)")], plans


OTHER_NAMES: dict[str, Callable[[Connection], object]] = {
    "of a version": lambda connection: focus.identities_of(connection, focus.Focus(1, 1)),
    "of a name": lambda connection: focus.identities_of(connection, focus.Focus(1, None)),
    "claims": lambda connection: focus.claims_of(connection, [1]),
    "descendants": lambda connection: list_descendants(connection, "a"),
}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("ask", OTHER_NAMES.values(), ids=OTHER_NAMES.keys())
def test_other_names_of_a_file_are_not_looked_for_among_all_that_its_job_made(
    production: Production, ask: Callable[[Connection], object]
) -> None:
    """A job may have made ten thousand files."""
    production.record(*chain("a", "b"))

    steps = [step for plan in plans_of(production, ask) for step in plan]

    assert [step for step in steps if "ix_claims_alias_of" in step]
    assert not [step for step in steps if "ix_claims_job_id" in step], steps


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_postgresql_has_an_index_for_each_look_up_and_walk(production: Production) -> None:
    """Where an index serves, the planner takes it once scans are made dear.

    On the million rows of a production they are.
    """
    statements = [statement.format(among="= ANY('{1,2}'::bigint[])") for statement in LOOK_UPS]
    statements += [re.sub(r":(claim|file|most)", "1", walk) for walk in WALKS]
    with production.database.reading.connect() as connection:
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        for statement in statements:
            steps = [row[0] for row in connection.exec_driver_sql(f"EXPLAIN {statement}")]
            assert not [step for step in steps if "Seq Scan" in step], (statement, steps)


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_whether_anybody_names_a_file_is_looked_up_file_by_file(analysed: Production) -> None:
    """The ten files of a page are looked up one by one.

    PostgreSQL would rather read all that jobs named, once for a statement.
    """
    query = (
        select(File.id)
        .where(is_named())
        .order_by(File.name, File.namespace, File.experiment_id)
        .limit(10)
    )
    with analysed.database.reading.connect() as connection:
        steps = [
            row[0] for row in connection.execute(text(f"EXPLAIN {_literal(connection, query)}"))
        ]

    assert not [
        step
        for step in steps
        if "hashed" in step or re.search(r"Seq Scan on (claims|mentions|parents)", step)
    ], steps


COUNTED_BY = {
    "ix_jobs_software_set_id_experiment_id_state": JobFilters(revision="1" * 40),
    "ix_jobs_host_id_id_experiment_id_state": JobFilters(host="wn1"),
    "ix_jobs_task_id_state": JobFilters(campaign="c", stage="s"),
}


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_jobs_of_an_impact_are_counted_by_an_index_alone(analysed: Production) -> None:
    with analysed.database.reading.connect() as connection:

        def steps_of(query: Any) -> list[str]:
            return [
                row[3]
                for row in connection.execute(
                    text(f"EXPLAIN QUERY PLAN {_literal(connection, query)}")
                )
            ]

        for index, filters in COUNTED_BY.items():
            steps = steps_of(select(func.count()).select_from(Job).where(*job_conditions(filters)))
            assert f"jobs USING COVERING INDEX {index}" in steps[0], steps
        reruns = steps_of(select(Job.id).where(Job.rerun_of.is_not(None)))
        assert reruns == ["SCAN jobs USING INDEX ix_jobs_rerun"]


def _literal(connection: Connection, query: Any) -> str:
    return str(query.compile(connection, compile_kwargs={"literal_binds": True}))
