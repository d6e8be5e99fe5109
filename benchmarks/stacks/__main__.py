"""`python -m benchmarks.stacks`: real programs, recorded, moved away, and run again.

Prints what became of each case, and totals. Exit code 1 if a failure was silent, or a verdict
false.
"""

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from benchmarks.stacks.cases import VENV, Case, read_cases
from benchmarks.stacks.judging import Class, Outcome
from benchmarks.stacks.recording import Site
from benchmarks.stacks.service import running_service
from benchmarks.stacks.trial import Plan, record_cases, try_cases
from jobprov.provenance.capture.packing import build

PACKAGES = [
    "pythia8mc",
    "fastjet",
    "uproot",
    "awkward",
    "numpy",
    "pandas",
    "h5py",
    "scipy",
    "matplotlib",
    "pyyaml",
    "hist",
    "iminuit",
]
DEBIAN = (
    "r-base-core gfortran g++ libgsl-dev gawk make cmake git git-lfs sqlite3 jq bc tcsh zsh "
    "lua5.4 tclsh guile-3.0 gnuplot-nox graphviz ruby nodejs busybox perl strace"
)

MODES: dict[str, tuple[str, ...]] = {
    "usual": (),
    "traced": ("--trace",),
    "untraced": ("--no-trace",),
    "second": (),
}
"""Options of the hook by mode."""


def main() -> int:
    """Try what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stacks", description=__doc__)
    parser.add_argument("names", nargs="*", help="cases (regular expressions); all by default")
    parser.add_argument(
        "--mode",
        choices=tuple(MODES),
        action="append",
        help="usual: with the hook's default options (default); traced: with --trace; untraced: "
        "with --no-trace; second: after another job of its kind, which has been traced",
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--venv",
        type=Path,
        default=Path("/opt/jobprov-stacks/venv"),
        help=f"virtual environment with: {' '.join(PACKAGES)}",
    )
    parser.add_argument("--rerun-as", metavar="USER", help="as root: who runs the jobs again")
    parser.add_argument("--prove", action="store_true", help="also run `jobprov prove` meanwhile")
    parser.add_argument("--capsules", action="store_true", help="also run each in a capsule")
    parser.add_argument("--set-up", action="store_true", help="make that virtual environment first")
    parser.add_argument("--keep", type=Path, help="new folder for all that is made; it stays")
    parser.add_argument("--json", type=Path, help="file for the outcomes")
    parser.add_argument("--verbose", action="store_true", help="also print what reruns printed")
    chosen = parser.parse_args()
    if chosen.set_up:
        _set_up(chosen.venv)
    _lower_limit_of_open_files()
    cases = _chosen_cases(read_cases(), chosen.names)
    outcomes: list[Outcome] = []
    with _folder(chosen.keep) as folder:
        for mode in chosen.mode or ["usual"]:
            outcomes += _try(cases, folder / mode, mode, chosen)
    _print_table(outcomes, is_verbose=chosen.verbose)
    _print_totals(outcomes)
    if chosen.json:
        chosen.json.write_text(json.dumps([asdict(one) for one in outcomes], indent=1))
    bad = {Class.SILENT, Class.FALSE, Class.BROKEN}
    return int(any(one.verdict in bad for one in outcomes))


def _lower_limit_of_open_files() -> None:
    """Give reruns the limit that most machines have, whatever this one has."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, hard), hard))


def _set_up(venv: Path) -> None:
    subprocess.run(["/usr/bin/python3", "-m", VENV, str(venv)], check=True)
    subprocess.run(
        [venv / "bin/pip", "install", "--quiet", "--only-binary", ":all:", *PACKAGES], check=True
    )


def _chosen_cases(cases: list[Case], patterns: Sequence[str]) -> list[Case]:
    if not patterns:
        return cases
    chosen = [case for case in cases if any(re.fullmatch(p, case.name) for p in patterns)]
    return chosen or sys.exit(f"benchmarks.stacks: there is no case {' '.join(patterns)}")


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """Yield the folder for everything, outside of the temporary ones where that can be."""
    if keep is not None:
        keep.mkdir(parents=True)
        yield keep.resolve()
        return
    base = "/srv" if os.access("/srv", os.W_OK) else str(Path.home())
    folder = Path(tempfile.mkdtemp(prefix="jobprov-stacks-", dir=base))
    folder.chmod(0o755)  # --rerun-as
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _try(cases: list[Case], folder: Path, mode: str, chosen: argparse.Namespace) -> list[Outcome]:
    data, jobs, hook = folder / "service", folder / "jobs", folder / "hook" / "job-end-hook.pyz"
    for place in (data, jobs, hook.parent):
        place.mkdir(parents=True)
    build(str(hook))
    begun = time.monotonic()
    with running_service(data) as (url, service):
        site = Site(jobs, chosen.venv, hook, url, MODES[mode])
        if mode == "second":
            record_cases(cases, site, chosen.workers)
        plan = Plan(mode, chosen.workers, chosen.rerun_as, chosen.prove, chosen.capsules, _say)
        outcomes = try_cases(cases, site, service, data, plan)
    _say(f"\n{mode}: {len(cases)} cases in {time.monotonic() - begun:.0f} s")
    return outcomes


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _print_table(outcomes: Sequence[Outcome], *, is_verbose: bool) -> None:
    for one in outcomes:
        gaps = ",".join(sorted(set(one.gaps)))
        print(
            f"{one.mode:7}{one.name:32}{one.verdict:14}{one.grade:5}{one.level:5}{one.proof:9}"
            f"{one.why[:160]}  [{gaps}]"
        )
        if is_verbose:
            for line in one.lines:
                print(f"        | {line}")


def _print_totals(outcomes: Sequence[Outcome]) -> None:
    by_mode: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_mode.setdefault(outcome.mode, []).append(outcome)
    for mode, of_mode in by_mode.items():
        print(f"\n{mode}: {len(of_mode)} cases")
        _print_totals_of_mode(of_mode)


def _print_totals_of_mode(outcomes: Sequence[Outcome]) -> None:
    verdicts = Counter(outcome.verdict for outcome in outcomes)
    for kind in Class:
        print(f"  {kind:16}{verdicts[kind]:5}")
    rerun = [one for one in outcomes if one.verdict not in {Class.SKIPPED, Class.BROKEN}]
    deterministic = [outcome for outcome in rerun if outcome.is_deterministic]
    equal = sum(outcome.is_equal for outcome in deterministic)
    print(f"  equal of deterministic: {equal} of {len(deterministic)}")
    low = sum(outcome.is_equal and outcome.grade in {"L0", "L1"} for outcome in rerun)
    print(f"  equal, but graded below L2: {low}")
    foretold = [outcome for outcome in rerun if outcome.verdict is Class.FORETOLD]
    alone = sum("alone" in outcome.why for outcome in foretold)
    print(f"  foretold by the grade alone: {alone}")
    incomplete = [outcome.name for outcome in rerun if "capture-incomplete" in outcome.gaps]
    if incomplete:
        print(f"  NOT CAPTURED IN WHOLE: {', '.join(incomplete)}")
    proven = Counter(outcome.after_proof for outcome in rerun if outcome.after_proof)
    if proven:
        silent, false = proven[Class.SILENT], proven[Class.FALSE]
        print(f"  after `jobprov prove`: SILENT {silent}, FALSE {false}")
    skipped = verdicts[Class.SKIPPED]
    if skipped:
        print(f"  SKIPPED {skipped}: apt-get install {DEBIAN}; --set-up for venv")


if __name__ == "__main__":
    sys.exit(main())
