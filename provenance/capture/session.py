"""A job between `start` and `end`: its draft, kept in the spool, and found again by the job script's process.

`start` notes the process that called it (the job script, by number and start time); later calls
look for that process among their own ancestors, so that several jobs of one user, or steps in a
subshell, do not mix.
"""

import contextlib
import json
import os
import shutil

from jobprov.provenance.capture.draft import Draft

_MOST_ANCESTORS = 64


class Session:
    """The kept state of one job.

    Attributes:
        folder: where it is kept.
        draft: the record so far.
        state: what is remembered and never sent: owner, last exit code, options given at `start`.
    """

    def __init__(self, folder, draft, state, stamp=None):
        self.folder, self.draft, self.state = folder, draft, state
        self._stamp = stamp

    @contextlib.contextmanager
    def locked(self):
        """Hold off other steps of the job script that end now.

        Where the file system has no locks, they are not.
        """
        import fcntl  # noqa: PLC0415 - while the job runs

        with open(os.path.join(self.folder, "lock"), "wb") as stream:
            with contextlib.suppress(OSError):
                fcntl.flock(stream.fileno(), fcntl.LOCK_EX)
            yield

    def is_outdated(self):
        """Tell whether another step has kept something since this was read."""
        return _stamp(self.folder) != self._stamp

    def save(self):
        """Keep everything; whole or not at all."""
        blobs = os.path.join(self.folder, "blobs")
        os.makedirs(blobs, mode=0o700, exist_ok=True)
        for digest, held in self.draft.blobs.items():
            path = os.path.join(blobs, digest)
            if isinstance(held, bytes) and not os.path.exists(path):
                _write(path, held)
        for digest in set(os.listdir(blobs)).difference(self.draft.blobs):
            os.unlink(os.path.join(blobs, digest))
        files = {
            digest: held for digest, held in self.draft.blobs.items() if not isinstance(held, bytes)
        }
        content = {
            "record": self.draft.record,
            "notes": self.draft.notes,
            "state": self.state,
            "files": files,
        }
        _write(
            os.path.join(self.folder, "state.json"),
            json.dumps(content).encode("utf-8", "surrogateescape"),
        )

    def forget(self):
        """Remove it, once its record is spooled."""
        shutil.rmtree(self.folder, ignore_errors=True)


def create(spool, draft):
    """Return a new session for the process that called us; raises OSError."""
    folder = os.path.join(spool, "open", draft.record["job_id"])
    os.makedirs(folder, mode=0o700, exist_ok=True)
    return Session(
        folder,
        draft,
        {"owner": _identity(os.getppid()), "last": 0, "options": {}, "is_told": False},
    )


def find(spool, job_id=None):
    """Return the session of this job script, or None."""
    if spool is None:
        return None
    folders = [
        os.path.join(spool, "open", name) for name in os.listdir(os.path.join(spool, "open"))
    ]
    loaded = [_load(folder) for folder in folders if job_id in (None, os.path.basename(folder))]
    sessions = [session for session in loaded if session is not None]
    if job_id is not None:
        return sessions[0] if sessions else None
    for ancestor in _ancestors():
        for session in sessions:
            if session.state.get("owner") == ancestor:
                return session
    return None


def _load(folder):
    try:
        stamp = _stamp(folder)
        with open(os.path.join(folder, "state.json"), encoding="utf-8") as stream:
            content = json.load(stream)
        blobs = os.path.join(folder, "blobs")
        draft = Draft(content["record"], content["notes"])
        draft.blobs = {digest: os.path.join(blobs, digest) for digest in os.listdir(blobs)}
        draft.blobs.update(content["files"])
        return Session(folder, draft, content["state"], stamp)
    except (OSError, ValueError, KeyError):
        return None


def _stamp(folder):
    """Return what is another one each time that the state is written."""
    try:
        status = os.stat(os.path.join(folder, "state.json"))
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _write(path, content):
    temporary = path + ".tmp"
    with open(temporary, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    os.rename(temporary, path)


def _ancestors():
    found, process = [], os.getpid()  # the job script itself, where it ends by `exec`
    while process > 0 and len(found) < _MOST_ANCESTORS:
        found.append(_identity(process))
        process = _parent(process)
    return found


def _identity(process):
    """Return [number, start time in clock ticks]; a number alone would be used again."""
    fields = _stat(process)
    return [process, int(fields[19]) if fields else 0]


def _parent(process):
    fields = _stat(process)
    return int(fields[1]) if fields else 0


def _stat(process):
    """Return the fields of /proc/PID/stat after the command's name (proc(5)), or None."""
    try:
        with open("/proc/{}/stat".format(process), "rb") as stream:
            return stream.read().rsplit(b")", 1)[1].split()
    except (OSError, IndexError):
        return None
