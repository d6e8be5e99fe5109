"""`jobprov diff --campaigns` as text: the stages that differ, with how many jobs have which value."""

from jobprov.app.commands.comparisons.stages import productions_text
from jobprov.provenance.answers.comparisons.stages import (
    ComparedProduction,
    ComparedStage,
    CountedValue,
    ProductionComparison,
    StageDifference,
    StageFacet,
)

DIFFERENCE = StageDifference(
    "physics.smear.width",
    "smear",
    [CountedValue("9e-1", 120)],
    [CountedValue("1.5", 3), CountedValue(None, 1)],
    0,
    7,
)


def facet(name: str, *differences: StageDifference) -> StageFacet:
    return StageFacet(name, name.title(), len(differences), list(differences), 0, [], [])


def text() -> str:
    stages = [
        ComparedStage("gen\x1b[31m", 5, 0, []),
        ComparedStage("reco", 120, 4, [facet("code"), facet("configuration", DIFFERENCE)]),
        ComparedStage("merge", 1, 1, [facet("code")]),
    ]
    productions = ComparedProduction("old", 126, "/a"), ComparedProduction("new", 5, "/b")
    comparison = ProductionComparison(
        "campaign",
        *productions,
        "2 of 3 stages differ.",
        is_same=False,
        is_whole=False,
        stages=stages,
    )
    return productions_text(comparison)


def test_each_stage_that_differs_comes_with_values_and_numbers_of_jobs() -> None:
    lines = text().splitlines()

    assert lines[0] == "2 of 3 stages differ."
    start = lines.index("Stage reco: 120 jobs and 4 jobs")
    assert lines[start + 1 : start + 5] == [
        "  Configuration: 1 difference",
        "    ~ physics.smear.width  [smear]",
        "        a  0.9 (120 jobs)",
        "        b  1.5 (3 jobs), without (1 job), 7 more",
    ]
    assert lines[-1] == "Same: merge."


def test_a_stage_of_one_alone_and_what_was_left_out_is_told() -> None:
    assert "  only in a" in text().splitlines()
    assert "Too many kinds of jobs: the most frequent were compared." in text()
    assert "\x1b" not in text()
