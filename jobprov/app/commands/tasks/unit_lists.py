"""Lists of a task's units, as submissions have them: a name, a path or an address a line."""

from typing import TextIO

from jobprov.app.commands.terminal.opening import listed_lines
from jobprov.provenance.capture.files.names import file_name, is_url
from jobprov.provenance.errors import BadInputError


def read_units(file: TextIO) -> list[str]:
    """Return the units that a file lists, in order.

    A file that is given by its path or address counts by its name: so the hook names a job's unit,
    wherever its input lies.

    Raises:
        BadInputError: the file is not text, or lists two files of one name.
    """
    line_of: dict[str, str] = {}
    units = []
    for line in listed_lines(file):
        unit = file_name(line) if line.startswith("/") or is_url(line) else line
        other = line_of.setdefault(unit, line)
        if other != line:
            raise BadInputError(
                f"{file.name} lists two files with the name {unit}: {other} and {line}. Jobs are "
                "known by the names of their inputs; declare tasks of their own for such files."
            )
        units.append(unit)
    return units
