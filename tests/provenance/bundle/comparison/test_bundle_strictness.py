"""Pairs of outputs that look alike and are not: no comparator may call them the same."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward
import numpy as np
import pytest
import uproot
from uproot.writing.identify import to_TAxis, to_TH1x, to_THashList, to_TObjString

from jobprov.provenance.bundle.comparison import root_content
from jobprov.provenance.bundle.comparison.verify import (
    UndecidedError,
    compare,
    content_digest,
    main,
)

Write = Callable[[Any], None]


def level(folder: Path, comparator: str, recorded: Write | str, again: Write | str) -> str:
    """The level that a comparator tells of two files, ROOT files by what writes them, or texts."""
    paths = [folder / "recorded", folder / "again"]
    for path, content in zip(paths, (recorded, again), strict=True):
        if isinstance(content, str):
            path.write_text(content)
            continue
        with uproot.recreate(path) as file:
            content(file)
    sha256 = hashlib.sha256(paths[0].read_bytes()).hexdigest()
    return compare(
        str(paths[1]), {"sha256": sha256, "reference": str(paths[0]), "comparator": comparator}
    )[1]


def tree(**columns: Any) -> Write:
    """A file with one tree of these branches: numpy arrays, nested lists, or lists of strings."""

    def write(file: Any) -> None:
        kinds = {
            name: "string" if isinstance(column, list) else _kind(column)
            for name, column in columns.items()
        }
        made = file.mktree("t", kinds)
        if len(next(iter(columns.values()))):
            made.extend(columns)

    return write


def _kind(column: Any) -> Any:
    return column.dtype if isinstance(column, np.ndarray) else "var * float64"


def test_value_does_not_pass_from_one_branch_to_the_next_in_any_order(tmp_path: Path) -> None:
    """Strings of one length in each entry need counts.

    Without counts "ab", "x" and "a", "bx" are the same letters.
    """
    one, other = tree(a=["ab", "cd"], b=["x", "y"]), tree(a=["a", "c"], b=["bx", "dy"])

    assert level(tmp_path, "unordered", one, other) == "R2"


def test_other_type_of_the_same_bits_differs_in_any_order(tmp_path: Path) -> None:
    ones = np.ones(5, "f4")

    assert level(tmp_path, "unordered", tree(a=ones), tree(a=ones.view("i4"))) == "R2"
    assert (
        level(tmp_path, "unordered", tree(a=np.zeros(0, "f8")), tree(a=np.zeros(0, "i8"))) == "R2"
    )


@pytest.mark.slow
def test_order_of_entries_is_free_also_where_a_chunk_has_lists_of_one_length(
    tmp_path: Path,
) -> None:
    """The last chunk of the one file has lists of one value alone, that of the other has not."""
    lengths = np.concatenate([np.tile([0, 1, 2], 16_666), np.ones(52, "i8")])
    lists = awkward.unflatten(np.arange(int(lengths.sum()), dtype="f8"), lengths)

    assert level(tmp_path, "unordered", tree(a=lists), tree(a=lists[::-1])) == "R5~"


def histogram(
    bins: list[float],
    edges: list[float],
    *,
    errors: list[float] | None = None,
    title: str = "h",
    labels: Any = None,
) -> Write:
    """A file with one histogram.

    `bins` has under- and overflow, and `errors` the squares of the errors.
    """
    values, squares = np.array(bins), np.array(bins if errors is None else errors)
    axis = to_TAxis(
        "xaxis", "", len(edges) - 1, edges[0], edges[-1], fXbins=np.array(edges), fLabels=labels
    )

    def write(file: Any) -> None:
        file["h"] = to_TH1x("h", title, values, 10.0, 10.0, 10.0, 1.0, 2.0, squares, axis)

    return write


BINS, EDGES = [0.0, 10.0, 20.0, 30.0, 0.0], [0.0, 1.0, 2.0, 3.0]


def test_histograms_of_other_edges_are_not_alike(tmp_path: Path) -> None:
    assert (
        level(
            tmp_path,
            "histograms",
            histogram(BINS, EDGES),
            histogram(BINS, [0.0, 100.0, 200.0, 3000.0]),
        )
        == "R2"
    )


@pytest.mark.parametrize("number", [float("inf"), float("nan")])
def test_bin_that_is_no_finite_number_does_not_hide_the_others(
    tmp_path: Path, number: float
) -> None:
    recorded, again = [0.0, 10.0, 20.0, number, 0.0], [0.0, 1000.0, 20.0, number, 0.0]

    assert (
        level(tmp_path, "histograms", histogram(recorded, EDGES), histogram(again, EDGES)) == "R2"
    )
    assert (
        level(
            tmp_path,
            "histograms",
            histogram(recorded, EDGES),
            histogram(recorded, EDGES, title="g"),
        )
        == "R3"
    )


def test_bin_that_became_infinite_is_not_alike(tmp_path: Path) -> None:
    again = [0.0, 10.0, 20.0, float("inf"), 0.0]

    assert level(tmp_path, "histograms", histogram(BINS, EDGES), histogram(again, EDGES)) == "R2"


def test_lists_are_compared_also_where_all_of_one_file_are_equally_long(tmp_path: Path) -> None:
    chance = np.random.default_rng(1)
    recorded = awkward.unflatten(chance.normal(size=300), np.ones(300, "i8"))
    again = awkward.unflatten(chance.normal(size=300) + 50, np.tile([0, 2], 150))

    assert level(tmp_path, "histograms", tree(a=recorded), tree(a=again)) == "R2"


def test_branch_that_became_nan_is_not_alike(tmp_path: Path) -> None:
    chance = np.random.default_rng(1)
    recorded, again = chance.normal(size=1000), chance.normal(size=1000)
    again[100:] = np.nan

    assert level(tmp_path, "histograms", tree(a=recorded), tree(a=again)) == "R2"
    assert level(tmp_path, "histograms", tree(a=again), tree(a=again[::-1])) == "R3"


def test_branch_of_another_type_is_not_alike(tmp_path: Path) -> None:
    numbers = np.random.default_rng(1).normal(size=50)

    assert level(tmp_path, "histograms", tree(a=numbers), tree(a=numbers.astype("i4"))) == "R2"


def test_title_of_a_histogram_is_no_number(tmp_path: Path) -> None:
    near = histogram([0.0, 10.0 + 1e-9, 20.0, 30.0, 0.0], EDGES)
    renamed = histogram([0.0, 10.0 + 1e-9, 20.0, 30.0, 0.0], EDGES, title="another cut")

    assert level(tmp_path, 'numeric {"relative": 1e-6}', histogram(BINS, EDGES), near) == "R4"
    assert level(tmp_path, 'numeric {"relative": 1e-6}', histogram(BINS, EDGES), renamed) == "R2"


def test_type_of_a_branch_counts_in_a_tree_without_entries(tmp_path: Path) -> None:
    assert level(tmp_path, "numeric", tree(a=np.zeros(0, "f8")), tree(a=np.zeros(0, "i8"))) == "R2"


@pytest.mark.parametrize(
    ("recorded", "again", "found"),
    [
        # Equal as floating-point numbers
        (
            "event 9007199254740993",
            "event 9007199254740992",
            "R2",
        ),
        ("commit 12e3456", "commit 98e7654", "R2"),  # both past the largest number
        ("id " + "1" * 400, "id " + "2" * 400, "R2"),
        ("energy inf", "energy infinity", "R4"),
        ("event 10", "event 10.0000001", "R4"),
        ("event 1000000007", "event +1000000007", "R4"),
    ],
)
def test_words_of_a_text_that_look_like_numbers(
    tmp_path: Path, recorded: str, again: str, found: str
) -> None:
    assert level(tmp_path, 'numeric {"absolute": 1e-6}', recorded, again) == found


def test_text_that_begins_with_root_is_no_root_file(tmp_path: Path) -> None:
    recorded, again = "root cause 1.5\n", "root cause 1.5000001\n"

    assert level(tmp_path, 'numeric {"absolute": 1e-6}', recorded, again) == "R4"


def test_digest_of_content_does_not_decide_where_bytes_have_to_agree(tmp_path: Path) -> None:
    """The comparator `masked` accepts R6 and what is above; equal content is R5."""
    numbers = np.arange(5000) % 7
    for name, compression in (("recorded", uproot.ZLIB(1)), ("again", uproot.LZMA(1))):
        with uproot.recreate(tmp_path / name, compression=compression) as file:
            file.mktree("t", {"a": numbers.dtype}).extend({"a": numbers})
    path, digest = str(tmp_path / "again"), content_digest(str(tmp_path / "recorded"))
    known = {"sha256": "0" * 64, "content": digest, "comparator": "masked"}

    assert compare(path, {**known, "reference": str(tmp_path / "recorded")})[1] == "R2"
    with pytest.raises(UndecidedError, match="masked needs the recorded file"):
        compare(path, known)
    assert compare(path, {**known, "content": content_digest(path, "root-masked-1")})[1] == "R6"


def labelled(*labels: str) -> Write:
    """A file with one histogram whose two bins have names, as a cut flow has them."""
    names = [to_TObjString(label) for label in labels]
    for number, name in enumerate(names, 1):
        name.bases[0].members["@fUniqueID"] = number
    return histogram([0.0, 5.0, 3.0, 0.0], [0.0, 1.0, 2.0], labels=to_THashList(names))


def test_names_of_bins_count_where_the_recorded_file_is_at_hand(tmp_path: Path) -> None:
    recorded, again = labelled("all", "muon"), labelled("all", "pion")

    assert level(tmp_path, "root", recorded, again) == "R2"
    assert level(tmp_path, "numeric", recorded, again) == "R2"
    assert level(tmp_path, "content", recorded, labelled("all", "muon")) in {"R5", "R6"}


def test_names_of_bins_are_in_the_digest(tmp_path: Path) -> None:
    for name, labels in (("recorded", ("all", "muon")), ("again", ("all", "pion"))):
        with uproot.recreate(tmp_path / name) as file:
            labelled(*labels)(file)
    digest = content_digest(str(tmp_path / "recorded"))

    assert (
        digest == "root-content-2:b8c943048e7fc55497b3f903a1d7902c03276d40bf9c45635048fd9e87a439df"
    )
    known = {"comparator": "root", "content": digest}
    assert compare(str(tmp_path / "again"), known) == ("DIFFERENT", "R2", "root-content-2")


def test_bins_of_two_axes_are_not_taken_for_those_of_others(tmp_path: Path) -> None:
    def grid(file: Any) -> None:
        file["h"] = (np.zeros((2, 3)), np.arange(3.0), np.arange(3.0, 7.0))

    def other(file: Any) -> None:
        file["h"] = (np.zeros((3, 2)), np.arange(4.0), np.arange(4.0, 7.0))

    assert level(tmp_path, "root", grid, other) == "R2"


@pytest.mark.parametrize(
    ("comparator", "found"), [('numeric {"relative": 1e-6}', "R4"), ("histograms", "R3")]
)
def test_order_of_objects_does_not_follow_from_their_content(
    tmp_path: Path, comparator: str, found: str
) -> None:
    """Eight histograms, each a little other than recorded.

    They are compared by name, not by the order of their digests.
    """

    def many(shift: float) -> Write:
        def write(file: Any) -> None:
            for number in range(8):
                file[f"h{number}"] = (np.array([10.0 + number + shift, 5.0]), np.arange(3.0))

        return write

    assert level(tmp_path, comparator, many(0.0), many(1e-9)) == found


def test_entries_that_uproot_cannot_read_are_not_equal_by_their_key(tmp_path: Path) -> None:
    """The key of an RNTuple of ROOT before 6.34 holds places and sizes alone."""
    with (
        uproot.recreate(tmp_path / "a.root") as file,
        pytest.raises(
            UndecidedError, match="n is a ROOT::Experimental::RNTuple, which uproot cannot read"
        ),
    ):
        root_content._describe(file, "n", "ROOT::Experimental::RNTuple")


def test_whatever_fails_is_told_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a").write_text("x")
    arguments = [
        "compare",
        str(tmp_path / "a"),
        "--reference",
        str(tmp_path / "gone"),
        "--comparator",
        "text",
    ]

    assert main(arguments) == 2
    assert capsys.readouterr().out.startswith("the comparison failed: FileNotFoundError: ")
