"""Folders of a long search path are listed once, and what changes in them is noticed."""

import os
from pathlib import Path

import pytest

from jobprov.provenance import fhicl
from jobprov.provenance.fhicl.reading.lookup import FolderMemory, SearchedFolders

OLD = (1_000_000_000, 1_000_000_000)


def make_folders(tmp_path: Path, count: int) -> list[Path]:
    folders = [tmp_path / f"folder{number}" for number in range(count)]
    for number, folder in enumerate(folders):
        folder.mkdir()
        (folder / f"only{number}.fcl").write_text(f"a{number}: {number}\n")
        os.utime(folder, OLD)
    return folders


def test_the_first_folder_that_holds_a_name_comes_first(tmp_path: Path) -> None:
    folders = make_folders(tmp_path, 4)
    (folders[1] / "both.fcl").touch()
    (folders[3] / "both.fcl").touch()
    (folders[2] / "sub").mkdir()
    searched = SearchedFolders([str(folder) for folder in [*folders, tmp_path / "gone"]])

    assert list(searched.places_of("both.fcl")) == [1, 3]
    assert list(searched.places_of("sub/any.fcl")) == [2]
    assert list(searched.places_of("/only3.fcl")) == [3]
    assert list(searched.places_of("none.fcl")) == []
    assert list(searched.places_of("../folder1/only1.fcl")) == [0, 1, 2, 3, 4]


def test_what_was_added_and_removed_is_noticed(tmp_path: Path) -> None:
    folders = make_folders(tmp_path, 3)
    memory, paths = FolderMemory(), tuple(map(str, folders))
    assert list(memory.folders(paths).places_of("new.fcl")) == []

    (folders[2] / "new.fcl").touch()
    (folders[1] / "new.fcl").touch()
    assert list(memory.folders(paths).places_of("new.fcl")) == [1, 2]
    (folders[1] / "new.fcl").unlink()
    assert list(memory.folders(paths).places_of("new.fcl")) == [2]


def test_a_folder_that_is_not_changed_is_not_listed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = make_folders(tmp_path, 3)
    memory, paths = FolderMemory(), tuple(map(str, folders))
    memory.folders(paths)
    listed: list[str] = []
    list_folder = os.listdir

    def list_and_tell(path: str) -> list[str]:
        listed.append(path)
        return list_folder(path)

    monkeypatch.setattr(os, "listdir", list_and_tell)

    memory.folders(paths)
    (folders[1] / "new.fcl").touch()
    memory.folders(paths)

    assert listed == [str(folders[1])]


def test_a_long_path_finds_the_same_files_however_it_is_searched(tmp_path: Path) -> None:
    folders = make_folders(tmp_path, 200)
    names = [f"only{number}.fcl" for number in range(0, 200, 2)]
    (folders[7] / "only150.fcl").write_text("earlier: true\n")
    main = tmp_path / "main.fcl"
    main.write_text("".join(f'#include "{name}"\n' for name in names))

    configuration = fhicl.load(main, folders)
    again = fhicl.load(main, folders)
    places = {file.name: file.found_in for file in configuration.files}

    assert places["only150.fcl"] == 7
    assert places["only198.fcl"] == 198
    assert again.files == configuration.files
    assert configuration.value("earlier") is True


def test_a_missing_include_is_an_error_also_where_folders_are_listed(tmp_path: Path) -> None:
    folders = make_folders(tmp_path, 60)
    main = tmp_path / "main.fcl"
    lines = [f'#include "only{number}.fcl"\n' for number in range(59, -1, -1)]
    main.write_text(f'{"".join(lines * 2)}#include "gone.fcl"\n')

    with pytest.raises(fhicl.FhiclError, match=r'cannot find "gone.fcl"'):
        fhicl.load(main, folders)
