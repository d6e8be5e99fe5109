"""The layout: everything has a place, nothing overlaps, cycles end, time is bounded."""

import random
import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobprov.provenance.lineage.drawing.layout import (
    Layout,
    Size,
    Spacing,
    crossings,
    lay_out,
    order_layers,
)
from jobprov.provenance.lineage.drawing.rows import arrange
from jobprov.provenance.lineage.layers import layers, strong_components
from tests.library.examples import examples

KEYS = [f"n{n}" for n in range(14)]
EDGES = st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from(KEYS)), max_size=40)
SIZES = st.fixed_dictionaries(
    dict.fromkeys(
        KEYS, st.builds(Size, st.integers(10, 200).map(float), st.integers(10, 80).map(float))
    )
)


def boxes_overlap(layout: Layout) -> bool:
    places = list(layout.places.values())
    return any(
        a.along < b.along + b.size.along and b.along < a.along + a.size.along
        and a.across < b.across + b.size.across and b.across < a.across + a.size.across
        for index, a in enumerate(places) for b in places[:index]
    )  # fmt: skip


@given(SIZES, EDGES)
@settings(max_examples=examples(60), deadline=None)
def test_all_boxes_are_placed_inside_and_none_overlap(
    sizes: dict[str, Size], edges: list[tuple[str, str]]
) -> None:
    layout = lay_out(sizes, edges)

    assert layout.places.keys() == sizes.keys()
    assert not boxes_overlap(layout)
    for place in layout.places.values():
        assert place.along >= 0
        assert place.across >= -0.1
        assert place.along + place.size.along <= layout.along + 0.1
        assert place.across + place.size.across <= layout.across + 0.1


@given(EDGES)
@settings(max_examples=examples(60), deadline=None)
def test_edges_outside_cycles_lead_to_later_layers(edges: list[tuple[str, str]]) -> None:
    layer_of = layers(KEYS, edges)

    after: dict[str, list[str]] = {}
    for source, target in edges:
        after.setdefault(source, []).append(target)
    cycle_of = {
        key: number for number, some in enumerate(strong_components(KEYS, after)) for key in some
    }
    for source, target in edges:
        is_within = cycle_of[source] == cycle_of[target]
        assert (
            layer_of[source] == layer_of[target]
            if is_within
            else layer_of[source] < layer_of[target]
        )


@given(EDGES)
@settings(max_examples=examples(60), deadline=None)
def test_components_are_what_reaches_each_other(edges: list[tuple[str, str]]) -> None:
    after: dict[str, list[str]] = {}
    for source, target in edges:
        after.setdefault(source, []).append(target)
    reach = {key: {key} for key in KEYS}
    for _ in KEYS:
        for source, target in edges:
            reach[source] |= reach[target]

    components = strong_components(KEYS, after)

    assert sorted(key for some in components for key in some) == sorted(KEYS)
    for some in components:
        assert all(
            {key for key in KEYS if key in reach[one] and one in reach[key]} == set(some)
            for one in some
        )


@given(SIZES, EDGES)
@settings(max_examples=examples(60), deadline=None)
def test_same_input_gives_the_same_layout(
    sizes: dict[str, Size], edges: list[tuple[str, str]]
) -> None:
    assert lay_out(sizes, edges) == lay_out(sizes, edges)


@given(EDGES)
@settings(max_examples=examples(60), deadline=None)
def test_rows_put_what_was_made_above_what_it_was_made_from(edges: list[tuple[str, str]]) -> None:
    forward = [(a, b) for a, b in edges if KEYS.index(a) < KEYS.index(b)]

    rows = arrange(KEYS, list(dict.fromkeys(forward)), first=KEYS[0])

    assert sorted(rows.order) == sorted(KEYS)
    assert all(rows.order.index(source) > rows.order.index(target) for source, target in forward)


@given(EDGES)
@settings(max_examples=examples(60), deadline=None)
def test_lanes_of_rows_never_run_over_another_row(edges: list[tuple[str, str]]) -> None:
    links = [ends for ends in dict.fromkeys(edges) if ends[0] != ends[1]]

    rows = arrange(KEYS, links, first=KEYS[0])

    row_of = {key: row for row, key in enumerate(rows.order)}
    ends_at = dict(row_of)
    for source, target in links:
        ends_at[target] = max(ends_at[target], row_of[source])
    for lane in range(rows.lanes):
        spans = sorted((row_of[key], ends_at[key]) for key in KEYS if rows.lane_of[key] == lane)
        assert all(before[1] <= after[0] for before, after in pairwise(spans))


def test_short_branches_come_before_long_ones_so_that_lanes_stay_few() -> None:
    links = [
        ("raw", "reco"),
        ("table1", "reco"),
        ("reco", "pid"),
        ("table2", "pid"),
        ("pid", "caf"),
        ("table3", "caf"),
    ]

    rows = arrange(["raw", "table1", "table2", "table3", "reco", "pid", "caf"], links, first="caf")

    assert list(rows.order) == ["caf", "table3", "pid", "table2", "reco", "raw", "table1"]
    assert rows.lanes == 2


def test_sweeps_undo_crossings_that_need_not_be() -> None:
    links = [("a", "z"), ("b", "y"), ("c", "x")]
    columns = [["a", "b", "c"], ["x", "y", "z"]]
    after = {source: [target] for source, target in links}

    assert crossings(columns, after) == 3
    assert crossings(order_layers(columns, links), after) == 0


def test_straight_chain_is_drawn_straight() -> None:
    sizes = {key: Size(50.0, 20.0 + 10 * n) for n, key in enumerate(KEYS[:4])}

    layout = lay_out(sizes, list(pairwise(KEYS[:4])), spacing=Spacing(40.0, 10.0))

    assert len({place.across + place.size.across / 2 for place in layout.places.values()}) == 1


def test_source_lies_right_before_what_it_leads_to() -> None:
    layer_of = layers(["a", "b", "c", "late"], [("a", "b"), ("b", "c"), ("late", "c")])

    assert layer_of == {"a": 0, "b": 1, "c": 2, "late": 1}


def test_chain_that_joins_late_lies_right_before_what_it_leads_to() -> None:
    early = [("raw", "reco"), ("reco", "pid"), ("pid", "merge")]
    late = [("calibration", "skim"), ("skim", "merge")]

    layer_of = layers(["raw", "reco", "pid", "merge", "calibration", "skim"], early + late)

    assert layer_of == {"raw": 0, "reco": 1, "pid": 2, "merge": 3, "calibration": 1, "skim": 2}


def test_merge_stays_beside_its_many_sources() -> None:
    links = [
        ("a", "merge"),
        ("b", "merge"),
        ("merge", "last"),
        ("x", "y"),
        ("y", "z"),
        ("z", "last"),
    ]

    layer_of = layers(["a", "b", "merge", "x", "y", "z", "last"], links)

    assert layer_of["merge"] == 1
    assert (layer_of["a"], layer_of["b"]) == (0, 0)
    assert layer_of["last"] == 3


def test_long_edge_passes_each_layer_between_its_ends() -> None:
    sizes = dict.fromkeys(["a", "b", "c"], Size(50.0, 20.0))

    layout = lay_out({**sizes}, [("a", "b"), ("b", "c"), ("a", "c")])

    assert [len(points) for points in layout.bends.values()] == [2]
    middle = layout.places["b"]
    bend = layout.bends["a", "c"][0][1]
    assert bend > middle.across + 20.0 or bend < middle.across


@pytest.mark.slow
def test_five_thousand_boxes_are_laid_out_in_bounded_time() -> None:
    rng = random.Random(7)  # noqa: S311 - no secret
    keys = [f"n{n}" for n in range(5_000)]
    edges = [
        (keys[rng.randrange(index)], keys[index]) for index in range(1, 5_000) for _ in range(2)
    ]

    started = time.perf_counter()
    layout = lay_out(dict.fromkeys(keys, Size(100.0, 40.0)), edges)

    assert len(layout.places) == 5_000
    assert time.perf_counter() - started < 30  # a guard against quadratic growth, not a mark


@pytest.mark.slow
def test_chain_of_five_thousand_needs_no_recursion() -> None:
    keys = [f"n{n}" for n in range(5_000)]

    layout = lay_out(dict.fromkeys(keys, Size(100.0, 40.0)), list(pairwise(keys)))

    assert layout.places[keys[-1]].layer == 4_999
