"""Pictures as values for the browser have the same boxes and arrows as the drawing.

They have facts, and everything that opens.
"""

import json
from itertools import combinations
from typing import Any

import pytest

from jobprov.provenance.lineage.drawing.map_view import (
    MOST_MEMBERS,
    map_of_classes,
    map_of_view,
    name_of_class,
)
from jobprov.provenance.lineage.drawing.sheet import Links
from jobprov.provenance.lineage.drawing.svg import Direction
from jobprov.provenance.lineage.folding import fold
from jobprov.provenance.lineage.graph import Graph, JobNode, Omitted
from jobprov.provenance.lineage.quotient import Flow, FoldedGraph, JobClass
from tests.library.productions import graphs as samples

LINKS = Links(expand=lambda key: f"/jobs?class={key}")


@pytest.mark.parametrize("sample", samples.SAMPLES)
def test_map_holds_the_boxes_and_arrows_of_the_view(sample: samples.Sample) -> None:
    view = fold(sample())

    drawn = json.loads(json.dumps(map_of_view(view, Links())))

    boxes = {box["id"]: box for box in drawn["boxes"] if box["kind"] != "stub"}
    assert list(boxes) == [box.key for box in view.boxes]
    assert {key: box["keys"] for key, box in boxes.items()} == {
        box.key: list(box.members) for box in view.boxes
    }
    assert all(("open" in box) == (len(box["keys"]) > 1) for box in boxes.values())
    assert all(box["width"] > 0 and box["height"] > 0 for box in drawn["boxes"])
    ends = {
        (source, target): (count, is_sure)
        for source, target, count, is_sure, _points in drawn["arrows"]
    }
    assert {
        (arrow.source, arrow.target): (arrow.count, arrow.is_sure) for arrow in view.arrows
    }.items() <= ends.items()
    assert {end for pair in ends for end in pair} <= {box["id"] for box in drawn["boxes"]}
    assert drawn["focus"] in boxes


@pytest.mark.parametrize("direction", ["right", "down"])
@pytest.mark.parametrize("sample", samples.SAMPLES)
def test_no_boxes_overlap_and_arrows_go_the_way_of_history(
    sample: samples.Sample, direction: Direction
) -> None:
    drawn = map_of_view(fold(sample()), Links(), direction=direction)
    boxes = {box["id"]: box for box in drawn["boxes"]}

    for one, other in combinations(boxes.values(), 2):
        is_beside = abs(one["x"] - other["x"]) >= (one["width"] + other["width"]) / 2
        is_above = abs(one["y"] - other["y"]) >= (one["height"] + other["height"]) / 2
        assert is_beside or is_above, (one["label"], other["label"])
    along = "x" if direction == "right" else "y"
    for source, target, _count, _is_sure, points in drawn["arrows"]:
        if sample is samples.cycle:  # boxes of a cycle lie beside each other
            continue
        passed = [point[0 if along == "x" else 1] for point in points]
        way = [boxes[source][along], *passed, boxes[target][along]]
        assert way == sorted(way)
        assert way[0] < way[-1]


@pytest.mark.parametrize("direction", ["right", "down"])
def test_long_arrow_passes_beside_the_box_between_its_ends(direction: Direction) -> None:
    classes = tuple(JobClass(stage, "v1", "succeeded", 7) for stage in ("reco", "pid", "caf"))
    folded = FoldedGraph(classes, (Flow(0, 1, 7), Flow(1, 2, 7), Flow(0, 2, 7)))

    drawn = map_of_classes(folded, LINKS, direction=direction)

    reco, pid, caf = drawn["boxes"]
    points_of = {(arrow[0], arrow[1]): arrow[4] for arrow in drawn["arrows"]}
    points = points_of[reco["id"], caf["id"]]
    across, extent = ("y", "height") if direction == "right" else ("x", "width")
    passes_pid = [point for point in points if _is_level(point, pid, direction)]
    assert passes_pid
    for point in passes_pid:
        place = point[1] if direction == "right" else point[0]
        assert abs(place - pid[across]) > pid[extent] / 2


def _is_level(point: tuple[int, int], box: dict[str, Any], direction: Direction) -> bool:
    """Whether an arrow that passes the point is beside the box there."""
    if direction == "right":
        return abs(point[0] - box["x"]) <= box["width"] / 2 + 5
    return abs(point[1] - box["y"]) <= box["height"] / 2 + 5


def test_facts_of_a_job_lead_to_its_task_and_page() -> None:
    job = JobNode(
        "j1", "id", "12.0@schedd", "failed", "reco", "t/1", "prod", "novasoft v1", url="/jobs/id"
    )

    (box,) = map_of_view(fold(Graph("j1", (job,))), Links())["boxes"]

    assert ["Task", "t/1", "/tasks/t%2F1"] in box["facts"]
    assert ["State", "failed"] in box["facts"]
    assert (box["name"], box["action"], box["url"]) == (
        "reco 12.0@schedd",
        "Open the job's page",
        "/jobs/id",
    )


def test_every_member_of_a_box_is_named_so_that_a_search_finds_it() -> None:
    production = samples.GraphBuilder()
    inputs = [production.file(f"raw_{number}.root") for number in range(200)]
    graph = production.graph(
        production.made(production.job("merge", inputs), "merged.root", "reco")
    )

    group = next(box for box in map_of_view(fold(graph), Links())["boxes"] if "open" in box)

    assert (len(group["members"]), group["more"]) == (200, 0)


def test_members_of_a_box_that_no_picture_holds_are_counted() -> None:
    production = samples.GraphBuilder()
    inputs = [production.file(f"raw_{number}.root") for number in range(MOST_MEMBERS + 9)]
    graph = production.graph(
        production.made(production.job("merge", inputs), "merged.root", "reco")
    )

    group = next(box for box in map_of_view(fold(graph), Links())["boxes"] if "open" in box)

    assert (len(group["members"]), group["more"]) == (MOST_MEMBERS, 9)


@pytest.mark.parametrize(("left_out", "label"), [(7, "+7"), (9_900, "+9\u202f900 or more")])
def test_places_where_the_picture_breaks_off_are_boxes_that_lead_on(
    left_out: int, label: str
) -> None:
    job = JobNode("j1", "id")
    graph = Graph(
        "j1", (job,), (), Omitted(ancestors=left_out, inputs_of={"j1": left_out}), is_truncated=True
    )

    drawn = map_of_view(fold(graph), Links(more=lambda key: f"?more={key}"))

    stub = next(box for box in drawn["boxes"] if box["kind"] == "stub")
    assert (stub["label"], stub["url"]) == (label, "?more=j1")
    assert [stub["id"], "j1", 1, True, []] in drawn["arrows"]
    job_box = next(box for box in drawn["boxes"] if box["id"] == "j1")
    assert stub["x"] < job_box["x"]


def test_classes_that_no_file_joins_stand_in_the_order_of_stages_and_it_is_said() -> None:
    classes = tuple(
        JobClass(stage, "v1", state, 7)
        for stage in ("caf", "reco", "sim")
        for state in ("failed", "lost")
    )
    folded = FoldedGraph(classes, (Flow(0, 0, 3),))

    drawn = map_of_classes(folded, LINKS, stages=["sim", "reco", "caf"])

    assert drawn["arrows"] == []
    x_of = {box["id"]: box["x"] for box in drawn["boxes"]}
    caf, _, reco, _, sim, _ = (x_of[name_of_class(job_class)] for job_class in classes)
    assert sim < reco < caf
    assert drawn["notes"] == [
        "No job here read a file that another of this campaign made.",
        "All ran with v1.",
    ]


def test_legend_has_the_shapes_that_occur_and_states_in_one_order() -> None:
    drawn = map_of_view(fold(samples.states()), Links())
    truncated = map_of_view(fold(samples.truncated()), Links())

    assert drawn["states"] == [
        "succeeded",
        "running",
        "silent",
        "failed",
        "killed",
        "lost",
        "paused",
    ]
    assert [name for name, _ in drawn["shapes"]] == ["file", "job", "focus"]
    assert [name for name, _ in truncated["shapes"]] == ["file", "job", "focus", "stub"]
    assert ("unsure", "only possible") in map_of_view(fold(samples.placeholders()), Links())[
        "shapes"
    ]


def test_classes_lead_to_their_jobs_and_arrows_say_how_many_files() -> None:
    folded = samples.retried_folded()
    drawn = map_of_classes(folded, LINKS)

    assert drawn["unit"] == "file"
    urls = {
        name_of_class(some): f"/jobs?class={index}" for index, some in enumerate(folded.classes)
    }
    assert {box["id"]: box["url"] for box in drawn["boxes"]} == urls
    assert {end for arrow in drawn["arrows"] for end in arrow[:2]} <= urls.keys()
    assert {box["action"] for box in drawn["boxes"]} >= {"List this 1 job"}
    assert all(arrow[2] > 0 for arrow in drawn["arrows"])


def test_a_class_keeps_its_name_when_others_come_before_it() -> None:
    failed, more = JobClass("reco", "v1", "failed", 7), JobClass("caf", "v1", "failed", 1)
    before = map_of_classes(FoldedGraph((failed,), ()), LINKS)
    after = map_of_classes(FoldedGraph((more, JobClass("reco", "v1", "failed", 9)), ()), LINKS)

    assert before["boxes"][0]["id"] == after["boxes"][1]["id"] != after["boxes"][0]["id"], (
        "a link to it shows it still"
    )
