"""Paths of a process in a container, as the hook sees the same files.

A container has mounts of its own: by the path that a program in it names, the hook outside would
open another file. Only a path that leads to the same file in both is used outside.

Source: proc(5), `PID/ns/mnt`, `PID/root` and `PID/cwd`.
"""

import os

from jobprov.provenance.capture.files.names import SYSTEM_FOLDERS, is_within

ELSEWHERE = "container://"


def has_own_mounts(process: int) -> bool:
    """Tell whether a process has other mounts than the hook; not of one that has ended."""
    try:
        return not os.path.samefile("/proc/{}/ns/mnt".format(process), "/proc/self/ns/mnt")
    except OSError:
        return False


def seen_here(process: int, path: str) -> str:
    """Return the path by which the hook sees a file of a process that has its own mounts.

    Where it sees none, or another file, that is an address, which is recorded and never opened.
    Files of the system keep their paths: they are the image's, and nobody reads them.
    """
    folder, here = "/proc/{}".format(process), os.getcwd()
    try:
        inside = os.readlink(folder + "/cwd")
        if is_within(path, inside) and os.path.samefile(folder + "/cwd", here):
            return here + path[len(inside) :]
        if os.path.samefile("{}/root{}".format(folder, path), path):
            return path
    except OSError:
        pass  # it has ended, or there is no such file
    return path if path.startswith(SYSTEM_FOLDERS) else ELSEWHERE + path
