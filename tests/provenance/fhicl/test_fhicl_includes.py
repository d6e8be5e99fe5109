"""Stage one: which files an `#include` leads to, and the text that results."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from jobprov.provenance import fhicl
from jobprov.provenance.fhicl.loading import forget_sources

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Return a function that writes files below an empty working folder."""
    monkeypatch.chdir(tmp_path)

    def write_files(**files: str | bytes) -> Path:
        for name, content in files.items():
            path = tmp_path / f"{name.replace('__', '/')}.fcl"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path

    return write_files


def kind_of(main: str, search_path: list[str]) -> str:
    with pytest.raises(fhicl.FhiclError) as caught:
        fhicl.load(main, search_path)
    return caught.value.kind


def test_include_line_leaves_nothing_but_the_text_of_its_file(write: Write) -> None:
    write(main='a: 1\n#include "x.fcl"\nb: 2', x="x: [ 1,\n 2 ]")

    configuration = fhicl.load("main.fcl", ["."])

    assert configuration.expanded == b"a: 1\nx: [ 1,\n 2 ]\nb: 2\n"
    assert configuration.to_string() == "a:1 b:2 x:[1,2]"


@pytest.mark.parametrize("ending", [b"\r\n", b"\r", b"\n"])
def test_lines_end_in_any_way(write: Write, ending: bytes) -> None:
    write(main=ending.join([b"a: 1 # c", b'#include "x.fcl"', b"", b"b: 2"]), x=b"x: 1")

    assert fhicl.load("main.fcl", ["."]).expanded == b"a: 1 # c\nx: 1\n\nb: 2\n"


def test_directive_counts_inside_tables_and_strings(write: Write) -> None:
    write(main='t: {\n#include "x.fcl"\n}\ns: "one\n#include "x.fcl"\ntwo"\n', x="x: 1\n")

    configuration = fhicl.load("main.fcl", ["."])

    assert configuration.to_string() == 's:"one\\nx: 1\\ntwo" t:{x:1}'
    assert configuration.origin("t.x") == ("./x.fcl", 1)
    assert configuration.origin("s") == ("./main.fcl", 4)


@pytest.mark.parametrize(
    "line",
    [
        "#include x.fcl",
        '#include"x.fcl"',
        "#include 'x.fcl'",
        '#include  "x.fcl"',
        '#include\t"x.fcl"',
        '#include "x.fcl" # c',
        '#include ""',
        "#includes",
    ],
)
def test_malformed_directive_is_refused(write: Write, line: str) -> None:
    write(main=f"{line}\n", x="")

    assert kind_of("main.fcl", ["."]) == "include_malformed"


def test_indented_directive_is_a_comment(write: Write) -> None:
    write(main=' #include "nowhere.fcl"\n// #include "nowhere.fcl"\na: 1\n')

    assert fhicl.load("main.fcl", []).to_string() == "a:1"


def test_trailing_blanks_behind_a_directive_are_ignored(write: Write) -> None:
    write(main='#include "x.fcl" \t\r\n', x="x: 1\n")

    assert fhicl.load("main.fcl", ["."]).to_string() == "x:1"


def test_included_files_are_searched_along_the_path_only(write: Write) -> None:
    folder = write(
        main='#include "x.fcl"\n',
        x="x: here\n",
        one__x="x: one\n",
        two__x="x: two\n",
        two__y="y: 1\n",
    )

    assert kind_of("main.fcl", []) == "include_not_found"
    assert fhicl.load("main.fcl", ["", "two", "one"]).to_string() == 'x:"two"'
    assert fhicl.load("main.fcl", ["nowhere", str(folder / "one")]).files[1] == fhicl.SourceFile(
        "x.fcl", f"{folder}/one/x.fcl", hashlib.sha256(b"x: one\n").hexdigest(), 1
    )


def test_absolute_include_is_glued_behind_each_folder(write: Write) -> None:
    folder = write(x="x: 1\n")
    write(main=f'#include "{folder}/x.fcl"\n')

    assert kind_of("main.fcl", [str(folder)]) == "include_not_found"
    assert fhicl.load("main.fcl", ["/"]).to_string() == "x:1"


def test_main_file_is_found_here_first_and_then_along_the_path(write: Write) -> None:
    folder = write(main="a: here\n", one__main="a: one\n", one__other="a: other\n")

    assert fhicl.load("main.fcl", ["one"]).files[0].found_in is None
    assert fhicl.load("other.fcl", ["one"]).files[0].found_in == 0
    assert fhicl.load(folder / "one" / "main.fcl", []).to_string() == 'a:"one"'
    assert kind_of("nowhere.fcl", ["one"]) == "include_not_found"


def test_search_path_may_be_one_text_with_colons(write: Write) -> None:
    write(main='#include "x.fcl"\n', b__x="x: 1\n")

    assert fhicl.load("main.fcl", "a:b").files[1].found_in == 1
    assert fhicl.loads('#include "x.fcl"\n', "a:b").to_string() == "x:1"


def test_search_path_defaults_to_the_environment(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(main='#include "x.fcl"\n', x="x: here\n", one__x="x: one\n")
    monkeypatch.setenv("FHICL_FILE_PATH", ":one:")
    assert fhicl.load("main.fcl").to_string() == 'x:"one"'

    monkeypatch.delenv("FHICL_FILE_PATH")

    assert fhicl.load("main.fcl").to_string() == 'x:"here"'


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("none", '"here"'),
        ("all", '"one"'),
        ("nonabsolute", '"one"'),
        ("after1", '"one"'),
        ("permissive", '"one"'),
    ],
)
def test_policy_says_where_an_included_file_is_searched(
    write: Write, policy: str, expected: str
) -> None:
    write(
        x="x: here\n", one__x="x: one\n", one__main='#include "x.fcl"\n', main='#include "x.fcl"\n'
    )

    assert fhicl.load("main.fcl", ["one"], policy=policy).to_string() == f"x:{expected}"


def test_unknown_policy_is_named() -> None:
    with pytest.raises(ValueError, match="sometimes"):
        fhicl.load("main.fcl", [], policy="sometimes")


def test_file_may_be_included_again_but_not_while_it_is_open(write: Write) -> None:
    write(
        twice='#include "x.fcl"\n#include "x.fcl"\n',
        x="x: 1\n",
        a='#include "b.fcl"\n',
        b='#include "a.fcl"\n',
    )

    configuration = fhicl.load("twice.fcl", ["."])

    assert configuration.opened == ("./twice.fcl", "./x.fcl", "./x.fcl")
    assert [file.name for file in configuration.files] == ["twice.fcl", "x.fcl"]
    assert kind_of("a.fcl", ["."]) == "include_recursive"


def test_folder_opens_and_gives_no_lines(write: Write) -> None:
    write(main='#include "."\na: 1\n')

    configuration = fhicl.load("main.fcl", ["."])

    assert configuration.to_string() == "a:1"
    assert len(configuration.files) == 1


def test_changed_file_is_read_anew(write: Write) -> None:
    write(main='#include "x.fcl"\n', x="x: 1\n")
    before = fhicl.load("main.fcl", ["."])
    write(x="x: 2\n")

    after = fhicl.load("main.fcl", ["."])

    assert (before.to_string(), after.to_string()) == ("x:1", "x:2")


def test_shared_files_keep_documents_apart(write: Write) -> None:
    """Constants of a file are built once.

    A document that changes its copy must not show in the next.
    """
    write(
        base="BEGIN_PROLOG\nt: { x: { y: 1 } s: [ { z: 1 } ] }\nEND_PROLOG\n",
        one='#include "base.fcl"\na: @local::t\na.x.y: 2\na.s[0].z: 3\n',
    )
    write(
        two='#include "base.fcl"\na: @local::t\n',
        three='#include "base.fcl"\na: { @table::t }\na.x.w: 4\n',
    )
    forget_sources()

    texts = [
        fhicl.load(f"{name}.fcl", ["."]).to_string()
        for name in ("one", "two", "three", "two", "one")
    ]

    assert texts == [
        "a:{s:[{z:3}] x:{y:2}}",
        "a:{s:[{z:1}] x:{y:1}}",
        "a:{s:[{z:1}] x:{w:4 y:1}}",
        "a:{s:[{z:1}] x:{y:1}}",
        "a:{s:[{z:3}] x:{y:2}}",
    ]


def test_expand_reads_documents_that_cannot_be_evaluated(write: Write) -> None:
    write(main='a: @local::nowhere\n#include "x.fcl"\n', x="x: [\n")

    assert fhicl.expand("main.fcl", ["."]).text() == b"a: @local::nowhere\nx: [\n"


def test_text_may_include_files(write: Write) -> None:
    write(one__x="x: 1\n")

    assert fhicl.loads('#include "x.fcl"\na: @local::x\n', ["one"]).to_string() == "a:1 x:1"
