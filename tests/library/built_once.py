"""The hook, built once from the sources of now, whoever asks for it: tests, commands and services.

Building it takes some five seconds of CPU, and each service with an empty folder builds its own.
"""

import fcntl
from pathlib import Path

from jobprov.provenance.capture.packing import packed, sources
from jobprov.provenance.launchers import hook_file

_KEPT = Path(__file__).parents[2] / "var" / "hooks"


def build_hook_once() -> None:
    """Have this process take the kept hook where it would build one.

    It keeps it wherever it would have kept its own.
    """
    hook_file.sources = dict  # type: ignore[attr-defined]
    hook_file.packed = lambda _members: built_hook()  # type: ignore[attr-defined]


def built_hook() -> bytes:
    """Return the hook; the first to ask builds it, and others wait."""
    _KEPT.mkdir(parents=True, exist_ok=True)
    with (_KEPT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        name = hook_file._digest_of_sources()
        content = hook_file._read_kept(_KEPT, name)
        if content is None:
            content = packed(sources())
            hook_file._keep(_KEPT, name, content)
    return content
