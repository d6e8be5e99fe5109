"""Walks over recorded graphs, on both databases."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import to_builtins
from sqlalchemy import Connection, text

from jobprov.provenance.db.queries.histories import neighbourhood
from jobprov.provenance.db.queries.histories.shared_inputs import resolve_shared
from jobprov.provenance.db.queries.histories.walks import walk_ancestors, walk_descendants
from jobprov.provenance.db.queries.histories.whole_walks import met_above, met_below
from jobprov.provenance.db.queries.lookup.files.focus import focus_of
from jobprov.provenance.db.recording import job_rows
from jobprov.provenance.lineage.graph import Graph, Omitted
from jobprov.provenance.lineage.sentences import summary
from jobprov.provenance.services.histories.lineage import trace_lineage
from jobprov.provenance.services.histories.lineage_lists import list_ancestors, list_descendants
from jobprov.provenance.services.histories.nodes import graph_answer
from jobprov.provenance.services.lookup.file import find_file, show_file
from tests.library.production import Production
from tests.library.records import MOMENT, a_record, chain, file_entry

_SHARED = "SELECT job_id, identity_id, role FROM mentions WHERE role = 'shared'"


@contextlib.contextmanager
def recorded(production: Production, *records: dict) -> Iterator[Connection]:  # type: ignore[type-arg]
    production.record(*records)
    with production.database.reading.connect() as connection:
        yield connection


def names_in(graph: Graph) -> set[str]:
    """Return the names of the files of a graph."""
    return {file.name for file in graph.files()}


def edges_of(graph: Graph) -> set[tuple[str, str, bool, str]]:
    return {(edge.source, edge.target, edge.is_sure, edge.role) for edge in graph.inner_edges()}


def drawn_in_both_ways(connection: Connection, name: str, direction: str) -> tuple[Graph, Graph]:
    """Return a lineage drawn level by level, and cut out of the whole walk that the past needs."""
    return (
        trace_lineage(connection, name, direction=direction),
        trace_lineage(connection, name, direction=direction, as_of=MOMENT),
    )


def a_reader(number: int, file: dict[str, Any], *outputs: str) -> dict[str, Any]:
    """Return the record of a job that reads one file, and writes others of its own content."""
    return a_record(
        number, inputs=[file], outputs=[file_entry(name, 1000 + number) for name in outputs]
    )


def totals_in(sentences: str) -> str:
    """Return the sentences of a summary before those about what is not shown."""
    return sentences.partition(" Not")[0].partition(" This is")[0]


def a_chain_of_diamonds(levels: int) -> list[dict[str, Any]]:
    """Return jobs that make `l0` and `r0` from `m0`, `m1` from these two, and so on."""
    records = [a_record(0, outputs=[file_entry("m0", 1000)])]
    for level in range(levels):
        number = 100 * (level + 1)
        middle = file_entry(f"m{level}", 1000 + level)
        left = file_entry(f"l{level}", 2000 + 2 * level)
        right = file_entry(f"r{level}", 2001 + 2 * level)
        next_middle = file_entry(f"m{level + 1}", 1001 + level)
        records += [
            a_record(number, inputs=[middle], outputs=[left]),
            a_record(number + 1, inputs=[middle], outputs=[right]),
            a_record(number + 9, inputs=[left, right], outputs=[next_middle]),
        ]
    return records


def a_merge_of_forty() -> list[dict[str, Any]]:
    """Return the jobs of a merged file: forty before it, ten that read it, three with a plot.

    Each of the forty reads a raw file of its own and the geometry, which they share.
    """
    geometry = file_entry("geometry", 999, role="shared")
    merged = file_entry("merged", 50)
    reco_files = [file_entry(f"reco{number}", 100 + number) for number in range(1, 41)]
    records = []
    for number, reco in enumerate(reco_files, 1):
        raw = file_entry(f"raw{number}", number)
        records.append(a_record(number, inputs=[raw, geometry], outputs=[reco]))
    records.append(a_record(50, inputs=reco_files, outputs=[merged]))
    for number in range(10):
        plots = [file_entry(f"plot{number}", 60 + number)] if number < 3 else []
        records.append(a_record(60 + number, inputs=[merged], outputs=plots))
    return records


def ancestors(connection: Connection, name: str) -> list[str]:
    return sorted({file.name for file in list_ancestors(connection, name).files})


def descendants(connection: Connection, name: str) -> list[str]:
    return sorted({file.name for file in list_descendants(connection, name).files})


def test_chain_is_walked_to_its_ends(production: Production) -> None:
    with recorded(production, *chain("a", "b", "c", "d")) as connection:
        assert (ancestors(connection, "c"), descendants(connection, "b")) == (
            ["a", "b"],
            ["c", "d"],
        )


def test_file_without_a_recorded_producer_ends_the_walk(production: Production) -> None:
    with recorded(production, *chain("a", "b", "c")[1:]) as connection:
        makers = {file.name: file.job_id for file in list_ancestors(connection, "c").files}
        assert makers["a"] is None
        assert makers["b"] is not None
        assert (ancestors(connection, "a"), descendants(connection, "a")) == ([], ["b", "c"])
        assert [child.name for child in show_file(connection, "a").children] == ["b"]


def test_cycle_in_what_clients_sent_ends(production: Production) -> None:
    loop = [
        a_record(1, inputs=[file_entry("b", 2)], outputs=[file_entry("a", 1)]),
        a_record(2, inputs=[file_entry("a", 1)], outputs=[file_entry("b", 2)]),
    ]
    with recorded(production, *loop) as connection:
        assert ancestors(connection, "a") == ["a", "b"]
        assert names_in(trace_lineage(connection, "a")) == {"a", "b"}


def test_chained_diamonds_are_walked_once(production: Production) -> None:
    with recorded(production, *a_chain_of_diamonds(20)) as connection:
        assert len(list_ancestors(connection, "m20").files) == 60
        assert len(list_descendants(connection, "m0").files) == 60


def test_input_that_an_earlier_step_wrote_does_not_end_the_ancestry(production: Production) -> None:
    steps = a_record(
        1,
        inputs=[file_entry("raw", 1, step="one"), file_entry("middle", 2, step="two")],
        outputs=[file_entry("middle", 2, step="one"), file_entry("end", 3, step="two")],
    )
    with recorded(production, steps) as connection:
        assert ancestors(connection, "end") == ["raw"]
        assert descendants(connection, "raw") == ["end", "middle"]


@pytest.mark.parametrize("namespace", [None, "user"])
def test_what_a_later_step_wrote_is_no_earlier_input(
    production: Production, namespace: str | None
) -> None:
    """A step reads `x`, and a later one writes a file of that name.

    Or an earlier one writes it, but in another namespace.
    """
    order = ["reads", "writes"] if namespace is None else ["writes", "reads"]
    made = a_record(
        1,
        command={"argv": ["run"], "steps": [{"name": name} for name in order]},
        inputs=[file_entry("x", 1, step="reads"), file_entry("other", 2, step="writes")],
        outputs=[
            file_entry("t", 3, step="reads"),
            file_entry("x", 4, step="writes", namespace=namespace),
        ],
    )
    with recorded(production, a_record(2, outputs=[file_entry("x", 1)]), made) as connection:
        assert ancestors(connection, "t") == ["x"]


def test_shared_and_configuration_inputs_are_no_parents(production: Production) -> None:
    made = a_record(
        1,
        inputs=[
            file_entry("a", 1),
            file_entry("calib", 2, role="shared"),
            file_entry("x.fcl", role="configuration"),
        ],
        outputs=[file_entry("b", 3)],
    )
    with recorded(production, made) as connection:
        assert ancestors(connection, "b") == ["a"]


def test_declared_parents_go_before_inputs(production: Production) -> None:
    made = a_record(
        1,
        inputs=[file_entry("a", 1), file_entry("c", 2, namespace="user")],
        outputs=[
            file_entry("b", 3, parents=["user:c", "elsewhere"]),
            file_entry("d", 4, parents=[]),
        ],
    )
    with recorded(production, made) as connection:
        assert ancestors(connection, "b") == ["c", "elsewhere"]
        assert ancestors(connection, "d") == []


@pytest.mark.parametrize("checksum", [None, 2])
def test_declared_parent_that_an_earlier_step_wrote_leads_on_to_what_that_was_made_from(
    production: Production, checksum: int | None
) -> None:
    """It leads on as where nothing is declared.

    Else ancestry ended inside the job, at a file whose maker is not known.
    """
    made = a_record(
        2,
        inputs=[file_entry("raw", 1, step="one"), file_entry("sim", checksum, step="two")],
        outputs=[
            file_entry("sim", checksum, step="one"),
            file_entry("reco", 3, step="two", parents=["sim"]),
        ],
        command={"steps": [{"name": "one", "argv": ["a"]}, {"name": "two", "argv": ["b"]}]},
    )
    with recorded(production, *chain("raw"), made) as connection:
        assert ancestors(connection, "reco") == ["raw"]
        assert descendants(connection, "raw") == ["reco", "sim"]
        assert {file.is_placeholder for file in trace_lineage(connection, "reco").files()} == {
            False
        }


def test_declared_parents_that_stand_for_others_are_so_many_at_most(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_rows, "_MOST_INSIDE", 3)
    made = a_record(
        1,
        inputs=[
            *(file_entry(f"raw{n}", n, step="one") for n in range(2)),
            file_entry("sim", 9, step="two"),
        ],
        outputs=[
            file_entry("sim", 9, step="one"),
            *(file_entry(n, 3, step="two", parents=["sim"]) for n in "ab"),
        ],
        command={"steps": [{"name": "one", "argv": ["a"]}, {"name": "two", "argv": ["b"]}]},
    )
    with recorded(production, made) as connection:
        assert [ancestors(connection, name) for name in "ab"] == [["raw0", "raw1"], ["sim"]]


def test_outputs_of_reruns_are_no_descendants(production: Production) -> None:
    again = a_record(
        9,
        inputs=[file_entry("a", 1)],
        outputs=[file_entry("again", 5)],
        rerun_of=a_record(2)["job_id"],
    )
    with recorded(production, *chain("a", "b"), again) as connection:
        assert descendants(connection, "a") == ["b"]
        assert ancestors(connection, "b") == ["a"]


def test_input_from_another_experiment_is_followed(production: Production) -> None:
    made = {**chain("a")[0], "experiment": "dune"}
    with recorded(
        production,
        made,
        a_record(5, inputs=[file_entry("a", 1, experiment="dune")], outputs=[file_entry("b", 2)]),
    ) as connection:
        [parent] = list_ancestors(connection, "b").files
        assert (parent.name, parent.job_id is None) == ("a", False)


def test_walk_stops_at_the_most_that_is_asked_for(production: Production) -> None:
    with recorded(production, *chain(*[f"f{n}" for n in range(30)])) as connection:
        claim = connection.execute(text("SELECT max(id) FROM claims")).scalar_one()
        assert len(walk_ancestors(connection, claim, most=7)) == 7


def test_count_of_a_walk_says_whether_it_was_cut(production: Production) -> None:
    with recorded(production, *chain(*[f"f{n}" for n in range(30)])) as connection:
        focus = focus_of(connection, find_file(connection, "f29").id)
        cut, whole = met_above(connection, focus, most=7), met_above(connection, focus, most=40)

    assert (cut.files, cut.is_cut) == (7, True)
    assert (whole.files, whole.is_cut) == (29, False)


def test_drawing_is_bounded_and_says_what_it_leaves_out(production: Production) -> None:
    with recorded(production, *chain(*[f"f{n}" for n in range(30)])) as connection:
        graph = trace_lineage(connection, "f15", limit=11)
        assert (len(graph.nodes), graph.is_truncated) == (11, True)
        assert graph.omitted.by_kind == {"file": 24, "job": 25}


def test_depth_counts_levels_of_jobs(production: Production) -> None:
    with recorded(production, *chain(*[f"f{n}" for n in range(30)])) as connection:
        graph = trace_lineage(connection, "f15", direction="ancestors", depth=2)
        assert names_in(graph) == {"f15", "f14", "f13"}


def test_a_drawing_counts_what_it_leaves_out_to_a_limit_and_says_so(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbourhood, "MOST_COUNTED", 10)
    with recorded(production, *chain(*[f"f{n}" for n in range(30)])) as connection:
        after, before = (trace_lineage(connection, name, limit=5) for name in ("f3", "f8"))
        few = trace_lineage(connection, "f25", direction="descendants", limit=5)

    assert after.omitted.is_least
    assert summary(after).startswith(
        "3 files and 4 jobs made this. At least 10 files and 11 jobs came of it."
    )
    assert summary(after).endswith("at least 19 later files and jobs.")
    assert before.omitted.is_least
    assert not few.omitted.is_least
    assert "at least" not in summary(few)


@pytest.mark.parametrize(
    "question",
    [
        {},
        {"depth": 1},
        {"limit": 30},
        {"limit": 5},
        {"as_of": MOMENT},
        {"as_of": MOMENT, "limit": 9},
    ],
)
def test_totals_are_the_same_in_both_directions_and_to_every_depth(
    production: Production, question: dict[str, Any]
) -> None:
    with recorded(production, *a_merge_of_forty()) as connection:
        both = summary(trace_lineage(connection, "merged", **question))
        upwards = summary(trace_lineage(connection, "merged", direction="ancestors", **question))

    made_this = "80 files and 41 jobs made this."
    assert totals_in(upwards) == made_this
    assert totals_in(both) == f"{made_this} 3 files and 10 jobs came of it."


def test_readers_of_no_output_are_counted_where_a_limit_leaves_them_out(
    production: Production,
) -> None:
    hub = file_entry("hub", 1, role="shared")
    readers = [a_record(n, inputs=[hub], outputs=[file_entry(f"o{n}")]) for n in range(1, 13)]
    with recorded(production, *readers) as connection:
        graph = trace_lineage(connection, "hub", direction="descendants", limit=8)

    assert summary(graph) == "12 jobs came of this. Not shown: 5 later jobs."
    assert to_builtins(graph_answer(graph))["omitted"]["sides"] == {
        "ancestors": None,
        "descendants": {"file": 0, "job": 5, "is_least": False},
    }


def test_depth_that_reaches_the_end_of_history_leaves_nothing_out(production: Production) -> None:
    with recorded(production, *chain("a", "b")) as connection:
        graph = trace_lineage(connection, "a", direction="descendants", depth=1)

    assert (summary(graph), graph.is_truncated) == ("1 file and 1 job came of this.", False)


def test_job_that_reads_what_its_earlier_step_wrote_did_not_come_of_it(
    production: Production,
) -> None:
    steps = a_record(
        1,
        inputs=[file_entry("raw", 1, step="one"), file_entry("middle", 2, step="two")],
        outputs=[file_entry("middle", 2, step="one"), file_entry("end", 3, step="two")],
    )
    with recorded(production, steps) as connection:
        assert summary(trace_lineage(connection, "middle")) == "1 file and 1 job made this."


def test_seeds_of_a_walk_are_bounded_as_well(production: Production) -> None:
    """Where one file has many readers, all of them are met before the first step."""
    readers = [a_reader(n, file_entry("hub", 1), f"o{n}") for n in range(2, 32)]
    with recorded(production, a_record(1, outputs=[file_entry("hub", 1)]), *readers) as connection:
        hub = connection.execute(text("SELECT min(id) FROM claims")).scalar_one()
        met = met_below(connection, focus_of(connection, find_file(connection, "hub").id), most=8)
        assert (met.files, met.is_cut) == (8, True)
        assert len(walk_descendants(connection, hub, most=8)) == 8
        assert len(walk_descendants(connection, hub)) == 30


def test_walk_that_meets_one_file_of_many_possible_makers_is_not_cut(
    production: Production,
) -> None:
    """The limit counts what was read, not all that it may have been."""
    makers = [a_record(n, outputs=[file_entry("hist", n)]) for n in range(1, 7)]
    with recorded(
        production,
        *makers,
        a_record(9, inputs=[file_entry("hist")], outputs=[file_entry("sum", 9)]),
    ) as connection:
        met = met_above(connection, focus_of(connection, find_file(connection, "sum").id), most=3)
        assert (met.files, len(met.jobs), met.is_cut) == (6, 7, False)


def test_both_directions_go_on_from_a_file_that_the_other_met(production: Production) -> None:
    loop = [
        a_record(
            1, inputs=[file_entry("f10", 10), file_entry("f2", 2)], outputs=[file_entry("f11", 11)]
        ),
        a_record(2, inputs=[file_entry("f11", 11)], outputs=[file_entry("f19", 19)]),
        a_record(3, inputs=[file_entry("f19", 19)], outputs=[file_entry("f10", 10)]),
    ]
    with recorded(production, *loop) as connection:
        graph = trace_lineage(connection, "f10")
        assert names_in(graph) == {"f10", "f11", "f19", "f2"}
        assert not graph.is_truncated


@pytest.mark.slow
def test_drawing_has_the_edges_of_every_maker_of_one_content_with_their_roles(
    production: Production,
) -> None:
    raw, same = file_entry("raw", 1), file_entry("same", 5)
    records = [
        a_record(1, outputs=[raw]),
        a_record(2, inputs=[raw], outputs=[same]),
        a_record(3, inputs=[raw], outputs=[same]),
        a_record(4, inputs=[{**same, "role": "secondary"}], outputs=[file_entry("end", 6)]),
    ]
    with recorded(production, *records) as connection:
        for name, direction in (("raw", "descendants"), ("end", "ancestors"), ("same", "both")):
            drawn, whole = drawn_in_both_ways(connection, name, direction)
            assert edges_of(drawn) == edges_of(whole), name
        down = trace_lineage(connection, "raw", direction="descendants")
    assert [edge.role for edge in down.inner_edges() if edge.role] == ["secondary", "secondary"]


def test_readers_without_an_output_are_counted_among_what_is_left_out(
    production: Production,
) -> None:
    readers = [a_record(n, state="failed", inputs=[file_entry("a", 1)]) for n in range(2, 12)]
    with recorded(production, a_record(1, outputs=[file_entry("a", 1)]), *readers) as connection:
        graph = trace_lineage(connection, "a", limit=4)
    assert (graph.is_truncated, graph.omitted.by_kind) == (True, {"file": 0, "job": 8})
    assert graph.omitted.ancestors + graph.omitted.descendants == 8


def test_drawing_that_shows_all_is_not_truncated_by_its_depth(production: Production) -> None:
    with recorded(production, *chain("a", "b")) as connection:
        whole, cut = (trace_lineage(connection, name, depth=1) for name in ("a", "b"))
    assert (len(whole.nodes), whole.is_truncated, whole.omitted) == (4, False, Omitted())
    assert (cut.is_truncated, cut.omitted.ancestors, cut.omitted.by_kind) == (
        True,
        1,
        {"file": 0, "job": 1},
    )


def test_nodes_of_a_circle_are_left_out_once(production: Production) -> None:
    files = [file_entry(f"f{n}", n) for n in range(9)]
    circle = [a_record(n, inputs=[files[(n + 1) % 9]], outputs=[files[n]]) for n in range(9)]
    with recorded(production, *circle) as connection:
        omitted = trace_lineage(connection, "f0", limit=5).omitted
    all_nodes, drawn_nodes = 18, 5
    assert sum(omitted.by_kind.values()) == all_nodes - drawn_nodes
    assert omitted.ancestors + omitted.descendants == all_nodes - drawn_nodes


def test_parent_that_a_job_made_itself_and_only_declares_is_gone_through(
    production: Production,
) -> None:
    made = a_record(
        1,
        inputs=[file_entry("raw", 1)],
        outputs=[
            file_entry("middle", 2, parents=["raw"]),
            file_entry("end", 3, parents=["middle"]),
        ],
    )
    with recorded(production, made) as connection:
        drawn, whole = drawn_in_both_ways(connection, "end", "ancestors")
        assert {node.key for node in drawn.nodes} == {node.key for node in whole.nodes}
        assert edges_of(drawn) == edges_of(whole)
        assert "raw" in names_in(drawn)
        assert ancestors(connection, "end") == ["middle", "raw"]


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1)])
def test_shared_input_is_the_newest_that_it_may_be_whichever_was_recorded_first(
    production: Production, order: tuple[int, ...]
) -> None:
    made = {number: a_record(number, outputs=[file_entry("calib", number)]) for number in (1, 2, 3)}
    reader = a_record(
        4, inputs=[file_entry("calib", role="shared")], outputs=[file_entry("reco", 4)]
    )
    with recorded(production, *(made[number] for number in order), reader) as connection:
        [calib] = [
            file for file in trace_lineage(connection, "reco").files() if file.name == "calib"
        ]
        assert calib.version == 3


def test_shared_input_of_a_crowded_name_is_the_last_that_was_recorded(
    production: Production,
) -> None:
    """Ordering the makers of a name that every job writes would take as long as there are jobs."""
    made = [a_record(number, outputs=[file_entry("calib", 1)]) for number in (2, 3, 1)]
    reader = a_record(
        4,
        inputs=[file_entry("calib", 1, role="shared")],
        outputs=[file_entry("calib", 1), file_entry("reco", 4)],
    )
    production.record(*made, reader)
    production.write(
        lambda writing: writing.connection.execute(
            text("UPDATE files SET is_crowded = TRUE WHERE name = 'calib'")
        )
    )

    with production.database.reading.connect() as connection:
        [(source, _, _, is_sure)] = resolve_shared(
            connection, connection.execute(text(_SHARED)).all()
        )
        claims = [row[0] for row in connection.execute(text("SELECT id FROM claims ORDER BY id"))]

    assert is_sure
    assert source == f"c{claims[0]}"  # its own is the last


def test_shared_input_that_finds_no_room_is_no_later_node(production: Production) -> None:
    production.record(
        a_record(1, outputs=[file_entry("raw", 1)]),
        a_record(
            2,
            inputs=[file_entry("raw", 1), file_entry("flux", 9, role="shared")],
            outputs=[file_entry("reco", 2)],
        ),
        a_record(3, inputs=[file_entry("reco", 2)], outputs=[file_entry("caf", 3)]),
    )
    with production.database.reading.connect() as connection:
        graph = trace_lineage(connection, "reco", direction="both", limit=6)
        whole = trace_lineage(connection, "reco", direction="both")
    assert (len(whole.nodes), len(graph.nodes)) == (7, 6)
    assert (graph.omitted.by_kind, graph.omitted.ancestors, graph.omitted.descendants) == (
        {"file": 1, "job": 0},
        1,
        0,
    )
