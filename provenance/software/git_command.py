"""The one way in which this package starts git.

Argument lists, an environment from scratch, limits.

Repositories, urls and refs come from strangers, and git runs programs on behalf of configuration,
hooks, remote helpers, filters and options. So every call here has an allow-listed subcommand, no
configuration but ours, no transport but the ones named by the caller, a wall-time limit on its
whole process group and, for what comes over a network, a limit on the size of any file it writes.

It is deliberately not a git library: it returns bytes. git 2.37 or newer.

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
# -oBatchMode: never ask; a host that the operator did not list in known_hosts is not talked to
_SSH = (
    "ssh -oBatchMode=yes -oStrictHostKeyChecking=yes "
    "-oClearAllForwardings=yes -oPermitLocalCommand=no"
)
# how this site reaches the outside is the operator's business, and only of use where a network is
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
    # old histories hold these three harmless oddities; refusing them would refuse the repository
    # for ever
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
# the shell sets the limit and becomes git: nothing of Python runs between fork and exec, so threads
# are safe
_UNDER_FILE_LIMIT = ("/bin/sh", "-c", 'ulimit -f "$0" && exec "$@"')
_MAX_MESSAGE = 600


@dataclass(frozen=True)
class Limits:
    """What one git process group may use; `file_bytes` None is no limit."""

    wall_seconds: float = 120.0
    file_bytes: int | None = None


LOCAL = Limits()
NETWORK = Limits(wall_seconds=900.0, file_bytes=8 << 30)


class GitError(SoftwareError):
    """A git command failed, or was refused before it started.

    Attributes:
        exit_code: git's; negative for a signal; None where git did not start or was stopped at its
            time limit.
        detail: what git wrote to its standard error, shortened.
    """

    def __init__(self, message: str, *, exit_code: int | None = None, detail: str = "") -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.detail = detail


@dataclass(frozen=True)
class Output:
    """What a git command wrote, and its exit code, which is one of the accepted ones."""

    exit_code: int
    stdout: bytes

    @property
    def lines(self) -> list[str]:
        """Its standard output by lines, as UTF-8.

        Bytes of other encodings survive as surrogates.
        """
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
    """Return what `git ARGUMENTS` wrote, run to its end.

    Args:
        arguments: an allow-listed subcommand and its arguments, operands behind `--` or
            `--end-of-options`.
        git_dir: the repository; without one, git sees none.
        transports: those that may be used, of https, ssh and file.
        settings: further `name=value` configuration, of ours, never a client's.
        stdin: what git reads.
        environment: variables on top of the scratch environment.
        limits: wall time of the process group, size of any file that it writes (its output
            included).
        accept: exit codes that are answers.

    Raises:
        GitError: refused, failed or out of time.
    """
    argv = _command(arguments, git_dir=git_dir, transports=transports, settings=settings)
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
    """Give the output of a local, reading `git ARGUMENTS` as a pipe.

    The process group ends with the block.
    """
    argv = _command(arguments, git_dir=git_dir, transports=(), settings=())
    with tempfile.TemporaryFile() as complaints:
        process = _start(argv, stdin, subprocess.PIPE, complaints, scratch_environment())
        try:
            if process.stdout is None:  # a pipe was asked for; said for the type checker
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
    # without a repository git must not find one by walking up from the working folder
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
    # POSIX counts in 512 bytes
    return [
        *_UNDER_FILE_LIMIT[:3],
        str(max(1, limits.file_bytes // 512)),
        *argv,
    ]


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
    """Whether it ended; where Linux can tell at once it saves half the time of a short command."""
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

    Git leaves helpers behind that hold the connection. A group whose exit code was collected is
    left alone: the number may be another group's by then.
    """
    if process.returncode is None:
        # All gone already; macOS says the second of zombies
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
