"""Standard output that says of itself what could not be written, and why.

A full disk behind it gives an error that names no file, and a reader who had enough (`| head -1`)
one that click takes for a failure.
"""

import io
import os
import sys
from pathlib import Path

_STANDARD_OUTPUT = 1


class _Output(io.FileIO):
    """The file behind standard output."""

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Return how many bytes were written.

        Raises:
            SystemExit: nobody reads on, which is no failure.
            OSError: they cannot be written; it names standard output as its file.
        """
        try:
            return super().write(data)
        except OSError as problem:
            # What is left unwritten would fail again as Python ends, with lines of Python's own
            os.dup2(os.open(os.devnull, os.O_WRONLY), _STANDARD_OUTPUT)
            if isinstance(problem, BrokenPipeError):
                raise SystemExit(0) from None
            raise OSError(problem.errno, problem.strerror, "Standard output") from None


def name_standard_output() -> None:
    """Have errors of standard output name it; where there is none (`>&-`), nothing is printed."""
    plain = sys.stdout
    if plain is None:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - to the end
        return
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_Output(_STANDARD_OUTPUT, "wb", closefd=False)),
        encoding=plain.encoding,
        # A name that is not UTF-8 is printed with its bytes as \\udcff, and ends nothing
        errors="backslashreplace" if plain.errors == "strict" else plain.errors,
        line_buffering=bool(plain.line_buffering),
    )
