"""The pictures: well formed, escaped, linked, told in words, and within the rules of the pages."""

import re
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings

from jobprov.provenance.lineage.drawing.captions import safe_url, worst_state
from jobprov.provenance.lineage.drawing.sheet import Links
from jobprov.provenance.lineage.drawing.svg import (
    DARK,
    Direction,
    as_image,
    draw,
    draw_classes,
    draw_view,
)
from jobprov.provenance.lineage.folding import fold
from jobprov.provenance.lineage.graph import FileNode, Graph, JobNode
from jobprov.provenance.lineage.quotient import Flow, FoldedGraph, JobClass
from tests.library.examples import examples
from tests.library.productions import graphs as samples
from tests.library.productions.drawn_graphs import graphs

DIRECTIONS: tuple[Direction, ...] = ("right", "down")
STYLESHEET = Path(__file__).with_name("picture.css")
SVG = "{http://www.w3.org/2000/svg}"


def parsed(graph: Graph, direction: Direction = "right") -> ET.Element:
    return ET.fromstring(draw_view(fold(graph), direction=direction))  # noqa: S314 - our own


def nodes_of(root: ET.Element) -> list[ET.Element]:
    return [
        element for element in root.iter() if element.get("class", "").startswith("lineage-node")
    ]


@pytest.mark.slow
@pytest.mark.parametrize("direction", DIRECTIONS)
@given(graph=graphs())
@settings(max_examples=examples(40), deadline=None)
def test_any_graph_makes_a_well_formed_picture_without_script_or_style(
    graph: Graph, direction: Direction
) -> None:
    root = parsed(graph, direction)

    allowed = {"svg", "g", "a", "rect", "circle", "polygon", "path", "text", "title"}
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= allowed
    names = {name for element in root.iter() for name in element.attrib}
    assert not {name for name in names if name in {"style", "id"} or name.startswith("on")}


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_hostile_names_stay_text(direction: Direction) -> None:
    text = draw_view(fold(samples.hostile()), direction=direction)

    root = ET.fromstring(text)  # noqa: S314 - our own
    assert "<script" not in text
    assert "<img" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    titles = [element.text or "" for element in root.iter(f"{SVG}title")]
    assert any("<script>alert(1)</script>&\"'>.root" in title for title in titles)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_every_box_is_named_by_its_title_and_linked_to_its_page(direction: Direction) -> None:
    nodes = nodes_of(parsed(samples.skim(), direction))

    assert len(nodes) == 8
    assert all(node.findtext(f"{SVG}title") for node in nodes)
    assert {node.get("href") for node in nodes} == {node.url for node in samples.skim().nodes}


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_focus_is_emphasised_once_and_said_in_words(direction: Direction) -> None:
    nodes = nodes_of(parsed(samples.merge(), direction))

    focused = [node for node in nodes if "is-focus" in node.get("class", "")]
    assert [
        node.findtext(f"{SVG}title", "").endswith(", the one asked for") for node in focused
    ] == [True]


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_states_differ_by_shape_and_not_by_colour_alone(direction: Direction) -> None:
    root = parsed(samples.states(), direction)

    shapes: dict[str, tuple[str, ...]] = {}
    for mark in root.iter():
        if mark.get("class", "").startswith("lineage-mark"):
            state = mark.get("class", "").split()[1]
            looks = (
                mark.tag,
                str(len(mark.get("points", "").split())),
                mark.get("stroke-dasharray", ""),
            )
            shapes[state] = looks
    assert len(shapes) == 7
    assert len(set(shapes.values())) == 7


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_what_is_left_out_is_drawn_and_said(direction: Direction) -> None:
    links = Links(more=lambda key: f"/lineage?around={key}")

    text = draw_view(fold(samples.truncated()), direction=direction, links=links)

    for stub in ("+308", "+1", "+4", "+57"):
        assert f">{stub}</text>" in text
    assert "/lineage?around=" in text
    assert "Not shown:" in text
    assert "308 neighbours before this, not shown" in text
    assert "or more" not in text


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_placeholder_and_possible_edge_look_different(direction: Direction) -> None:
    root = parsed(samples.placeholders(), direction)

    assert sum("is-placeholder" in node.get("class", "") for node in nodes_of(root)) == 2
    possible = [edge for edge in root.iter(f"{SVG}path") if "is-possible" in edge.get("class", "")]
    assert [edge.get("stroke-dasharray") for edge in possible] == ["4 4"]


def test_folded_boxes_link_to_their_open_form() -> None:
    text = draw_view(fold(samples.merge()), links=Links(expand=lambda key: f"?expanded={key}"))

    assert text.count('href="?expanded=') == 3


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_folded_campaign_is_drawn_with_counts_and_states(direction: Direction) -> None:
    links = Links(expand=lambda key: f"/jobs?class={key}")

    text = draw_classes(samples.large_folded(), direction=direction, links=links)

    root = ET.fromstring(text)  # noqa: S314 - our own
    assert root.get("aria-label") == "94 jobs by stage, code version and state"
    assert ">failed · 2 jobs · S24-01-01</text>" in text
    assert text.count('href="/jobs?class=') == 9


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize(
    ("versions", "detail", "notes"),
    [
        (("v1", "v1"), "7 jobs", 1),
        (("v1", "v2"), "7 jobs · v1", 0),
        (("v1", ""), "7 jobs · v1", 0),
        (("", ""), "7 jobs", 0),
        (("v1",), "7 jobs · v1", 0),
    ],
)
def test_code_version_that_all_classes_have_is_said_once(
    direction: Direction, versions: tuple[str, ...], detail: str, notes: int
) -> None:
    classes = tuple(
        JobClass(stage, code, "succeeded", 7)
        for stage, code in zip(("reco", "caf"), versions, strict=False)
    )

    text = draw_classes(FoldedGraph(classes, ()), direction=direction)

    assert f">{detail}</text>" in text
    assert text.count(">All ran with v1.<") == notes


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_folded_campaign_whose_stages_feed_each_other_is_drawn(direction: Direction) -> None:
    classes = (JobClass("reco", "", "succeeded", 7), JobClass("train", "", "succeeded", 1))
    folded = FoldedGraph(classes, (Flow(0, 1, 7), Flow(1, 0, 1), Flow(0, 0, 3)))

    root = ET.fromstring(draw_classes(folded, direction=direction))  # noqa: S314 - our own

    assert len(nodes_of(root)) == 2
    assert len(list(root.iter(f"{SVG}path"))) == 2


def test_campaign_whose_stages_no_file_joins_is_drawn_in_their_order() -> None:
    folded = FoldedGraph(
        tuple(JobClass(stage, "", "succeeded", 7) for stage in ("caf", "reco", "sim")), ()
    )

    # Our own
    root = ET.fromstring(draw_classes(folded, stages=["sim", "reco", "caf"]))  # noqa: S314

    places = {
        node.findtext(f"{SVG}text"): float(node.get("transform", "")[10:].split()[0])
        for node in nodes_of(root)
    }
    assert sorted(places, key=lambda stage: places[stage or ""]) == ["sim", "reco", "caf"]
    assert len(set(places.values())) == 3
    assert not list(root.iter(f"{SVG}path"))


def test_counts_stand_at_arrows_and_never_on_each_other() -> None:
    classes = (
        JobClass("sim", "", "succeeded", 9),
        *(JobClass("reco", f"v{n}", "succeeded", 3) for n in range(7)),
    )
    folded = FoldedGraph(classes, tuple(Flow(0, place, place) for place in range(1, 8)))

    root = ET.fromstring(draw_classes(folded))  # noqa: S314 - our own

    counts = [text for text in root.iter(f"{SVG}text") if text.get("class") == "lineage-count"]
    assert sorted(text.text or "" for text in counts) == [
        "1 file",
        *(f"{n} files" for n in range(2, 8)),
    ]
    heights = sorted(float(text.get("y", "")) for text in counts)
    assert min(after - before for before, after in pairwise(heights)) > 12


def test_counts_of_arrows_that_cross_stand_below_each_other_in_the_order_of_their_boxes() -> None:
    """As many lines leave each box as arrive, two and two.

    So no end has its count for itself.
    """
    classes = tuple(
        JobClass(*words, 3)
        for words in (
            ("caf", "", "failed"),
            ("caf", "", "succeeded"),
            ("pid", "", "failed"),
            ("pid", "", "succeeded"),
        )
    )
    folded = FoldedGraph(classes, (Flow(2, 0, 10), Flow(2, 1, 20), Flow(3, 0, 30), Flow(3, 1, 40)))

    root = ET.fromstring(draw_classes(folded))  # noqa: S314 - our own

    at = {
        text.text: (float(text.get("x", "")), float(text.get("y", "")))
        for text in root.iter(f"{SVG}text")
        if text.get("class") == "lineage-count"
    }
    for first, second in (("10 files", "20 files"), ("30 files", "40 files")):
        assert at[first][0] == at[second][0]
        assert abs(at[second][1] - at[first][1]) >= 11
    tops = {
        node.get("class", ""): float(node.get("transform", "").split()[1].rstrip(")"))
        for node in nodes_of(root)
        if node.findtext(f"{SVG}text") == "caf"
    }
    is_failed_above = min(tops, key=lambda name: tops[name]).endswith("is-failed")
    assert (at["10 files"][1] < at["20 files"][1]) == is_failed_above


def test_jobs_that_did_not_end_well_have_a_frame_in_the_colour_of_their_state() -> None:
    shapes = {
        node.get("class", "").rpartition("is-")[2]: shape
        for node in nodes_of(parsed(samples.states()))
        for shape in node.iter(f"{SVG}rect")
        if shape.get("class") == "lineage-shape" and " lineage-job" in node.get("class", "")
    }

    assert {name for name, shape in shapes.items() if shape.get("stroke-width") == "2.5"} == {
        "failed", "killed", "lost", "silent", "unknown"
    }  # fmt: skip
    assert shapes["failed"].get("stroke") == "#d55e00"


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_drawing_that_stands_as_an_image_is_dark_on_dark_screens_alone(
    direction: Direction,
) -> None:
    drawing = draw_view(fold(samples.large()), direction=direction)

    image = as_image(drawing)

    style = ET.fromstring(image).findtext(f"{SVG}style", "")  # noqa: S314 - our own
    assert style.startswith("@media screen and (prefers-color-scheme:dark)")
    assert image.replace(f"<style>{style}</style>", "") == drawing


def test_batch_id_is_shown_without_its_schedd_and_whole_in_the_title() -> None:
    job = JobNode(
        "j", "0f8b", "81234.17@sched01.example.org", stage="reco", code_version="novasoft S24-01-01"
    )

    text = draw(Graph("j", (job,)))

    assert ">81234.17 · novasoft S24-01-01</text>" in text
    assert "reco 81234.17@sched01.example.org, succeeded" in text


def test_long_name_is_cut_in_the_middle_and_whole_in_the_title() -> None:
    text = draw(samples.placeholders())

    whole = "cosmic_overlay_r10407_with_a_very_long_name_that_nobody_can_read_20261124.root"
    assert f">{whole}</text>" not in text
    assert f"nova:{whole}" in text
    assert ">cosmic_overla…_20261124.root</text>" in text


def labels_of(root: ET.Element) -> list[str]:
    return [
        element.text or "" for element in root.iter() if element.get("class") == "lineage-label"
    ]


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_names_that_differ_in_their_middle_are_told_apart(direction: Direction) -> None:
    production = samples.GraphBuilder()
    names = [
        f"fardet_genie_N1810j0211a_nonswap_fhc_prod7_{part:03d}_of_006.caf.root"
        for part in range(4)
    ]
    concat = production.job("concat", [production.file(name, "caf") for name in names])
    focus = production.made(concat, "concat.root", "caf")

    labels = labels_of(parsed(production.graph(focus), direction))

    assert len(set(labels)) == len(labels)
    assert {f"{part:03d}_of_006.caf.root" for part in range(4)} <= {label[-19:] for label in labels}


def test_shared_inputs_that_do_not_fit_are_counted_and_never_cut_into_one_name() -> None:
    production = samples.GraphBuilder()
    shared = (
        "fluxswap_dk2nu_g4numi_v6r1b_me000z200i_merged.root",
        "neardet-1x3block-vacuum-stagger.gdml",
    )
    job = production.job("sim", [production.file("seed.root")])
    production.shared(job, *(production.file(name) for name in shared))
    focus = production.made(job, "sim.root", "sim")

    text = draw(production.graph(focus))

    assert ">2 shared inputs</text>" in text
    assert all(name in text for name in shared)


def test_job_that_failed_keeps_its_id_where_its_code_does_not_fit() -> None:
    job = JobNode(
        "j", "0f8b", "81244.8914@sched01", "failed", "reco", code_version="novasoft S24-01-01"
    )

    text = draw(Graph("j", (job,)))

    assert ">failed · 81244.8914</text>" in text


def test_picture_for_phones_fits_the_narrowest_screen_however_wide_the_graph() -> None:
    production = samples.GraphBuilder()
    inputs = [production.file(f"raw_{n}.root", f"tier{n}") for n in range(60)]
    focus = production.made(production.job("merge", inputs), "merged.root", "reco")

    assert parsed(production.graph(focus), "down").get("width") == "360"


def test_same_graph_gives_the_same_bytes() -> None:
    assert draw(samples.large()) == draw(samples.large())


def test_stylesheet_and_picture_know_the_same_classes() -> None:
    texts = [
        draw_view(fold(sample()), direction=direction)
        for sample in samples.SAMPLES
        for direction in DIRECTIONS
    ]
    texts.append(draw_classes(samples.large_folded()))

    drawn = {
        name
        for text in texts
        for names in re.findall(r'class="([^"]*)"', text)
        for name in names.split()
    }
    for styles in (STYLESHEET.read_text(), " ".join(DARK)):
        assert set(re.findall(r"\.((?:lineage|is)[a-z-]*)", styles)) <= drawn


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("/files/a", "/files/a"),
        ("https://prov.example.org/a", "https://prov.example.org/a"),
        ("?expanded=a", "?expanded=a"),
        ("javascript:alert(1)", None),
        ("data:text/html,x", None),
        ("//elsewhere.example.org/", None),
        ("/\\elsewhere.example.org/", None),
        (" javascript:alert(1)", None),
        (None, None),
    ],
)
def test_only_links_to_pages_are_kept(url: str | None, kept: str | None) -> None:
    assert safe_url(url) == kept


def test_url_that_runs_script_is_not_linked() -> None:
    graph = Graph("f", (FileNode("f", "a.root", url="javascript:alert(1)"),))

    assert "javascript" not in draw(graph)


def test_worst_state_goes_first() -> None:
    jobs = [
        JobNode("a", "a", state="succeeded"),
        JobNode("b", "b", state="killed"),
        JobNode("c", "c", state="failed"),
    ]

    assert worst_state(jobs) == "failed"
