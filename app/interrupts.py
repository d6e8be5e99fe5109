"""Ctrl-C ends the command line quietly, also while its modules are still imported.

Click looks after it once a command runs; until then Python would print a traceback. Python ends the
process by the signal itself, which a shell calls exit code 130.
"""

import sys
from types import TracebackType


def print_problem(
    kind: type[BaseException], problem: BaseException, trace: TracebackType | None
) -> None:
    """Print an error that nothing caught, unless it is a Ctrl-C."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, problem, trace)


sys.excepthook = print_problem
