"""What verdicts say of recipes."""

import pytest

from jobprov.provenance.records.proofs import (
    DIFFERS,
    FAILED,
    PROVEN,
    UNPROVEN,
    ProofOf,
    level_with_proof,
    open_codes,
    proof_of,
)

SAME = {"output": "a.root", "level": "R7", "comparator": "sha256"}
NEAR = {"output": "b.root", "level": "R4", "comparator": "numeric-1:0a"}
OTHER = {"output": "c.txt", "level": "R2", "comparator": "sha256"}
GONE = {"output": "d.txt", "level": "R2", "comparator": "none"}


@pytest.mark.parametrize(
    ("verdict", "state"),
    [
        ({"level": "R7", "comparisons": [SAME]}, PROVEN),
        ({"level": "R4", "comparisons": [SAME, NEAR]}, PROVEN),  # the experiment allows it
        ({"level": "R1=", "comparisons": []}, PROVEN),
        ({"level": "R7", "comparisons": []}, UNPROVEN),
        ({"level": "R2", "comparisons": [SAME, OTHER]}, DIFFERS),
        ({"level": "R2", "comparisons": [OTHER, GONE]}, FAILED),
        ({"level": "R1", "missing": "The file x is missing."}, FAILED),
        ({"level": "R0", "reason": "not started"}, FAILED),
        ({"level": "R0", "reason": "stopped after 2 s", "unproven": "stopped"}, UNPROVEN),
    ],
)
def test_verdict_says_how_the_recipe_stands(verdict: dict[str, object], state: int) -> None:
    found = proof_of({**verdict, "by": "prove"})

    assert found is not None
    assert found.state == state
    assert (found.message is None) == (state == PROVEN)


def test_messages_name_what_differs_and_what_agrees() -> None:
    differs = proof_of({"level": "R2", "comparisons": [SAME, NEAR, OTHER], "by": "drill"})
    missing = proof_of({"level": "R1", "missing": "The file x is missing.", "by": "drill"})

    assert differs == ProofOf(
        DIFFERS, "c.txt differs from the recorded one; 2 others are equal (R4)."
    )
    assert missing == ProofOf(FAILED, "The file x is missing.")


def test_reruns_that_people_post_prove_nothing() -> None:
    assert proof_of({"level": "R7", "comparisons": [SAME]}) is None
    assert proof_of({"level": "R7", "comparisons": [SAME], "by": "somebody"}) is None


def test_failed_proof_lowers_the_grade() -> None:
    levels = [level_with_proof(level, FAILED, ()) for level in (0, 1, 2, 4)]

    assert levels == [0, 1, 1, 1]
    assert level_with_proof(2, DIFFERS, ()) == level_with_proof(2, None, ()) == 2


@pytest.mark.parametrize(
    ("codes", "level"),
    [
        (["reads-unseen"], 2),
        (["reads-unseen", "outputs-missing"], 2),
        (["reads-unseen", "network-used"], 1),
        (["reads-unseen", "script-missing"], 0),
        (["network-used"], 1),
    ],
)
def test_passing_proof_closes_what_is_not_known_of_reads(codes: list[str], level: int) -> None:
    before = 0 if "script-missing" in codes else 1

    assert level_with_proof(before, PROVEN, codes) == level
    assert level_with_proof(before, UNPROVEN, codes) == before
    assert open_codes(codes, PROVEN) == set(codes) - {"reads-unseen"}
    assert open_codes(codes, UNPROVEN) == set(codes)
