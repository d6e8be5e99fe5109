"""Makes the git repository of the demo experiment on the spot.

The commits and tags are the same on every machine.

The programs lie in `scripts/demo/toyexp`; here they get the history that a production release has:
a few commits, lightweight and annotated tags, a bare repository that stands for the git server, and
a checkout of the release beside it.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from jobprov.provenance.errors import NotFoundError, SoftwareError

NAME = "toyexp"
VERSION = "v1_02_00"
PROGRAMS = Path(__file__).resolve().parents[4] / "scripts" / "demo" / NAME

_IDENTITY = {"NAME": "Toy Experiment Production", "EMAIL": "production@toyexp.example"}


@dataclass(frozen=True)
class _Step:
    """One commit of the history: its files are those that no later step adds."""

    date: str
    message: str
    tag: str
    patterns: tuple[str, ...] = ()


_HISTORY = (
    _Step("2026-03-02T09:00:00+00:00", "Generate Z bosons to muon pairs", "v1_00_00"),
    _Step(
        "2026-04-13T09:00:00+00:00",
        "Reconstruct: smear the muons, select pairs in two streams",
        "v1_01_00",
        (
            "bin/run_reco.sh",
            "fcl/detector*",
            "fcl/sm*",
            "fcl/sel*",
            "python/*/detector.py",
            "python/*/selection.py",
        ),
    ),
    _Step(
        "2026-05-11T09:00:00+00:00",
        "Merge files and draw the mass",
        VERSION,
        ("fcl/merge.fcl", "fcl/histogram.fcl", "python/*/histogram.py"),
    ),
)


@dataclass(frozen=True)
class Release:
    """A release of the demo experiment.

    Attributes:
        repository: the bare repository, as a git server would have it.
        checkout: its working copy at the tag `version`.
        version: the annotated tag.
        commit: what the tag stands for, 40 hex digits.
    """

    repository: Path
    checkout: Path
    version: str
    commit: str


def make_release(folder: Path, programs: Path = PROGRAMS) -> Release:
    """Return the release under `folder`, made there if there is none yet.

    An earlier release is kept as it is, so that a second demo runs the very same code.

    Raises:
        NotFoundError: the programs are not there, as in an installation without a checkout.
        SoftwareError: git is missing or refuses.
    """
    if not (programs / "bin" / "toy").is_file():
        raise NotFoundError(
            f"the demo's programs are not at {programs}; run the demo from a checkout of jobprov"
        )
    repository, checkout = folder / "git" / f"{NAME}.git", folder / NAME
    if not checkout.is_dir():
        _make_repository(programs, folder / "git", repository)
        _git(folder, "clone", "--quiet", "--branch", VERSION, str(repository), str(checkout))
    commit = _git(checkout, "rev-parse", f"{VERSION}^{{commit}}")
    return Release(repository, checkout, VERSION, commit)


def _make_repository(programs: Path, folder: Path, repository: Path) -> None:
    """Commit the demo's programs in steps, as if they had been developed, and clone the result."""
    draft = folder / "draft"
    for left_over in (draft, repository):
        shutil.rmtree(left_over, ignore_errors=True)
    draft.mkdir(parents=True)
    _git(draft, "init", "--quiet", "--initial-branch=main")
    files = _files(programs)
    for index, step in enumerate(_HISTORY):
        patterns_of_later: list[str] = []
        for later_step in _HISTORY[index + 1 :]:
            patterns_of_later += later_step.patterns
        for name in files:
            if not any(fnmatch(name, pattern) for pattern in patterns_of_later):
                _copy(programs / name, draft / name)
        _commit(draft, step, is_last=index == len(_HISTORY) - 1)
    _git(folder, "clone", "--quiet", "--bare", "--no-hardlinks", str(draft), str(repository))
    shutil.rmtree(draft)


def _files(programs: Path) -> list[str]:
    names = []
    for path in sorted(programs.rglob("*")):
        if path.is_file() and path.parent.name != "__pycache__":
            names.append(path.relative_to(programs).as_posix())
    return names


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source.read_bytes())


def _commit(draft: Path, step: _Step, *, is_last: bool) -> None:
    _git(draft, "add", "--all", date=step.date)
    # Said to git, since a file system or umask may lose it
    for program in sorted((draft / "bin").iterdir()):
        _git(draft, "update-index", "--chmod=+x", f"bin/{program.name}")
    _git(draft, "commit", "--quiet", "--message", step.message, date=step.date)
    annotation: list[str] = []
    if is_last:
        annotation = ["--annotate", "--message", f"Production release {step.tag}"]
    _git(draft, "tag", *annotation, step.tag, date=step.date)


def _git(folder: Path, *words: str, date: str = "2026-01-01T00:00:00+00:00") -> str:
    """Run git with the same identity, dates and settings everywhere; return what it printed."""
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "HOME": str(folder)}
    environment |= {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
    }
    for role in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{role}_{key}": value for key, value in _IDENTITY.items()} | {
            f"GIT_{role}_DATE": date
        }
    options = (
        "-c",
        "advice.detachedHead=false",
        "-c",
        "init.defaultObjectFormat=sha1",
        "-c",
        "gc.auto=0",
    )
    try:
        done = subprocess.run(
            ["git", *options, *words],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
    except OSError as error:
        raise SoftwareError(
            f"the demo needs git on the PATH ({error}); install it and try again"
        ) from error
    except subprocess.CalledProcessError as error:
        raise SoftwareError(f"git {words[0]} failed in {folder}: {error.stderr.strip()}") from error
    return done.stdout.strip()
