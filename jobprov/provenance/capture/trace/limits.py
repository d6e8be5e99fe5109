"""What a job and its tracer share: limits (getrlimit(2)) and the PATH of strace(1)."""

import os
import resource
from typing import Optional

from jobprov.provenance.capture.command.arguments import which


def find_strace() -> Optional[str]:
    """Return the path of strace, or None.

    It finds the command by PATH alone; execvp(3), which starts it untraced, needs none.
    """
    return which("strace") if "PATH" in os.environ else None


def is_limited() -> bool:
    """Tell whether a limit on CPU time or file size may end strace before the command."""
    limits = (resource.RLIMIT_CPU, resource.RLIMIT_FSIZE)
    return any(resource.getrlimit(limit)[0] != resource.RLIM_INFINITY for limit in limits)
