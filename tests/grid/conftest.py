"""One pool, one service, and a job for every pair of a way of dying and a way in: all tests here read what came of them."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "app"))  # for the running service

from grid_story import Story


def need_condor() -> None:
    """Skip without HTCondor, loudly; on CI that is an error."""
    if shutil.which("condor_submit", path="/usr/bin:/usr/sbin") is None:
        words = "NO HTCONDOR (Debian package minicondor): no real job runs under a real batch system"
        if os.environ.get("CI") == "true":
            pytest.fail(words)
        pytest.skip(words)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Yield the story, told to its end: every job is over, and the witness told of it. Its pool is gone after the module."""
    need_condor()
    story = Story(tmp_path_factory.mktemp("grid"))
    try:
        story.tell()
        yield story
    finally:
        story.close()
