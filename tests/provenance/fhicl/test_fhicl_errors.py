"""Errors: their place, their line with a caret, and the includes that led there."""

from pathlib import Path

import pytest

from jobprov.provenance import fhicl
from jobprov.provenance.errors import NotFoundError, ProvenanceError


def error_of(folder: Path, **files: str) -> fhicl.FhiclError:
    for name, content in files.items():
        (folder / f"{name}.fcl").write_text(content)
    with pytest.raises(fhicl.FhiclError) as caught:
        fhicl.load(folder / "main.fcl", [folder])
    return caught.value


def test_error_names_file_line_column_and_shows_the_line(tmp_path: Path) -> None:
    error = error_of(tmp_path, main="a: 1\nb: [ @local::nowhere ] # c\n")

    assert (error.kind, error.file, error.line, error.column) == (
        "local_lookup",
        str(tmp_path / "main.fcl"),
        2,
        6,
    )
    assert str(error) == (
        f'{tmp_path}/main.fcl:2:6: "nowhere" is not defined before this line\n   b: '
        "[ @local::nowhere ] # c\n        ^"
    )
    assert isinstance(error, ProvenanceError)


def test_error_in_an_included_file_shows_the_chain(tmp_path: Path) -> None:
    error = error_of(
        tmp_path, main='# c\n#include "x.fcl"\n', x='x: 1\n#include "y.fcl"\n', y="\ny: ]\n"
    )

    assert (error.file, error.line, error.column) == (str(tmp_path / "y.fcl"), 2, 4)
    assert error.chain == (
        fhicl.Inclusion(str(tmp_path / "x.fcl"), 2),
        fhicl.Inclusion(str(tmp_path / "main.fcl"), 2),
    )
    assert str(error).endswith(
        f"included from {tmp_path}/x.fcl:2\n   included from {tmp_path}/main.fcl:2"
    )


def test_line_behind_an_include_is_the_true_one(tmp_path: Path) -> None:
    error = error_of(tmp_path, main='a: 1\n#include "x.fcl"\nb: @local::c\n', x="x: 1\n")

    assert (error.line, error.column, error.excerpt) == (3, 4, "b: @local::c")


def test_missing_include_names_who_asked(tmp_path: Path) -> None:
    error = error_of(tmp_path, main='#include "x.fcl"\n', x='\n#include "nowhere.fcl"\n')

    assert (error.kind, error.line, error.excerpt) == (
        "include_not_found",
        2,
        '#include "nowhere.fcl"',
    )
    assert error.file == str(tmp_path / "x.fcl")
    assert error.chain == (fhicl.Inclusion(str(tmp_path / "main.fcl"), 1),)


def test_protection_names_the_first_binding(tmp_path: Path) -> None:
    error = error_of(tmp_path, main="a @protect_error: 1\na: 2\n")

    assert error.message == f'"a" is protected at {tmp_path}/main.fcl:1'


def test_end_of_the_document_is_a_place_too(tmp_path: Path) -> None:
    error = error_of(tmp_path, main="a: [ 1,\n")

    assert (error.kind, error.line, error.excerpt) == ("syntax", 1, "a: [ 1,")
    assert "found the end" in error.message


def test_endless_line_is_shown_around_the_place(tmp_path: Path) -> None:
    error = error_of(tmp_path, main=f"a: [ {'1, ' * 10_000} ? ]\n")

    assert len(error.excerpt) <= 160
    assert error.excerpt[error.caret] == "?"


def test_wrongly_placed_prolog_says_where_prologs_belong(tmp_path: Path) -> None:
    error = error_of(tmp_path, main='a: 1\n#include "x.fcl"\n', x="BEGIN_PROLOG\nEND_PROLOG\n")

    assert error.kind == "prolog_placement"
    assert (error.file, error.line) == (str(tmp_path / "x.fcl"), 1)


@pytest.mark.parametrize("path", ["b", "a.b.c", "a[0]", "a.", "a..b", "[", "a.l[2]", "a.l.x", "0"])
def test_path_that_is_not_there_is_named(path: str) -> None:
    configuration = fhicl.loads("a: {b: 1 l: [1, 2]}")

    with pytest.raises(NotFoundError) as caught:
        configuration.value(path)

    assert f'"{path}"' in str(caught.value)
