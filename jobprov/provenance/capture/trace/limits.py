"""Limits of a job that its tracer has, too (getrlimit(2))."""

import resource


def is_limited() -> bool:
    """Tell whether a limit on CPU time or file size may end strace before the command."""
    limits = (resource.RLIMIT_CPU, resource.RLIMIT_FSIZE)
    return any(resource.getrlimit(limit)[0] != resource.RLIM_INFINITY for limit in limits)
