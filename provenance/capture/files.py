"""Files that a job reads and writes, with size, SHA-256 and adler32.

Inputs are looked at before the command, since it may change or remove them; outputs after it.
Hashing has a budget of its own: what it cuts off is noted, and the file is recorded without
digests. A URL is recorded, never opened.
"""

import os
import re

from jobprov.provenance.capture import content
from jobprov.provenance.capture.arguments import as_glob
from jobprov.provenance.capture.draft import moment, without_empty
from jobprov.provenance.capture.fitting import MOST_FILES
from jobprov.provenance.capture.hashing import SMALL_BYTES, OutOfTimeError, hash_file

_URL = re.compile(r"^[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_TYPED = ("data_tier", "file_format", "file_type", "data_stream")


def describe_inputs(step, named):
    """Return input entries, not hashed yet, of [(name as written, role)]; each once."""
    entries, seen = [], set()
    for path, role in named:
        name = path.rstrip("/").rsplit("/", 1)[-1]
        if path in seen or name in ("", ".", ".."):
            continue
        seen.add(path)
        entry = {"name": name, "step": step, "role": role, "status": "consumed"}
        entry["location" if _URL.match(path) else "path"] = path
        entries.append(entry)
    return entries


def hash_inputs(draft, entries, clock, hashed=None):
    """Add size and digests to entries, and keep small files.

    Return those to do later, which is none without `hashed`.

    `hashed` holds {path: (size, SHA-256, checksum)} of those that were looked at before the
    command.
    """
    later = []
    for entry in entries:
        path = entry.get("path")
        if path is None:
            continue
        if hashed is not None and path in hashed:  # as it was, though it may be gone by now
            _add_digests(draft, entry, hashed[path])
            continue
        try:
            size = os.stat(path).st_size
            if not os.path.isfile(path):
                draft.note("input {} is no regular file".format(path))
            elif hashed is not None:
                later.append(entry)
            else:
                _add_digests(draft, entry, hash_file(path, clock))
        except OSError as error:
            draft.note("input {}: {}".format(path, error.strerror))
        except OutOfTimeError as error:
            entry["size_bytes"] = size
            draft.note("input {}: {}".format(path, error))
    return later


def _add_digests(draft, entry, found):
    size, digest, checksum = found
    entry.update(size_bytes=size, sha256=digest, checksums=[checksum])
    if size <= SMALL_BYTES:
        draft.add_file(digest, entry["path"])


def expand(patterns):
    """Return [(pattern, paths that it matches now)].

    A name that exists is itself, whatever characters it holds.
    """
    import glob  # noqa: PLC0415 - loaded while the job runs, not before

    found = []
    for pattern in patterns:
        paths = [pattern] if os.path.exists(pattern) else sorted(glob.glob(as_glob(pattern)))
        found.append((pattern, paths))
    return found


def describe_outputs(draft, step, patterns, clock):
    """Return entries of the outputs that exist.

    One that was named and is not there becomes a note.
    """
    entries, seen = [], set()
    for pattern, paths in expand(patterns):
        if not paths:
            draft.note("output {} was named and is not there".format(pattern))
        for path in paths:
            if os.path.normpath(path) not in seen and not _URL.match(path):
                seen.add(os.path.normpath(path))
                if len(seen) > MOST_FILES:
                    continue  # counted below
                entry = draft.attempt("output " + path, _output, draft, step, path, clock)
                entries.extend([entry] if entry else [])
    if len(seen) > MOST_FILES:
        draft.note(
            "only {} of {} outputs are looked at: a record holds no more".format(
                MOST_FILES, len(seen)
            )
        )
    for entry in entries:  # once all have their plain digests: those come first
        digest = draft.attempt(
            "content of " + entry["path"], content.root_digest, entry["path"], clock
        )
        if digest is not None:
            entry["content_digest"] = digest
    return entries


def _output(draft, step, path, clock):
    status = os.stat(path)
    if not os.path.isfile(path):
        draft.note("output {} is no regular file".format(path))
        return None
    entry = {
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


def apply_metadata(entry, metadata):
    """Put KEY=VALUE pairs into an output: known keys into their fields, all others into `metadata`."""
    for key, value in metadata.items():
        short = key[5:] if key.startswith("core.") else key
        if short in _TYPED:
            entry[short] = value
        elif short in ("event_count", "first_event", "last_event") and re.match(
            r"^\d{1,18}$", str(value)
        ):
            entry[short] = int(value)
        else:
            entry.setdefault("metadata", {})[key] = value


def name_parents(parents):
    """Return parents as outputs name them, or None where none was declared."""
    return [parent.rsplit("/", 1)[-1] for parent in parents] or None


def pairs(draft, words):
    """Return {key: value} of KEY=VALUE words; others become notes."""
    found = {}
    for word in words:
        key, equals, value = word.partition("=")
        if equals and key:
            found[key] = value
        else:
            draft.note("--metadata {} is no KEY=VALUE".format(word))
    return found


def known(entry, *names):
    """Return a part of an entry, without what is missing."""
    return without_empty({name: entry.get(name) for name in names})
