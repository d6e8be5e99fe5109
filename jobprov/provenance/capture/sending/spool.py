"""The spool: records that are on their way, one file each, written whole or not at all.

    SPOOL/ready/TIME-JOB.jobprov       to be sent; a zip of `record.json`, `delivery.json` and `blobs/<sha256>`
    SPOOL/claimed/…jobprov.HOST-PID    being sent by that process
    SPOOL/rejected/…                   refused by the service, with `…reason.txt` beside it
    SPOOL/open/JOB/                    a job between `start` and `end`
    SPOOL/parts/                       how many records a batch job has so far

A claim is a rename, so that two processes never send one file; a claim whose process is gone goes
back.
"""

import hashlib
import os
import re
import time
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Optional, Tuple

from jobprov.provenance.capture.options import Options
from jobprov.provenance.capture.record.encoding import encode
from jobprov.provenance.capture.record.json_objects import JsonObject
from jobprov.provenance.capture.sending.places import possible

if TYPE_CHECKING:
    import zipfile

    from jobprov.provenance.capture.record.draft import Draft

_SUFFIX = ".jobprov"
_FOLDERS = ("ready", "claimed", "rejected", "open", "parts")
_STALE_SECONDS = 3600
_MOST_PARTS = 10000
_CHUNK = 64 * 1024
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)


def find(options: Options, environment: Dict[str, str]) -> Optional[str]:
    """Return the folder of the spool: the first that can be written; None where none can."""
    return next(usable(options, environment), None)


def usable(options: Options, environment: Dict[str, str]) -> Iterator[str]:
    """Yield the folders that can be written, the first one first."""
    for place in possible(options, environment):
        spool = open_at(place)
        if spool is not None:
            yield spool


def there(options: Options, environment: Dict[str, str]) -> List[str]:
    """Return those of the folders that are spools of ours already."""
    return [place for place in possible(options, environment) if _is_spool(place)]


def open_at(place: str) -> Optional[str]:
    """Return a folder as an absolute path, made a spool; None where it cannot be written."""
    try:
        for name in _FOLDERS:
            os.makedirs(os.path.join(place, name), mode=0o700, exist_ok=True)
        can_be_written = os.access(os.path.join(place, "ready"), os.W_OK)
        is_ours = _is_ours(place)
    except (OSError, ValueError):
        return None
    return os.path.abspath(place) if can_be_written and is_ours else None


def is_begun(place: str) -> bool:
    """Tell whether a folder is a spool, whole or not: another folder is not made one."""
    return os.path.isdir(os.path.join(place, "ready"))


def of_entry(path: str) -> str:
    """Return the spool that an entry lies in."""
    return os.path.dirname(os.path.dirname(path))


def _is_spool(place: str) -> bool:
    is_whole = all(os.path.isdir(os.path.join(place, name)) for name in _FOLDERS)
    return is_whole and _is_ours(place)


def _is_ours(place: str) -> bool:
    return os.stat(place).st_uid in (os.geteuid(), 0)


def take_part(spool: Optional[str], identity: str) -> int:
    """Return how many records this batch job has had before this one; 0 without a spool."""
    if spool is None:
        return 0
    name = hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    for part in range(_MOST_PARTS):
        path = os.path.join(spool, "parts", "{}.{}".format(name, part))
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            continue
        except OSError:
            break
        return part
    return 0


def keep(spool: str, draft: "Draft", delivery: JsonObject) -> str:
    """Write record and blobs to `ready`, durable when this returns, and return the path.

    Raises OSError.
    """
    name = "{:.6f}-{}{}".format(time.time(), draft.record["job_id"], _SUFFIX)
    final = os.path.join(spool, "ready", name)
    _write_whole(final, final, lambda stream: write(stream, draft, delivery))
    return final


def replace(owned: str, write_to: Callable[[Any], None]) -> None:
    """Write a claimed entry anew; it stays as it was where that raises OSError."""
    _write_whole(owned, _place(owned, "ready"), write_to)


def _write_whole(final: str, place: str, write_to: Callable[[Any], None]) -> None:
    """Write a file, whole or not at all, durable when this returns.

    It lies beside `place` until it is whole.
    """
    temporary = os.path.join(os.path.dirname(place), "." + os.path.basename(place))
    try:
        with open(temporary, "wb") as stream:
            os.fchmod(stream.fileno(), 0o600)
            write_to(stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(temporary, final)
    except (OSError, MemoryError):
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
    _sync_folder(os.path.dirname(final))


def write(stream: Any, draft: "Draft", delivery: JsonObject) -> None:
    """Write an entry to a stream.

    A file that changed since it was hashed is left out, with a note in the record.
    """
    import zipfile  # noqa: PLC0415 - loaded while the job runs, not before

    entry = zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, allowZip64=True)
    try:
        for digest in sorted(draft.blobs):
            blob = draft.blobs[digest]
            if isinstance(blob, bytes):
                entry.writestr(information("blobs/" + digest), blob)
            else:
                _add_file(entry, digest, blob, draft)
        if draft.notes:
            draft.record.setdefault("extra", {})["hook_notes"] = draft.notes
        entry.writestr(information("record.json"), encode(draft.record))
        entry.writestr(information("delivery.json"), encode(delivery))
        entry.close()
    except (OSError, MemoryError):
        # Else it closes itself when it is collected, fails again, and Python prints a traceback to
        # the job's stderr.
        entry.fp = None
        raise


def ready(spool: str) -> List[str]:
    """Return the paths of what is to be sent, oldest first.

    Claims whose process is gone come back first.
    """
    _return_stale(spool)
    folder = os.path.join(spool, "ready")
    names = [
        name for name in os.listdir(folder) if name.endswith(_SUFFIX) and not name.startswith(".")
    ]
    paths = [os.path.join(folder, name) for name in sorted(names, key=_age)]
    # A pipe of that name would keep us waiting
    return [path for path in paths if os.path.isfile(path)]


def claim(path: str) -> Optional[str]:
    """Return the path under which this process owns the entry, or None if another was faster."""
    name = "{}.{}-{}".format(os.path.basename(path), os.uname().nodename, os.getpid())
    owned = os.path.join(of_entry(path), "claimed", name)
    try:
        os.rename(path, owned)
        os.utime(owned, None)
    except OSError:
        return None
    return owned


def release(owned: str) -> str:
    """Put a claimed entry back to be sent later; return its path there."""
    final = _place(owned, "ready")
    os.rename(owned, final)
    return final


def reject(owned: str, reason: str) -> None:
    """Put a claimed entry aside for good, with the reason beside it."""
    final = _place(owned, "rejected")
    with open(final + ".reason.txt", "w", encoding="utf-8") as stream:
        stream.write(reason + "\n")
    os.rename(owned, final)


def _place(owned: str, folder: str) -> str:
    name = os.path.basename(owned)
    name = name[: name.index(_SUFFIX) + len(_SUFFIX)]
    return os.path.join(of_entry(owned), folder, name)


def _return_stale(spool: str) -> None:
    folder = os.path.join(spool, "claimed")
    for name in os.listdir(folder):
        owned = os.path.join(folder, name)
        host, _, process = name.rsplit(_SUFFIX + ".", 1)[-1].rpartition("-")
        try:
            is_old = time.time() - os.stat(owned).st_mtime > _STALE_SECONDS
            if is_old or (host == os.uname().nodename and not _runs(int(process))):
                release(owned)
        except (OSError, ValueError):
            continue  # somebody else was faster


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _age(name: str) -> Tuple[float, str]:
    match = re.match(r"^(\d+\.\d+)", name)
    return (float(match.group(1)) if match else 0.0, name)


def _add_file(entry: "zipfile.ZipFile", digest: str, path: str, draft: "Draft") -> None:
    """Copy a file in chunks.

    Where it is no longer what the digest says, the copy is left out of the directory.
    """
    member, sha256 = information("blobs/" + digest), hashlib.sha256()
    try:
        with open(path, "rb") as stream:
            member.file_size = os.fstat(stream.fileno()).st_size
            with entry.open(member, "w") as target:
                for chunk in iter(lambda: stream.read(_CHUNK), b""):
                    sha256.update(chunk)
                    target.write(chunk)
    except OSError as error:
        if error.filename is None:  # not the file's fault but the spool's
            raise
        draft.note("{} could not be kept: {}".format(path, error.strerror))
        return
    if sha256.hexdigest() != digest:
        entry.filelist.remove(member)
        del entry.NameToInfo[member.filename]
        draft.weaken("changed-while-running", path, "what was there before is not kept")


def information(name: str) -> "zipfile.ZipInfo":
    """Return what an entry says of a member: the same at any time."""
    import zipfile  # noqa: PLC0415

    member = zipfile.ZipInfo(name, _FIXED_TIME)
    member.compress_type = zipfile.ZIP_DEFLATED
    member.external_attr = 0o600 << 16
    return member


def _sync_folder(folder: str) -> None:
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError:
        pass
