"""Runs a bundle: unpacks its tar with care, runs its own `run.sh`, compares by its own `verify.sh`.

Nothing here reads a database or an archive, so a bundle that was kept elsewhere for ten years is
treated like one built today. `run.sh` starts the recorded job's own code, with the rights of
whoever calls this.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

from jobprov.provenance.bundle.names import is_plain
from jobprov.provenance.errors import BundleError, NotFoundError
from jobprov.provenance.services.reruns.isolation import Isolation

NOT_STARTED = 125
"""The exit code of run.sh if the job could not be started; its lines give the reason."""

Decision = Literal["equal", "differs", "undecided"]

_CALLERS = Isolation()
"""No isolation: the programs may do what the caller may."""
_DECISIONS: dict[int, Decision] = {0: "equal", 1: "differs"}
_PIECE = 1 << 20
_MANIFESTS = ("manifest-sha256.txt", "tagmanifest-sha256.txt")
_LAST_MANIFEST = "tagmanifest-sha512.txt"
_UNLISTED = {"tagmanifest-sha256.txt", _LAST_MANIFEST}
_REPORT_BYTES = 16 * 1024 * 1024


class VerifyResult(NamedTuple):
    """How a rerun compares with the record.

    Attributes:
        decision: `undecided` where the outputs cannot be compared here, and where nothing ran.
        verdict: what `POST /jobs/{id}/verdicts` takes; None while an output is undecided.
        lines: what verify.sh printed, for people.
    """

    decision: Decision
    verdict: dict[str, Any] | None
    lines: tuple[str, ...]

    @property
    def level(self) -> str | None:
        """The level reached, `R7` to `R0` or `R1=`; None where it is undecided."""
        return None if self.verdict is None else str(self.verdict["level"])


class RerunResult(NamedTuple):
    """The result of a rerun.

    Attributes:
        exit_code: the job's own; 128 plus the signal if it was killed; NOT_STARTED if it did not
            run.
        verified: the comparison; None if the job was not started.
        lines: what run.sh and verify.sh printed, in order.
        log: file with the job's own output.
        stopped: the limit that ended it; then nothing is compared.
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

    A tar is refused unless it holds exactly what the bundle's manifests list: plain files and
    folders with plain names, each once, with the listed digests. Nothing of a refused tar is left
    behind.

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
    with _new_contents(into):
        try:
            with tarfile.open(fileobj=tar, mode="r|") as archive:
                digests = _write_members(archive, into)
        # RecursionError: tarfile calls itself for each extended header, and a bad tar may have
        # thousands of them
        except (tarfile.TarError, EOFError, UnicodeError, RecursionError) as error:
            raise BundleError(
                f"The tar is damaged or cut off ({error}); get the bundle again."
            ) from error
        except OSError as error:
            raise BundleError(
                f"The bundle cannot be unpacked into {into} ({error}); give another folder."
            ) from error
        root = _only_folder(into, digests)
        _check_manifests(root, {path.partition("/")[2]: sha256 for path, sha256 in digests.items()})
    return root


def rerun(
    bundle_root: Path,
    out: Path,
    report: Callable[[str], None] = lambda _line: None,
    *,
    input_dirs: Sequence[Path] = (),
    isolation: Isolation = _CALLERS,
    capsule: Path | None = None,
) -> RerunResult:
    """Run an unpacked bundle's job in a new or empty folder, then compare with the record.

    Args:
        bundle_root: what `unpack` returned; it is only read.
        out: the folder of the rerun; `out/work` is the job's working directory afterwards.
        report: is called with every line as it comes.
        input_dirs: where to look for inputs that are not in the bundle.
        isolation: how the programs are kept apart; by default they may do what the caller may.
        capsule: the root folder or image in which the job's programs run.

    Raises:
        BundleError: there is no bundle at this place, or no shell to run it.
    """
    arguments: list[str] = []
    for folder in input_dirs:
        arguments += ["--input-dir", str(folder.resolve())]
    if capsule is not None:
        arguments += ["--capsule", str(capsule.resolve())]
    arguments.append(str(out.resolve()))
    code, lines, stopped = _run_script(bundle_root, "run.sh", arguments, report, isolation)
    log = out / "run.log"
    if stopped is not None:
        return RerunResult(code, None, lines, log, stopped)
    # run.sh makes this file just before it starts the job: without it nothing ran
    if not (out / "exit-codes.txt").is_file():
        return RerunResult(NOT_STARTED, None, lines, log)
    verified = verify(bundle_root, out, report, isolation=isolation)
    return RerunResult(code, verified, lines + verified.lines, log)


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
        code, lines, _ = _run_script(bundle_root, "verify.sh", arguments, report, isolation)
        return VerifyResult(_DECISIONS.get(code, "undecided"), _read_verdict(file), lines)


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


def _write_members(archive: tarfile.TarFile, into: Path) -> dict[str, str]:
    """Write every member below `into`; return SHA-256 by path."""
    digests: dict[str, str] = {}
    for member in archive:
        _check_member(member)
        target = into / member.name
        try:
            if member.isdir():
                target.mkdir(mode=0o755)
            else:
                digests[member.name] = _write_file(archive, member, target)
        except (FileExistsError, FileNotFoundError, NotADirectoryError) as error:
            raise BundleError(
                f"{member.name}: the tar names it twice, or outside of its folders; get the bundle "
                "again."
            ) from error
    return digests


def _check_member(member: tarfile.TarInfo) -> None:
    """Refuse what no bundle holds, and what could write outside of the folder.

    That is links, devices, sparse files, extended headers, and names that lead elsewhere.
    """
    is_file_or_folder = member.type in {tarfile.REGTYPE, tarfile.DIRTYPE}
    is_extended = member.issparse() or bool(member.pax_headers)
    if not is_file_or_folder or is_extended or not is_plain(member.name):
        raise BundleError(
            f"{member.name!r} (type {member.type!r}): a bundle holds only plain files and folders, "
            "so this tar is not a bundle."
        )


def _write_file(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> str:
    """Write a file; return its SHA-256."""
    source = archive.extractfile(member)
    digest = hashlib.sha256()
    mode = 0o755 if member.mode & 0o100 else 0o644
    with target.open("xb") as file:
        while source is not None and (piece := source.read(_PIECE)):
            digest.update(piece)
            file.write(piece)
        os.fchmod(file.fileno(), mode)
    return digest.hexdigest()


def _only_folder(into: Path, digests: dict[str, str]) -> Path:
    tops = {path.partition("/")[0] for path in digests}
    if len(tops) != 1 or {entry.name for entry in into.iterdir()} != tops:
        raise BundleError(
            "The tar does not hold one top folder, as a bundle does; is it another kind of tar?"
        )
    return into / tops.pop()


def _check_manifests(root: Path, digests: dict[str, str]) -> None:
    """Refuse a bundle that does not hold exactly what its manifests list, with the same bytes."""
    unpacked = {path: sha256 for path, sha256 in digests.items() if path not in _UNLISTED}
    listed = _listed_files(root, digests)
    for path in _to_be_fetched(root) - unpacked.keys():
        # A bundle with fetch.txt lacks these: run.sh looks for them, or fetches them
        listed.pop(path, None)
    paths = listed.keys() | unpacked.keys()
    wrong = sorted(path for path in paths if listed.get(path) != unpacked.get(path))
    if wrong:
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise BundleError(
            f"{wrong[0]}{more}: differs from the bundle's manifests; the bundle was changed or "
            "damaged, get it again."
        )
    if "manifest-sha512.txt" in digests and not _is_last_manifest_whole(root):
        raise BundleError(
            f"{_LAST_MANIFEST}: missing or damaged, the end of the tar may be cut off; get it "
            "again."
        )


def _listed_files(root: Path, digests: dict[str, str]) -> dict[str, str]:
    """Return the digests that the manifests list, by path."""
    listed: dict[str, str] = {}
    for name in _MANIFESTS:
        if name not in digests:
            raise BundleError(f"The tar holds no {name}, so it is not a bundle.")
        listed |= _read_manifest(root / name)
    return listed


def _read_manifest(file: Path) -> dict[str, str]:
    """Return the digests of a manifest by path. A line has a digest, two blanks and a path."""
    digests = {}
    for line in _lines(file):
        digest, _, path = line.partition("  ")
        digests[path] = digest
    return digests


def _to_be_fetched(root: Path) -> set[str]:
    """Return the paths of inputs that fetch.txt lists, one `URL LENGTH PATH` a line."""
    return {line.split(" ", 2)[-1] for line in _lines(root / "fetch.txt")}


def _is_last_manifest_whole(root: Path) -> bool:
    """Return whether the last manifest lists the files before it with their digests.

    The tar ends with it, and no other manifest lists it: a tar that was cut off lacks it.
    """
    listed = _read_manifest(root / _LAST_MANIFEST)
    before = [path for path in root.iterdir() if path.is_file() and path.name not in _UNLISTED]
    return all(
        listed.get(path.name) == hashlib.sha512(path.read_bytes()).hexdigest() for path in before
    )


def _lines(file: Path) -> list[str]:
    """Return the lines of a text file; none if there is no such file."""
    return file.read_text("utf-8", "replace").splitlines() if file.is_file() else []


def _run_script(
    root: Path,
    script: str,
    arguments: list[str],
    report: Callable[[str], None],
    isolation: Isolation,
) -> tuple[int, tuple[str, ...], str | None]:
    """Run a script of the bundle.

    Return its exit code as a shell gives it, its lines, and the limit that ended it (or None).
    """
    path = root.resolve() / "data" / script
    if not path.is_file():
        raise BundleError(
            f"There is no bundle at {root}: {path.name} is missing; unpack its tar first."
        )
    # verify.sh compares with this Python, which may have the reader of ROOT files
    environment = isolation.environment or {"JOBPROV_PYTHON": sys.executable, **os.environ}
    command = ["sh", str(path), *arguments]
    if script == "run.sh":
        command = [*isolation.tracer, *command]
    try:
        process = subprocess.Popen(
            [*isolation.prefix, *command],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=isolation.seconds is not None,  # so that all of it can be ended
        )
    except OSError as error:
        raise BundleError(
            f"A bundle needs a POSIX shell named sh on the PATH ({error})."
        ) from error
    lines: list[str] = []
    with process, process.stdout as stream, isolation.watching(process) as watch:  # type: ignore[union-attr]
        for raw in stream:
            lines.append(raw.decode("utf-8", "replace").rstrip("\n"))
            report(lines[-1])
    code = process.returncode
    if code < 0:
        # Python gives a signal as a negative number, a shell as 128 plus the signal
        code = 128 - code
    return code, tuple(lines), watch.stopped


def _read_verdict(file: Path) -> dict[str, Any] | None:
    if not file.is_file():
        return None
    try:
        with file.open("rb") as stream:
            verdict = json.loads(stream.read(_REPORT_BYTES))
        if isinstance(verdict["level"], str):
            return dict(verdict)
    except (ValueError, TypeError, KeyError):
        pass
    raise BundleError(
        "The report of verify.sh cannot be read; check the bundle: sh verify.sh --bundle."
    )
