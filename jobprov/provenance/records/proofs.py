"""The state of proof of a recipe after a verdict: proven, failed, differs, or still unproven.

Only verdicts of `jobprov prove` and of drills count: their reruns had no network and an empty
environment. Whoever reruns a bundle at home may have had what it lacks.

Source: verdicts.md, "Proof".
"""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from jobprov.provenance.records.gaps.codes import GAPS
from jobprov.provenance.records.verdicts import (
    LEVELS,
    OutputVerdict,
    StoredVerdict,
    rank,
    read_verdict,
)

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
_MOST_NAMES = 4


class ProofOf(NamedTuple):
    """The state of proof of a recipe after a verdict.

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
        proven_level = _HIGHEST_PROVEN
        for code in codes:
            if code != SETTLED:
                proven_level = min(proven_level, GAPS[code].level - 1)
        return max(level, proven_level)
    return level


def open_codes(codes: Iterable[str], state: int | None) -> set[str]:
    """Return the codes of a job's gaps, with what its proof opens or closes."""
    still_open = set(codes)
    if state == PROVEN:
        still_open.discard(SETTLED)
    if state == FAILED:
        still_open.add(GAP)
    return still_open


def proof_of(document: Mapping[str, object]) -> ProofOf | None:
    """Return the proof that a stored verdict gives; None if it does not count as one."""
    verdict = read_verdict(document)
    if verdict.by not in PROVERS:
        return None
    proof = _proof_by(verdict)
    if proof.message is None:
        return proof
    return proof._replace(message=proof.message[:_MESSAGE_LENGTH])


def _proof_by(verdict: StoredVerdict) -> ProofOf:
    if verdict.is_unproven:
        return ProofOf(UNPROVEN, verdict.reason or "It could not be rerun here.")
    if verdict.level == "R2":
        return _proof_of_difference(verdict)
    if verdict.level == "R1=":
        return ProofOf(PROVEN)
    if rank(verdict.level) < _ACCEPTED:
        meaning = LEVELS.get(verdict.level, "not known here")
        reason = verdict.reason or f"The rerun ended at {verdict.level}, {meaning}."
        return ProofOf(FAILED, reason)
    if not verdict.comparisons:
        return ProofOf(UNPROVEN, "The job ran, and there was no output to compare.")
    return ProofOf(PROVEN)


def _proof_of_difference(verdict: StoredVerdict) -> ProofOf:
    """Return failed if an output was not made, else which outputs differ."""
    different = [comparison for comparison in verdict.comparisons if comparison.level == "R2"]
    # verify.sh names no comparator where there was no file to compare
    not_made = [comparison for comparison in different if comparison.comparator == "none"]
    if not_made:
        reason = verdict.reason or f"The rerun did not make {_names(not_made)}."
        return ProofOf(FAILED, reason)
    if not different:
        return ProofOf(DIFFERS, verdict.reason or "Outputs differ from the recorded ones.")
    sentence = f"{_names(different)} differ from the recorded ones"
    if len(different) == 1:
        sentence = f"{_names(different)} differs from the recorded one"
    return ProofOf(DIFFERS, f"{sentence}{_what_agrees(verdict.comparisons)}.")


def _names(comparisons: list[OutputVerdict]) -> str:
    names = ", ".join(comparison.output for comparison in comparisons[:_MOST_NAMES])
    if len(comparisons) > _MOST_NAMES:
        names += f" and {len(comparisons) - _MOST_NAMES} more"
    return names


def _what_agrees(comparisons: list[OutputVerdict]) -> str:
    """Return `; 3 others are equal (R7)`: the lowest level among outputs that do not differ."""
    levels = [comparison.level for comparison in comparisons]
    equal = [level for level in levels if rank(level) >= _ACCEPTED]
    if not equal:
        return ""
    others = "1 other is equal" if len(equal) == 1 else f"{len(equal)} others are equal"
    return f"; {others} ({min(equal, key=rank)})"
