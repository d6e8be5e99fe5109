"""Includes are found in a long search path by listing its folders, and what changes is noticed."""

import os
from pathlib import Path

import pytest

from jobprov.provenance.capture.command.closure import Closure
from jobprov.provenance.capture.files.listings import Listings

OLD = (1_000_000_000, 1_000_000_000)


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    made = []
    for number in range(90):
        folder = tmp_path / f"folder{number}"
        folder.mkdir()
        (folder / f"only{number}.fcl").write_text(f"a{number}: {number}\n")
        os.utime(folder, OLD)
        made.append(str(folder))
    return made


def test_the_files_found_are_those_of_a_short_path(folders: list[str], tmp_path: Path) -> None:
    Path(folders[5], "only70.fcl").write_text("earlier: true\n")
    names = [f"only{number}.fcl" for number in range(89, -1, -1)]
    lines = "".join(f'#include "{name}"\n' for name in names)
    (tmp_path / "main.fcl").write_text(
        f'{lines}#include "gone.fcl"\n#include "../folder3/only3.fcl"\n'
    )

    found = Closure(f"{tmp_path}/main.fcl", folders)

    places = {entry["name"]: entry.get("found_in") for entry in found.files}
    expected: dict[str, int | None] = {name: 89 - place for place, name in enumerate(names)}
    expected |= {"only70.fcl": 5, "../folder3/only3.fcl": 0, f"{tmp_path}/main.fcl": None}
    assert places == expected
    assert found.problems == ['include "gone.fcl" is not in FHICL_FILE_PATH']


def test_files_that_come_and_go_between_steps_are_noticed(folders: list[str]) -> None:
    assert list(Listings(folders).places_of("late.fcl")) == []

    Path(folders[8], "late.fcl").touch()
    Path(folders[4], "late.fcl").touch()
    assert list(Listings(folders).places_of("late.fcl")) == [4, 8]
    Path(folders[4], "late.fcl").unlink()
    assert list(Listings(folders).places_of("late.fcl")) == [8]


def test_a_folder_that_is_gone_or_is_a_file_holds_nothing(folders: list[str]) -> None:
    paths = [f"{folders[0]}/gone", f"{folders[0]}/only0.fcl", folders[1]]

    assert list(Listings(paths).places_of("only1.fcl")) == [2]
