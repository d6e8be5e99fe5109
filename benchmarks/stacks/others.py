"""`python -m benchmarks.stacks.others --tools VENV`: the same cases with ReproZip and DataLad.

Each case is recorded by the tool as its manual says, all that it brought is moved away, and the
tool runs it again, offline. Outputs are compared by digests that were taken aside. As root:
reprounzip's chroot needs it.

VENV is a virtual environment of its own, jobprov needs nothing of it:
`pip install reprozip reprounzip datalad git-annex setuptools==80.9.0`.

Sources: docs.reprozip.org, "Packing" and "Unpacking"; docs.datalad.org, `run` and `rerun`.
"""

import argparse
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.stacks.cases import Case, read_cases
from benchmarks.stacks.recording import Recorded, Site, digest_of, record

NAMES = (
    "home-missing-default",
    "make-build-and-run",
    "pythia-card-elsewhere",
    "git-describe",
    "chain-five-programs",
)
"""One of each sort: settings, a compiler, a generator, a checkout, several languages."""
_SECONDS = 600
_OFF_LINE = """
set -e
mount -t tmpfs tmpfs /dev
mkdir /dev/pts /dev/shm
mknod -m 666 /dev/null c 1 3
mknod -m 666 /dev/zero c 1 5
mknod -m 666 /dev/random c 1 8
mknod -m 666 /dev/urandom c 1 9
ln -s /proc/self/fd /dev/fd
exec "$@"
"""
"""In namespaces of its own: no network, and a /dev that is not the machine's.

reprounzip binds /dev and /proc below its folder and leaves them there; whoever then removes that
folder would remove the machine's devices.
"""
_SET_UP_AND_RUN = """
program=$1 unpacker=$2 place=$3 work=$4
shift 4
"$program" "$unpacker" setup job.rpz "$place" || exit 125
for output; do rm -f "$work/$output"; done
"$program" "$unpacker" run "$place"
"""
"""In one namespace: the mounts go with it. Outputs are packed where the job read them, too."""
_GIT_USER = {
    "GIT_AUTHOR_NAME": "A. User",
    "GIT_AUTHOR_EMAIL": "user@example.org",
    "GIT_COMMITTER_NAME": "A. User",
    "GIT_COMMITTER_EMAIL": "user@example.org",
}


@dataclass(frozen=True)
class Again:
    """How a rerun went.

    Attributes:
        work: where the working folder of the job is now.
        printed: what the tool and the job printed.
    """

    exit_code: int
    work: Path
    printed: str


@dataclass(frozen=True)
class Tool:
    """A tool that records a command and runs it again.

    Attributes:
        wrap: returns the case with the command that records it; takes the folder for its copy.
        keep: makes the copy in that folder, before all is moved away.
        ways: how the copy is run again, by name.
    """

    name: str
    wrap: Callable[[Case, Path], Case]
    keep: Callable[[Recorded, Path], None]
    ways: Mapping[str, Callable[[Recorded, Path], Again]]


def main() -> None:
    """Try the cases with each tool, and print a line for each way to run them again."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stacks.others", description=__doc__)
    parser.add_argument("names", nargs="*", default=NAMES, help="cases; five by default")
    parser.add_argument("--tools", type=Path, required=True, metavar="VENV")
    parser.add_argument("--venv", type=Path, default=Path("/opt/jobprov-stacks/venv"))
    parser.add_argument(
        "--busybox", type=Path, help="static busybox for reprounzip, which would download one"
    )
    parser.add_argument("--tool", choices=("datalad", "reprozip"), help="this one alone")
    chosen = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # reprounzip insists on it
    programs = chosen.tools.resolve() / "bin"
    cases = [case for case in read_cases() if case.name in chosen.names]
    whole = Path(tempfile.mkdtemp(prefix="jobprov-others-", dir="/srv"))
    for tool in (_datalad(programs), _reprozip(programs, chosen.busybox)):
        if chosen.tool not in (None, tool.name):
            continue
        folder = whole / tool.name
        site = Site(folder / "jobs", chosen.venv, Path("/none"), "")
        for case in cases:
            for way, result in _try(tool, case, site, folder):
                print(f"{tool.name:10}{way:12}{case.name:24}{result}", flush=True)
    _remove(whole)


def _try(tool: Tool, case: Case, site: Site, folder: Path) -> Iterator[tuple[str, str]]:
    """Record a case, move it away, run it again; yield each way and what became of it, in words."""
    kept = folder / "kept" / case.name
    kept.mkdir(parents=True)
    recorded = record(tool.wrap(case, kept), site)
    if recorded.broken:
        yield "-", f"not recorded: {recorded.broken[-300:]!r}"
        return
    try:
        tool.keep(recorded, kept)
    except subprocess.CalledProcessError as error:
        yield "-", f"not kept: {error.stderr[-300:]!r}"
        return
    (folder / "moved-away").mkdir(exist_ok=True)
    recorded.root.rename(folder / "moved-away" / case.name)
    for way, run_again in tool.ways.items():
        yield way, _judge(recorded, run_again(recorded, kept))
    _remove(kept)


def _remove(folder: Path) -> None:
    """Remove a folder, and nothing that is mounted below it."""
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    if below := [place for place in mounted if place.startswith(f"{folder}/")]:
        raise SystemExit(f"benchmarks.stacks.others: {below[0]} is mounted; unmount it first.")
    shutil.rmtree(folder, ignore_errors=True)


def _judge(recorded: Recorded, again: Again) -> str:
    differing: list[str] = []
    for output, digest in recorded.digests.items():
        if digest_of(again.work / output) != digest:
            differing.append(output)
    if again.exit_code == recorded.exit_code and not differing:
        return "equal"
    said = f"exit code {again.exit_code}; {again.printed[-300:]!r}"
    return f"differs: {', '.join(differing)}; {said}"


def _run(
    programs: Path, words: Sequence[str | Path], folder: Path, *, check: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run a tool offline, with an environment in which nothing of the job is left."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        **_GIT_USER,
    }
    return subprocess.run(
        ["unshare", "--mount", "--net", "sh", "-c", _OFF_LINE, "sh", *words],
        cwd=folder,
        env=environment,
        check=check,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_SECONDS,
    )


def _reprozip(programs: Path, busybox: Path | None) -> Tool:
    """Return ReproZip, which packs what the job read; reprounzip runs it by two means."""

    def wrap(case: Case, kept: Path) -> Case:
        words = (str(programs / "reprozip"), "trace", "--overwrite", "-d", str(kept / "trace"))
        return replace(case, command=(*words, *case.command), is_hooked=True)

    def keep(_recorded: Recorded, kept: Path) -> None:
        packing = (programs / "reprozip", "pack", "-d", kept / "trace", kept / "job.rpz")
        _run(programs, packing, kept, check=True)
        if busybox is not None:
            cache = kept / "home/.cache/reprozip"
            cache.mkdir(parents=True, exist_ok=True)
            shutil.copy(busybox, cache / f"busybox-{os.uname().machine}")

    def again(unpacker: str, recorded: Recorded, kept: Path) -> Again:
        place = kept / unpacker
        work = place / "root" / (recorded.root / recorded.case.folder).relative_to("/")
        words = ("sh", "-c", _SET_UP_AND_RUN, "sh", programs / "reprounzip", unpacker, place, work)
        done = _run(programs, [*words, *recorded.digests], kept)
        return Again(done.returncode, work, done.stdout + done.stderr)

    ways = {
        "chroot": lambda recorded, kept: again("chroot", recorded, kept),
        "directory": lambda recorded, kept: again("directory", recorded, kept),
    }
    return Tool("reprozip", wrap, keep, ways)


def _datalad(programs: Path) -> Tool:
    """Return DataLad, with all that the case brought in one dataset: more than users put there."""
    program = programs / "datalad"

    def wrap(case: Case, _kept: Path) -> Case:
        path = f"PATH={programs}:$PATH"
        making = f"cd @ROOT@; {path} datalad create --force .; {path} datalad save -m before"
        outputs: list[str] = []
        for output in case.outputs:
            outputs += ["--output", output]
        return replace(
            case,
            command=(str(program), "run", "-m", "the job", *outputs, "--", *case.command),
            is_hooked=True,
            setup=f"({case.setup}\n:)\n{making}",
            env={**case.env, **_GIT_USER, "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin"},
        )

    def keep(recorded: Recorded, kept: Path) -> None:
        _run(programs, [program, "clone", recorded.root, "clone"], kept, check=True)
        _run(programs, [program, "-C", "clone", "get", "--recursive", "."], kept, check=True)

    def again(recorded: Recorded, kept: Path) -> Again:
        done = _run(programs, [program, "-C", "clone", "rerun"], kept)
        work = kept / "clone" / recorded.case.folder
        return Again(done.returncode, work, done.stdout + done.stderr)

    return Tool("datalad", wrap, keep, {"rerun": again})


if __name__ == "__main__":
    main()
