"""Elements of two sequences are matched in order, with a bounded effort.

That is so whatever they hold.
"""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobprov.provenance import fhicl
from jobprov.provenance.fhicl.matching import kept_pairs

FEW = st.lists(st.sampled_from("abc"), max_size=40)


class Counted(str):
    """A text that counts how often it is compared."""

    __slots__ = ()
    comparisons = 0

    def __eq__(self, other: object) -> bool:
        Counted.comparisons += 1
        return str.__eq__(self, str(other))

    __hash__ = str.__hash__


def shortest(old: list[str], new: list[str]) -> int:
    """Return the length of the longest common order, by the table that everybody knows."""
    row = [0] * (len(new) + 1)
    for text in old:
        left = 0
        for place, other in enumerate(new):
            left, row[place + 1] = (
                row[place + 1],
                left + 1 if text == other else max(row[place], row[place + 1]),
            )
    return row[-1]


@given(FEW, FEW)
def test_pairs_are_equal_and_rise(old: list[str], new: list[str]) -> None:
    pairs = kept_pairs(old, new)

    assert all(old[here] == new[there] for here, there in pairs)
    assert all(
        first[0] < second[0] and first[1] < second[1] for first, second in itertools.pairwise(pairs)
    )


@given(
    st.lists(st.sampled_from("ab"), min_size=4, max_size=40),
    st.lists(st.sampled_from("ab"), min_size=4, max_size=40),
)
def test_without_anchors_as_many_stay_as_can(old: list[str], new: list[str]) -> None:
    # Each stands twice: none is an anchor
    old, new = (
        ["a", "b", *old, "a", "b"],
        ["a", "b", *new, "a", "b"],
    )

    assert len(kept_pairs(old, new)) == shortest(old, new)


def test_the_effort_grows_with_the_length_alone() -> None:
    old = [Counted("0")] * 4000
    new = [Counted("0"), Counted("1")] * 2000
    Counted.comparisons = 0

    kept_pairs(old, new)

    assert Counted.comparisons < 10 * 4000 + 2 * 128 * 128


@pytest.mark.slow
def test_an_insertion_and_changes_far_apart_stay_few_in_a_long_sequence() -> None:
    before = [str(number) for number in range(20_000)]
    after = ["-7", *(text if number % 100 else "-1" for number, text in enumerate(before))]

    difference = fhicl.diff(
        fhicl.loads(f"s: [{','.join(before)}]"), fhicl.loads(f"s: [{','.join(after)}]")
    )

    assert difference.counts() == {"changed": 200, "added": 1}


def test_an_insertion_among_equal_elements_is_one_insertion() -> None:
    before = ["0", "1", "1"] * 200
    after = [*before[:300], "7", *before[300:]]
    after[500] = "2"

    difference = fhicl.diff(
        fhicl.loads(f"s: [{','.join(before)}]"), fhicl.loads(f"s: [{','.join(after)}]")
    )

    assert difference.counts() == {"changed": 1, "added": 1}
