"""Where a bounded picture breaks off, and how much it leaves out there."""

import pytest

from jobprov.provenance.db.queries.histories import neighbours
from jobprov.provenance.lineage.graph import Graph, JobNode, Omitted
from jobprov.provenance.services.histories.lineage import trace_lineage
from tests.library.production import Production
from tests.library.records import a_record, file_entry

PARTS, READERS = 12, 30


@pytest.fixture
def production_of_merge(production: Production) -> Production:
    """Return parts of raw files and a shared calibration, their merge, and a hub of jobs.

    The jobs of the hub read the merge.
    """
    calibration = file_entry("calib", 999, role="shared")
    parts = [
        a_record(
            n,
            inputs=[file_entry(f"raw{n}", n), calibration],
            outputs=[file_entry(f"part{n}", n + 100)],
        )
        for n in range(1, PARTS + 1)
    ]
    merge = a_record(
        50,
        inputs=[file_entry(f"part{n}", n + 100) for n in range(1, PARTS + 1)],
        outputs=[file_entry("merged", 500)],
    )
    readers = [
        a_record(
            100 + n, inputs=[file_entry("merged", 500)], outputs=[file_entry(f"hist{n}", 600 + n)]
        )
        for n in range(READERS)
    ]
    production.record(*parts, merge, *readers)
    return production


def traced(production: Production, name: str, direction: str, limit: int = 200) -> Graph:
    with production.database.reading.connect() as connection:
        return trace_lineage(connection, name, direction=direction, limit=limit)


def named(graph: Graph, counts: dict[str, int]) -> list[tuple[str, int]]:
    nodes = graph.by_key()
    return sorted(
        (
            "job" if isinstance(node := nodes[key], JobNode) else node.name.rstrip("0123456789"),
            count,
        )
        for key, count in counts.items()
    )


def test_a_whole_picture_leaves_nothing_out(production_of_merge: Production) -> None:
    assert traced(production_of_merge, "merged", "both").omitted == Omitted()


def test_inputs_and_makers_that_found_no_room_are_counted_where_they_would_stand(
    production_of_merge: Production,
) -> None:
    graph = traced(production_of_merge, "merged", "ancestors", limit=6)

    assert named(graph, dict(graph.omitted.inputs_of)) == [("job", PARTS - 4)] + [("part", 1)] * 4
    assert graph.omitted.outputs_of == {}


def test_readers_of_a_hub_are_counted_as_far_as_the_limit(
    production_of_merge: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = traced(production_of_merge, "merged", "descendants", limit=6)
    shown = len(graph.jobs())
    monkeypatch.setattr(neighbours, "MOST_USES", 10)
    bounded = traced(production_of_merge, "merged", "descendants", limit=6)

    assert graph.omitted.outputs_of[graph.focus] == READERS - shown
    assert bounded.omitted.outputs_of[bounded.focus] == 10 - shown
    assert graph.omitted.inputs_of == {}
