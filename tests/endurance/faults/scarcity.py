"""What runs out: room on the disk, permission to write, file descriptors, memory.

The fault passes while the service runs, which has to go on by itself.
"""

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.endurance.databases import PostgreSQL
from tests.endurance.faults.fault import Fault
from tests.endurance.faults.kills import processes_of
from tests.endurance.scene import Scene
from tests.library.servers.live_service import LiveService

_FEW_DESCRIPTORS = 3
_LITTLE_MEMORY = (0, 0, 1 << 20)
_LIMITS = {"descriptors": resource.RLIMIT_NOFILE, "memory": resource.RLIMIT_AS}


class DiskFull(Fault):
    """The disk of the folder and the database, or that of the archive, is full.

    PostgreSQL may end then, and is started again once there is room.
    """

    name = "disk-full"
    needs_disks = True

    def strike(self, scene: Scene, live: LiveService) -> None:  # noqa: ARG002
        """Fill one of both for a while."""
        assert scene.disks is not None
        time.sleep(scene.moment())
        folder = scene.chance.choice(("", "archive"))
        with scene.disks.filled(folder):
            time.sleep(scene.moment())
        scene.struck += 1
        if isinstance(scene.database, PostgreSQL):
            scene.database.start()


class ReadOnlyArchive(Fault):
    """The disk of the archive can only be read, as after an error of the disk."""

    name = "archive-read-only"
    needs_disks = True

    def strike(self, scene: Scene, live: LiveService) -> None:  # noqa: ARG002
        """Have it so for a while."""
        assert scene.disks is not None
        time.sleep(scene.moment())
        with scene.disks.read_only_archive():
            time.sleep(scene.moment())
        scene.struck += 1


class NoDescriptors(Fault):
    """The service may open a few files more, or none."""

    name = "no-descriptors"

    def strike(self, scene: Scene, live: LiveService) -> None:
        """Limit it for a while."""
        time.sleep(scene.moment())
        few = scene.chance.randint(0, _FEW_DESCRIPTORS)
        with _limited("descriptors", live, few):
            time.sleep(scene.moment())
        scene.struck += 1


class NoMemory(Fault):
    """The service gets hardly more memory, or none. It may end; whoever runs it starts it again."""

    name = "no-memory"
    is_survived = False

    def strike(self, scene: Scene, live: LiveService) -> None:
        """Limit it for a while."""
        time.sleep(scene.moment())
        with _limited("memory", live, scene.chance.choice(_LITTLE_MEMORY)):
            time.sleep(scene.moment())
        scene.struck += 1


@contextmanager
def _limited(what: str, live: LiveService, more: int) -> Iterator[None]:
    """Allow each process of a service only so much more than it has, until the end."""
    limit = _LIMITS[what]
    before: dict[int, tuple[int, int]] = {}
    for process in processes_of(live.process.pid):
        with suppress(ProcessLookupError):
            before[process] = resource.prlimit(process, limit)
            most = before[process][1]
            resource.prlimit(process, limit, (_used(what, process) + more, most))
    try:
        yield
    finally:
        for process, limits in before.items():
            with suppress(ProcessLookupError):
                resource.prlimit(process, limit, limits)


def _used(what: str, process: int) -> int:
    if what == "descriptors":
        return len(list(Path(f"/proc/{process}/fd").iterdir()))
    pages = Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[0]
    return int(pages) * resource.getpagesize()
