"""Evaluating the files of a record, where nothing lies on disk any more."""

from pathlib import Path

import pytest

from jobprov.provenance import fhicl


def recorded(
    folder: Path, main: str, search_path: list[str]
) -> tuple[fhicl.Configuration, list[fhicl.FoundFile]]:
    """Return what art would read, and the closure as the hook records it."""
    configuration = fhicl.load(main, search_path)
    files = [
        fhicl.FoundFile(
            each.name, each.path.removeprefix("./"), Path(each.path).read_bytes(), each.found_in
        )
        for each in configuration.files
    ]
    for path in folder.rglob("*.fcl"):
        path.unlink()
    return configuration, files


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lib").mkdir()
    return tmp_path


def test_recorded_files_evaluate_as_they_did_on_disk(here: Path) -> None:
    (here / "job.fcl").write_text(
        '#include "sub/../base.fcl"\n#include "./base.fcl"\na: @local::t\na.x: 2\n'
    )
    (here / "lib" / "base.fcl").write_text("BEGIN_PROLOG\nt: { x: 1 s: [1] }\nEND_PROLOG\n")
    (here / "lib" / "sub").mkdir()
    before, files = recorded(here, "job.fcl", ["lib"])

    after = fhicl.load_files("job.fcl", files)

    assert after.parameter_set_id == before.parameter_set_id
    assert after.expanded == before.expanded
    assert [each.sha256 for each in after.files] == [each.sha256 for each in before.files]
    assert [each.found_in for each in after.files] == [None, 0, 0]


def test_included_file_of_the_main_files_name_is_not_the_main_file(here: Path) -> None:
    (here / "job.fcl").write_text('#include "job.fcl"\nb: 2\n')
    (here / "lib" / "job.fcl").write_text("a: 1\n")
    before, files = recorded(here, "job.fcl", ["lib"])

    after = fhicl.load_files("job.fcl", files)

    assert after.to_string() == before.to_string() == "a:1 b:2"


def test_main_file_may_be_named_by_its_path() -> None:
    files = [fhicl.FoundFile("job.fcl", "/batch/job.fcl", b"a: 1\n")]

    assert fhicl.load_files("/batch/job.fcl", files).to_string() == "a:1"
    assert fhicl.load_files("job.fcl", files).origin("a") == ("/batch/job.fcl", 1)


def test_file_missing_from_the_record_is_named_with_who_asked() -> None:
    files = [fhicl.FoundFile("job.fcl", "job.fcl", b'\n#include "base.fcl"\n')]

    with pytest.raises(fhicl.FhiclError) as caught:
        fhicl.load_files("job.fcl", files)

    assert (caught.value.kind, caught.value.file, caught.value.line) == (
        "include_not_found",
        "job.fcl",
        2,
    )
    assert '"base.fcl"' in caught.value.message


def test_main_file_missing_from_the_record_is_named() -> None:
    with pytest.raises(fhicl.FhiclError, match=r'"job\.fcl"'):
        fhicl.load_files("job.fcl", [])


def test_any_source_of_files_can_be_read() -> None:
    """The service keeps contents as blobs; a source of its own needs two methods."""

    class Blobs:
        def first(self, name: str) -> fhicl.FoundFile | None:
            return fhicl.FoundFile(name, name, b'#include "x.fcl"\n')

        def included(self, name: str) -> fhicl.FoundFile | None:
            return fhicl.FoundFile(name, f"blob/{name}", b"x: 1\n", 3)

    configuration = fhicl.load_from(Blobs(), "job.fcl")

    assert configuration.origin("x") == ("blob/x.fcl", 1)
    assert configuration.files[1].found_in == 3
