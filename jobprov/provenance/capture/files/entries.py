"""The files that a job reads and writes, as the record lists them: with size, SHA-256 and adler32.

Inputs are looked at before the command, since it may change or remove them; outputs after it.
Hashing has a budget of its own: what it cuts off is noted, and the file is recorded without
digests. A URL is recorded, never opened.
"""

import os
import re
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple

from jobprov.provenance.capture.files import root_content
from jobprov.provenance.capture.files.hashing import SMALL_BYTES, Clock, OutOfTimeError, hash_file
from jobprov.provenance.capture.files.names import as_glob, file_name, is_url
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.record.fields import moment
from jobprov.provenance.capture.record.json_objects import Entry, JsonObject
from jobprov.provenance.capture.record.limits import MOST_FILES

_KINDS = ("data_tier", "file_format", "file_type", "data_stream")
_COUNTS = ("event_count", "first_event", "last_event")


def describe_inputs(step: Optional[str], named: Iterable[Tuple[str, str]]) -> List[Entry]:
    """Return input entries, not hashed yet, of [(name as written, role)]; each once."""
    entries: List[Entry] = []
    seen = set()
    for path, role in named:
        name = file_name(path)
        if path in seen or name in ("", ".", ".."):
            continue
        seen.add(path)
        entry: Entry = {"name": name, "step": step, "role": role, "status": "consumed"}
        entry["location" if is_url(path) else "path"] = path
        entries.append(entry)
    return entries


def add_digests(
    draft: Draft, entries: Iterable[Entry], hashed: Dict[str, Tuple[int, str, str]]
) -> List[Entry]:
    """Add what was seen of the inputs before the command, and return what is still to be hashed.

    `hashed` holds {path: (size, SHA-256, checksum)}; such a file may be gone by now.
    """
    rest = []
    for entry in entries:
        path = entry.get("path")
        if path in hashed:
            _add_digest(draft, entry, hashed[path])
        elif path is not None and _size(draft, path) is not None:
            rest.append(entry)
    return rest


def mark_absent(entries: Iterable[Entry]) -> None:
    """Mark inputs of a failed command that were there neither before it nor after it.

    A rerun that fails in the same way must not need them.
    """
    for entry in entries:
        path = entry.get("path")
        if path is not None and "size_bytes" not in entry and not os.path.lexists(path):
            entry["status"] = "absent"


def hash_inputs(draft: Draft, entries: Iterable[Entry], clock: Clock) -> None:
    """Add size and digests to input entries, and keep small files."""
    for entry in entries:
        path = entry.get("path")
        size = None if path is None else _size(draft, path)
        if path is None or size is None:
            continue
        try:
            _add_digest(draft, entry, hash_file(path, clock))
        except OSError as error:
            draft.note("input {}: {}".format(path, error.strerror))
        except OutOfTimeError as error:
            entry["size_bytes"] = size
            draft.note("input {}: {}".format(path, error))


def _size(draft: Draft, path: str) -> Optional[int]:
    """Return an input's size in bytes.

    None and a note where it is not there, or no regular file.
    """
    try:
        size = os.stat(path).st_size
    except OSError as error:
        draft.note("input {}: {}".format(path, error.strerror))
        return None
    if not os.path.isfile(path):
        draft.note("input {} is no regular file".format(path))
        return None
    return size


def _add_digest(draft: Draft, entry: Entry, hashed: Tuple[int, str, str]) -> None:
    size, digest, checksum = hashed
    entry.update(size_bytes=size, sha256=digest, checksums=[checksum])
    if size <= SMALL_BYTES:
        draft.add_file(digest, entry["path"])


def expand(patterns: Iterable[str]) -> List[Tuple[str, List[str]]]:
    """Return [(pattern, paths that it matches now)].

    A name that exists is itself, whatever characters it holds.
    """
    import glob  # noqa: PLC0415 - loaded while the job runs, not before

    expanded = []
    for pattern in patterns:
        paths = [pattern] if os.path.exists(pattern) else sorted(glob.glob(as_glob(pattern)))
        expanded.append((pattern, paths))
    return expanded


def describe_outputs(
    draft: Draft, step: Optional[str], patterns: Iterable[str], clock: Clock
) -> List[Entry]:
    """Return entries of the outputs that exist.

    One that was named and is not there becomes a note.
    """
    entries = []
    paths = _output_paths(draft, patterns)
    if len(paths) > MOST_FILES:
        sentence = "only {} of {} outputs are looked at: a record holds no more"
        draft.note(sentence.format(MOST_FILES, len(paths)))
    for path in paths[:MOST_FILES]:
        entry = draft.attempt("output " + path, _describe_output, draft, step, path, clock)
        if entry:
            entries.append(entry)
    # Plain digests come first: these take a second reading, and the time may not last.
    for entry in entries:
        what = "content of " + entry["path"]
        digest = draft.attempt(what, root_content.root_digest, entry["path"], clock)
        if digest is not None:
            entry["content_digest"] = digest
    return entries


def _output_paths(draft: Draft, patterns: Iterable[str]) -> List[str]:
    """Return the paths that are there, a file once."""
    paths: Dict[str, str] = {}
    for pattern, matching in expand(patterns):
        if not matching:
            draft.note("output {} was named and is not there".format(pattern))
        for path in matching:
            if not is_url(path):
                paths.setdefault(os.path.normpath(path), path)
    return list(paths.values())


def _describe_output(draft: Draft, step: Optional[str], path: str, clock: Clock) -> Optional[Entry]:
    status = os.stat(path)
    if not os.path.isfile(path):
        draft.note("output {} is no regular file".format(path))
        return None
    entry: Entry = {
        "name": os.path.basename(path),
        "path": path,
        "step": step,
        "size_bytes": status.st_size,
        "status": "written" if status.st_size else "empty",
        "closed_at": draft.attempt("time of " + path, moment, status.st_mtime),
    }
    try:
        entry["size_bytes"], entry["sha256"], checksum = hash_file(path, clock)
        entry["checksums"] = [checksum]
    except OutOfTimeError as error:
        draft.note("output {}: {}".format(path, error))
    return entry


def apply_metadata(entry: Entry, metadata: JsonObject) -> None:
    """Put KEY=VALUE pairs into an output: known keys into fields, others into `metadata`."""
    for key, value in metadata.items():
        field = key[5:] if key.startswith("core.") else key
        if field in _KINDS and isinstance(value, str):
            entry[field] = value
        elif field in _COUNTS and re.match(r"^\d{1,18}$", str(value)):
            entry[field] = int(value)
        else:
            entry.setdefault("metadata", {})[key] = value


def name_spaces(entries: Iterable[Entry], namespace_of: Callable[[str], Optional[str]]) -> None:
    """Give files their namespaces; what is there already stays."""
    for entry in entries:
        namespace = namespace_of(entry["name"])
        if namespace:
            entry.setdefault("namespace", namespace)


def full_name(entry: Entry) -> str:
    """Return `namespace:name` of a file, or its name alone where it has no namespace."""
    namespace = entry.get("namespace")
    return "{}:{}".format(namespace, entry["name"]) if namespace else str(entry["name"])


def pairs(draft: Draft, words: Iterable[str], types: Iterable[str] = ()) -> JsonObject:
    """Return {key: value} of KEY=VALUE and KEY:json=VALUE words; others become notes.

    Args:
        draft: where notes go.
        words: of `--metadata`.
        types: of `--metadata-type`: KEY=KIND, for keys whose word names no kind.
    """
    kinds = _kinds(draft, types)
    metadata: JsonObject = {}
    for word in words:
        key, equals, value = word.partition("=")
        kind = kinds.get(key, "text")
        if key.endswith(":json"):
            key, kind = key[: -len(":json")], "json"
        if not equals or not key:
            draft.note("--metadata {} is no KEY=VALUE".format(word))
            continue
        read = draft.attempt("--metadata {}, left out".format(word), _READERS[kind], value)
        if read is not None:
            metadata[key] = read
    return metadata


def _kinds(draft: Draft, words: Iterable[str]) -> Dict[str, str]:
    """Return {key: kind} of KEY=KIND words; others become notes."""
    kinds: Dict[str, str] = {}
    for word in words:
        key, _, kind = word.partition("=")
        if key and kind in _READERS:
            kinds[key] = kind
        else:
            known = ", ".join(sorted(_READERS))
            draft.note("--metadata-type {} is no KEY=KIND, of {}".format(word, known))
    return kinds


def read_json(text: str) -> Any:
    """Return a value as JSON has it.

    NaN and infinite numbers, which JSON has not, raise ValueError.
    """
    import json  # noqa: PLC0415 - loaded while the job runs, not before

    value = json.loads(text)
    json.dumps(value, allow_nan=False)
    return value


def _read_float(text: str) -> float:
    """Return a number with a point; infinite ones and NaN, which JSON has not, raise ValueError."""
    value = float(text)
    if not abs(value) < float("inf"):
        raise ValueError("no finite number")
    return value


_READERS: Dict[str, Callable[[str], Any]] = {
    "text": str,
    "int": int,
    "float": _read_float,
    "json": read_json,
}
"""How the value of `--metadata` is read, by the kind of its key."""
