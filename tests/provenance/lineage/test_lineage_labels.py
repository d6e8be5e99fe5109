"""Labels: names cut so that they can be told apart."""

from hypothesis import given
from hypothesis import strategies as st

from jobprov.provenance.lineage.drawing.captions import name_pattern, tell_apart
from jobprov.provenance.lineage.words import columns
from tests.library.productions.drawn_graphs import NAMES


@given(st.lists(NAMES, max_size=8), st.integers(10, 40))
def test_every_name_has_a_label_that_fits(names: list[str], width: int) -> None:
    labels = tell_apart(names, width)

    assert labels.keys() == set(names)
    assert all(columns(label) <= width for label in labels.values())
    assert all(
        label == name for name, label in labels.items() if columns(name) <= width and name.isalnum()
    )


def test_names_that_differ_in_several_places_are_told_apart() -> None:
    names = [
        f"fardet_genie_N1810j0211a_nonswap_r{19000 + number:08d}_s{number % 64:02d}_c000"
        f"_R24-01-01.{tier}.root"
        for number in range(120)
        for tier in ("sim", "reco", "pid")
    ]

    labels = tell_apart(names, 28)

    assert len(set(labels.values())) == len(names)


def test_a_name_like_no_other_keeps_both_ends() -> None:
    labels = tell_apart(["merged.root", "a_name_that_nobody_shares_and_nobody_can_read.root"], 26)

    assert list(labels.values()) == ["merged.root", "a_name_that_…can_read.root"]


def test_pattern_keeps_what_names_share() -> None:
    assert name_pattern(["reco_r1.root", "reco_r2.root"]) == "reco_r*.root"
    assert name_pattern(["aa", "aaa"]) == "aa*"
    assert name_pattern(["x", "y"]) == "*"
