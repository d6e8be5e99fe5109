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

_SUFFIX = ".jobprov"
_FOLDERS = ("ready", "claimed", "rejected", "open", "parts")
_STALE_SECONDS = 3600
_LAST_RESORT = "/tmp"  # noqa: S108 - a folder of our own in it, used only where it is ours
_NAMES = frozenset(
    ["name", "namespace", "task_id", "campaign", "stage", "unit"]
)  # the service refuses more in these
_UNSAFE = re.compile("[\x00\ud800-\udfff]")
_UNSAFE_IN_NAMES = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_CHUNK = 64 * 1024
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)


def find(options, environment):
    """Return the folder of the spool: the first that can be written; None where none can."""
    return next(usable(options, environment), None)


def usable(options, environment):
    """Yield the folders that can be written: the one asked for, the job's scratch, the home, the temporary folder."""
    for place in _places(options, environment):
        opened = open_at(place)
        if opened is not None:
            yield opened


def there(options, environment):
    """Return those of the folders that are spools of ours already."""
    return [os.path.abspath(place) for place in _places(options, environment) if _is_spool(place)]


def open_at(place):
    """Return a folder as an absolute path, made a spool; None where it cannot be written."""
    try:
        for name in _FOLDERS:
            os.makedirs(os.path.join(place, name), mode=0o700, exist_ok=True)
        is_ours = os.access(os.path.join(place, "ready"), os.W_OK) and os.stat(place).st_uid in (
            os.geteuid(),
            0,
        )
    except (OSError, ValueError):
        return None
    return os.path.abspath(place) if is_ours else None


def of_entry(path):
    """Return the spool that an entry lies in."""
    return os.path.dirname(os.path.dirname(path))


def _is_spool(place):
    is_whole = all(os.path.isdir(os.path.join(place, name)) for name in _FOLDERS)
    return is_whole and os.stat(place).st_uid in (os.geteuid(), 0)


def _places(options, environment):
    places = [options.spool] if options.spool else []
    scratch, home = environment.get("_CONDOR_SCRATCH_DIR"), environment.get("HOME")
    if scratch and os.path.isdir(scratch):
        places.append(os.path.join(scratch, "jobprov-spool"))
    if home and os.path.isdir(home):
        places.append(os.path.join(home, ".jobprov", "spool"))
    places.append(
        os.path.join(
            environment.get("TMPDIR") or _LAST_RESORT, "jobprov-spool-{}".format(os.geteuid())
        )
    )
    return places


def take_part(spool, identity):
    """Return how many records this batch job has had before this one; 0 without a spool."""
    if spool is None:
        return 0
    name = hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    for part in range(10000):
        try:
            os.close(
                os.open(
                    os.path.join(spool, "parts", "{}.{}".format(name, part)),
                    os.O_CREAT | os.O_EXCL,
                    0o600,
                )
            )
        except FileExistsError:
            continue
        except OSError:
            break
        return part
    return 0


def keep(spool, draft, delivery):
    """Write record and blobs to `ready`, durable when this returns, and return the path.

    Raises OSError.
    """
    name = "{:.6f}-{}{}".format(time.time(), draft.record["job_id"], _SUFFIX)
    final = os.path.join(spool, "ready", name)
    temporary = os.path.join(spool, "ready", "." + name)
    try:
        with open(temporary, "wb") as stream:
            os.fchmod(stream.fileno(), 0o600)
            write(stream, draft, delivery)
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(temporary, final)
    except OSError:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
    _sync_folder(os.path.dirname(final))
    return final


def write(stream, draft, delivery):
    """Write an entry to a stream; a file that changed since it was hashed is left out, with a note in the record."""
    import zipfile  # noqa: PLC0415 - loaded while the job runs, not before

    entry = zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, allowZip64=True)
    try:
        for digest in sorted(draft.blobs):
            held = draft.blobs[digest]
            if isinstance(held, bytes):
                _add(entry, "blobs/" + digest, held)
            else:
                _add_file(entry, digest, held, draft)
        if draft.notes:
            draft.record.setdefault("extra", {})["hook_notes"] = draft.notes
        _add(entry, "record.json", encode(draft.record))
        _add(entry, "delivery.json", encode(delivery))
        entry.close()
    except OSError:
        # else it closes itself when it is collected, fails again, and Python prints a traceback to
        # the job's stderr
        entry.fp = None
        raise


def encode(value):
    """Return JSON bytes; NUL and lone surrogates, which a record may not hold, are written as visible escapes."""
    import json  # noqa: PLC0415 - loaded while the job runs, not before

    return json.dumps(clean(value), separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def ready(spool):
    """Return the paths of what is to be sent, oldest first.

    Claims whose process is gone come back first.
    """
    _return_stale(spool)
    folder = os.path.join(spool, "ready")
    names = [
        name for name in os.listdir(folder) if name.endswith(_SUFFIX) and not name.startswith(".")
    ]
    paths = (os.path.join(folder, name) for name in sorted(names, key=_age))
    return [
        path for path in paths if os.path.isfile(path)
    ]  # a pipe of that name would keep us waiting


def claim(path):
    """Return the path under which this process owns the entry, or None where another one was faster."""
    owned = "{}.{}-{}".format(path, os.uname().nodename, os.getpid())
    owned = os.path.join(of_entry(path), "claimed", os.path.basename(owned))
    try:
        os.rename(path, owned)
        os.utime(owned, None)
    except OSError:
        return None
    return owned


def release(owned):
    """Put a claimed entry back to be sent later."""
    os.rename(owned, _place(owned, "ready"))


def reject(owned, reason):
    """Put a claimed entry aside for good, with the reason beside it."""
    final = _place(owned, "rejected")
    with open(final + ".reason.txt", "w", encoding="utf-8") as stream:
        stream.write(reason + "\n")
    os.rename(owned, final)


def _place(owned, folder):
    name = os.path.basename(owned)
    name = name[: name.index(_SUFFIX) + len(_SUFFIX)]
    return os.path.join(of_entry(owned), folder, name)


def _return_stale(spool):
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


def _runs(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _age(name):
    match = re.match(r"^(\d+\.\d+)", name)
    return (float(match.group(1)) if match else 0.0, name)


def _add(entry, name, content):
    entry.writestr(_information(name), content)


def _add_file(entry, digest, path, draft):
    """Copy a file in chunks; where it is no longer what the digest says, the copy is left out of the directory."""
    information, sha256 = _information("blobs/" + digest), hashlib.sha256()
    try:
        with open(path, "rb") as stream:
            information.file_size = os.fstat(stream.fileno()).st_size
            with entry.open(information, "w") as target:
                for chunk in iter(lambda: stream.read(_CHUNK), b""):
                    sha256.update(chunk)
                    target.write(chunk)
    except OSError as error:
        if error.filename is None:  # not the file's fault but the spool's
            raise
        draft.note("{} could not be kept: {}".format(path, error.strerror))
        return
    if sha256.hexdigest() != digest:
        entry.filelist.remove(information)
        del entry.NameToInfo[information.filename]
        draft.note("{} changed while the job ran and is not kept".format(path))


def _information(name):
    import zipfile  # noqa: PLC0415

    information = zipfile.ZipInfo(name, _FIXED_TIME)
    information.compress_type = zipfile.ZIP_DEFLATED
    information.external_attr = 0o600 << 16
    return information


def clean(value, is_name=False):
    """Return the value as `encode` writes it.

    `is_name` for texts in which the service takes no control characters.
    """
    if isinstance(value, str):
        return _clean_text(value, _UNSAFE_IN_NAMES if is_name else _UNSAFE)
    if isinstance(value, dict):
        return {
            _clean_text(str(key), _UNSAFE): clean(item, key in _NAMES)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [clean(item) for item in value]
    return value


def _clean_text(text, unsafe):
    return unsafe.sub(lambda match: "\\x{:02x}".format(_byte(match.group())), text)


def _byte(character):
    """Return the byte that Python smuggled into a lone surrogate (PEP 383), else the character's number."""
    number = ord(character)
    return number - 0xDC00 if 0xDC80 <= number <= 0xDCFF else number  # noqa: PLR2004


def _sync_folder(folder):
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError:
        pass
