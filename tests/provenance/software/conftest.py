"""Fixtures: repositories to mirror, pack and dirty."""

import shutil
from pathlib import Path

import pytest

from tests.library.git import MakeRepository, Repository


@pytest.fixture
def make_repository(tmp_path: Path) -> MakeRepository:
    return lambda name: Repository(tmp_path / name)


@pytest.fixture(scope="session")
def production_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    repository = Repository(tmp_path_factory.mktemp("production") / "once")
    repository.write("fcl/reco.fcl", '#include "prolog.fcl"\nprocess_name: Reco\n')
    repository.write("fcl/prolog.fcl", "BEGIN_PROLOG\nx: 1\nEND_PROLOG\n")
    repository.write("bin/run.sh", "#!/bin/sh\nexit 0\n").chmod(0o755)
    repository.write("empty", "")
    repository.write("table.bin", bytes(range(256)) * 600)
    repository.write("odd näme\twith tab", "odd\n")
    (repository.path / "latest.fcl").symlink_to("fcl/reco.fcl")
    repository.commit("first")
    repository.git("tag", "light-1")
    repository.write("fcl/prolog.fcl", "BEGIN_PROLOG\nx: 2\nEND_PROLOG\n")
    repository.commit("second", date="2024-02-03T00:00:00+00:00")
    repository.git("tag", "-a", "v1", "-m", "release one")
    return repository.path


@pytest.fixture
def production(production_once: Path, tmp_path: Path) -> Repository:
    """A small production repository.

    It has nested folders, modes, a link, an odd name, two commits and tags of both kinds.
    """
    return Repository(shutil.copytree(production_once, tmp_path / "upstream", symlinks=True))
