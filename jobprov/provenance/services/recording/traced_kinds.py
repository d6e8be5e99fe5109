"""What the traced job of a kind used, and the jobs of the kind that ended before it did.

A job that is not traced takes in what the traced one of its kind used. One that ended first could
not ask, so its record says which trace it waits for (`trace.waits_for`), and its gaps are brought
up to date when that one comes.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime

import msgspec
from sqlalchemy import Connection

from jobprov.provenance.answers.recording import UsedByKind
from jobprov.provenance.db.changes.recording import TracedKind, mark_traced
from jobprov.provenance.db.queries.recording.findings import (
    Kind,
    made_by_jobs,
    what_kinds_used,
)
from jobprov.provenance.records.gaps.findings import UnseenReads
from jobprov.provenance.records.job_record import Input, JobRecord, JobTrace
from jobprov.provenance.services.work.notices import kinds_traced

MOST_USED = 1000
"""Paths of files, and of code, that jobs of a kind get to know."""
_MOST_NUMBERS = 100
_BY_CHANCE = frozenset({"traced", "seen"})
"""Evidence that another job of the kind may lack.

It is not traced, and whether a file or program is seen while it is open depends on the moment.
"""
_LAID_OUT = frozenset({"folder", "link"})


def note_traced(connection: Connection, records: Sequence[tuple[JobRecord, datetime]]) -> None:
    """Note what traced jobs used; each record comes with its arrival.

    Of a kind only the newest one counts, so a batch of jobs that are all traced is looked at once.
    The jobs that wait for it are queued.
    """
    newest: dict[Kind, tuple[JobRecord, datetime]] = {}
    for record, received_at in records:
        keys = record.trace.keys if record.trace is not None else None
        for key in keys or ():
            kind = record.experiment, key
            if kind not in newest or newest[kind][0].job_id <= record.job_id:
                newest[kind] = record, received_at
    traced: list[TracedKind] = []
    for (experiment, key), (record, received_at) in newest.items():
        used = msgspec.json.encode(used_unnamed(connection, record)).decode()
        traced.append(TracedKind(experiment, key, record.job_id, received_at, used))
    if traced:
        mark_traced(connection, traced)
        kinds_traced(connection, newest.keys())


def used_unnamed(connection: Connection, record: JobRecord) -> UsedByKind:
    """Return what a traced job used, nobody named, and jobs of its kind use, too.

    At most `MOST_USED` of each sort; how many more there were is counted.
    """
    left_out = 0
    files = [file.path for file in _unnamed_inputs(record) if file.path]
    hosts: list[str] = []
    absent: list[str] = []
    if record.trace is not None:
        files += [file.path for file in record.trace.not_kept or ()]
        hosts += record.trace.network or ()
        absent += record.trace.absent or ()
        left_out += _left_out(record.trace)
    of_this_job = _own_files(connection, record, files)
    apart = frozenset(of_this_job)
    shared = [path for path in files if path not in apart]
    own, copies = _apart_from_copies(record, of_this_job + _copied_in(record))
    code, changed = _unnamed_code(record), _changed_files(record)
    for paths in (shared, code, own, copies, changed, absent):
        left_out += max(len(paths) - MOST_USED, 0)
    return UsedByKind(
        files=shared[:MOST_USED],
        code=code[:MOST_USED],
        hosts=hosts[:MOST_USED],
        folders=_outside_folders(record)[:MOST_USED],
        own=own[:MOST_USED],
        copies=copies[:MOST_USED],
        changed=changed[:MOST_USED],
        absent=absent[:MOST_USED],
        no_parents=_no_parents(record, shared[:MOST_USED]),
        numbers=_numbers_in_command(record),
        left_out=left_out,
    )


def _no_parents(record: JobRecord, paths: Sequence[str]) -> list[str]:
    """Return those of these paths from which nothing was made."""
    roles = {file.path: file.role for file in record.inputs or ()}
    return [path for path in paths if roles.get(path) == "configuration"]


def _numbers_in_command(record: JobRecord) -> list[str]:
    """Return the numbers in the arguments of a job's command; none where there are very many."""
    argv = record.command.argv if record.command is not None else None
    numbers = re.findall(r"\d+", " ".join(argv or ()))
    return numbers if len(numbers) <= _MOST_NUMBERS else []


def _left_out(trace: JobTrace) -> int:
    """Return how many files that a traced job used or looked for its record only counts."""
    not_kept = trace.not_kept or ()
    count = max((trace.not_kept_count or 0) - len(not_kept), 0)
    return count + (trace.absent_left_out or 0)


def _unnamed_code(record: JobRecord) -> list[str]:
    """Return the paths of code that nobody named, and that the job did not make itself."""
    made = _paths_made(record)
    code: list[str] = []
    for script in record.scripts or ():
        if script.evidence not in _BY_CHANCE or not script.path or script.path in made:
            continue
        # Without that time, a file that ran was not there before the job, or not to its end
        if script.evidence == "traced" or script.modified_at is not None:
            code.append(script.path)
    return code


def _outside_folders(record: JobRecord) -> list[str]:
    """Return the folders that were there outside of the working directory."""
    folders: list[str] = []
    for entry in record.layout or ():
        if entry.kind in _LAID_OUT and entry.path.startswith("/"):
            folders.append(entry.path)
    return folders


def _unnamed_inputs(record: JobRecord) -> Iterator[Input]:
    """Yield the inputs that nobody named: they were traced or seen.

    Not those that the job made itself, nor those that it copied in.
    """
    made = _paths_made(record)
    copied = frozenset(_copied_in(record))
    for file in record.inputs or ():
        if file.evidence not in _BY_CHANCE or file.path in copied:
            continue
        if not (file.evidence == "seen" and file.path in made):
            yield file


def _copied_in(record: JobRecord) -> list[str]:
    """Return the paths of what the job fetched, and of what it copied in: `cp /data/gen_7.root in`.

    Somebody named the copy, or it was read. Other jobs fetch theirs, into a folder of their own.
    """
    copies = _digests_named_or_read_here(record)
    copied: list[str] = []
    for file in record.inputs or ():
        if file.evidence not in _BY_CHANCE or file.path is None:
            continue
        is_fetched = not _is_absolute(file) and file.location is not None
        if is_fetched or (_is_absolute(file) and file.sha256 in copies):
            copied.append(file.path)
    return copied


def _digests_named_or_read_here(record: JobRecord) -> AbstractSet[str]:
    """Return the digests of inputs that somebody named, or that were seen in the job's folder."""
    digests: set[str] = set()
    for file in record.inputs or ():
        is_seen_here = file.evidence == "seen" and not _is_absolute(file)
        is_named = file.evidence not in _BY_CHANCE
        if file.sha256 is not None and (is_seen_here or is_named):
            digests.add(file.sha256)
    return digests


def _paths_made(record: JobRecord) -> AbstractSet[str | None]:
    return {file.path for file in record.outputs or ()}


def _is_absolute(file: Input) -> bool:
    return file.path is not None and file.path.startswith("/")


def _own_files(connection: Connection, record: JobRecord, paths: Sequence[str]) -> list[str]:
    """Return the files of this job's unit: another job made them, or their names hold the unit."""
    names = {path: posixpath.basename(path) for path in paths}
    made = made_by_jobs(connection, record.experiment, set(names.values()))
    unit = record.task.unit if record.task else None
    own = []
    for path, name in names.items():
        if name in made or (unit and _holds(name, unit)):
            own.append(path)
    return own


def _apart_from_copies(record: JobRecord, paths: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the paths with a content of their own, and those with the content of another.

    The other one is an input that somebody named, that jobs of the kind share, or one before.
    """
    apart = frozenset(paths)
    contents: dict[str | None, str | None] = {}
    known: set[str | None] = set()
    for file in record.inputs or ():
        contents[file.path] = _content_of(file)
        if file.path not in apart:
            known.add(_content_of(file))
    own: list[str] = []
    copies: list[str] = []
    for path in paths:
        content = contents.get(path, path)
        if content in known:
            copies.append(path)
        else:
            own.append(path)
            known.add(content)
    return own, copies


def _changed_files(record: JobRecord) -> list[str]:
    """Return the files that changed, or went, after a traced job read them."""
    if record.trace is None:
        return []
    below = ""
    if record.command is not None and record.command.working_directory:
        below = f"{record.command.working_directory}/"
    return [path.removeprefix(below) for path in record.trace.changed or ()]


def _holds(name: str, unit: str) -> bool:
    """Return whether a name holds a unit: 7 stands in gen_0007.root, and not in gen_17.root."""
    if not unit.isdigit():
        return unit in name
    return re.search(rf"(?<!\d)0*{unit}(?!\d)", name) is not None


def awaited_kinds(record: JobRecord) -> list[Kind]:
    """Return the kinds whose traces a job waits for: of its steps, several."""
    if record.trace is None:
        return []
    return [(record.experiment, key) for key in dict.fromkeys(record.trace.waits_for or ())]


class TracedKinds:
    """What the traced jobs of the kinds of a batch of jobs used."""

    def __init__(self, used: Mapping[Kind, str]) -> None:
        self._used: dict[Kind, UsedByKind] = {}
        for kind, document in used.items():
            self._used[kind] = msgspec.json.decode(document, type=UsedByKind)

    @classmethod
    def of(cls, connection: Connection, records: Sequence[JobRecord]) -> "TracedKinds":
        """Look up what these jobs wait for."""
        kinds: set[Kind] = set()
        for record in records:
            kinds.update(awaited_kinds(record))
        return cls(what_kinds_used(connection, kinds) if kinds else {})

    def unseen(self, record: JobRecord) -> UnseenReads | None:
        """Return what the traced jobs of its kinds used and this one does not name.

        None where the job waits for no trace, or not all of them have come.
        """
        kinds = awaited_kinds(record)
        if not kinds or not all(kind in self._used for kind in kinds):
            return None
        paths: dict[str, None] = {}
        hosts: dict[str, None] = {}
        settings: dict[str, None] = {}
        left_out = 0
        for kind in kinds:
            used = self._used[kind]
            paths.update(dict.fromkeys(_unnamed_paths(record, used)))
            hosts.update(dict.fromkeys(used.hosts))
            settings.update(dict.fromkeys(_settings_there(record, used.absent)))
            left_out += used.left_out
        return UnseenReads(tuple(paths), tuple(hosts), tuple(settings), left_out)


def _unnamed_paths(record: JobRecord, used: UsedByKind) -> list[str]:
    """Return what the traced job of a kind used and the record of this one does not name."""
    named = _paths(record)
    paths: list[str] = []
    for path in [*used.files, *used.code]:
        if path not in named and _in_own_folder_of_inputs(record, path) not in named:
            paths.append(path)
    if _count_own_inputs(record, used.files) < len(used.own):
        paths += [path for path in used.own if path not in named]
    return paths + list(used.changed)


def _in_own_folder_of_inputs(record: JobRecord, path: str) -> str:
    """Return a path with this job's folder of transferred inputs for the traced one's.

    jobsub's `CONDOR_DIR_INPUT` has the number of the job in it: `7/TRANSFERRED_INPUT_FILES`.
    """
    variables = record.environment.variables if record.environment is not None else None
    folder = (variables or {}).get("CONDOR_DIR_INPUT", "")
    _, mark, name = path.rpartition(f"/{posixpath.basename(folder)}/")
    if not folder or not mark:
        return path
    place = posixpath.join(folder, name)
    if record.command is not None and record.command.working_directory:
        place = place.removeprefix(f"{record.command.working_directory}/")
    return place


def _count_own_inputs(record: JobRecord, shared: Sequence[str]) -> int:
    """Return how many inputs nobody named the record has that not all jobs of the kind use.

    One at two places counts once. Those that are named do not count: jobs of a kind have the same
    options, so what the traced one had beside them, this one has, too.
    """
    paths = frozenset(shared)
    named: set[str | None] = set()
    found: set[str | None] = set()
    for file in record.inputs or ():
        if file.evidence not in _BY_CHANCE:
            named.add(_content_of(file))
        elif file.path not in paths:
            found.add(_content_of(file))
    return len(found - named)


def _content_of(file: Input) -> str | None:
    """Return what tells the content of a file from others: its digest, or else its path."""
    return file.sha256 or file.path


def _settings_there(record: JobRecord, absent: Sequence[str]) -> list[str]:
    """Return which of these names this job has, or may have, among the settings of its home.

    A program that looked for a folder in vain would have looked into it.
    """
    names = record.trace.home_settings if record.trace is not None else None
    there: set[str] = set()
    unlisted: set[str] = set()
    for name in names or ():
        path = name.rstrip("/")
        there.update((path, *_folders_above(path)))
        if name.endswith("/"):
            unlisted.add(path)
    return [name for name in absent if name in there or unlisted.intersection(_folders_above(name))]


def _folders_above(path: str) -> list[str]:
    """Return `~/.config` and `~` for `~/.config/toolrc`."""
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts))]


def _paths(record: JobRecord) -> AbstractSet[str]:
    named = {file.path for file in record.inputs or () if file.path}
    named.update(script.path for script in record.scripts or () if script.path)
    return named
