"""Reruns the bundles of cases whose folders are gone, and finds out by itself what is equal."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.stacks.cases import STDOUT
from benchmarks.stacks.recording import Recorded, decoded, digest_of
from jobprov.provenance.services.reruns.execution import rerun, unpack, verify
from jobprov.provenance.services.reruns.isolation import RerunLimits, apart

_LIMITS = RerunLimits(seconds=120.0, disk_bytes=1 << 30)


@dataclass(frozen=True)
class Rerun:
    """What became of the rerun of a case.

    Attributes:
        exit_code: of the job, as run.sh gave it.
        level: what the bundle's verify.sh says.
        compared: how many outputs it says it compared.
        differing: outputs that are not as they were, by the trial's own digests.
        lines: what run.sh and verify.sh printed.
        needs: the bundle's NEEDS.tsv.
    """

    exit_code: int
    level: str | None
    compared: int
    differing: tuple[str, ...]
    lines: tuple[str, ...]
    needs: str

    def is_equal(self, recorded: Recorded) -> bool:
        """Return whether the job ended as recorded with the same outputs."""
        return self.exit_code == recorded.exit_code and not self.differing


def run_again(
    recorded: Recorded,
    bundle: Path,
    folder: Path,
    user: str | None = None,
    capsule: Path | None = None,
) -> Rerun:
    """Unpack the bundle into the folder and run it there, with an empty environment, offline.

    With `user`, root runs it as somebody with fewer rights; with `capsule`, in that root folder.
    """
    try:
        root = unpack(bundle, folder / "bundle")
        needs = (root / "data/NEEDS.tsv").read_text("utf-8", "replace")
        out = folder / "out"
        out.mkdir()
        isolation = apart().within(_LIMITS, folder)
        if user is not None:
            shutil.chown(out, user)
            words = ("setpriv", f"--reuid={user}", "--clear-groups", "--")
            isolation = isolation._replace(prefix=(*words, *isolation.prefix))
        result = rerun(root, out, isolation=isolation, capsule=capsule)
        verified = result.verified
        if user is not None and verified is not None:
            verified = verify(root, out)  # its report goes where the other may not write
    except Exception as error:  # noqa: BLE001 - a bundle that cannot be unpacked is a result
        return Rerun(125, None, 0, tuple(recorded.digests), (repr(error),), "")
    verdict = verified.verdict if verified is not None else None
    lines = (*result.lines, str(result.stopped or ""), *_end_of(result.log))
    return Rerun(
        result.exit_code,
        verdict.level if verdict else None,
        len(verdict.comparisons or ()) if verdict else 0,
        tuple(_differing(recorded, out)),
        lines,
        needs,
    )


def _end_of(log: Path) -> list[str]:
    if not log.is_file():
        return []
    return log.read_bytes()[-2000:].decode("utf-8", "replace").splitlines()[-8:]


def _differing(recorded: Recorded, out: Path) -> Iterator[str]:
    for output, digest in recorded.digests.items():
        if output == STDOUT:
            again: str | None = hashlib.sha256(_printed(out / "run.log")).hexdigest()
        else:
            again = _digest_again(recorded, out, output)
        if again != digest:
            yield output


def _printed(log: Path) -> bytes:
    """Return what the job itself printed: run.sh tells in the same file which step begins."""
    lines = log.read_bytes().splitlines(keepends=True) if log.is_file() else []
    return b"".join(line for line in lines if not line.startswith(b"run.sh: "))


def _digest_again(recorded: Recorded, out: Path, output: str) -> str | None:
    """Return the digest of the file that the rerun made in place of the output.

    It is at its place below the folder that stands for the job's, or else the one file of that
    name in the most similar folder.
    """
    place = Path(os.path.normpath(recorded.root / recorded.case.folder / decoded(output)))
    usual = [out / "elsewhere" / place.relative_to("/"), out / place.relative_to("/")]
    work = recorded.root / recorded.case.folder
    if place.is_relative_to(work):
        usual.insert(0, out / "work" / place.relative_to(work))
    for path in usual:
        if path.is_file():
            return digest_of(path)
    found = [path for path in out.rglob("*") if path.name == place.name and path.is_file()]
    found.sort(key=lambda path: (-_common_end(path, place), str(path)))
    return digest_of(found[0]) if found else None


def _common_end(first: Path, second: Path) -> int:
    common = 0
    for one, other in zip(reversed(first.parts), reversed(second.parts), strict=False):
        if one != other:
            break
        common += 1
    return common
