"""Which programs run, by a word of their command line."""

import time
from contextlib import suppress
from pathlib import Path


def running_commands(word: object) -> str:
    """The command lines of running processes that hold a word, one a line."""
    lines = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            lines.append(entry.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
    return "\n".join(line for line in lines if str(word) in line)


def all_end(word: object) -> bool:
    """Whether no process whose command line holds a word is left.

    A killed one takes a moment to vanish.
    """
    until = time.monotonic() + 5
    while running_commands(word):
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True
