"""Names of a record that leave no room in a tar: the bundle takes others, and unpacks."""

import io
from pathlib import Path

import pytest

from jobprov.provenance.services.reruns.execution import unpack
from tests.library.productions.toy_job import Run, Toy


def _unpacked(toy: Toy, folder: Path) -> Path:
    """The bundle, unpacked as the service itself does, which takes plain names alone."""
    return unpack(io.BytesIO(toy.tar_bytes()), folder)


@pytest.mark.parametrize("length", [90, 91, 100, 101])
def test_repository_of_a_long_name_is_laid_out(
    toy: Toy, tmp_path: Path, dash: Run, length: int
) -> None:
    toy.record["software"][0]["name"] = "r" * length
    toy.record["software"].append({**toy.record["software"][0], "checkout": "/elsewhere"})
    bag = _unpacked(toy, tmp_path / "bag")

    outcome = dash(bag / "data/run.sh", tmp_path / "out")

    assert outcome.returncode == 0, outcome.stderr
    assert ((bag / "data/src" / ("r" * length)).is_dir()) == (length == 90)


@pytest.mark.parametrize("length", [96, 97, 100])
def test_configuration_of_a_step_of_a_long_name_is_kept(
    toy: Toy, tmp_path: Path, length: int
) -> None:
    [configuration] = toy.record["configurations"]
    toy.record["configurations"] = [{**configuration, "step": letter * length} for letter in "ab"]

    folders = sorted(
        path.name for path in (_unpacked(toy, tmp_path / "bag") / "data/fcl").iterdir()
    )

    assert folders == ([f"00-{'a' * 96}", f"01-{'b' * 96}"] if length == 96 else ["00", "01"])


def test_file_of_no_folder_of_the_search_path_is_kept(toy: Toy, tmp_path: Path) -> None:
    """A recorder may say so by -1, which is no name that starts with a dash."""
    toy.record["configurations"][0]["files"][0]["found_in"] = -1

    assert (_unpacked(toy, tmp_path / "bag") / "data/fcl/path/main/top.fcl").is_file()
