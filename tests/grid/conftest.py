"""One pool, one service, and a job for every pair of a way of dying and a way in.

All tests here read what came of them.
"""

from collections.abc import Iterator

import pytest

from tests.library.disk import folder_on_disk, folders_on_disk  # noqa: F401 - fixtures
from tests.library.grid.scene import opened_scene
from tests.library.grid.story import Story


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Yield the story, told to its end: every job is over, and the witness told of it.

    Its pool is gone after the module.
    """
    with opened_scene(lambda: Story(tmp_path_factory.mktemp("grid"))) as story:
        story.tell()
        yield story
