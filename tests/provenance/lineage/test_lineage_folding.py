"""Folding: what is put together, what stands alone, and that nothing is lost."""

import lineage_samples as samples
import pytest
from hypothesis import given, settings
from lineage_graphs import graphs

from provenance.lineage.folding import Box, View, fold, shared_files
from provenance.lineage.graph import Graph, JobNode
from provenance.lineage.quotient import fold_by_class, stage_counts
from provenance.lineage.similarity import alike


def boxes_of(view: View, kind: str) -> list[Box]:
    return [box for box in view.boxes if box.kind == kind]


@given(graphs())
@settings(max_examples=100, deadline=None)
def test_every_node_and_edge_is_counted_once(graph: Graph) -> None:
    view = fold(graph)

    in_boxes = [key for box in view.boxes for key in box.members]
    in_badges = {key for box in view.boxes for key in box.badges}
    assert sorted([*in_boxes, *in_badges]) == sorted(graph.by_key())
    assert sum(arrow.count for arrow in view.arrows) + view.inside + view.badge_edges == len(graph.inner_edges())


@given(graphs())
@settings(max_examples=100, deadline=None)
def test_arrows_join_boxes_that_exist_and_differ(graph: Graph) -> None:
    view = fold(graph)

    keys = {box.key for box in view.boxes}
    assert len(keys) == len(view.boxes)
    assert view.focus in keys
    assert all({arrow.source, arrow.target} <= keys and arrow.source != arrow.target for arrow in view.arrows)


@pytest.mark.parametrize("sample", samples.SAMPLES)
def test_every_sample_keeps_all_its_nodes(sample: samples.Sample) -> None:
    graph = sample()

    view = fold(graph)

    in_badges = {key for box in view.boxes for key in box.badges}
    assert sorted([*in_badges, *(key for box in view.boxes for key in box.members)]) == sorted(graph.by_key())


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
    production = samples.Production()
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
    production = samples.Production()
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


def test_cycle_becomes_one_box() -> None:
    view = fold(samples.cycle())

    assert [len(box.members) for box in boxes_of(view, "cycle")] == [4]


def test_small_groups_keep_their_own_inputs_apart() -> None:
    production = samples.Production()
    merged = []
    for part in range(2):
        inputs = [production.file(f"raw_{part}_{n}.root") for n in range(20)]
        merged.append(production.made(production.job("merge", inputs), f"merged_{part}.root", "reco"))
    focus = production.made(production.job("concat", merged), "all.root", "reco")

    groups = boxes_of(fold(production.graph(focus)), "files")

    assert [box.lanes for box in groups] == [20, 20]


def test_four_alike_nodes_are_no_group_and_five_are() -> None:
    four = dict.fromkeys("abcd", "same")
    five = dict.fromkeys("abcde", "same")

    assert alike(four, {}, {}) == [["a"], ["b"], ["c"], ["d"]]
    assert alike(five, {}, {}) == [list("abcde")]
    assert alike({**five, "f": "same"}, {}, {}, alone={"f"}) == [list("abcde"), ["f"]]


def test_folded_graph_counts_jobs_by_stage_code_and_state() -> None:
    folded = fold_by_class(samples.large())

    counts = {(some.stage, some.code_version, some.state): some.jobs for some in folded.classes}
    assert counts["reco", "S24-01-01", "failed"] == 2
    assert counts["reco", "S24-01-01", "succeeded"] == 22
    assert sum(counts.values()) == len(samples.large().jobs())
    assert stage_counts(samples.large())["reco"] == 32


def test_folded_graph_counts_the_files_between_classes() -> None:
    folded = fold_by_class(samples.retried())

    merge, reco = (
        next(i for i, c in enumerate(folded.classes) if (c.stage, c.state) == (stage, "succeeded"))
        for stage in ("merge", "reco")
    )
    assert [(flow.source, flow.target, flow.files) for flow in folded.flows] == [(reco, merge, 10)]
    assert folded.to_json()["edges"] == [{"source": reco, "target": merge, "files": 10}]
