"""A job between `start` and `end`: its draft in the spool, found by the job script's process.

`start` notes the process that called it (the job script, by number and start time); later calls
look for that process among their own ancestors, so that several jobs of one user, or steps in a
subshell, do not mix.
"""

import contextlib
import json
import os
import shutil
from typing import Iterator, List, Optional, Tuple

from jobprov.provenance.capture.files.sidecar import replace
from jobprov.provenance.capture.record import steps
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.record.json_objects import JsonObject
from jobprov.provenance.capture.recording import between
from jobprov.provenance.capture.running import children

_MOST_ANCESTORS = 64


class Session:
    """The kept state of one job.

    Attributes:
        folder: where it is kept.
        draft: the record so far.
        state: what is remembered and never sent: owner, last exit code, options given at `start`.
    """

    def __init__(
        self,
        folder: str,
        draft: Draft,
        state: JsonObject,
        stamp: Optional[Tuple[int, int, int]] = None,
    ) -> None:
        self.folder, self.draft, self.state = folder, draft, state
        self._stamp = stamp
        self._name_from(self._home())

    def _home(self) -> str:
        """Return the folder that names of files count from."""
        return self.draft.record.get("command", {}).get("working_directory") or os.getcwd()

    def _name_from(self, folder: str) -> None:
        """Make names of files absolute where the job script went to another folder."""
        if self._home() != os.getcwd():
            steps.name_from(folder, self.draft.record)

    def weaken_changed(self, began: float) -> None:
        """Name what the job script changed since the last step, before one that begins now."""
        if self._stamp is not None and self.draft.record["command"].get("steps"):
            between.weaken_changed(self.draft, self._stamp[1] / 1e9, began)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold off other steps of the job script that end now.

        Where the file system has no locks, they are not.
        """
        import fcntl  # noqa: PLC0415 - while the job runs

        with open(os.path.join(self.folder, "lock"), "wb") as stream:
            with contextlib.suppress(OSError):
                fcntl.flock(stream.fileno(), fcntl.LOCK_EX)
            yield

    def is_outdated(self) -> bool:
        """Tell whether another step has kept something since this was read."""
        return _stamp(self.folder) != self._stamp

    def save(self) -> None:
        """Keep everything; whole or not at all."""
        self._name_from(os.getcwd())
        blobs = os.path.join(self.folder, "blobs")
        os.makedirs(blobs, mode=0o700, exist_ok=True)
        files = {}
        for digest, blob in self.draft.blobs.items():
            path = os.path.join(blobs, digest)
            if not isinstance(blob, bytes):
                files[digest] = blob
            elif not os.path.exists(path):
                replace(path, blob)
        for digest in set(os.listdir(blobs)).difference(self.draft.blobs):
            os.unlink(os.path.join(blobs, digest))
        content = {
            "record": self.draft.record,
            "notes": self.draft.notes,
            "state": self.state,
            "files": files,
        }
        text = json.dumps(content).encode("utf-8", "surrogateescape")
        replace(os.path.join(self.folder, "state.json"), text)

    def forget(self) -> None:
        """Remove it, once its record is spooled."""
        shutil.rmtree(self.folder, ignore_errors=True)


def create(spool: str, draft: Draft) -> Session:
    """Return a new session for the process that called us; raises OSError."""
    folder = os.path.join(spool, "open", draft.record["job_id"])
    os.makedirs(folder, mode=0o700, exist_ok=True)
    state = {"owner": _identity(os.getppid()), "last": 0, "options": {}, "is_told": False}
    return Session(folder, draft, state)


def find(spool: Optional[str], job_id: Optional[str] = None) -> Optional[Session]:
    """Return the session of this job script, or None."""
    if spool is None:
        return None
    sessions = _load_all(os.path.join(spool, "open"), job_id)
    if job_id is not None:
        return sessions[0] if sessions else None
    for ancestor in _ancestors():
        for session in sessions:
            if session.state.get("owner") == ancestor:
                return session
    return None


def _load_all(folder: str, job_id: Optional[str]) -> List[Session]:
    """Return the sessions below a folder that can be read; of one job alone, where it is named."""
    sessions = []
    for name in os.listdir(folder):
        if job_id in (None, name):
            session = _load(os.path.join(folder, name))
            if session is not None:
                sessions.append(session)
    return sessions


def _load(folder: str) -> Optional[Session]:
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


def _stamp(folder: str) -> Optional[Tuple[int, int, int]]:
    """Return what is different each time that the state is written."""
    try:
        status = os.stat(os.path.join(folder, "state.json"))
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _ancestors() -> List[List[int]]:
    """Return the identities of this process, its parent, and so on.

    The job script may have ended by `exec`.
    """
    ancestors: List[List[int]] = []
    process = os.getpid()
    while process > 0 and len(ancestors) < _MOST_ANCESTORS:
        ancestors.append(_identity(process))
        fields = children.read_stat(process)
        process = int(fields[children.PARENT]) if fields else 0
    return ancestors


def _identity(process: int) -> List[int]:
    """Return [number, start time in clock ticks]; a number alone would be used again."""
    fields = children.read_stat(process)
    return [process, int(fields[children.STARTED]) if fields else 0]
