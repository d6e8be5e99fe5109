"""Logs that are held open while a job runs, since its script may remove them at the end."""

import os
import stat
from typing import Dict, Iterable

_MOST_LOGS = 20
# A file that is held there and removed would keep its folder from being removed elsewhere (NFS
# and FUSE leave a file in its place)
_DISKS = frozenset(["ext2", "ext3", "ext4", "overlay", "tmpfs", "xfs", "zfs"])


class HeldLogs:
    """Holds the files that programs print to."""

    def __init__(self) -> None:
        self._held: Dict[str, int] = {}
        self._types: Dict[int, str] = {}

    def hold(self, paths: Iterable[str]) -> None:
        """Hold log files, by absolute path, where that keeps the job from nothing."""
        for path in paths:
            if path in self._held or len(self._held) >= _MOST_LOGS:
                continue
            try:
                status = os.stat(path)
                if stat.S_ISREG(status.st_mode) and self._type_of(status.st_dev) in _DISKS:
                    self._held[path] = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            except OSError:
                continue  # it is gone, or not ours to read

    def place(self, path: str) -> str:
        """Return where a log can be read; the path itself where it is there, or is not held."""
        if path in self._held and not os.path.exists(path):
            return "/proc/self/fd/{}".format(self._held[path])
        return path

    def _type_of(self, device: int) -> str:
        """Return the type of the file system on a device; empty where that cannot be told."""
        if device not in self._types:
            self._types[device] = _read_type(device)
        return self._types[device]


def _read_type(device: int) -> str:
    """Return the type of the file system on a device, as proc(5) has it in `mountinfo`."""
    number = "{}:{}".format(os.major(device), os.minor(device))
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as stream:
        for line in stream:
            fields, _, rest = line.partition(" - ")
            if fields.split(" ", 3)[2] == number:
                return rest.split(" ", 1)[0]
    return ""
