"""The clock of the service's machine jumps, by seconds or days, forwards and backwards."""

import time
from collections.abc import Mapping
from pathlib import Path

from tests.endurance.faults.fault import Fault
from tests.endurance.load import wait_for_more
from tests.endurance.scene import Scene
from tests.library.servers.live_service import LiveService

_LIBRARIES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib64/faketime/libfaketimeMT.so.1")
_STEPS = ("+3s", "-3s", "+1h", "-1h", "+40d", "-40d", "+0")


class ClockSteps(Fault):
    """What the service's processes take for the time jumps, while they write."""

    name = "clock-steps"

    def missing(self) -> str | None:
        """Return what it needs: a library that stands between programs and the clock."""
        return None if _library() else "libfaketime (Debian's package faketime)"

    def environment(self, scene: Scene) -> Mapping[str, str]:
        """Return the settings that have the library read the time from a file."""
        self._set(scene, "+0")
        return {
            "LD_PRELOAD": str(_library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._file(scene)),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def strike(self, scene: Scene, live: LiveService) -> None:  # noqa: ARG002
        """Step some times, in the end to the right time."""
        for step in (*scene.chance.sample(_STEPS, 3), "+0"):
            self._set(scene, step)
            scene.struck += 1
            wait_for_more(scene.sent)
            time.sleep(scene.moment() / 4)

    def _set(self, scene: Scene, step: str) -> None:
        fresh = self._file(scene).with_suffix(".new")
        fresh.write_text(step, encoding="ascii")
        fresh.replace(self._file(scene))

    def _file(self, scene: Scene) -> Path:
        return scene.data / "clock"


def _library() -> Path | None:
    for pattern in _LIBRARIES:
        for found in Path("/").glob(pattern[1:]):
            return found
    return None
