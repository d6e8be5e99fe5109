"""What a job script changed between its steps: the folder, variables, and files.

The record has the environment of the moment at which it was opened. A step has what is other than
for the step before it.
"""

import os
from typing import Dict, Sequence

from jobprov.provenance.capture.files.hashing import SMALL_BYTES, Clock, hash_file
from jobprov.provenance.capture.record import steps
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.record.json_objects import JsonObject
from jobprov.provenance.capture.secrets.variables import split_environment

_OF_SHELLS = ("PWD", "OLDPWD", "SHLVL", "_")
_CHANGED = "the job script changed it between two steps"
_SECONDS = 2.0


def describe(draft: Draft, environment: Dict[str, str], allowed: Sequence[str] = ()) -> JsonObject:
    """Return what is other for the step that comes than for those before it.

    Variables that are secret are named in the record, like those of the job.
    """
    recorded = draft.record.get("environment", {})
    command = draft.record["command"]
    before = dict(recorded.get("variables", {}))
    for step in command.get("steps", ()):
        before.update(step.get("variables", {}))
        for name in step.get("variables_unset", ()):
            before.pop(name, None)
    now, withheld = split_environment(environment, allowed)
    recorded["withheld"] = sorted({*recorded.get("withheld", ()), *withheld})
    variables = {}
    for name, value in sorted(now.items()):
        if name not in _OF_SHELLS and before.get(name) != value:
            variables[name] = value
    unset = [name for name in sorted(before) if name not in now and name not in _OF_SHELLS]
    changed: JsonObject = {}
    if variables:
        changed["variables"] = variables
    if unset:
        changed["variables_unset"] = unset
    folder = os.getcwd()
    if folder != command.get("working_directory"):
        changed["working_directory"] = folder
    return changed


def weaken_changed(draft: Draft, since: float, began: float) -> None:
    """Name the files of earlier steps that changed after the last of them and before this one."""
    clock = Clock(_SECONDS)
    for entry in steps.files_of(draft.record):
        path = entry.get("path") or ""
        if os.path.isfile(path) and since <= os.stat(path).st_ctime < began:
            is_small = os.path.getsize(path) <= SMALL_BYTES
            if not is_small or hash_file(path, clock)[1] != entry.get("sha256"):
                draft.weaken("changed-while-running", "file " + path, _CHANGED)
