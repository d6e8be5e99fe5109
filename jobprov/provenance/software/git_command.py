"""Starts git, for this whole package, in a way that is safe with strangers' repositories.

Anybody may have written the repositories, urls and refs, and git runs programs on behalf of
configuration, hooks, remote helpers, filters and options. So each call has a subcommand from a
list, an environment of our own, no configuration but ours, only the transports that the caller
names, and a time limit for the whole process group. What comes over a network also has a limit on
the size of each file that git writes.

This is not a git library: it returns bytes. git must be 2.37 or newer.

Source: git(1), git-config(1), "Fetching over untrusted protocols" in gitremote-helpers(7); each
setting below answers a known attack and has a test.
"""

import os
import select
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from jobprov.provenance.errors import SoftwareError

SUBCOMMANDS = frozenset(
    (
        # Reading
        *(
            "cat-file",
            "config",
            "describe",
            "for-each-ref",
            "merge-base",
            "rev-list",
            "rev-parse",
        ),
        *("fetch", "gc", "index-pack", "init", "ls-remote", "pack-refs", "update-ref"),  # mirrors
    )
)
TRANSPORTS = frozenset({"https", "ssh", "file"})

_SCRATCH = {
    "GIT_ASKPASS": "/bin/false",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_HTTP_LOW_SPEED_LIMIT": "1000",
    "GIT_HTTP_LOW_SPEED_TIME": "30",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_PROTOCOL_FROM_USER": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "HOME": "/nonexistent",
    "LC_ALL": "C",
    "SSH_ASKPASS": "/bin/false",
    "XDG_CONFIG_HOME": "/nonexistent",
}
# BatchMode: never ask. StrictHostKeyChecking: only hosts that the operator listed in known_hosts
_SSH = (
    "ssh -oBatchMode=yes -oStrictHostKeyChecking=yes "
    "-oClearAllForwardings=yes -oPermitLocalCommand=no"
)
# Taken from the service's environment if a network is used: how this site reaches the outside
_OPERATORS = (
    "https_proxy",
    "HTTPS_PROXY",
    "no_proxy",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "SSH_AUTH_SOCK",
)

_SETTINGS = (
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.symlinks=false",
    "credential.helper=",
    "fetch.recurseSubmodules=false",
    # These three faults are harmless and common in old histories. To refuse them would be to refuse
    # the repository for ever
    "fetch.fsck.badTimezone=ignore",
    "fetch.fsck.missingSpaceBeforeDate=ignore",
    "fetch.fsck.zeroPaddedFilemode=ignore",
    "gc.auto=0",
    "http.followRedirects=false",
    "maintenance.auto=false",
    "protocol.allow=never",
    "submodule.recurse=false",
    "transfer.bundleURI=false",
    "transfer.fsckObjects=true",
)
# A shell sets the limit and then becomes git. Python's own way, `preexec_fn`, runs Python code
# between fork and exec, which can deadlock in a process with threads
_UNDER_FILE_LIMIT = ("/bin/sh", "-c", 'ulimit -f "$0" && exec "$@"')
_MAX_MESSAGE = 600


@dataclass(frozen=True)
class Limits:
    """What one git process group may use.

    Attributes:
        wall_seconds: how long it may run.
        file_bytes: size of each file that it writes; None for no limit.
    """

    wall_seconds: float = 120.0
    file_bytes: int | None = None


LOCAL = Limits()
NETWORK = Limits(wall_seconds=900.0, file_bytes=8 << 30)


class GitError(SoftwareError):
    """A git command failed, or was refused before it started.

    Attributes:
        exit_code: git's; negative for a signal; None if git did not start, or was stopped at its
            time limit.
        detail: what git wrote to its standard error, shortened.
    """

    def __init__(self, message: str, *, exit_code: int | None = None, detail: str = "") -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.detail = detail


@dataclass(frozen=True)
class Output:
    """The standard output of a git command, and its exit code, one of those that are accepted."""

    exit_code: int
    stdout: bytes

    @property
    def lines(self) -> list[str]:
        """Its standard output by lines, as UTF-8; bytes of other encodings become surrogates."""
        return self.stdout.decode("utf-8", "surrogateescape").split("\n")[:-1]


def scratch_environment(
    transports: Collection[str] = (), extra: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the whole environment of a git process that may use `transports` and nothing else."""
    environment = dict(
        _SCRATCH, PATH=_search_path(), GIT_ALLOW_PROTOCOL=":".join(sorted(transports)) or "none"
    )
    environment["GIT_SSH_COMMAND"] = _SSH if "ssh" in transports else "/bin/false"
    if "https" in transports or "ssh" in transports:
        environment |= {name: os.environ[name] for name in _OPERATORS if name in os.environ}
    return environment | dict(extra or {})


def run_git(
    arguments: Sequence[str],
    *,
    git_dir: Path | None = None,
    transports: Collection[str] = (),
    settings: Sequence[str] = (),
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
    limits: Limits = LOCAL,
    accept: Collection[int] = (0,),
) -> Output:
    """Run `git ARGUMENTS` to its end and return its output.

    Args:
        arguments: a subcommand of the list and its arguments. Operands must come after `--` or
            `--end-of-options`, so that git cannot take them for options.
        git_dir: the repository; without one, git sees none.
        transports: those that may be used, of https, ssh and file.
        settings: further configuration of ours as `name=value`, never a client's.
        stdin: what git reads.
        environment: variables in addition to our own.
        limits: time of the process group, and size of each file that it writes, including its
            output.
        accept: exit codes that are no failure.

    Raises:
        GitError: it was refused, failed or ran out of time.
    """
    argv = _command(arguments, git_dir=git_dir, transports=transports, settings=settings)
    # Files, not pipes: with pipes, git and this process could wait for each other
    with (
        tempfile.TemporaryFile() as given,
        tempfile.TemporaryFile() as written,
        tempfile.TemporaryFile() as complaints,
    ):
        given.write(stdin)
        given.seek(0)
        process = _start(
            _limited(argv, limits),
            given,
            written,
            complaints,
            scratch_environment(transports, environment),
        )
        _wait(process, arguments[0], limits)
        written.seek(0)
        complaints.seek(0)
        if process.returncode not in accept:
            raise _failure(arguments[0], process.returncode, complaints.read(1 << 16), git_dir)
        return Output(process.returncode, written.read())


@contextmanager
def open_git(arguments: Sequence[str], *, git_dir: Path, stdin: IO[bytes]) -> Iterator[IO[bytes]]:
    """Yield the output of `git ARGUMENTS` as a pipe, for a command that reads a local repository.

    The process group is ended when the block ends.
    """
    argv = _command(arguments, git_dir=git_dir, transports=(), settings=())
    with tempfile.TemporaryFile() as complaints:
        process = _start(argv, stdin, subprocess.PIPE, complaints, scratch_environment())
        try:
            if process.stdout is None:  # never, since a pipe was asked for: for the type checker
                raise GitError(f"git {arguments[0]} gave no output.")
            with process.stdout as pipe:
                yield pipe
        finally:
            _end(process)


def _command(
    arguments: Sequence[str],
    *,
    git_dir: Path | None,
    transports: Collection[str],
    settings: Sequence[str],
) -> list[str]:
    """Return the command line of a call; refuse what is not on the lists above."""
    if arguments[0] not in SUBCOMMANDS:
        raise GitError(f"git {arguments[0]} is not among the commands that the service runs.")
    unknown = sorted(set(transports) - TRANSPORTS)
    if unknown:
        names = ", ".join(unknown)
        raise GitError(f"Transport {names} is not allowed: use https, ssh or a local path.")
    if any("\0" in argument for argument in arguments):
        raise GitError(f"git {arguments[0]} was given an argument with a NUL byte.")
    allowed = [f"protocol.{transport}.allow=always" for transport in sorted(transports)]
    configuration: list[str] = []
    for setting in (*_SETTINGS, *allowed, *settings):
        configuration += ["-c", setting]
    # Without a repository, git must not find one by searching upwards from the working folder
    where = [f"--git-dir={git_dir}"] if git_dir else ["--git-dir=/nonexistent"]
    return [_binary(), *configuration, "--no-pager", "--literal-pathspecs", *where, *arguments]


def _binary() -> str:
    found = shutil.which("git")
    if found is None:
        raise GitError("git is not installed: the service needs it to read repositories.")
    return found


def _search_path() -> str:
    return f"{Path(_binary()).parent}:/usr/bin:/bin"


def _limited(argv: list[str], limits: Limits) -> list[str]:
    if limits.file_bytes is None:
        return argv
    blocks = max(1, limits.file_bytes // 512)  # `ulimit -f` counts in blocks of 512 bytes
    return [*_UNDER_FILE_LIMIT, str(blocks), *argv]


def _start(
    argv: list[str],
    stdin: IO[bytes],
    stdout: IO[bytes] | int,
    stderr: IO[bytes],
    environment: dict[str, str],
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            argv,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=environment,
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        raise GitError(f"git could not be started: {error}.") from error


def _wait(process: subprocess.Popen[bytes], subcommand: str, limits: Limits) -> None:
    try:
        if not _ends_within(process, limits.wall_seconds):
            raise GitError(
                f"git {subcommand} was stopped after {limits.wall_seconds:g} seconds: "
                "is the server slow or gone?"
            )
    finally:
        _end(process)


def _ends_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether it ended in time.

    `process.wait` with a timeout polls with growing pauses. Linux can report it at once, which
    halves the time of a short command.
    """
    if not hasattr(os, "pidfd_open"):
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=seconds)
        return process.returncode is not None
    descriptor = os.pidfd_open(process.pid)
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    finally:
        os.close(descriptor)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the whole group of processes, and collect the exit code.

    Git leaves helpers behind that hold the connection. If the exit code was collected before,
    nothing is done: the number may belong to another group by then.
    """
    if process.returncode is None:
        # Raised if all have ended; macOS raises the second for zombies
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _failure(subcommand: str, exit_code: int, complaints: bytes, git_dir: Path | None) -> GitError:
    detail = " ".join(complaints.decode("utf-8", "replace").split())[:_MAX_MESSAGE]
    where = f" in {git_dir}" if git_dir else ""
    ended = f"ended with {exit_code}" if exit_code >= 0 else f"was ended by signal {-exit_code}"
    return GitError(
        f"git {subcommand}{where} {ended}: {detail or 'no reason given'}",
        exit_code=exit_code,
        detail=detail,
    )
