"""What can be found out about a step that has ended.

Logs and databases that its configuration names, seeds, event counts.

Only files that were written since the step began count. The configuration is searched as text, not
evaluated: a name in it that the job did not use names no file, or an old one.
"""

# ruff: noqa: PLC0415 - of a job that succeeded without a warning, little is loaded

import os
import re
from typing import (
    TYPE_CHECKING,
    Any,
    Collection,
    Dict,
    Iterable,
    Iterator,
    List,
    Optional,
    Sequence,
    Set,
    Tuple,
)

from jobprov.provenance.capture.command.step import Step
from jobprov.provenance.capture.logs import art_report, log_text
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.record.fields import without_empty
from jobprov.provenance.capture.record.json_objects import Entry, Finding
from jobprov.provenance.capture.running import streams
from jobprov.provenance.capture.running.execution import Outcome

if TYPE_CHECKING:
    from jobprov.provenance.capture.logs.clues import Clues

_NAME = rb'{0,2000}?filename[ \t]*:[ \t]*"?([^"\s{}@]+)'
_DATABASE = re.compile(rb"\bdbOutput(?:[ \t]*:[ \t]*|\.)[^}]" + _NAME)
_LOG = re.compile(rb'\btype[ \t]*:[ \t]*"?file"?\b[^}]' + _NAME)
# What a log holds where art went on after trouble, or handled a signal
_TROUBLE = re.compile(rb"%MSG-[we]|Art has handled signal")
_MOST_FILES = 10
_NUMBERS = ("run", "subrun", "event")


def named_in_configuration(draft: Draft, step: Step) -> Tuple[List[str], List[str]]:
    """Return (databases, log files) that the step's configuration names and that it wrote."""
    contents: List[bytes] = []
    for texts in _configurations(draft, [step.name]):
        contents += texts
    databases, logs = _names(_DATABASE, contents), _names(_LOG, contents)
    return _written(step, databases), _written(step, logs)


def _configurations(draft: Draft, steps: Sequence[str]) -> Iterator[List[bytes]]:
    """Yield the texts of steps' configurations that are here: that of `--config-out` first."""
    for configuration in draft.record.get("configurations", ()):
        if configuration.get("step") in steps:
            digests = [configuration.get("final_sha256")]
            digests += [file["sha256"] for file in configuration["files"]]
            blobs = [draft.blobs.get(digest) for digest in digests]
            yield [blob for blob in blobs if isinstance(blob, bytes)]


def add_logs(
    outcome: Outcome,
    draft: Draft,
    paths: Iterable[str],
    places: Dict[str, str],
    earlier: Dict[str, bytes],
) -> None:
    """Add log files that the program wrote by itself to the outcome's logs.

    `places` says where those are to be read that may be gone, and `earlier` what lay in them before
    the command: several jobs may write one log.
    """
    has_streams = bool(outcome.logs)
    for path in paths:
        if has_streams and streams.is_standard(path):
            continue  # It is in the logs already, from where the command began to write
        log = draft.attempt("log " + path, streams.read_log, places.get(path, path))
        if log is None:
            continue
        content, is_cut = log
        lay_there = earlier.get(path, b"")
        if content.startswith(lay_there):
            content = content[len(lay_there) :]
        if content:
            outcome.logs.append((os.path.basename(path), content, is_cut))


def add_modules(draft: Draft, step: Step, databases: Sequence[str], outcome: Outcome) -> None:
    """Add the time and memory of art's modules, and the peaks.

    From databases, else as the log prints them.
    """
    paths = _written(step, step.line.databases)
    paths += [path for path in databases if path not in paths]
    modules: Dict[Any, Entry] = {}
    peaks: Dict[str, int] = {}
    for path in paths:
        from jobprov.provenance.capture.logs import art_trackers

        what = "time and memory of modules in " + path
        draft.attempt(what, art_trackers.read, path, modules, peaks)
    if not modules or not peaks:
        _add_printed_modules(draft, outcome, modules, peaks)
    keys = sorted(modules, key=lambda key: [str(part or "") for part in key])
    draft.extend("modules", [dict(modules[key], step=step.name) for key in keys])
    _add_peaks(draft, peaks)


def _add_peaks(draft: Draft, peaks: Dict[str, int]) -> None:
    """Raise the job's peak memory to what its modules needed."""
    resources = draft.record.setdefault("resources", {})
    for name, field in (("vsize", "max_vsize_bytes"), ("rss", "max_rss_bytes")):
        if name in peaks:
            resources[field] = max(peaks[name], resources.get(field) or 0)


def _add_printed_modules(
    draft: Draft, outcome: Outcome, modules: Dict[Any, Entry], peaks: Dict[str, int]
) -> None:
    """Add what the logs print; of modules nothing where a database has some."""
    printed = {} if modules else modules
    for _, content, _ in outcome.logs:
        if b"TimeTracker printout" in content or b"VmPeak" in content:
            from jobprov.provenance.capture.logs import art_trackers

            what, text = "time and memory that the log prints", log_text.read_text(content)
            draft.attempt(what, art_trackers.read_printed, text, printed, peaks)


def find_clues(
    draft: Draft,
    steps: Sequence[Step],
    databases: Iterable[str],
    environment: Dict[str, str],
    own_logs: Collection[str],
) -> "Clues":
    """Return what a command and the programs that it started left besides logs.

    `own_logs` are names of logs: see `Clues`.
    """
    from jobprov.provenance.capture.logs.clues import Clues

    contents: List[bytes] = []
    for texts in _configurations(draft, [step.name for step in steps]):
        contents += texts
    argv: List[str] = []
    paths, before = list(databases), set()  # type: List[str], Set[str]
    for step in steps:
        argv += step.argv
        paths += _written(step, step.line.databases)
        before.update(name for name, signature in step.candidates if signature is not None)
    own = [path for path in dict.fromkeys(paths) if path not in before]
    is_direct = bool(steps) and steps[0].line.is_art
    is_path_set = bool(environment.get("CET_PLUGIN_PATH")) if is_direct else None
    return Clues(
        contents,
        own,
        argv,
        is_path_set=is_path_set,
        is_script=not is_direct,
        own_logs=own_logs,
    )


def add_failure(
    draft: Draft, step: Step, outcome: Outcome, found: "Optional[Clues]", *, is_failed: bool
) -> None:
    """Keep what logs tell of a failure, and of other trouble, by step.

    In `extra.failure` and `extra.warnings`.

    How art says that it ends is in `extra.closing_status`.
    """
    extra = draft.record.setdefault("extra", {})
    if is_failed:
        from jobprov.provenance.capture.logs import failure

        outcome.finding = failure.find(outcome, found)
        if outcome.finding:
            extra.setdefault("failure", {})[step.name] = _numbered(outcome.finding)
    if any(_TROUBLE.search(content) for _, content, _ in outcome.logs):
        from jobprov.provenance.capture.logs import failure

        suppressed = failure.find_suppressed(outcome)
        if suppressed:
            numbered = [_numbered(finding) for finding in suppressed]
            extra.setdefault("warnings", {})[step.name] = numbered
    status = closing_status(outcome)
    if status is not None:
        extra.setdefault("closing_status", {})[step.name] = status
    if not extra:
        del draft.record["extra"]


def closing_status(outcome: Outcome) -> Optional[int]:
    """Return the exit status that art's last closing line tells, or None without one."""
    for text in log_text.read_texts(outcome.logs):
        status = art_report.closing_status(text)
        if status is not None:
            return status
    return None


def add_seeds(draft: Draft, step: Step, outcome: Outcome) -> None:
    """Add the seeds that the logs tell; those on the command line where the record has none yet."""
    seeds = draft.record.setdefault("seeds", [])
    for _, content, _ in outcome.logs:
        if not art_report.may_tell_seeds(content):
            continue
        for seed in art_report.seeds(log_text.read_text(content)):
            entry = without_empty(dict(seed, step=step.name, source="log"))
            if entry not in seeds:
                seeds.append(entry)
    if not seeds:
        seeds.extend(step.seeds())
    if not seeds:
        del draft.record["seeds"]


def add_events(draft: Draft, step: Step, outcome: Outcome) -> None:
    """Keep what art's last report counts in `extra.events`, with those of `earlier` runs.

    Where art ran once, the only primary input was read that often.
    """
    for text in log_text.read_texts(outcome.logs):
        reports = art_report.count_events(text)
        if not reports:
            continue
        counts: Dict[str, Any] = dict(reports[-1])
        primary = [entry for entry in step.inputs if entry.get("role") == "primary"]
        if len(reports) > 1:
            counts["earlier"] = reports[:-1]
        elif len(primary) == 1:
            primary[0].setdefault("events_read", counts["total"])
        draft.record.setdefault("extra", {}).setdefault("events", {})[step.name] = counts
        return


def _numbered(finding: Finding) -> Finding:
    """Return a finding as the record has it: numbers as numbers, without what is unknown."""
    fields = without_empty(finding)
    for name in _NUMBERS:
        if name in fields:
            fields[name] = int(fields[name])
    if "also" in fields:
        fields["also"] = [_numbered(other) for other in fields["also"]]
    return fields


def _names(pattern: Any, contents: Iterable[bytes]) -> List[str]:
    names: Set[str] = set()
    for content in contents:
        names.update(os.fsdecode(name) for name in pattern.findall(content))
    return sorted(names)


def _written(step: Step, names: Iterable[str]) -> List[str]:
    """Return the regular files among the names that were written since the step began."""
    began = step.began - 1  # times of files may be whole seconds
    files = [name for name in names if os.path.isfile(name)]
    return [name for name in files if os.stat(name).st_mtime >= began][:_MOST_FILES]
