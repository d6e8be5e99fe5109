"""One pool, one service, and a job for every pair of a way of dying and a way in.

All tests here read what came of them.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "app"))  # for the running service
sys.path.insert(
    0, str(Path(__file__).parents[1] / "provenance/launchers")
)  # for what every launcher does

from grid_needs import need_condor
from grid_story import Story


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Yield the story, told to its end: every job is over, and the witness told of it.

    Its pool is gone after the module.
    """
    need_condor()
    story = Story(tmp_path_factory.mktemp("grid"))
    try:
        story.tell()
        yield story
    finally:
        story.close()
