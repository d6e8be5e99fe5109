"""What a traced command looked for in vain, outside of system and software.

Another job of its kind may have it: settings in a home, say.
"""

import os
import re
from typing import List

from jobprov.provenance.capture.files.names import from_here
from jobprov.provenance.capture.record.json_objects import JsonObject
from jobprov.provenance.capture.trace.calls import Calls
from jobprov.provenance.capture.trace.elsewhere import KeptElsewhere

_MOST_NAMES, _MOST_BYTES = 200, 8192
_PYTHON_ZIP = re.compile(r"python\d+\.zip$")
_TEMPORARY = ("/tmp/", "/var/tmp/", "/dev/")  # noqa: S108 - names there are of one job


def add_absent(fields: JsonObject, calls: Calls, elsewhere: KeptElsewhere) -> None:
    """Name in the record's trace what was looked for, and count what there is no room for."""
    known: List[str] = fields.get("absent", [])
    left_out: int = fields.get("absent_left_out", 0) + calls.absent_left_out
    room = _MOST_BYTES - sum(len(os.fsencode(name)) for name in known)
    for name in _names(calls, elsewhere):
        if name in known:
            continue
        room -= len(os.fsencode(name))
        if room < 0 or len(known) >= _MOST_NAMES:
            left_out += 1
        else:
            known.append(name)
    if known:
        fields["absent"] = known
    if left_out:
        fields["absent_left_out"] = left_out


def _names(calls: Calls, elsewhere: KeptElsewhere) -> List[str]:
    """Return the names, with `~` for the home; the likeliest come first."""
    names = []
    programs = set(os.environ.get("PATH", "").split(os.pathsep))
    for path in sorted(calls.absent):
        if os.path.dirname(path) in programs or _PYTHON_ZIP.match(os.path.basename(path)):
            continue  # a shell looks for a program, each Python for its library
        if path in calls.uses or os.path.lexists(path):
            continue  # it came to be there
        name = _from_home(path)
        if name.startswith(_TEMPORARY) or elsewhere.is_known(path):
            continue
        # In its home a program makes a folder for the settings that another home may have
        if name[:1] == "~" or not elsewhere.is_made(path):
            names.append(name)
    # Settings of users first, then what lies beside the job
    names.sort(key=lambda name: (name[:1] != "~", name[:1] == "/"))
    return names


def _from_home(path: str) -> str:
    """Return a path below HOME with `~` for that: jobs of a kind have other homes."""
    home = os.path.expanduser("~")
    if home != "/" and path.startswith(home + "/"):
        return "~" + path[len(home) :]
    return from_here(path)
