"""Judges each case: equal, foretold, silent, or a false verdict."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from benchmarks.stacks.recording import Recorded
from benchmarks.stacks.rerunning import Rerun

_REPRODUCED = {"R5~", "R5", "R6", "R7", "R1="}
_LOW = {"L0", "L1"}
_BY_CHANCE = {"random-unseeded", "run-specific", "seed-unknown", "threads-unseeded"}
"""Gaps that foretell differing outputs of a job that does not repeat itself."""


_SAY_NOTHING = {"log-missing", "task-missing", "outputs-missing", *_BY_CHANCE}
"""Gaps that foretell no failure, whatever their messages say."""


class Class(StrEnum):
    """What became of a case."""

    EQUAL = "equal"
    UNSAID = "equal, unsaid"
    """All outputs are equal, and no verdict says so."""
    FORETOLD = "foretold"
    SILENT = "SILENT"
    FALSE = "FALSE"
    SKIPPED = "skipped"
    BROKEN = "BROKEN"
    """The case itself did not work: it counts nowhere."""


@dataclass(frozen=True)
class Outcome:
    """A case and what became of it.

    Attributes:
        why: what was wrong, or what foretold it.
        proof: how the job's recipe stood after `jobprov prove`.
        after_proof: the verdict of this trial on what was known then.
    """

    name: str
    mode: str
    nasty: str
    is_deterministic: bool
    verdict: Class
    why: str
    grade: str = "-"
    level: str = "-"
    gaps: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    proof: str = ""
    after_proof: Class | None = None

    @property
    def is_equal(self) -> bool:
        """Whether the rerun was equal in truth."""
        return self.verdict in {Class.EQUAL, Class.UNSAID}


def judge(recorded: Recorded, job: dict[str, Any], rerun: Rerun, mode: str) -> Outcome:
    """Return what became of a case, from its job as the service shows it and its rerun."""
    verdict, why = _decide(recorded, job, rerun)
    return Outcome(
        recorded.case.name,
        mode,
        recorded.case.nasty,
        recorded.case.is_deterministic,
        verdict,
        why,
        str(job.get("grade")),
        rerun.level or "-",
        tuple(gap["code"] for gap in job.get("gaps", ())),
        (*_told(job), *rerun.lines),
    )


def _told(job: dict[str, Any]) -> list[str]:
    """Return the gaps of a job in words."""
    return [f"gap {gap['code']}: {gap.get('message')}" for gap in job.get("gaps", ())]


def with_proof(before: Outcome, after: Outcome, proven: dict[str, Any]) -> Outcome:
    """Return the outcome with what a proof added; a job that is proven wrongly is a false verdict."""
    proof = (proven.get("proof") or {}).get("state", "unproven")
    verdict = after.verdict
    if proof == "proven" and not before.is_equal:
        verdict = Class.FALSE
    elif proof in {"failed", "differs"} and verdict is Class.SILENT:
        verdict = Class.FORETOLD
    return replace(before, proof=proof, after_proof=verdict)


def _decide(recorded: Recorded, job: dict[str, Any], rerun: Rerun) -> tuple[Class, str]:
    is_equal = rerun.is_equal(recorded)
    is_said_equal = rerun.level in _REPRODUCED
    if is_said_equal and not is_equal:
        return Class.FALSE, f"{rerun.level}, but {_what_differs(recorded, rerun)}"
    if is_said_equal and not rerun.compared and rerun.level != "R1=":
        return Class.FALSE, f"{rerun.level}, and nothing was compared"
    if is_equal:
        return (Class.EQUAL, "") if is_said_equal else _judge_unsaid(recorded, rerun)
    if foretold := _foretelling(recorded, job, rerun):
        return Class.FORETOLD, foretold
    return Class.SILENT, _what_differs(recorded, rerun)


def _judge_unsaid(recorded: Recorded, rerun: Rerun) -> tuple[Class, str]:
    if rerun.level is None:
        return Class.UNSAID, "no verdict"
    others = _other_outputs(recorded, rerun)
    if others and rerun.level == "R2":
        return Class.UNSAID, f"R2 for outputs that the case does not name: {', '.join(others)}"
    return Class.FALSE, f"{rerun.level}, but all is equal"


def _other_outputs(recorded: Recorded, rerun: Rerun) -> list[str]:
    """Return the outputs that verify.sh found to differ, if the job made them all.

    None of them is one that the trial compared itself, and found equal.
    """
    told = [line.partition(" ") for line in rerun.lines]
    names = [rest.partition(":")[0] for word, _, rest in told if word in {"DIFFERENT", "MISSING"}]
    compared = {output.rpartition("/")[2] for output in recorded.digests}
    is_plausible = all(name in recorded.names and name not in compared for name in names)
    return names if is_plausible else []


def _what_differs(recorded: Recorded, rerun: Rerun) -> str:
    if rerun.exit_code != recorded.exit_code:
        return f"exit code {rerun.exit_code} for {recorded.exit_code}"
    return f"differs: {', '.join(rerun.differing)}"


def _foretelling(recorded: Recorded, job: dict[str, Any], rerun: Rerun) -> str:
    """Return what foretold that the rerun would fail or differ; nothing if it was silent."""
    case, gaps = recorded.case, job.get("gaps", [])
    codes = {gap["code"] for gap in gaps}
    telling = set(case.telling)
    if not case.is_deterministic:
        telling |= _BY_CHANCE
    told = sorted(codes & telling)
    if told:
        return str(told[0])
    if "outputs-missing" in codes and rerun.exit_code == recorded.exit_code:
        return "outputs-missing"
    hinted = _hinted(case.hint, gaps, rerun.needs) if case.hint else ""
    if hinted:
        return hinted
    if job.get("grade") in _LOW:
        return f"grade {job['grade']} alone ({', '.join(sorted(codes))})"
    return ""


def _hinted(hint: str, gaps: Sequence[dict[str, Any]], needs: str) -> str:
    """Return the first gap or row of NEEDS.tsv that matches the hint; '' where none does."""
    for gap in gaps:
        text = f"{gap['code']} {gap.get('message')}"
        if gap["code"] not in _SAY_NOTHING and re.search(hint, text):
            return f"{gap['code']!s} by name"
    for row in needs.splitlines()[1:]:
        if re.search(hint, row):
            return f"NEEDS by name: {row.split(chr(9))[0]}"
    return ""
