"""Standard input of a command, where it is a regular file.

What the command will find from where the file stands now.

It is read beside the job, by place (`pread`), so that the job finds its file where it stood. A
pipe, a terminal or a device is the job's alone. Standard input is also how passwords are handed
over: what looks like one by command or by name is not looked at.
"""

import fcntl
import os
import re
import stat

from jobprov.provenance.capture.hashing import SMALL_BYTES, Clock

_CHUNK = 1024 * 1024
_ASKING = frozenset(["kinit", "sudo", "su", "ssh-add", "passwd", "chpasswd", "cryptsetup"])
_OPTION = re.compile(
    r"^--?(?:[\w-]*(?:passw(?:or)?d|passphrase|secret|token)[\w-]*-(?:stdin|fd)|pwstdin|stdin[_-]pass\w*|with-token)(?:=|$)",
    re.IGNORECASE,
)
_PASS = re.compile(r"^--?pass(?:in|phrase)?$", re.IGNORECASE)  # openssl's `-passin stdin`


class StandardInput:
    """What a command was about to read.

    Attributes:
        content: the bytes, or None where they are too many to be kept.
        start: where the file stood.
        path: its name, as far as the system tells.
    """

    def __init__(self, status, start):
        self.start, self.path = start, _path()
        self._signature = _signature(status)
        self.content = b"".join(_chunks(start)) if status.st_size - start <= SMALL_BYTES else None

    def has_changed(self):
        """Tell whether somebody wrote to the file since."""
        return _signature(os.fstat(0)) != self._signature

    def digest(self, clock):
        """Return the SHA-256 of what is too large to be kept; raises OSError and OutOfTimeError."""
        import hashlib  # noqa: PLC0415 - loads slowly, and few jobs have such a file

        sha256 = hashlib.sha256()
        for chunk in _chunks(self.start):
            clock.check()
            sha256.update(chunk)
        return sha256.hexdigest()


def look(argv):
    """Return (the StandardInput that a command will find, or None; why it is not recorded, or None). Raises OSError."""
    status = os.fstat(0)
    if stat.S_ISFIFO(status.st_mode) or stat.S_ISSOCK(status.st_mode):
        return (
            None,
            "standard input is a pipe and left to the job: what is read of it is not recorded",
        )
    if (
        not stat.S_ISREG(status.st_mode)
        or fcntl.fcntl(0, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY
    ):
        return None, None
    start = os.lseek(0, 0, os.SEEK_CUR)
    if start >= status.st_size:
        return None, None  # there is nothing to read, as in a rerun
    if _asks_for_secret(argv):
        return None, "standard input is not recorded: the command reads a secret from it"
    return StandardInput(status, start), None


def take(job, step):
    """Have the digest of what is too large to be kept made while the command runs.

    Leave out what may be a secret.
    """
    found = step.standard_input
    if found is None:
        return
    from jobprov.provenance.capture import redaction  # noqa: PLC0415 - when the record is made

    if found.path is not None and redaction.names_secret(found.path):
        job.draft.note("standard input {} is not to leave this machine".format(found.path))
        step.standard_input = None
    elif found.content is None:
        job.draft.note("standard input has more than {} bytes and is not kept".format(SMALL_BYTES))
        job.later.append(lambda: _hash(job, step))


def settle(draft, step):
    """Have a step that ended name what it found on its standard input.

    Nothing where it was somebody else's, and is not read.

    The command of `while read line; do COMMAND; done < list` finds the rest of the list: one that
    leaves the file where it stood, behind its beginning, has not read it, and the list must not be
    kept with each.
    """
    found = step.standard_input
    if found is None or (found.start and os.lseek(0, 0, os.SEEK_CUR) == found.start):
        step.stdin_digest = None
        return
    if found.has_changed():
        draft.note("standard input changed while the job ran: the record has what was there before")
    if found.content is not None:
        step.stdin_digest = draft.add_text(found.content, "standard input")


def _hash(job, step):
    job.is_hashing = True
    try:
        digest = step.standard_input.digest(Clock(job.options.number("hash_seconds", 120)))
    finally:
        job.is_hashing = False
    if not step.standard_input.has_changed():  # else nobody can tell what the command found
        step.stdin_digest = digest


def of_whole_job(command):
    """Move the standard input of the only step to the command, where every service looks for it."""
    steps = command.get("steps", ())
    if len(steps) == 1 and "stdin_sha256" in steps[0]:
        command["stdin_sha256"] = steps[0].pop("stdin_sha256")


def _asks_for_secret(argv):
    if os.path.basename(argv[0]) in _ASKING or any(_OPTION.match(word) for word in argv[1:]):
        return True
    return any(
        _PASS.match(argv[index - 1]) and word in ("stdin", "fd:0")
        for index, word in enumerate(argv)
        if index
    )


def _chunks(at):
    while True:
        chunk = os.pread(0, _CHUNK, at)
        if not chunk:
            return
        yield chunk
        at += len(chunk)


def _signature(status):
    return status.st_size, status.st_mtime_ns


def _path():
    try:
        return os.readlink("/proc/self/fd/0")
    except OSError:
        return None
