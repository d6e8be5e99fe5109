"""Filters of a history, and histories of the past, on both databases.

Counted by hand on a small production.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert, select

from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.db.tables import Base
from jobprov.provenance.errors import BadInputError, NotFoundError
from jobprov.provenance.lineage.graph import FileNode, Graph
from jobprov.provenance.lineage.openlineage import to_openlineage
from jobprov.provenance.lineage.prov_json import prov_document, to_prov_n
from jobprov.provenance.services.histories.lineage import trace_lineage
from jobprov.provenance.services.histories.lineage_filters import NodeFilters
from jobprov.provenance.services.histories.nodes import node_rows
from tests.library.production import Production
from tests.library.records import MOMENT, a_record, chain, file_entry, job_id


def code(name: str, revision: str) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "repository": f"https://git.example.org/{name}.git",
            "revision": revision * 40,
        }
    ]


def task(stage: str) -> dict[str, Any]:
    return {"task_id": f"t-{stage}", "campaign": "c", "stage": stage}


@pytest.fixture
def recorded(production: Production) -> Production:
    """Raw is read by a reco job that failed and one that made reco with the shared calib.

    Reco and other are merged.
    """
    shared = file_entry("calib", 9, role="shared")
    production.record(
        a_record(1, outputs=[file_entry("raw", 1)], task=task("daq"), software=code("daq", "1")),
        a_record(
            2,
            inputs=[file_entry("raw", 1)],
            task=task("reco"),
            state="failed",
            software=code("reco", "2"),
        ),
        a_record(
            3,
            inputs=[file_entry("raw", 1, role="primary"), shared],
            outputs=[file_entry("reco", 3)],
            task=task("reco"),
            software=code("reco", "3"),
            started_at="2026-01-01T06:00:00Z",
        ),
        a_record(4, outputs=[file_entry("other", 4)], task=task("daq"), software=code("daq", "3")),
        a_record(
            5,
            inputs=[file_entry("reco", 3), file_entry("other", 4)],
            outputs=[file_entry("merged", 5)],
            task=task("merge"),
        ),
    )
    return production


def traced(production: Production, name: str, **how: Any) -> Graph:
    with production.database.reading.connect() as connection:
        return trace_lineage(connection, name, **how)


def shown(graph: Graph) -> list[str]:
    return sorted(
        node.name if isinstance(node, FileNode) else (node.stage or "?") for node in graph.nodes
    )


def joined(graph: Graph) -> set[tuple[str, str]]:
    names = {
        node.key: node.name if isinstance(node, FileNode) else (node.stage or "?")
        for node in graph.nodes
    }
    return {(names[edge.source], names[edge.target]) for edge in graph.inner_edges()}


def test_history_read_whole_is_the_picture_that_is_drawn(recorded: Production) -> None:
    """Two ways lead to one answer.

    It is read level by level where nothing is filtered, and as a whole history where a filter lets
    everything pass.
    """
    for direction in ("ancestors", "descendants", "both"):
        for name in ("raw", "reco", "merged", "calib"):
            drawn = traced(recorded, name, direction=direction)
            read = traced(recorded, name, direction=direction, as_of=MOMENT)
            assert {node.key for node in read.nodes} == {node.key for node in drawn.nodes}, (
                name,
                direction,
            )
            ends = [
                {(edge.source, edge.target, edge.is_sure) for edge in graph.inner_edges()}
                for graph in (read, drawn)
            ]
            assert ends[0] == ends[1], (name, direction)


def test_kind_joins_files_directly_and_hides_jobs_between(recorded: Production) -> None:
    graph = traced(recorded, "merged", direction="ancestors", filters=NodeFilters(kind="file"))

    assert shown(graph) == ["calib", "merged", "other", "raw", "reco"]
    assert joined(graph) == {
        ("raw", "reco"),
        ("calib", "reco"),
        ("reco", "merged"),
        ("other", "merged"),
    }
    assert (graph.omitted.hidden, graph.is_truncated) == (4, False)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (NodeFilters(jobs=JobFilters(stage="daq")), ["daq", "daq", "merged", "other", "raw"]),
        (NodeFilters(kind="job", jobs=JobFilters(stage="reco")), ["merged", "reco"]),
        (NodeFilters(role="shared"), ["calib", "merged", "reco"]),
        (
            NodeFilters(jobs=JobFilters(software="daq", revision="3" * 8)),
            ["daq", "merged", "other"],
        ),
        (NodeFilters(jobs=JobFilters(software="reco", revision="1" * 8)), ["merged"]),
        (
            NodeFilters(
                kind="job", jobs=JobFilters(started_after=datetime(2026, 1, 1, 5, tzinfo=UTC))
            ),
            ["merged", "reco"],
        ),
    ],
)
def test_filters_show_less_and_walk_on_behind(
    recorded: Production, filters: NodeFilters, expected: list[str]
) -> None:
    assert shown(traced(recorded, "merged", direction="ancestors", filters=filters)) == expected


def test_failed_jobs_that_read_a_file_are_found_below_it(recorded: Production) -> None:
    graph = traced(
        recorded,
        "raw",
        direction="descendants",
        filters=NodeFilters(jobs=JobFilters(state="failed")),
    )

    assert shown(graph) == ["raw", "reco"]
    with pytest.raises(BadInputError, match="one of running"):
        traced(recorded, "raw", filters=NodeFilters(jobs=JobFilters(state="odd")))


def test_depth_and_limit_count_what_they_leave_out(recorded: Production) -> None:
    near = traced(
        recorded, "merged", direction="ancestors", depth=1, filters=NodeFilters(kind="file")
    )
    few = traced(
        recorded, "merged", direction="ancestors", limit=2, filters=NodeFilters(kind="file")
    )

    assert (shown(near), near.is_truncated, near.omitted.ancestors) == (
        ["merged", "other", "reco"],
        True,
        2,
    )
    assert (len(few.nodes), few.is_truncated, few.omitted.by_kind) == (
        2,
        True,
        {"file": 3, "job": 0},
    )


def writers(graph: Graph) -> dict[str, tuple[str, bool]]:
    return {
        node.name: (node.writer.job_id, node.writer.is_other_version)
        for node in graph.files()
        if node.writer is not None
    }


def test_files_that_nobody_made_name_the_job_behind_them(production: Production) -> None:
    """Job 1 made another `a` than job 2 read.

    Job 3 failed after it wrote `c`, and nobody read that; what is read counts as made.
    """
    production.record(
        a_record(1, outputs=[file_entry("a", 1)]),
        a_record(
            2, inputs=[file_entry("a", 99), file_entry("extern", 5)], outputs=[file_entry("b", 2)]
        ),
        a_record(
            3,
            inputs=[file_entry("b", 2)],
            outputs=[file_entry("c", 3), file_entry("d", 4)],
            state="failed",
        ),
        a_record(4, inputs=[file_entry("d", 4)], outputs=[file_entry("e", 6)]),
    )

    graph = traced(production, "b")
    assert writers(graph) == {"a": (job_id(1), True), "c": (job_id(3), False)}
    assert [node.name for node in graph.files() if node.is_made] == ["b", "d", "e"]
    assert writers(traced(production, "b", filters=NodeFilters(kind="file"))) == writers(graph)
    assert writers(traced(production, "c", direction="ancestors")) == {"c": (job_id(3), False)}
    assert writers(traced(production, "a")) == {}


def test_file_of_the_past_that_was_recorded_later_is_no_other_version(
    production: Production,
) -> None:
    first, second = chain("a", "b")
    production.record(second, received_at=MOMENT)
    production.record(first, received_at=MOMENT + timedelta(days=1))

    graph = traced(production, "b", as_of=MOMENT)

    assert ([node.is_placeholder for node in graph.files()], writers(graph)) == ([False, True], {})


def test_history_is_shown_as_it_was_recorded_at_a_moment(production: Production) -> None:
    first, second, third = chain("a", "b", "c")
    production.record(third, received_at=MOMENT)
    production.record(first, received_at=MOMENT + timedelta(days=1))
    production.record(second, received_at=MOMENT + timedelta(days=2))

    def at(days: int, name: str = "c") -> list[str]:
        graph = traced(production, name, as_of=MOMENT + timedelta(days=days))
        return sorted(node.name for node in graph.files())

    assert (at(0), at(1), at(2)) == (["b", "c"], ["b", "c"], ["a", "b", "c"])
    assert at(1, "a") == ["a"]
    with pytest.raises(NotFoundError, match="No record had mentioned a at"):
        at(0, "a")


def test_exports_of_a_graph_with_hidden_nodes_say_what_was_derived(recorded: Production) -> None:
    files = traced(recorded, "merged", direction="ancestors", filters=NodeFilters(kind="file"))
    jobs = traced(recorded, "merged", direction="ancestors", filters=NodeFilters(kind="job"))

    assert len(prov_document(files)["wasDerivedFrom"]) == 4
    assert to_prov_n(files).count("wasDerivedFrom(") == 4
    assert len(prov_document(jobs)["wasInformedBy"]) == to_prov_n(jobs).count("wasInformedBy(") == 3
    assert prov_document(jobs)["wasGeneratedBy"] != {}  # the file that was asked for
    assert to_openlineage(files) == ""
    whole = map(
        json.loads, to_openlineage(traced(recorded, "merged", direction="ancestors")).splitlines()
    )
    assert [("nova", "other"), ("nova", "reco")] in [
        [(file["namespace"], file["name"]) for file in event["inputs"]] for event in whole
    ]
    [merged] = [row for row in node_rows(files) if row["name"] == "merged"]
    assert len(merged["from"].split()) == 2


def test_edges_of_a_filtered_lineage_are_in_one_order_wherever_rows_lie(
    production: Production,
) -> None:
    """PostgreSQL reads a small table from its beginning; rows that change move to its end."""
    parts = [file_entry(f"part{number}") for number in range(1, 5)]
    for number, part in enumerate(parts, start=1):
        production.record(a_record(number, inputs=[file_entry("raw")], outputs=[part]))
    production.record(a_record(5, inputs=parts, outputs=[file_entry("merged")]))
    questions: list[dict[str, Any]] = [
        {"name": "merged", "direction": "ancestors", "filters": NodeFilters(kind="file")},
        {"name": "raw", "direction": "descendants", "filters": NodeFilters(kind="file")},
    ]
    before = [traced(production, **question).edges for question in questions]

    with production.database.writing.begin() as connection:
        for name in ("parents", "mentions", "producers"):
            table = Base.metadata.tables[name]
            rows = connection.execute(select(table).order_by(*table.primary_key)).mappings().all()
            connection.execute(delete(table))
            for row in reversed(rows):
                connection.execute(insert(table).values(**row))

    assert [len(edges) for edges in before] == [8, 8]
    assert [traced(production, **question).edges for question in questions] == before
