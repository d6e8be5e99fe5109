"""What the service would refuse a whole record for, taken out of it or cut short, with a note.

One odd name must not cost the rest.

Source: record.md, its rules on names, times and lengths. The experiment is left as it is: without
it nobody would find the record.
"""

import re

from jobprov.provenance.capture import spool

_BYTE = re.compile("[\udc80-\udcff]")  # as Python smuggles what it cannot decode (PEP 383)
_LONGEST, _MOST_BYTES = 1000, 3000  # characters of words and names; bytes of names
_FIRST_YEAR, _LAST_YEAR = "1970", "2199"
_OF_FILES = (
    "step",
    "status",
    "role",
    "times_from",
    "data_tier",
    "file_format",
    "file_type",
    "data_stream",
)
_WORDS = {
    "task": ("task_id", "campaign", "stage", "unit", "project", "recovers", "submitted_by"),
    "batch": ("system", "id", "global_job_id"),
    "exit": ("failed_step", "error_class"),
    "host": ("hostname", "facility", "site", "slot"),
    "command.steps": ("name", "role"),
    "software": ("name",),
    "configurations": ("step",),
    "scripts": ("name",),
    "logs": ("name", "step"),
    "inputs": _OF_FILES,
    "outputs": _OF_FILES,
}
_TIMES = {
    "batch": ("queued_at",),
    "inputs": ("opened_at", "closed_at"),
    "outputs": ("created_at", "closed_at"),
}


def mend(draft):
    """Change what the service would not accept, and note it."""
    for path, names in _WORDS.items():
        for part in _parts(draft.record, path):
            _cut_words(draft, part, path, names)
    for path, names in _TIMES.items():
        for part in _parts(draft.record, path):
            _drop_times(draft, part, path, names)
    for kind in ("inputs", "outputs"):
        _drop_nameless(draft, kind)
    _note_bytes(draft)


def _note_bytes(draft):
    """Say of what no field tells exactly that its escapes stand for bytes."""
    variables = draft.record.get("environment", {}).get("variables", {})
    odd = ["variable " + name for name in sorted(variables) if _BYTE.search(name + variables[name])]
    if _BYTE.search(draft.record.get("command", {}).get("working_directory") or ""):
        odd.append("the working directory")
    if odd:
        draft.note(
            "no UTF-8, so that \\xNN in the record stands for a byte, and a rerun gets these letters: "
            + ", ".join(odd)
        )


def _parts(record, path):
    """Return the objects at a path: one, or those of a list."""
    value = record
    for name in path.split("."):
        value = value.get(name) or {}
    return [value] if isinstance(value, dict) else value


def _cut_words(draft, part, path, names):
    for name in names:
        word = part.get(name)
        if (
            isinstance(word, str) and len(word) > _LONGEST // 10
        ):  # escapes make it longer, at most so much
            word = spool.clean(word, is_name=True)
            if len(word) > _LONGEST:
                draft.note(
                    "{}.{} is cut after {} characters: {}".format(path, name, _LONGEST, word[:60])
                )
                part[name] = word[:_LONGEST]


def _drop_times(draft, part, path, names):
    for name in names:
        moment = part.get(name)
        if moment is not None and not _FIRST_YEAR <= moment[:4] <= _LAST_YEAR:
            draft.note(
                "{}.{} is left out: {} of {}".format(
                    path, name, moment, part.get("name", "the job")
                )
            )
            del part[name]


def mend_task_id(draft):
    """Write a slash in the task id as `%2F`, before it goes into sidecars."""
    task = draft.record.get("task") or {}
    if "/" in str(task.get("task_id")):
        draft.note("a task id has no slash: {} is written with %2F".format(task["task_id"]))
        task["task_id"] = task["task_id"].replace("/", "%2F")


def _drop_nameless(draft, kind):
    """Leave out files whose name the service does not take, and namespaces that are none."""
    for entry in draft.record.get(kind, ()):
        if not _is_name(entry.get("namespace") or ""):
            draft.note(
                "the namespace of {} is left out: {}".format(entry["name"], entry.pop("namespace"))
            )
    entries = draft.record.get(kind, ())
    kept = [entry for entry in entries if _is_name(entry["name"])]
    for entry in entries:
        if not _is_name(entry["name"]):
            draft.note(
                "one of {} is left out, since it is no name of a file: {}".format(
                    kind, entry["name"][:60]
                )
            )
    if len(kept) < len(entries):
        draft.record[kind] = kept


def _is_name(text):
    name = spool.clean(text, is_name=True)
    return len(name) <= _LONGEST and len(name.encode("utf-8")) <= _MOST_BYTES and "/" not in name
