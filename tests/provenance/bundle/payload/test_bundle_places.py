"""Recorded strings become shell words; names become paths in the payload."""

import re
import subprocess
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobprov.provenance.bundle.names import Shelf, is_plain, percent, split_for_ustar
from jobprov.provenance.bundle.payload.places import Place, Places, quote

WORD = st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)))


def _places() -> Places:
    places = Places("/w/job")
    places.map("/c/code", Place("src", "/code"))
    places.map("/c/code/inner", Place("src", "/inner"))
    return places


@pytest.mark.parametrize(
    ("recorded", "word"),
    [
        ("", "''"),
        ("plain", "'plain'"),
        ("/w/job", '"$work"'),
        ("/w/job/a.root", "\"$work\"'/a.root'"),
        ("/w/job2/a", "'/w/job2/a'"),
        ("/x/w/job/a", "'/x/w/job/a'"),
        ("--out=/w/job/a", "'--out='\"$work\"'/a'"),
        ("-I/c/code/include", "'-I'\"$at_1\"'/include'"),
        ("file:///w/job/a", "'file://'\"$work\"'/a'"),
        ("/c/code/inner/x:/c/code/y", "\"$at_1\"'/x:'\"$at_2\"'/y'"),
        ("it's $HOME `x` \\", "'it'\\''s $HOME `x` \\'"),
    ],
)
def test_mapped_folders_are_rewritten_and_the_rest_is_quoted(recorded: str, word: str) -> None:
    assert _places().rewrite(recorded) == word


PATH_PARTS = ["/", "//", "a", "b", "-I", ":", " ", "=", ".", "..", "://", "\n", "'", "é", "+"]
STRING = st.lists(st.sampled_from(PATH_PARTS), max_size=20).map("".join)


@given(folders=st.lists(STRING.map("/{}".format), max_size=5), string=STRING)
def test_of_mapped_folders_the_innermost_that_ends_at_a_separator_counts(
    folders: list[str], string: str
) -> None:
    """Compared with one alternation of all folders, as edition 1 of the bundle was built first."""
    places = Places("/a")
    for number, folder in enumerate(folders):
        places.map(folder, Place("src", f"/{number}"))
    longest_first = sorted(places.mapped(), key=len, reverse=True)
    pattern = re.compile(
        r"(?:^|(?<=[^A-Za-z0-9._+~@%/-])|(?<=://)|(?<=[\s=,:;\"'(]-[A-Za-z])|(?<=^-[A-Za-z]))"
        f"(?:{'|'.join(map(re.escape, longest_first))})(?=/|$|[^A-Za-z0-9._+~@%-])"
    )

    places.rewrite(string)

    found = dict.fromkeys(pattern.findall(string))
    found.pop("/a", None)  # the working directory needs no alias
    assert list(places.aliases) == list(found)


@pytest.mark.slow
def test_rewriting_a_list_of_many_mapped_paths_takes_time_in_proportion() -> None:
    """With all paths in one regular expression, 32,000 took ten seconds."""
    places = Places("/w/job")
    paths = [f"/data/run{number % 97}/file_{number}.root" for number in range(32_000)]
    for path in paths:
        places.map(path, Place("src", path))
    before = time.process_time()

    places.rewrite(":".join(paths))

    assert time.process_time() - before < 3


@given(WORD)
def test_quoted_text_comes_out_of_the_shell_as_it_went_in(string: str) -> None:
    answer = subprocess.run(
        ["dash", "-c", f"printf %s {quote(string)}"], capture_output=True, check=True
    )

    assert answer.stdout == string.encode()


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("a/b", Place("work", "/a/b")),
        ("./a//b", Place("work", "/a/b")),
        ("/w/job/a", Place("work", "/a")),
        ("../a", Place("elsewhere", "/w/a")),
        ("/c/code/inner/x", Place("src", "/inner/x")),
        ("/data/../data/a", Place("elsewhere", "/data/a")),
        ("root://door.example.org//pnfs/../../a", Place("elsewhere", "/a")),
        ("", None),
        ("/", None),
    ],
)
def test_file_is_laid_out_below_the_rerun_whatever_its_path(path: str, place: Place | None) -> None:
    assert _places().settle(path) == place


def test_path_that_leaves_an_unknown_working_directory_has_no_place() -> None:
    assert Places("").settle("../a") is None


def test_settled_path_is_rewritten_from_then_on() -> None:
    places = _places()
    places.settle("../a.txt")
    places.settle("/pnfs/b.txt")

    assert places.rewrite("../a.txt") == '"$at_1"'
    assert places.aliases == {"../a.txt": Place("elsewhere", "/w/a.txt")}
    assert places.rewrite("in=/pnfs/b.txt,x") == "'in='\"$elsewhere\"'/pnfs/b.txt'',x'"


@given(st.lists(st.text(min_size=1, max_size=130), max_size=8))
def test_stored_names_are_plain_and_never_clash(names: list[str]) -> None:
    shelf = Shelf("0f8b6a4e-3c51-5a0e-9c3f-000000000017")
    paths = [
        shelf.take("src/x", name, f"{number:064x}", odd="src/x.odd")
        for number, name in enumerate(names)
    ]

    assert all(is_plain(path) for path in paths)
    assert len({path.lower() for path in paths}) == len(paths)
    folders = {
        path.rsplit("/", cut)[0].lower() for path in paths for cut in range(1, path.count("/") + 1)
    }
    assert not folders & {path.lower() for path in paths}


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_field_of_a_table_holds_no_tab_or_line_end(string: str) -> None:
    field = percent(string)

    assert field
    assert not set(field) & set("\t\n\r\0")


@pytest.mark.parametrize(
    ("path", "split"),
    [
        (b"a" * 100, (b"", b"a" * 100)),
        (b"a" * 101, None),
        (b"p" * 155 + b"/" + b"n" * 100, (b"p" * 155, b"n" * 100)),
        (b"p" * 156 + b"/" + b"n" * 100, None),
        (b"p" * 60 + b"/" + b"n" * 60 + b"/", (b"p" * 60, b"n" * 60 + b"/")),
    ],
)
def test_path_is_split_as_a_ustar_header_holds_it(
    path: bytes, split: tuple[bytes, bytes] | None
) -> None:
    assert split_for_ustar(path) == split
