"""What standard input is; what is in it, `standard_input` reads."""

import fcntl
import os
import stat
import sys
from typing import Optional


def is_pipe() -> bool:
    """Tell whether it is a pipe, and so the job's alone; raises OSError."""
    mode = os.fstat(0).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def is_file() -> bool:
    """Tell whether it is a file that can be read; raises OSError."""
    if not stat.S_ISREG(os.fstat(0).st_mode):
        return False
    return fcntl.fcntl(0, fcntl.F_GETFL) & os.O_ACCMODE != os.O_WRONLY


def name_kind() -> Optional[str]:
    """Return `closed` or `terminal` where standard input is that, else None."""
    if sys.stdin is None:
        return "closed"
    try:
        return "terminal" if os.isatty(0) else None
    except OSError:
        return None


def waiting_bytes() -> int:
    """Return how many bytes wait in a pipe on standard input; 0 where it is none."""
    import termios  # noqa: PLC0415 - few commands have a pipe there

    try:
        if not stat.S_ISFIFO(os.fstat(0).st_mode):
            return 0
        return int.from_bytes(fcntl.ioctl(0, termios.FIONREAD, b"\0" * 4), sys.byteorder)
    except OSError:
        return 0
