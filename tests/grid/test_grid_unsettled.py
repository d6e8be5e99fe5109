"""An epoch is written before the schedd knows that the attempt is over, if it is.

Here the shadow stops between the two, so that nobody has to be quick to see it.
"""

import os
import signal
from collections.abc import Iterator
from functools import partial

import pytest

from tests.library.grid.scene import Scene, opened_scene

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("grid_queue")]


@pytest.fixture
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with opened_scene(lambda: Scene(tmp_path_factory.mktemp("unsettled"), "toy")) as scene:
        yield scene


def is_settled(scene: Scene, job: str) -> bool:
    return job in scene.pool.settled()


def test_attempt_that_runs_by_the_schedd_is_not_reported_by_its_epoch(scene: Scene) -> None:
    lines = {
        "executable": "/bin/sh",
        "transfer_executable": "False",
        "arguments": "\"-c 'sleep 3; exit 3'\"",
        "environment": '"JOBPROV_EXPERIMENT=toy JOBPROV_TASK_ID=t1 JOBPROV_UNIT=u1"',
        "request_memory": "32M",
        "request_disk": "10M",
        "requirements": "IsDoomed =!= True",
        "log": "unsettled.log",
    }
    shadow, tries = None, 0
    while shadow is None:
        tries += 1
        assert tries <= 10, "each shadow was gone before it could be stopped"
        job = scene.pool.submit(f"unsettled{tries}", lines)
        shadow = scene.pool.stop_shadow_at_epoch(job)
        if shadow is None:  # the witness may report this one, and waits for the next
            scene.pool.wait_for("the schedd knows", partial(is_settled, scene, job), 60)
            scene.witness()

    held_back = scene.witness()
    again = scene.witness()
    os.kill(shadow, signal.SIGCONT)
    scene.pool.wait_for("the schedd knows", partial(is_settled, scene, job), 60)
    over = scene.witness()

    for report in (held_back, again):
        assert (report["states"], report["waiting"], report["running"]) == ({}, 1, 1)
    assert (over["states"], over["new"], over["waiting"]) == ({"failed": 1}, 1, 0)
