"""Temporary folders on disk, for tests of the hook.

Other tests write to memory below /dev; the hook passes over files there, as jobs keep none.
"""

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_MOST_LETTERS = 30


@contextlib.contextmanager
def storage_folder() -> Iterator[Path]:
    """Yield a folder that lies below no temporary one, as an experiment's storage does."""
    temporary = Path(tempfile.gettempdir()).resolve()
    places = [Path("/srv"), Path("/opt"), Path(__file__).parents[2]]
    for place in places:
        if temporary not in place.resolve().parents and os.access(place, os.W_OK):
            with tempfile.TemporaryDirectory(dir=place) as folder:
                yield Path(folder)
            return
    pytest.skip("NO FOLDER outside the temporary one can be written: no storage is tried")


class FoldersOnDisk:
    """Makes folders below one that is removed in the end, as pytest's own factory does."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def mktemp(self, basename: str, *, numbered: bool = True) -> Path:  # noqa: ARG002
        """Return a new folder whose name begins with these letters."""
        return Path(tempfile.mkdtemp(prefix=f"{basename}-", dir=self._root))


@pytest.fixture(scope="session", name="tmp_path_factory")
def folders_on_disk() -> Iterator[FoldersOnDisk]:
    """Yield what makes folders on disk."""
    root = Path(tempfile.mkdtemp(prefix="jobprov-tests-"))
    yield FoldersOnDisk(root)
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(name="tmp_path")
def folder_on_disk(tmp_path_factory: FoldersOnDisk, request: pytest.FixtureRequest) -> Path:
    """Return a folder on disk for one test."""
    return tmp_path_factory.mktemp(re.sub(r"\W+", "_", request.node.name)[:_MOST_LETTERS])
