"""Code and configuration that a command uses: script files and fcl, each tied to the repository that it lies in."""

import os
import stat

from provenance.capture import arguments, closure
from provenance.capture.draft import SMALL_BYTES, without_empty


def capture_scripts(draft, argv, extra, repositories):
    """Record the program and script files of a command, and those named by --script."""
    known = {entry["path"] for entry in draft.record.get("scripts", ())}
    found = draft.attempt("scripts of the command line", arguments.program_files, argv, which) or []
    for path in found + list(extra):
        if path not in known:
            known.add(path)
            entry = draft.attempt("script " + path, _script, draft, path, repositories)
            draft.extend("scripts", [entry] if entry else [])


def _script(draft, path, repositories):
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        draft.note("script {} is no regular file".format(path))
        return None
    if status.st_size > SMALL_BYTES:
        draft.note("script {} has {} bytes, more than are kept".format(path, status.st_size))
        return None
    with open(path, "rb") as stream:
        content = stream.read()
    entry = {"name": os.path.basename(path), "path": path, "mode": "{:04o}".format(stat.S_IMODE(status.st_mode))}
    entry["sha256"] = draft.add_text(content, "script " + path)
    entry.update(repositories.place(path))
    return entry


def capture_configurations(draft, step, extra, environment, repositories):
    """Record the fcl closure of a command, and of each fcl file named by --config; return the paths opened."""
    opened, line = set(), step.line
    mains = ([line.config] if line.config else []) + [main for main in extra if main != line.config]
    for main in mains:
        entry = draft.attempt("configuration " + main, _configuration, draft, main, environment, repositories)
        if entry is None:
            continue
        opened.update(item["path"] for item in entry["files"])
        if main == line.config:
            entry["overrides"] = line.overrides
            entry["process_name"] = line.process_name or entry.get("process_name")
        entry["step"] = step.name
        draft.extend("configurations", [without_empty(entry)])
    return opened


def _configuration(draft, main, environment, repositories):
    folders = closure.search_path(environment)
    found = closure.Closure(main, folders)
    for problem in found.problems:
        draft.note(problem)
    for entry in found.files:
        content = found.contents[entry["sha256"]]
        entry["sha256"] = draft.add_text(content, "fcl " + entry["path"])
        entry.update(repositories.place(entry["path"]))
    return (
        {
            "main": main,
            "process_name": found.process_name(),
            "search_path": folders,
            "files": found.files,
        }
        if found.files
        else None
    )


def capture_final_configuration(draft, step):
    """Record what art wrote with --config-out: the configuration as run."""
    line = step.line
    if not line.final or line.final in ("STDOUT", "STDERR", "cout", "cerr") or not os.path.isfile(line.final):
        return
    if os.path.getsize(line.final) > SMALL_BYTES:
        draft.note("{} is too large to be kept".format(line.final))
        return
    with open(line.final, "rb") as stream:
        content = stream.read()
    for entry in draft.record.get("configurations", ()):
        if entry.get("step") == step.name and entry["main"] == line.config:
            entry["final_sha256"] = draft.add_text(content, line.final)


def which(program):
    """Return the path that a program's name stands for on PATH, or None (shutil, which has it too, loads slowly)."""
    if os.sep in program:
        return program if os.path.isfile(program) else None
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(folder or ".", program)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return None
