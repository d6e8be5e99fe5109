"""What a verdict says of the recipe of its job: proven, failed, differs, or still unproven.

Only verdicts of `jobprov prove` and of drills count: their reruns had no network and an empty
environment. Whoever reruns a bundle at home may have had what it lacks.

Source: verdicts.md, "Proof".
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from jobprov.provenance.records.gaps.codes import GAPS
from jobprov.provenance.records.verdicts import LEVELS, rank

UNPROVEN, PROVEN, FAILED, DIFFERS = range(4)
STATES = ("unproven", "proven", "failed", "differs")
"""By number, as the table of proofs has them."""

PROVERS = frozenset({"prove", "drill"})
"""`by` of the verdicts that count."""

INPUT_NOT_HERE = "input-not-here"
STOPPED = "stopped"
NOT_COMPARED = "not-compared"
"""Why a rerun proves nothing, as a verdict's `unproven` has it."""

GAP = "rerun-failed"
"""The gap of each job whose recipe failed."""

SETTLED = "reads-unseen"
"""The gap that a passing proof closes: what the recipe reads was in the bundle."""

_ACCEPTED = rank("R3")
"""The lowest level that a comparator can accept: verify.sh gives R2 where it did not."""
_HIGHEST_PROVEN = 2
"""A proof runs with the machine's own software."""
_MESSAGE_LENGTH = 500
_SHOWN = 4


class ProofOf(NamedTuple):
    """What a verdict says of a recipe.

    Attributes:
        message: a sentence, why it is not proven; None where it is.
    """

    state: int
    message: str | None = None


def state_word(state: int | None) -> str | None:
    """Return the word for how a job's recipe stands; None of reruns and of jobs not over."""
    return None if state is None else STATES[state]


def level_with_proof(level: int, state: int | None, codes: Collection[str]) -> int:
    """Return the closure level of a job, where its gaps alone, with these codes, leave `level`.

    A failed proof is a gap as well, and a passing one closes `SETTLED`. Neither is in the list of
    gaps that jobs share: one recipe may have a hundred thousand jobs.
    """
    if state == FAILED:
        return min(level, GAPS[GAP].level - 1)
    if state == PROVEN and SETTLED in codes:
        stopped = [GAPS[code].level for code in codes if code != SETTLED]
        return max(level, min([_HIGHEST_PROVEN, *(other - 1 for other in stopped)]))
    return level


def open_codes(codes: Iterable[str], state: int | None) -> set[str]:
    """Return the codes of a job's gaps, with what its proof opens or closes."""
    still_open = set(codes)
    if state == PROVEN:
        still_open.discard(SETTLED)
    if state == FAILED:
        still_open.add(GAP)
    return still_open


def proof_of(verdict: Mapping[str, Any]) -> ProofOf | None:
    """Return what a verdict says of its job's recipe; None if it is not one that counts."""
    if verdict.get("by") not in PROVERS:
        return None
    proof = _read(verdict)
    message = None if proof.message is None else proof.message[:_MESSAGE_LENGTH]
    return proof._replace(message=message)


def _read(verdict: Mapping[str, Any]) -> ProofOf:
    level = str(verdict.get("level"))
    reason = str(verdict.get("missing") or verdict.get("reason") or "")
    comparisons = _comparisons(verdict)
    if verdict.get("unproven"):
        return ProofOf(UNPROVEN, reason or "It could not be rerun here.")
    if level == "R2":
        return _different(comparisons, reason)
    if level == "R1=":
        return ProofOf(PROVEN)
    if rank(level) < _ACCEPTED:
        meaning = LEVELS.get(level, "not known here")
        return ProofOf(FAILED, reason or f"The rerun ended at {level}, {meaning}.")
    if not comparisons:
        return ProofOf(UNPROVEN, "The job ran, and there was no output to compare.")
    return ProofOf(PROVEN)


def _comparisons(verdict: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    comparisons = verdict.get("comparisons")
    if not isinstance(comparisons, list):
        return []
    return [comparison for comparison in comparisons if isinstance(comparison, Mapping)]


def _different(comparisons: Sequence[Mapping[str, Any]], reason: str) -> ProofOf:
    """Return failed if an output was not made, else which outputs differ."""
    below = [comparison for comparison in comparisons if comparison.get("level") == "R2"]
    # verify.sh names no comparator where there was no file to compare
    not_made = [comparison for comparison in below if comparison.get("comparator") == "none"]
    if not_made:
        return ProofOf(FAILED, reason or f"The rerun did not make {_names(not_made)}.")
    if not below:
        return ProofOf(DIFFERS, reason or "Outputs differ from the recorded ones.")
    is_are = "differs from the recorded one" if len(below) == 1 else "differ from the recorded ones"
    return ProofOf(DIFFERS, f"{_names(below)} {is_are}{_what_agrees(comparisons)}.")


def _names(comparisons: Sequence[Mapping[str, Any]]) -> str:
    names = [str(comparison.get("output")) for comparison in comparisons]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _what_agrees(comparisons: Sequence[Mapping[str, Any]]) -> str:
    """Return `; 3 others are equal (R7)`: the lowest level among the outputs that do not differ."""
    levels = [str(comparison.get("level")) for comparison in comparisons]
    equal = [level for level in levels if rank(level) >= _ACCEPTED]
    if not equal:
        return ""
    others = "1 other is equal" if len(equal) == 1 else f"{len(equal)} others are equal"
    return f"; {others} ({min(equal, key=rank)})"
