"""Where the links in a path lead."""

import functools
import os


def real_path(path: str) -> str:
    """Return the path of a file of code without links.

    It is remembered: each is asked for several times, and costs a look at every folder on its way.
    """
    return _resolve(os.path.abspath(path))


@functools.lru_cache(maxsize=4096)
def _resolve(path: str) -> str:
    return os.path.realpath(path)
