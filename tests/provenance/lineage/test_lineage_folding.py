"""Folding: what is put together, what stands alone, and that nothing is lost."""

import msgspec
import pytest
from hypothesis import given, settings

from jobprov.provenance.lineage.folding import Box, View, alike, fold, shared_files
from jobprov.provenance.lineage.graph import Graph, JobNode
from jobprov.provenance.lineage.quotient import (
    Flow,
    FoldedGraph,
    JobClass,
    bounded,
)
from tests.library.examples import examples
from tests.library.productions import graphs as samples
from tests.library.productions.drawn_graphs import graphs


def boxes_of(view: View, kind: str) -> list[Box]:
    return [box for box in view.boxes if box.kind == kind]


def edges_between_boxes(view: View) -> int:
    box_of = {key: box.key for box in view.boxes for key in box.members}
    between = 0
    for edge in view.graph.inner_edges():
        if edge.source in box_of and edge.target in box_of:
            between += box_of[edge.source] != box_of[edge.target]
    return between


@given(graphs())
@settings(max_examples=examples(100), deadline=None)
@pytest.mark.slow
def test_every_node_and_edge_is_counted_once(graph: Graph) -> None:
    view = fold(graph)

    in_boxes = [key for box in view.boxes for key in box.members]
    in_badges = {key for box in view.boxes for key in box.badges}
    assert sorted([*in_boxes, *in_badges]) == sorted(graph.by_key())
    assert sum(arrow.count for arrow in view.arrows) == edges_between_boxes(view)


@pytest.mark.slow
@given(graphs())
@settings(max_examples=examples(100), deadline=None)
def test_arrows_join_boxes_that_exist_and_differ(graph: Graph) -> None:
    view = fold(graph)

    keys = {box.key for box in view.boxes}
    assert len(keys) == len(view.boxes)
    assert view.focus in keys
    assert all(
        {arrow.source, arrow.target} <= keys and arrow.source != arrow.target
        for arrow in view.arrows
    )


@pytest.mark.parametrize("sample", samples.SAMPLES)
def test_every_sample_keeps_all_its_nodes(sample: samples.Sample) -> None:
    graph = sample()

    view = fold(graph)

    in_badges = {key for box in view.boxes for key in box.badges}
    assert sorted([*in_badges, *(key for box in view.boxes for key in box.members)]) == sorted(
        graph.by_key()
    )


def test_merge_becomes_five_boxes_in_a_row() -> None:
    view = fold(samples.merge())

    assert [(box.kind, box.lanes) for box in view.boxes] == [
        ("files", 10), ("jobs", 10), ("files", 10), ("job", 1), ("file", 1),
    ]  # fmt: skip
    assert [arrow.count for arrow in view.arrows] == [10, 10, 10, 1]


def test_shared_inputs_become_badges_of_their_jobs() -> None:
    graph = samples.merge()

    badges = [box.badges for box in fold(graph).boxes if box.badges]

    assert badges == [tuple(sorted(shared_files(graph)))]


def test_file_that_a_job_here_made_is_no_badge_even_when_shared() -> None:
    production = samples.GraphBuilder()
    calibration = production.made(production.job("calibrate", []), "calibration.root", "calib")
    job = production.job("reco", [])
    production.shared(job, calibration)

    assert shared_files(production.graph(production.made(job, "reco.root", "reco"))) == set()


def test_long_chain_becomes_one_box_between_its_source_and_the_last_job() -> None:
    view = fold(samples.long_chain())

    assert [box.kind for box in view.boxes] == ["file", "chain", "file", "job", "file"]
    assert len(boxes_of(view, "chain")[0].members) == 17


def test_chains_side_by_side_become_one_box_with_lanes() -> None:
    chains = boxes_of(fold(samples.large()), "chain")

    assert [(box.lanes, len(box.members)) for box in chains] == [(20, 100), (1, 5), (1, 5), (8, 40)]


def test_failed_and_retried_jobs_stand_beside_the_group_of_the_others() -> None:
    view = fold(samples.retried())

    alone = [view.graph.by_key()[box.members[0]] for box in boxes_of(view, "job")]
    assert [job.state for job in alone if isinstance(job, JobNode) and job.stage == "reco"] == [
        "failed", "killed", "succeeded",
    ]  # fmt: skip
    assert [box.lanes for box in boxes_of(view, "jobs")] == [9]


def test_failed_job_is_never_inside_a_chain() -> None:
    production = samples.GraphBuilder()
    last = production.file("raw.root")
    for stage in ("a", "b", "c", "d", "e", "f", "g"):
        job = production.job(stage, [last], state="failed" if stage == "c" else "succeeded")
        last = production.made(job, f"{stage}.root", stage)

    view = fold(production.graph(last))

    hidden = [view.graph.by_key()[key] for box in boxes_of(view, "chain") for key in box.members]
    assert hidden
    assert "failed" not in {job.state for job in hidden if isinstance(job, JobNode)}


def test_expanding_a_member_opens_its_box() -> None:
    graph = samples.long_chain()
    chain = boxes_of(fold(graph), "chain")[0]

    opened = fold(graph, expanded=chain.members)

    assert boxes_of(opened, "chain") == []
    assert len(opened.boxes) == len(graph.nodes)


def test_an_opened_group_stands_where_it_was_and_the_others_stay_folded() -> None:
    graph = samples.merge()
    folded = fold(graph)
    group = boxes_of(folded, "jobs")[0]

    opened = fold(graph, expanded=[group.handle])

    assert [box.members for box in opened.boxes if box.opened_by == group.handle] == [
        (key,) for key in group.members
    ]
    assert [box for box in opened.boxes if not box.opened_by] == [
        box for box in folded.boxes if box != group
    ]


def test_a_chain_of_groups_opens_into_its_groups_and_these_into_their_members() -> None:
    graph = samples.large()
    chain = next(box for box in boxes_of(fold(graph), "chain") if box.lanes == 20)

    parts = [
        box for box in fold(graph, expanded=[chain.handle]).boxes if box.opened_by == chain.handle
    ]
    whole = fold(graph, expanded=[chain.handle, parts[0].handle])

    assert [(box.kind, box.lanes) for box in parts] == [("jobs", 20), ("files", 20)] * 2 + [
        ("jobs", 20)
    ]
    assert [member for box in parts for member in box.members] == list(chain.members)
    assert sum(box.opened_by == parts[0].handle for box in whole.boxes) == 20
    # It lies in a chain that is folded
    assert fold(graph, expanded=[parts[0].handle]).boxes == fold(graph).boxes


def test_cycle_opens_into_its_nodes() -> None:
    graph = samples.cycle()
    cycle = boxes_of(fold(graph), "cycle")[0]

    opened = fold(graph, expanded=[cycle.handle])

    assert boxes_of(opened, "cycle") == []
    assert sorted(
        box.members[0] for box in opened.boxes if box.opened_by == cycle.handle
    ) == sorted(cycle.members)


@pytest.mark.slow
@given(graphs())
@settings(max_examples=examples(60), deadline=None)
def test_whatever_is_opened_nothing_is_lost(graph: Graph) -> None:
    handles: set[str] = set()
    for _ in range(3):  # a chain, its groups, their members
        view = fold(graph, expanded=handles)
        handles |= {box.handle for box in view.boxes if box.handle}
    view = fold(graph, expanded=handles)

    in_badges = {key for box in view.boxes for key in box.badges}
    assert sorted([*in_badges, *(key for box in view.boxes for key in box.members)]) == sorted(
        graph.by_key()
    )
    assert all(len(box.members) == 1 for box in view.boxes)
    assert sum(arrow.count for arrow in view.arrows) == edges_between_boxes(view)


def test_cycle_becomes_one_box() -> None:
    view = fold(samples.cycle())

    assert [len(box.members) for box in boxes_of(view, "cycle")] == [4]


def test_small_groups_keep_their_own_inputs_apart() -> None:
    production = samples.GraphBuilder()
    merged = []
    for part in range(2):
        inputs = [production.file(f"raw_{part}_{n}.root") for n in range(20)]
        merged.append(
            production.made(production.job("merge", inputs), f"merged_{part}.root", "reco")
        )
    focus = production.made(production.job("concat", merged), "all.root", "reco")

    groups = boxes_of(fold(production.graph(focus)), "files")

    assert [box.lanes for box in groups] == [20, 20]


def test_four_alike_nodes_are_no_group_and_five_are() -> None:
    four = dict.fromkeys("abcd", "same")
    five = dict.fromkeys("abcde", "same")

    assert alike(four, {}, {}) == [["a"], ["b"], ["c"], ["d"]]
    assert alike(five, {}, {}) == [list("abcde")]
    assert alike({**five, "f": "same"}, {}, {}, alone={"f"}) == [list("abcde"), ["f"]]


def test_classes_past_the_limit_lose_their_versions_first_and_then_the_smallest() -> None:
    classes = [
        JobClass("reco", f"v{place}", "succeeded", 10 + place, f"v{place}") for place in range(4)
    ]
    classes += [
        JobClass("caf", "v1", "succeeded", 5, "v1"),
        JobClass("caf", "v1", "failed", 1, "v1"),
    ]
    flows = [Flow(place, 4, 1) for place in range(4)] + [Flow(0, 5, 2)]

    whole, merged, cut = (bounded(classes, flows, most=most) for most in (6, 3, 2))

    assert len(whole.classes) == 6
    assert merged.classes == (
        JobClass("caf", "v1", "failed", 1, "v1"),
        JobClass("caf", "v1", "succeeded", 5, "v1"),
        JobClass("reco", "4 code versions", "succeeded", 46),
    )
    assert merged.flows == (Flow(2, 0, 2), Flow(2, 1, 4))
    assert (cut.omitted.nodes, cut.omitted.jobs, cut.flows) == (1, 1, (Flow(1, 0, 4),))
    assert msgspec.json.decode(msgspec.json.encode(cut), type=FoldedGraph) == cut
