"""Histories of the past: what had been recorded at a moment, and what of it is told as it is today.

On both databases.
"""

from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec import to_builtins

from jobprov.provenance.answers.histories.lineage import LineagePast
from jobprov.provenance.db.queries.histories import pasts
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.lineage.graph import FileNode, Graph
from jobprov.provenance.lineage.sentences import summary
from jobprov.provenance.services.catalogs.sightings import record_sighting
from jobprov.provenance.services.histories.lineage import trace_lineage
from jobprov.provenance.services.histories.nodes import graph_answer
from tests.library.production import Production
from tests.library.records import MOMENT, a_record, chain, file_entry, job_id

BEFORE, AFTER = MOMENT + timedelta(hours=1), MOMENT + timedelta(days=1)


def past_of(
    production: Production, name: str, moment: datetime = BEFORE, **how: Any
) -> tuple[Graph, LineagePast]:
    """Return a file's history as it was known at a moment, and what it says of itself."""
    with production.database.reading.connect() as connection:
        graph = trace_lineage(connection, name, as_of=moment, **how)
    assert graph.past is not None
    return graph, graph.past


def placeholders(graph: Graph) -> dict[str, bool]:
    return {node.name: node.is_placeholder for node in graph.nodes if isinstance(node, FileNode)}


def test_history_of_today_says_nothing_of_the_past(production: Production) -> None:
    production.record(*chain("a", "b"))

    with production.database.reading.connect() as connection:
        graph = trace_lineage(connection, "b")

    assert graph.past is None
    assert "past" not in to_builtins(graph_answer(graph))


def test_where_nothing_came_since_the_past_is_exact(production: Production) -> None:
    production.record(*chain("a", "b", "c"))

    graph, past = past_of(production, "c")

    assert past.is_exact
    assert to_builtins(graph_answer(graph))["past"] == {
        "as_of": "2026-01-02T01:00:00Z", "is_exact": True, "changed_jobs": [], "changed_count": 0, "relinked_files": [],
        "relinked_count": 0,
    }  # fmt: skip
    assert summary(graph).endswith("This is what had been recorded on 2026-01-02 01:00 UTC.")


def test_file_that_nobody_had_claimed_then_is_only_mentioned(production: Production) -> None:
    first, second = chain("a", "b")
    production.record(second)
    production.record(first, received_at=AFTER)

    then, past = past_of(production, "b", direction="ancestors")
    now, _ = past_of(production, "b", AFTER, direction="ancestors")

    assert placeholders(then) == {"a": True, "b": False}
    assert len(then.jobs()) == 1
    assert past.is_exact  # who made it came later, and is left out as it should be
    assert placeholders(now) == {"a": False, "b": False}


def test_shared_file_that_was_claimed_later_is_only_mentioned(production: Production) -> None:
    calib = file_entry("calib", 9)
    production.record(
        a_record(1, inputs=[{**calib, "role": "shared"}], outputs=[file_entry("b", 2)])
    )
    production.record(a_record(2, outputs=[calib]), received_at=AFTER)

    then, _ = past_of(production, "b", direction="ancestors")

    assert placeholders(then) == {"b": False, "calib": True}


def test_file_whose_maker_says_otherwise_since_is_named_though_that_job_is_no_longer_before_it(
    production: Production,
) -> None:
    production.record(
        a_record(1, outputs=[file_entry("a", 1)]),
        a_record(2, inputs=[file_entry("a", 1)], outputs=[file_entry("b", 2)]),
    )
    production.record(
        a_record(1, outputs=[file_entry("a", 5)]), reason="another file", received_at=AFTER
    )

    graph, past = past_of(production, "b", direction="ancestors")

    assert placeholders(graph) == {"a": True, "b": False}
    assert (past.is_exact, past.changed_jobs, past.relinked_files) == (False, [], ["a"])


def test_what_was_read_of_a_file_that_nobody_had_claimed_was_surely_that_file(
    production: Production,
) -> None:
    production.record(a_record(1, inputs=[file_entry("a", 1)], outputs=[file_entry("b", 2)]))
    production.record(a_record(2, outputs=[file_entry("a")]), received_at=AFTER)

    graph, past = past_of(production, "a", direction="descendants")

    assert [edge.is_sure for edge in graph.edges] == [True, True]
    assert past.is_exact


def test_job_that_was_corrected_since_is_named(production: Production) -> None:
    first, second = chain("a", "b")
    production.record(first, second)
    production.record({**second, "unit": "u"}, reason="the unit was missing", received_at=AFTER)

    then, past = past_of(production, "b")
    later = past_of(production, "b", AFTER)[1]

    assert (past.changed_jobs, past.changed_count, past.is_exact) == ([job_id(2)], 1, False)
    assert "Of 1 job more was recorded since, which is shown." in summary(then)
    assert later.is_exact


def test_job_of_which_another_witness_told_since_is_named(production: Production) -> None:
    first, second = chain("a", "b")
    production.record(first, second)
    production.record(
        {**first, "witness": "history", "inputs": [], "outputs": []}, received_at=AFTER
    )

    assert past_of(production, "b", direction="ancestors")[1].changed_jobs == [job_id(1)]


def test_file_that_another_job_claimed_since_is_named(production: Production) -> None:
    production.record(*chain("a", "b"))
    production.record(a_record(9, outputs=[file_entry("a", 1)]), received_at=AFTER)

    then, past = past_of(production, "b", direction="ancestors")

    assert (past.relinked_files, past.relinked_count) == (["a"], 1)
    assert "What 1 file came from may have been found out since." in summary(then)
    assert placeholders(then) == {"a": False, "b": False}
    assert len(then.jobs()) == 2  # the third was not known


def test_many_changed_jobs_are_counted_and_some_named(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pasts, "MOST_NAMED", 2)
    records = chain("a", "b", "c", "d")
    production.record(*records)
    production.record(*({**record, "witness": "history"} for record in records), received_at=AFTER)

    past = past_of(production, "d", direction="ancestors")[1]

    assert (len(past.changed_jobs), past.changed_count) == (2, 4)


def test_reader_that_makes_a_claim_count_later_is_told(production: Production) -> None:
    """A killed job's output counts once somebody surely read it; at the moment nobody had."""
    production.record(
        a_record(1, state="killed", outputs=[file_entry("x", 1)]),
        a_record(5, inputs=[file_entry("x")], outputs=[file_entry("q")]),
    )
    assert placeholders(past_of(production, "q")[0])["x"]
    production.record(
        a_record(2, inputs=[file_entry("x", 1)], outputs=[file_entry("y")]), received_at=AFTER
    )

    for name in ("x", "q"):
        _, past = past_of(production, name)
        assert (past.is_exact, past.relinked_files) == (False, ["x"])
    assert past_of(production, "q", AFTER + timedelta(days=1))[1].is_exact


def test_reader_that_ties_contents_together_later_is_told(production: Production) -> None:
    md5 = [f"md5:{'3' * 32}"]
    production.record(
        a_record(1, outputs=[file_entry("x", 1)]),
        a_record(3, inputs=[file_entry("x", checksums=md5)], outputs=[file_entry("y")]),
        a_record(4, inputs=[file_entry("x", 1)], outputs=[file_entry("z")]),
    )
    both = file_entry("x", checksums=[*md5, "adler32:00000009"])
    production.record(a_record(6, inputs=[both]), received_at=AFTER)

    assert past_of(production, "y")[1].relinked_files == ["x"]


def test_readers_that_tell_nothing_new_leave_the_past_exact(production: Production) -> None:
    production.record(
        a_record(1, outputs=[file_entry("x", 1)]),
        a_record(2, inputs=[file_entry("x", 1)], outputs=[file_entry("y")]),
    )
    more = file_entry("x", checksums=["adler32:00000001", f"md5:{'3' * 32}"])
    later = [file_entry("x", 1), more, file_entry("x")]
    production.record(
        *(a_record(n, inputs=[entry]) for n, entry in enumerate(later, 10)), received_at=AFTER
    )

    assert past_of(production, "y")[1].is_exact


def test_file_that_only_a_failed_job_or_a_catalog_had_named_was_there_then(
    production: Production,
) -> None:
    production.record(a_record(1, state="failed", outputs=[file_entry("left")]))
    seen = {"experiment": "nova", "name": "seen"}
    production.write(lambda writing: record_sighting(writing, seen), received_at=MOMENT)

    for name in ("left", "seen"):
        assert placeholders(past_of(production, name)[0]) == {name: True}
        with pytest.raises(NotFoundError, match=f"No record had mentioned {name}"):
            past_of(production, name, MOMENT - timedelta(days=1))
