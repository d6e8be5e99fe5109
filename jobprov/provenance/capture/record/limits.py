"""What a record may hold: what the service would refuse is cut or left out, with a note.

One odd name, or one file too many, must not cost the whole record. The experiment is left as it is:
without it nobody would find the record. Commands, configurations and code are not cut either: a
record without half of its arguments would describe another job.

Source: record.md, its rules on names, times and lengths.
"""

import re
from typing import Any, List, Sequence

from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.record.encoding import clean_name, encode
from jobprov.provenance.capture.record.json_objects import Entry, JsonObject, Record

MOST_FILES = 32767  # inputs, and as many outputs
_MOST_RECORD_BYTES = (8 << 20) - (256 << 10)  # the rest is for the notes
_CUT_LISTS = ("outputs", "inputs", "modules")
_SMUGGLED = re.compile("[\udc80-\udcff]")  # bytes that Python could not decode (PEP 383)
_MOST_CHARACTERS = 1000  # of words and names
_MOST_NAME_BYTES = 3000
_LONGEST_ESCAPE = 10  # an escape is at most so many times as long as what it stands for
_FIRST_YEAR, _LAST_YEAR = "1970", "2199"
_WORDS_OF_FILES = (
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
    "inputs": _WORDS_OF_FILES,
    "outputs": _WORDS_OF_FILES,
}
_TIMES = {
    "batch": ("queued_at",),
    "inputs": ("opened_at", "closed_at"),
    "outputs": ("created_at", "closed_at"),
}


def mend(draft: Draft) -> None:
    """Change the names, words and times that the service would not take, and note it."""
    for path, fields in _WORDS.items():
        for part in _parts(draft.record, path):
            _cut_words(draft, part, path, fields)
    for path, fields in _TIMES.items():
        for part in _parts(draft.record, path):
            _drop_times(draft, part, path, fields)
    for kind in ("inputs", "outputs"):
        _drop_bad_namespaces(draft, kind)
        _drop_nameless(draft, kind)
    _note_bytes(draft)


def mend_task_id(draft: Draft) -> None:
    """Write a slash in the task id as `%2F`, before it goes into sidecars."""
    task = draft.record.get("task") or {}
    if "/" in str(task.get("task_id")):
        draft.note("a task id has no slash: {} is written with %2F".format(task["task_id"]))
        task["task_id"] = task["task_id"].replace("/", "%2F")


def fit(draft: Draft) -> None:
    """Cut the lists of a record to what one may hold.

    The last entries of the longest list go first.
    """
    for field in ("outputs", "inputs"):
        _cut_list(draft, field, MOST_FILES)
    excess = len(encode(draft.record)) - _MOST_RECORD_BYTES
    if excess <= 0:
        return
    sizes = {field: _entry_sizes(draft, field) for field in _CUT_LISTS}
    while excess > 0 and any(sizes.values()):
        longest = max(sizes, key=lambda field: sum(sizes[field]))
        while excess > 0 and sizes[longest]:
            excess -= sizes[longest].pop()
        _cut_list(draft, longest, len(sizes[longest]))


def _parts(record: Record, path: str) -> List[Entry]:
    """Return the objects at a path: one, or those of a list."""
    value: Any = record
    for name in path.split("."):
        value = value.get(name) or {}
    return [value] if isinstance(value, dict) else value


def _cut_words(draft: Draft, part: JsonObject, path: str, fields: Sequence[str]) -> None:
    for field in fields:
        word = part.get(field)
        if isinstance(word, str) and len(word) > _MOST_CHARACTERS // _LONGEST_ESCAPE:
            word = clean_name(word)
            if len(word) > _MOST_CHARACTERS:
                sentence = "{}.{} is cut after {} characters: {}"
                draft.note(sentence.format(path, field, _MOST_CHARACTERS, word[:60]))
                part[field] = word[:_MOST_CHARACTERS]


def _drop_times(draft: Draft, part: JsonObject, path: str, fields: Sequence[str]) -> None:
    for field in fields:
        moment = part.get(field)
        if moment is not None and not _FIRST_YEAR <= moment[:4] <= _LAST_YEAR:
            name = part.get("name", "the job")
            draft.note("{}.{} is left out: {} of {}".format(path, field, moment, name))
            del part[field]


def _drop_bad_namespaces(draft: Draft, kind: str) -> None:
    for entry in draft.record.get(kind, ()):
        if not _is_name(entry.get("namespace") or ""):
            namespace = entry.pop("namespace")
            draft.note("the namespace of {} is left out: {}".format(entry["name"], namespace))


def _drop_nameless(draft: Draft, kind: str) -> None:
    """Leave out files whose name the service does not take."""
    kept = []
    for entry in draft.record.get(kind, ()):
        if _is_name(entry["name"]):
            kept.append(entry)
        else:
            what = "one of {}, {}".format(kind, entry["name"][:60])
            draft.miss(what, ValueError("this is no name of a file"))
    if kind in draft.record:
        draft.record[kind] = kept


def _is_name(text: str) -> bool:
    name = clean_name(text)
    is_short = len(name) <= _MOST_CHARACTERS and len(name.encode("utf-8")) <= _MOST_NAME_BYTES
    return is_short and "/" not in name


def _note_bytes(draft: Draft) -> None:
    """Note where an escape in the record is a byte of which no other field has the value."""
    variables = draft.record.get("environment", {}).get("variables", {})
    names = [name for name in sorted(variables) if _SMUGGLED.search(name + variables[name])]
    odd = ["variable " + name for name in names]
    if _SMUGGLED.search(draft.record.get("command", {}).get("working_directory") or ""):
        odd.append("the working directory")
    if odd:
        draft.weaken("bytes-as-text", ", ".join(odd), "\\xNN for such a byte")


def _entry_sizes(draft: Draft, field: str) -> List[int]:
    return [len(encode(entry)) + 1 for entry in draft.record.get(field, ())]


def _cut_list(draft: Draft, field: str, most: int) -> None:
    entries = draft.record.get(field, ())
    if len(entries) > most:
        sentence = "only {} of {} {} are recorded: a record holds no more"
        draft.note(sentence.format(most, len(entries), field))
        if field == "inputs":
            draft.miss("all inputs", ValueError("a record holds {} at most".format(most)))
        draft.record[field] = entries[:most]
