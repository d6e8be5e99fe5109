"""Words: first lines, names, sizes; the text tree; the exchange formats."""

import json
import shutil
import subprocess
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobprov.provenance.answers.histories.lineage import FileWriter
from jobprov.provenance.lineage.drawing.dot import quoted, to_dot
from jobprov.provenance.lineage.drawing.text import (
    BRANCHES_AT_MOST,
    LINES_AT_MOST,
    render_text,
)
from jobprov.provenance.lineage.graph import (
    Edge,
    FileNode,
    Graph,
    JobNode,
    LeftOut,
    Omitted,
)
from jobprov.provenance.lineage.prov_json import (
    prov_document,
    qualified_names,
    to_prov_json,
    to_prov_n,
)
from jobprov.provenance.lineage.sentences import known_briefly, known_fully, summary
from jobprov.provenance.lineage.words import columns, elided, shown, size
from jobprov.provenance.services.histories.nodes import graph_answer
from tests.library.examples import examples
from tests.library.productions import graphs as samples
from tests.library.productions.drawn_graphs import graphs


def test_first_line_counts_what_made_the_file_and_what_failed() -> None:
    assert (
        summary(samples.retried())
        == "20 files and 11 jobs made this; 1 failed, 1 killed on the way."
    )
    assert summary(samples.skim()) == "4 files and 3 jobs came of this."


def test_first_line_blames_what_failed_after_a_file_on_its_users_alone() -> None:
    production = samples.GraphBuilder()
    raw = production.file("raw.root")
    production.job("reco", [raw], state="killed")
    reco = production.made(production.job("reco", [raw]), "reco.root", "reco")
    production.job("plot", [reco], state="failed")
    production.made(production.job("plot", [reco]), "plot.root", "plot")

    assert summary(production.graph(reco)) == (
        "1 file and 1 job made this; 1 killed on the way. 1 file and 2 jobs came of it; 1 failed."
    )


@pytest.mark.parametrize(
    ("direction", "expected"),
    [
        ("both", "No job is known that made or used this file."),
        ("ancestors", "No recorded job made this file."),
        ("descendants", "Nothing is known that came of this file."),
    ],
)
def test_first_line_of_a_file_alone_speaks_of_the_side_that_was_asked_for(
    direction: str, expected: str
) -> None:
    assert summary(Graph("f", (FileNode("f", "a.root"),), direction=direction)) == expected


def test_first_line_counts_versions_of_a_file_once_and_what_jobs_share_not_at_all() -> None:
    production = samples.GraphBuilder()
    job = production.job(
        "merge", [production.file("raw.root", version=number) for number in (1, 2)]
    )
    production.shared(job, production.file("geometry.gdml"))

    assert (
        summary(production.graph(production.made(job, "merged.root", "reco")))
        == "1 file and 1 job made this."
    )


def test_first_line_of_what_filters_leave_counts_what_jobs_share_too() -> None:
    """Where the job is hidden, a shared input is joined to the file directly."""
    nodes = (FileNode("f", "made"), FileNode("g", "geometry"))
    graph = Graph("f", nodes, (Edge("g", "f", role="shared"),), Omitted(hidden=1))

    assert summary(graph) == "1 file made this."


def test_first_line_says_what_a_limit_left_out() -> None:
    assert summary(samples.truncated()).endswith(
        "Not shown: 1\u202f322 earlier files and jobs, 57 later files and jobs (jobs: 311 artdaq, "
        "311 reco)."
    )
    assert summary(Graph("f", (FileNode("f", "a"),), is_truncated=True)).endswith("there is more.")


@given(st.text(max_size=60), st.integers(3, 30))
@settings(max_examples=examples(60), deadline=None)
def test_elided_text_is_never_wider_than_asked(text: str, width: int) -> None:
    cut = elided(text, width)

    assert columns(cut) <= width
    assert cut == shown(text) or "…" in cut


@pytest.mark.parametrize(
    "bad", ["\x00", "\x1b", "\x7f", "\x9b", "\n", "\u202e", "\u2066", "\u200b", "\ud800"]
)
def test_signs_that_drive_terminals_or_hide_names_are_replaced(bad: str) -> None:
    assert shown(f"a{bad}b") == "a\ufffdb"


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (None, "–"),  # noqa: RUF001
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 kB"),
        (81_000, "81 kB"),
        (999_999, "1.0 MB"),
        (2_400_000_000, "2.4 GB"),
        (5 * 10**18, "5000 PB"),
    ],
)
def test_sizes_are_in_powers_of_ten(size_bytes: int | None, text: str) -> None:
    assert size(size_bytes) == text


def test_tree_of_a_merge_writes_two_alike_branches_and_counts_the_rest() -> None:
    text = render_text(samples.merge())

    assert text.count("made by ● reco") == 2
    assert "… 8 more: fardet_r00010402_reco.root" in text
    assert "with reco_prod5.fcl, fardet_geometry_v7.gdml" in text


def test_tree_names_failed_attempts_that_made_nothing() -> None:
    text = render_text(samples.retried())

    assert "On the way, without a result:\n▲ reco 81234.22, failed" in text
    assert "read fardet_r00010407.raw" in text


def test_tree_writes_a_shared_node_once_and_refers_back() -> None:
    text = render_text(samples.cycle())

    assert text.count("b.root") == 2
    assert "b.root (reco, 2.4 GB) (see above)" in text


def test_tree_shows_both_sides_of_a_file_and_what_is_left_out() -> None:
    text = render_text(samples.truncated())

    assert "Used by:\nnova:merged.root" in text
    assert "… 308 more, not shown" in text


def test_tree_says_what_is_only_possible_or_mentioned() -> None:
    text = render_text(samples.placeholders())

    assert "possibly from nova:genie_1.root (mc, only mentioned, never recorded)" in text


@pytest.mark.parametrize(
    ("state", "briefly", "fully"),
    [
        ("succeeded", "another version than made", "another version than job 81234.5 made"),
        (
            "failed",
            "of a failed job",
            "written by job 81234.5, which failed: it counts as not made",
        ),
        (
            "killed",
            "of a killed job",
            "written by job 81234.5, which was killed: it counts as not made",
        ),
        (
            "running",
            "of a running job",
            "written by job 81234.5, which has not ended: it counts as not made",
        ),
    ],
)
def test_file_that_nobody_made_says_which_job_is_behind_it(
    state: str, briefly: str, fully: str
) -> None:
    is_other_version = state == "succeeded"
    writer = FileWriter("id", "81234.5", state, "/jobs/id", is_other_version)
    file = FileNode("f", "a.root", is_placeholder=is_other_version, writer=writer)

    assert (known_briefly(file), known_fully(file), file.is_made) == (briefly, fully, False)
    assert fully in render_text(Graph("f", (file,)))
    assert fully in summary(Graph("f", (file,)))
    assert graph_answer(Graph("f", (file,))).nodes[0].writer == writer


@pytest.mark.slow
@given(graphs())
@settings(max_examples=examples(60), deadline=None)
def test_tree_of_any_graph_is_bounded_and_safe_for_a_terminal(graph: Graph) -> None:
    lines = render_text(graph).split("\n")

    assert len(lines) <= 2 * LINES_AT_MOST + 30
    assert all(line == shown(line) for line in lines)


def test_tree_of_a_file_with_many_different_inputs_stops_at_the_limit() -> None:
    production = samples.GraphBuilder()
    inputs = [production.file(f"raw_{n}.root", f"tier{n}") for n in range(100)]
    focus = production.made(production.job("merge", inputs), "merged.root", "reco")

    assert f"… {100 - BRANCHES_AT_MOST} more: raw_12.root" in render_text(production.graph(focus))


def test_tree_too_long_to_read_is_cut_with_a_word() -> None:
    production = samples.GraphBuilder()
    merged = []
    for part in range(12):
        inputs = [production.file(f"raw_{part}_{n}.root", f"tier{part}.{n}") for n in range(40)]
        merged += [
            production.made(
                production.job(f"merge{part}.{n}", inputs[n : n + 11]),
                f"m_{part}_{n}",
                f"m{part}.{n}",
            )
            for n in range(5)
        ]
    groups = [
        production.made(production.job("join", merged[n::6]), f"g{n}", f"g{n}") for n in range(6)
    ]
    focus = production.made(production.job("concat", groups), "all.root", "caf")

    production.job("reco", [inputs[0]], state="failed")

    lines = render_text(production.graph(focus)).splitlines()

    assert lines.index("… and more: ask for less depth, or for JSON.") == LINES_AT_MOST + 2
    assert lines[-1].startswith("▲ reco")


def test_json_holds_nodes_edges_and_what_is_omitted() -> None:
    graph = samples.truncated()

    document = json.loads(msgspec.json.encode(graph_answer(graph)))

    assert document.keys() == {
        "focus",
        "nodes",
        "edges",
        "omitted",
        "is_truncated",
        "version",
        "versions",
    }
    assert document["omitted"]["ancestors"] == 1322
    assert {node["kind"] for node in document["nodes"]} == {"file", "job"}
    assert document["nodes"][3]["started_at"] == "2026-11-24T02:13:00Z"


def test_edges_to_unknown_nodes_are_left_out_everywhere() -> None:
    graph = Graph("f", (FileNode("f", "a.root"),), (Edge("f", "gone"), Edge("gone", "f")))

    assert graph_answer(graph).edges == []
    assert "gone" not in to_dot(graph) + to_prov_n(graph)


def test_of_doubled_edges_the_sure_one_of_its_own_role_stays() -> None:
    nodes = (FileNode("f", "a.root"), JobNode("j", "j"))
    edges = (
        Edge("f", "j", is_sure=False),
        Edge("f", "j", role="shared"),
        Edge("f", "j", role="primary"),
    )

    for order in (edges, edges[::-1]):
        assert Graph("f", nodes, order).inner_edges() == [Edge("f", "j", role="primary")]


def test_dot_strings_cannot_be_left() -> None:
    assert quoted('a"]; evil [label="\\') == '"a\\"]; evil [label=\\"\\\\"'


@pytest.mark.skipif(
    shutil.which("dot") is None, reason="Graphviz is not installed: DOT is checked by its text only"
)
def test_graphviz_reads_our_dot() -> None:
    for sample in samples.SAMPLES:
        subprocess.run(
            ["dot", "-Tsvg"], input=to_dot(sample()).encode(), check=True, capture_output=True
        )


def test_exports_do_not_depend_on_the_order_of_nodes_and_edges() -> None:
    graph = samples.large()
    turned = Graph(graph.focus, graph.nodes[::-1], graph.edges[::-1], Omitted())

    assert to_dot(graph) == to_dot(turned)
    assert to_prov_json(graph) == to_prov_json(turned)
    assert to_prov_n(graph) == to_prov_n(turned)


def test_prov_does_not_depend_on_the_keys_that_a_database_gave() -> None:
    """The same history was recorded in another order, or rebuilt from the ledger."""
    graph = samples.large()
    keys = sorted(node.key for node in graph.nodes)
    other = dict(zip(keys, reversed(keys), strict=True))
    nodes = tuple(replace(node, key=other[node.key]) for node in graph.nodes)
    edges = tuple(
        replace(edge, source=other[edge.source], target=other[edge.target]) for edge in graph.edges
    )

    rebuilt = Graph(other[graph.focus], nodes, edges)

    assert to_prov_json(rebuilt) == to_prov_json(graph)
    assert to_prov_n(rebuilt) == to_prov_n(graph)


@pytest.mark.slow
@given(graphs())
@settings(max_examples=examples(60), deadline=None)
def test_prov_relations_name_known_entities_and_activities(graph: Graph) -> None:
    document = prov_document(graph)

    assert len(document["entity"]) + len(document["activity"]) == len(graph.nodes)
    relations = [*document["used"].values(), *document["wasGeneratedBy"].values()]
    assert len(relations) == len(graph.inner_edges())
    for relation in relations:
        assert relation["prov:entity"] in document["entity"]
        assert relation["prov:activity"] in document["activity"]
    to_prov_json(graph).encode()


@given(st.text(min_size=1, max_size=30))
@settings(max_examples=examples(60), deadline=None)
def test_qualified_names_need_no_escape(name: str) -> None:
    graph = Graph("f", (FileNode("f", name, "ns", "nova"), JobNode("j", name)))

    for qualified in qualified_names(graph).values():
        local = qualified.partition(":")[2]
        assert local.isascii()
        assert not set(local) & set("=',()[]:;\"\\ <>{}|^`~")
        assert local[0] not in "-."
        assert local[-1] != "."


def test_prov_n_of_two_files_of_one_name_keeps_them_apart() -> None:
    graph = Graph(
        "a",
        (
            FileNode("a", "x.root", version=1),
            FileNode("b", "x.root", version=2),
            FileNode("c", "x.root", version=2),
        ),
    )

    assert len(set(qualified_names(graph).values())) == 3


def test_prov_n_says_who_used_and_made_what() -> None:
    text = to_prov_n(samples.placeholders())

    assert text.startswith("document\n  prefix file <urn:jobprov:file:>\n")
    assert "  activity(job:0f8b00000003, 2026-11-24T02:13:00Z, -, [" in text
    assert "  wasGeneratedBy(file:nova/nova/mixed_r10407.root, job:0f8b00000003, -)\n" in text
    assert text.endswith("endDocument\n")


@pytest.mark.parametrize(
    ("omitted", "expected"),
    [
        (
            Omitted(ancestors=13, before=LeftOut(9, 4)),
            (
                "10 files and 5 jobs made this; of the jobs shown 1 failed on the way. Not shown: "
                "13 earlier files and jobs."
            ),
        ),
        (
            Omitted(ancestors=13, before=LeftOut(9, 4, is_least=True)),
            (
                "At least 10 files and 5 jobs made this; of the jobs shown 1 failed on the way. "
                "Not shown: at least 13 earlier files and jobs."
            ),
        ),
        (
            Omitted(ancestors=13),
            (
                "At least 1 file and 1 job made this; of the jobs shown 1 failed on the way. "
                "Not shown: 13 earlier files and jobs."
            ),
        ),
        (
            Omitted(ancestors=2, descendants=1, before=LeftOut(2, 0), after=LeftOut(0, 1)),
            (
                "3 files and 1 job made this; 1 failed on the way. 1 job came of it. Not shown: "
                "2 earlier files, 1 later job."
            ),
        ),
        (
            Omitted(before=LeftOut(), after=LeftOut(is_least=True)),
            (
                "1 file and 1 job made this; 1 failed on the way. A limit ended the walk; "
                "there is more."
            ),
        ),
    ],
)
def test_first_line_counts_each_side_with_what_is_not_shown(
    omitted: Omitted, expected: str
) -> None:
    nodes = (
        FileNode("f", "made", "", "nova"),
        JobNode("j", "id", state="failed"),
        FileNode("g", "read", "", "nova"),
    )

    assert (
        summary(Graph("f", nodes, (Edge("g", "j"), Edge("j", "f")), omitted, is_truncated=True))
        == expected
    )
