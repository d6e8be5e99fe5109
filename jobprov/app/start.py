"""Starts the command line, which Ctrl-C ends quietly, also while its modules are still imported.

Click looks after Ctrl-C once a command runs; until then Python would print a traceback. Python ends
the process by the signal itself, which a shell calls exit code 130.
"""

import sys
from types import TracebackType


def main() -> None:
    """Run the command line; never returns."""
    sys.excepthook = print_problem
    from jobprov.app.cli import main as run_command_line  # noqa: PLC0415 - takes time to import

    run_command_line()


def print_problem(
    kind: type[BaseException], problem: BaseException, trace: TracebackType | None
) -> None:
    """Print an error that nothing caught, unless it is a Ctrl-C."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, problem, trace)
