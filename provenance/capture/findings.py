"""What a step that has ended tells of itself.

Logs and databases that its configuration names, seeds, event counts.

Only files that were written since the step began count. The configuration is searched as text, not
evaluated: a name in it that the job did not use names no file, or an old one.
"""

import os
import re

from jobprov.provenance.capture import artlog, failure, logs, logtext, trackers
from jobprov.provenance.capture.draft import without_empty

_NAME = rb'{0,2000}?filename[ \t]*:[ \t]*"?([^"\s{}@]+)'
_DATABASE = re.compile(rb"\bdbOutput(?:[ \t]*:[ \t]*|\.)[^}]" + _NAME)
_LOG = re.compile(rb'\btype[ \t]*:[ \t]*"?file"?\b[^}]' + _NAME)
_MOST_FILES = 10
_NUMBERS = ("run", "subrun", "event")


def named_in_configuration(draft, step):
    """Return (databases, log files) that the step's configuration names, as far as they were written by it."""
    contents = []
    for entry in draft.record.get("configurations", ()):
        if entry.get("step") == step.name:
            digests = [item["sha256"] for item in entry["files"]] + [entry.get("final_sha256")]
            contents.extend(
                held for held in map(draft.blobs.get, digests) if isinstance(held, bytes)
            )
    return tuple(_written(step, _names(pattern, contents)) for pattern in (_DATABASE, _LOG))


def add_logs(outcome, draft, paths):
    """Add log files that the program wrote by itself to the outcome's logs."""
    for path in paths:
        found = draft.attempt("log " + path, logs.read_log, path)
        if found and found[0]:
            outcome.logs.append((os.path.basename(path), *found))


def add_modules(draft, step, databases, outcome):
    """Add the time and memory of art's modules, and the peaks, to the record.

    From databases, else as the log prints them.
    """
    named = _written(step, step.line.databases)
    paths = named + [path for path in databases if path not in named]
    modules, peaks = {}, {}
    for path in paths:
        draft.attempt("time and memory of modules in " + path, trackers.read, path, modules, peaks)
    if not modules or not peaks:
        told = modules if not modules else {}
        for log in outcome.logs:
            if b"TimeTracker printout" in log[1] or b"VmPeak" in log[1]:
                draft.attempt(
                    "time and memory that the log prints",
                    trackers.read_printed,
                    logtext.read_text(log[1]),
                    told,
                    peaks,
                )
    keys = sorted(modules, key=lambda key: [str(part or "") for part in key])
    draft.extend("modules", [dict(modules[key], step=step.name) for key in keys])
    resources = draft.record.setdefault("resources", {})
    for name, field in (("vsize", "max_vsize_bytes"), ("rss", "max_rss_bytes")):
        if name in peaks:
            resources[field] = max(peaks[name], resources.get(field) or 0)


def add_failure(draft, step, outcome):
    """Keep what the logs tell of a failure in `extra.failure`, and what went wrong without one in `extra.warnings`, by step."""
    found = failure.find(outcome) if outcome.code else None
    extra = draft.record.setdefault("extra", {})
    if found and found.get("category"):
        extra.setdefault("failure", {})[step.name] = _numbered(found)
    suppressed = failure.find_suppressed(outcome)
    if suppressed:
        extra.setdefault("warnings", {})[step.name] = [_numbered(entry) for entry in suppressed]
    if not extra:
        del draft.record["extra"]


def add_seeds(draft, step, outcome):
    """Add the seeds that the logs tell, and those on the command line that the record does not have yet."""
    have = draft.record.setdefault("seeds", [])
    for log in outcome.logs:
        if artlog.may_tell_seeds(log[1]):
            for seed in artlog.seeds(logtext.read_text(log[1])):
                entry = without_empty(dict(seed, step=step.name, source="log"))
                if entry not in have:
                    have.append(entry)
    if not have:
        have.extend(step.seeds())
    if not have:
        del draft.record["seeds"]


def add_events(draft, step, outcome):
    """Keep what art's last report counts in `extra.events`.

    The only primary input was read that often.
    """
    for text in logtext.read_texts(outcome.logs):
        counts = artlog.count_events(text)
        if counts:
            draft.record.setdefault("extra", {}).setdefault("events", {})[step.name] = counts
            primary = [entry for entry in step.inputs if entry.get("role") == "primary"]
            if len(primary) == 1:
                primary[0].setdefault("events_read", counts["total"])
            return


def _numbered(found):
    """Return a finding as the record has it: numbers as numbers, what is not known left out."""
    fields = {
        name: int(value) if name in _NUMBERS and value is not None else value
        for name, value in found.items()
    }
    return without_empty(fields)


def _names(pattern, contents):
    found = []
    for content in contents:
        found.extend(os.fsdecode(name) for name in pattern.findall(content))
    return sorted(set(found))


def _written(step, names):
    """Return the regular files among the names that were written since the step began."""
    paths = [
        name for name in names if os.path.isfile(name) and os.stat(name).st_mtime >= step.began - 1
    ]
    return paths[:_MOST_FILES]
