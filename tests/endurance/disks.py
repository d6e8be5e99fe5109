"""Small disks in memory, which can be filled and made read-only.

They are mounted in a mount namespace that this process and its children alone are in: nothing is
mounted on the machine itself, and they are gone with the processes.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_INSIDE = "JOBPROV_ENDURE_HAS_OWN_MOUNTS"
_BLOCK = 1 << 16
_TRIES = 400
_SIZE = "1g"


def may_mount() -> bool:
    """Return whether this process is where it may mount disks of its own."""
    return _INSIDE in os.environ


def enter_own_mounts(module: str) -> None:
    """Begin this module's program again where it may mount disks, if root runs it.

    Does not return then.
    """
    if may_mount() or os.geteuid() != 0:
        return
    if subprocess.run(["unshare", "--mount", "true"], check=False).returncode != 0:
        return
    os.environ[_INSIDE] = "1"
    words = ["unshare", "--mount", sys.executable, "-m", module, *sys.argv[1:]]
    os.execvp(words[0], words)  # noqa: S606 - no shell


class SmallDisks:
    """A disk at a folder, and another one at its `archive`; each holds a gigabyte."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._archive = folder / "archive"

    @contextmanager
    def filled(self, name: str) -> Iterator[None]:
        """Have no room on the disk of a folder in it, or of itself (""), until the end."""
        ballast = self._folder / name / "ballast"
        try:
            with ballast.open("wb", buffering=0) as file:
                for size in (_BLOCK, 1):
                    with suppress(OSError):
                        while True:
                            file.write(bytes(size))
            yield
        finally:
            ballast.unlink()

    @contextmanager
    def read_only_archive(self) -> Iterator[None]:
        """Let nobody write to the disk of the archive, until the end."""
        for _ in range(_TRIES):
            if self._remount("ro"):
                break
            time.sleep(0.005)  # a file is just being written
        else:
            raise AssertionError("the archive is written all the time: it cannot be remounted")
        try:
            yield
        finally:
            assert self._remount("rw")

    def mount(self) -> None:
        """Mount both."""
        for place in (self._folder, self._archive):
            place.mkdir(exist_ok=True)
            words = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "none", str(place)]
            subprocess.run(words, check=True)

    def unmount(self) -> None:
        """Unmount both."""
        subprocess.run(["umount", "--lazy", "--recursive", str(self._folder)], check=True)

    def _remount(self, how: str) -> bool:
        words = ["mount", "-o", f"remount,{how}", str(self._archive)]
        return subprocess.run(words, check=False, capture_output=True).returncode == 0


@contextmanager
def small_disks(folder: Path) -> Iterator[SmallDisks]:
    """Yield disks that are mounted over an empty folder; see `may_mount`."""
    disks = SmallDisks(folder)
    disks.mount()
    try:
        yield disks
    finally:
        disks.unmount()
