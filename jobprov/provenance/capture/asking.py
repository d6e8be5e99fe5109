"""Asks a program something that it prints: its version, or whose a file is."""

import subprocess
from typing import Optional, Sequence


def ask(words: Sequence[str], seconds: float) -> Optional[str]:
    """Return what a program prints; None where it is not there, fails, or takes longer."""
    try:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
    except OSError:
        return None
    try:
        out = process.communicate(timeout=seconds)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()  # not for what it started itself, which may print on
        return None
    return None if process.returncode else out.decode("utf-8", "surrogateescape")
