"""Runs a bundle: unpacks its tar with care, runs its own `run.sh`, compares by its own `verify.sh`.

Nothing here reads a database or an archive, so a bundle that was kept elsewhere for ten years is
treated like one built today. `run.sh` starts the recorded job's own code, with the rights of
whoever calls this.
"""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import BinaryIO, Literal, NamedTuple

import msgspec

from jobprov.provenance.bundle.bag_check import check_bag
from jobprov.provenance.bundle.cksum import PosixCksum
from jobprov.provenance.bundle.draft import Member
from jobprov.provenance.bundle.untar import BundleTar, Entry
from jobprov.provenance.bundle.verdicts import PostedVerdict
from jobprov.provenance.errors import BundleError, NotFoundError
from jobprov.provenance.services.reruns.isolation import Isolation, end_group

NOT_STARTED = 125
"""The exit code of run.sh if the job could not be started; its lines give the reason."""

Decision = Literal["equal", "differs", "undecided"]

_CALLERS = Isolation()
"""No isolation: the programs may do what the caller may."""
_DECISIONS: dict[int, Decision] = {0: "equal", 1: "differs"}
_REPORT_BYTES = 16 * 1024 * 1024


class VerifyResult(NamedTuple):
    """How a rerun compares with the record.

    Attributes:
        decision: `undecided` where the outputs cannot be compared here, and where nothing ran.
        verdict: what `POST /jobs/{id}/verdicts` takes; None while an output is undecided.
        lines: what verify.sh printed, for people.
        stopped: the limit that ended the comparison.
    """

    decision: Decision
    verdict: PostedVerdict | None
    lines: tuple[str, ...]
    stopped: str | None = None

    @property
    def level(self) -> str | None:
        """The level reached, `R7` to `R0` or `R1=`; None where it is undecided."""
        return None if self.verdict is None else self.verdict.level


class RerunResult(NamedTuple):
    """The result of a rerun.

    Attributes:
        exit_code: the job's own; 128 plus the signal if it was killed; NOT_STARTED if it did not
            run.
        verified: the comparison; None if the job was not started.
        lines: what run.sh and verify.sh printed, in order.
        log: file with the job's own output.
        stopped: the limit that ended the job or its comparison; then there is no verdict.
    """

    exit_code: int
    verified: VerifyResult | None
    lines: tuple[str, ...]
    log: Path
    stopped: str | None = None

    @property
    def is_started(self) -> bool:
        """Whether the job ran at all."""
        return self.verified is not None


def unpack(tar: Path | BinaryIO, into: Path) -> Path:
    """Unpack a bundle into a new or empty folder and return the bundle's root, its one top folder.

    A tar is refused unless it is exactly as a bundle is written: plain files and folders with plain
    names, each once and in order, with the modes, the time and the digests that the bundle states,
    and nothing behind the end. Nothing of a refused tar is left behind.

    Args:
        tar: a file, or an open binary stream; it is read once, from its current position.
        into: the folder; made if it does not exist.

    Raises:
        NotFoundError: there is no such file.
        BundleError: the folder is not empty or cannot be written, or the tar is no bundle, damaged,
            or not what its manifests list.
    """
    if isinstance(tar, Path):
        if not tar.is_file():
            raise NotFoundError(
                f"There is no bundle {tar}; build one: jobprov bundle JOB -o {tar.name}."
            )
        with tar.open("rb") as stream:
            return unpack(stream, into)
    archive = BundleTar(tar)
    with _new_contents(into):
        try:
            members = list(_write_members(archive, into))
        except OSError as error:
            raise BundleError(
                f"The bundle cannot be unpacked into {into} ({error}); give another folder."
            ) from error
        [root] = into.iterdir()
        check_bag(members, lambda path: (root / path).read_bytes(), mtime=archive.mtime)
    return root


def rerun(
    bundle_root: Path,
    out: Path,
    report: Callable[[str], None] = lambda _line: None,
    *,
    input_dirs: Sequence[Path] = (),
    programs: Sequence[str] = (),
    variables: Sequence[str] = (),
    isolation: Isolation = _CALLERS,
    capsule: Path | None = None,
) -> RerunResult:
    """Run an unpacked bundle's job in a new or empty folder, then compare with the record.

    Args:
        bundle_root: what `unpack` returned; it is only read.
        out: the folder of the rerun; `out/work` is the job's working directory afterwards.
        report: is called with every line as it comes.
        input_dirs: where to look for inputs that are not in the bundle.
        programs: `NAME=FILE` of programs in place of those that the job names.
        variables: `NAME=VALUE` of variables in place of recorded ones; edition 1 takes none.
        isolation: how the programs are kept apart; by default they may do what the caller may.
        capsule: the root folder or image in which the job's programs run.

    Raises:
        BundleError: there is no bundle at this place, or no shell to run it.
    """
    arguments: list[str] = []
    for folder in input_dirs:
        arguments += ["--input-dir", str(folder.resolve())]
    for program in programs:
        arguments += ["--program", program]
    for variable in variables:
        arguments += ["--variable", variable]
    if capsule is not None:
        arguments += ["--capsule", str(capsule.resolve())]
    arguments.append(str(out.resolve()))
    ran = _run_script(bundle_root, "run.sh", arguments, report, isolation)
    log = out / "run.log"
    if ran.stopped is not None:
        return RerunResult(ran.code, None, ran.lines, log, ran.stopped)
    # run.sh makes this file just before it starts the job: without it nothing ran
    if not (out / "exit-codes.txt").is_file():
        return RerunResult(NOT_STARTED, None, ran.lines, log)
    verified = verify(bundle_root, out, report, isolation=isolation)
    return RerunResult(ran.code, verified, ran.lines + verified.lines, log, verified.stopped)


def verify(
    bundle_root: Path,
    out: Path,
    report: Callable[[str], None] = lambda _line: None,
    *,
    isolation: Isolation = _CALLERS,
) -> VerifyResult:
    """Compare the rerun in `out` with the record, by the bundle's own verify.sh.

    The rerun may have been made anywhere.

    Raises:
        BundleError: there is no bundle at this place, no shell to run it, or its report cannot be
            read.
    """
    with tempfile.TemporaryDirectory(prefix="jobprov-verify-") as scratch:
        file = Path(scratch) / "verdict.json"
        arguments = ["--report", str(file), str(out.resolve())]
        ran = _run_script(bundle_root, "verify.sh", arguments, report, isolation)
        if ran.stopped is not None:
            return VerifyResult("undecided", None, ran.lines, f"the comparison was {ran.stopped}")
        decision = _DECISIONS.get(ran.code, "undecided")
        return VerifyResult(decision, _read_verdict(file), ran.lines)


@contextmanager
def _new_contents(into: Path) -> Iterator[None]:
    """Let a new or empty folder be filled; if that fails, empty it again."""
    if into.is_symlink() or (into.exists() and (not into.is_dir() or any(into.iterdir()))):
        raise BundleError(f"{into} is not an empty folder; give a new one.")
    is_new = not into.exists()
    into.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for entry in into.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        if is_new:
            into.rmdir()
        raise


def _write_members(archive: BundleTar, into: Path) -> Iterator[Member]:
    """Write every member below `into`; yield the files, by their path in the bundle."""
    for entry in archive.entries():
        target = into / entry.path
        if entry.is_folder:
            target.mkdir(mode=0o755)
        else:
            yield _write_file(archive, entry, target)


def _write_file(archive: BundleTar, entry: Entry, target: Path) -> Member:
    """Write one file of the bundle; return its digests as the manifests list them."""
    sha256, sha512, cksum = hashlib.sha256(), hashlib.sha512(), PosixCksum()
    with target.open("xb") as file:
        for piece in archive.pieces():
            for digest in (sha256, sha512, cksum):
                digest.update(piece)
            file.write(piece)
        os.fchmod(file.fileno(), entry.mode)
    return Member(
        path=entry.path.partition("/")[2],
        mode=entry.mode,
        sha256=sha256.hexdigest(),
        sha512=sha512.hexdigest(),
        size=entry.size,
        cksum=cksum.value(),
    )


class _Ran(NamedTuple):
    """A script of a bundle after it ran: its exit code, as a shell gives it, and what it printed.

    Attributes:
        stopped: the limit that ended it.
    """

    code: int
    lines: tuple[str, ...]
    stopped: str | None


def _run_script(
    root: Path,
    script: str,
    arguments: list[str],
    report: Callable[[str], None],
    isolation: Isolation,
) -> _Ran:
    path = root.resolve() / "data" / script
    if not path.is_file():
        raise BundleError(
            f"There is no bundle at {root}: {path.name} is missing; unpack its tar first."
        )
    command = ["sh", str(path), *arguments]
    if script == "run.sh":
        command = [*isolation.tracer, *command]
    process = _start([*isolation.prefix, *command], isolation)
    lines: list[str] = []
    with _sigterm_raises(), process, process.stdout as stream, isolation.watching(process) as watch:  # type: ignore[union-attr]
        try:
            for raw in stream:
                lines.append(raw.decode("utf-8", "replace").rstrip("\n"))
                report(lines[-1])
        except BaseException:  # such as Ctrl-C or SIGTERM, which reach the caller's group alone
            end_group(process)
            raise
    code = process.returncode
    if code < 0:
        # Python gives a signal as a negative number, a shell as 128 plus the signal
        code = 128 - code
    return _Ran(code, tuple(lines), watch.stopped)


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    """Have SIGTERM raise SystemExit: by default it ends us alone, and the job would go on."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return

    def end(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _start(command: list[str], isolation: Isolation) -> "subprocess.Popen[bytes]":
    # verify.sh compares with this Python, which may have the reader of ROOT files
    environment = isolation.environment or {"JOBPROV_PYTHON": sys.executable, **os.environ}
    try:
        return subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a job may end its process group, which is not the caller's
        )
    except OSError as error:
        raise BundleError(
            f"A bundle needs a POSIX shell named sh on the PATH ({error})."
        ) from error


def _read_verdict(file: Path) -> PostedVerdict | None:
    if not file.is_file():
        return None
    try:
        with file.open("rb") as stream:
            return msgspec.json.decode(stream.read(_REPORT_BYTES), type=PostedVerdict)
    except msgspec.DecodeError:
        raise BundleError(
            "The report of verify.sh cannot be read; check the bundle: sh verify.sh --bundle."
        ) from None
