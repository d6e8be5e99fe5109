"""Code and configuration that a command uses.

Script files and fcl, each tied to the repository that it lies in.
"""

import os

from jobprov.provenance.capture.draft import without_empty
from jobprov.provenance.capture.hashing import SMALL_BYTES


def keep_scripts(draft, scripts, repositories):
    """Record script files as a glance has them."""
    known = {entry["path"] for entry in draft.record.get("scripts", ())}
    for path, mode, content in scripts:
        if content is None:
            draft.note(mode)
        elif path not in known:
            known.add(path)
            entry = {"name": os.path.basename(path), "path": path, "mode": mode}
            entry["sha256"] = draft.add_text(content, "script " + path)
            entry.update(draft.attempt("script " + path, repositories.place, path) or {})
            draft.extend("scripts", [entry])


def keep_configurations(draft, step, closures, repositories):
    """Record include closures as a glance has them."""
    line = step.line
    for main, found in closures:
        for problem in found.problems:
            draft.note(problem)
        if not found.files:
            continue
        for entry in found.files:
            entry["sha256"] = draft.add_text(found.contents[entry["path"]], "fcl " + entry["path"])
            entry.update(
                draft.attempt("fcl " + entry["path"], repositories.place, entry["path"]) or {}
            )
        entry = {
            "main": main,
            "process_name": found.process_name(),
            "search_path": found.search_path,
        }
        if main == line.config:
            entry["overrides"] = line.overrides
            entry["process_name"] = line.process_name or entry["process_name"]
        entry.update(step=step.name, files=found.files)
        draft.extend("configurations", [without_empty(entry)])


def capture_final_configuration(draft, step):
    """Record what art wrote with --config-out: the configuration as run."""
    line = step.line
    if (
        not line.final
        or line.final in ("STDOUT", "STDERR", "cout", "cerr")
        or not os.path.isfile(line.final)
    ):
        return
    if os.path.getsize(line.final) > SMALL_BYTES:
        draft.note("{} is too large to be kept".format(line.final))
        return
    with open(line.final, "rb") as stream:
        content = stream.read()
    for entry in draft.record.get("configurations", ()):
        if entry.get("step") == step.name and entry["main"] == line.config:
            entry["final_sha256"] = draft.add_text(content, line.final)
