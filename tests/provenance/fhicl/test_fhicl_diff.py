"""Differences of configurations: few, at the right place, with the lines they came from."""

from pathlib import Path

import pytest

from jobprov.provenance import fhicl

BASE = """\
physics: {
  producers: {
    gen: { module_type: Generator seed: 101 n: 5 }
    smear: { module_type: Smear width: 1.5 cuts: [1, 2, 3] tool: { a: 1 b: 2 } }
  }
  path: [gen, smear, cut]
}
"""


def changes(before: str, after: str) -> list[tuple[str, str | None, str | None]]:
    difference = fhicl.diff(fhicl.loads(before), fhicl.loads(after))
    return [(each.kind, each.path_before, each.path_after) for each in difference.changes]


def test_equal_sets_written_otherwise_do_not_differ() -> None:
    assert not fhicl.diff(
        fhicl.loads("a: {x: 1e3 y: foo}"),
        fhicl.loads("b: {y: 'foo'} a: {@table::b x: 1000} b: @erase"),
    )


def test_changed_value_comes_with_both_lines(tmp_path: Path) -> None:
    (tmp_path / "one.fcl").write_text("a: {\n b: 1\n}\n")
    (tmp_path / "two.fcl").write_text("a: { b: 1 }\n\na.b: 2\n")
    one, two = fhicl.load(tmp_path / "one.fcl", []), fhicl.load(tmp_path / "two.fcl", [])

    (change,) = fhicl.diff(one, two).changes

    assert (change.kind, change.before, change.after) == ("changed", "1", "2")
    assert change.origin_before == (str(tmp_path / "one.fcl"), 2)
    assert change.origin_after == (str(tmp_path / "two.fcl"), 3)
    assert change.line() == f"~ a.b: 1  ({tmp_path}/one.fcl:2) -> 2  ({tmp_path}/two.fcl:3)"


def test_added_and_removed_tables_are_one_entry_each() -> None:
    after = (
        BASE.replace("    gen: { module_type: Generator seed: 101 n: 5 }\n", "")
        + "services: { a: { b: 1 } c: 2 }\n"
    )

    assert changes(BASE, after) == [
        ("removed", "physics.producers.gen", None),
        ("added", None, "services"),
    ]


def test_renamed_table_is_a_rename_and_its_inner_changes() -> None:
    after = BASE.replace("smear: {", "smear2: {").replace("width: 1.5", "width: 2.5")

    assert changes(BASE, after) == [
        ("renamed", "physics.producers.smear", "physics.producers.smear2"),
        ("changed", "physics.producers.smear.width", "physics.producers.smear2.width"),
    ]


def test_table_moved_elsewhere_unchanged_is_a_rename() -> None:
    gen = "    gen: { module_type: Generator seed: 101 n: 5 }\n"
    after = (
        BASE.replace(gen, "")
        + "physics.filters.f: 1\n"
        + "physics.filters.gen: { module_type: Generator seed: 101 n: 5 }\n"
    )
    before = BASE + "physics.filters.f: 1\n"

    assert changes(before, after) == [("renamed", "physics.producers.gen", "physics.filters.gen")]


def test_inserted_element_leaves_those_behind_it_alone() -> None:
    assert changes(BASE, BASE.replace("[gen, smear", "[gen, extra, smear")) == [
        ("added", None, "physics.path[1]")
    ]
    assert changes(BASE, BASE.replace("[gen, smear", "[smear")) == [
        ("removed", "physics.path[0]", None)
    ]


def test_changed_table_in_a_sequence_is_compared_inside() -> None:
    before = "s: [ {name: one x: 1 y: 1}, {name: two x: 2 y: 2}, {name: three x: 3 y: 3} ]"
    after = (
        "s: [ {name: zero q: 7}, {name: one x: 1 y: 1}, {name: two x: 2 y: 5}, {name: three x: "
        "3 y: 3} ]"
    )

    assert changes(before, after) == [
        ("added", None, "s[0]"),
        ("changed", "s[1].y", "s[2].y"),
    ]


def test_tables_that_have_nothing_in_common_are_no_partners() -> None:
    before = "s: [ {name: one x: 1 y: 1}, 5 ] t: {a: 1 b: 2 c: 3 d: 4}"
    after = "s: [ {label: 7 width: 2 height: 3}, 6 ] u: {p: 1 q: 2 r: 3 s: 4}"

    assert changes(before, after) == [
        ("added", None, "s[0]"),
        ("removed", "s[0]", None),
        ("changed", "s[1]", "s[1]"),
        ("removed", "t", None),
        ("added", None, "u"),
    ]


def test_many_renamed_tables_are_found_by_their_text() -> None:
    before = " ".join(f"old{number}: {{value: {number} width: 10}}" for number in range(100))

    difference = changes(before, before.replace("old", "new"))

    assert {kind for kind, _, _ in difference} == {"renamed"}
    assert len(difference) == 100


def test_value_of_another_kind_is_a_change() -> None:
    assert changes("a: 1 b: {c: 1} d: [1]", 'a: "1" b: [1] d: {c: 1}') == [
        ("changed", "a", "a"),
        ("changed", "b", "b"),
        ("changed", "d", "d"),
    ]


@pytest.mark.slow
def test_long_sequences_are_compared_soon() -> None:
    before = "s: [" + ", ".join(map(str, range(20_000))) + "]"
    after = (
        "s: [7, " + ", ".join(str(number if number % 100 else -1) for number in range(20_000)) + "]"
    )

    assert len(changes(before, after)) < 25_000


def test_paths_are_sorted_by_number() -> None:
    before = "s: [" + ", ".join(["{a: 1 b: 2 c: 3}"] * 12) + "]"
    after = before + " s[0].a: 5 s[2].a: 6 s[10].a: 7"

    assert [path for _, _, path in changes(before, after)] == ["s[0].a", "s[2].a", "s[10].a"]


def test_counts_and_lines_sum_up() -> None:
    difference = fhicl.diff(fhicl.loads("a: 1 b: 2"), fhicl.loads("a: 2 c: 3"))

    assert difference.counts() == {"changed": 1, "added": 1, "removed": 1}
    assert [line[0] for line in difference.lines()] == ["~", "-", "+"]
