"""`jobprov diff` as text: the sentence first, then only what differs.

What decides the outcome comes before the rest.
"""

from typing import Any

import msgspec
import pytest

from jobprov.app.commands.comparisons.jobs import comparison_text, kind_of
from jobprov.app.commands.histories.divergence import divergence_text
from jobprov.provenance.answers.comparisons.jobs import JobComparison
from jobprov.provenance.answers.histories.divergence import DivergedJob, Divergence


def facet(name: str, matters: str, *rows: dict[str, Any], said: int = 1) -> dict[str, Any]:
    return {
        "name": name,
        "title": name.title(),
        "matters": matters,
        "said": said,
        "count": len(rows),
        "differences": list(rows),
        "omitted": 0,
        "problems": [],
    }


def a_job(state: str) -> dict[str, Any]:
    return {
        "job_id": "0" * 8,
        "experiment": "nova",
        "state": state,
        "batch_id": "1.2@s",
        "task": {"task_id": "reco-1", "campaign": None, "stage": None, "unit": "a.root"},
        "code": "v1",
        "received_at": "2026-11-24T16:00:00Z",
        "started_at": None,
        "host": {"hostname": "wn1", "site": None},
        "url": "/jobs/00000000",
        "recipe_id": None,
        "result_id": None,
        "output": None,
    }


OF_A_LISTED_JOB = {
    "heard_at": "2026-11-24T16:00:00Z",
    "ended_at": None,
    "exit": {
        "code": None,
        "signal": None,
        "failed_step": None,
        "error_class": None,
        "message": None,
    },
    "resources": {"wall_seconds": None, "cpu_seconds": None, "max_rss_bytes": None},
    "output_count": 0,
    "grade": "L0",
    "proof": None,
    "rerun_of": None,
    "retry_of": None,
}
"""What a list says of a job besides."""
CHANGED = {
    "kind": "changed",
    "key": "physics.smear.width",
    "before": "1.5",
    "after": "9e-1",
    "part": "smear",
    "origin_before": {"file": "a.fcl", "line": 4},
    "origin_after": {"file": "b.fcl", "line": 7},
}
RENAMED = {
    **CHANGED,
    "kind": "renamed",
    "key": "physics.smear2",
    "key_before": "physics.smear",
    "before": None,
    "after": None,
}
SCRIPT = {
    "kind": "changed",
    "key": "run.sh",
    "before": "aa",
    "after": "bb",
    "lines": ["@@ -1 +1 @@", "-x", "+\x1b[31my"],
}


def text(**options: Any) -> str:
    facets = [
        facet("configuration", "recipe", CHANGED, RENAMED),
        facet("scripts", "recipe", SCRIPT),
        facet("code", "recipe"),
        facet("seeds", "recipe", said=0),
        facet("host", "circumstance", {"kind": "added", "key": "cores", "after": 2}),
    ]
    found = {
        "first_line": "2 parameters differ.",
        "a": a_job("failed"),
        "b": a_job("succeeded"),
        "is_same": False,
        "facets": facets,
    }
    return comparison_text(msgspec.convert(found, JobComparison), **options)


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        ("6ffa9d23-ce92-48e5-94cc-e3a80a6ac47d", "81234.17@sched01", None),
        ("6ffa9d23", "sbnd-2026B", None),
        ("sbnd-2026A", "sbnd-2026B", "campaign"),
        ("v09_88_00", "v09_93_01", "release"),
        ("sbndcode=v09_88_00", "sbndcode=v09_93_01:e26", "release"),
    ],
)
def test_names_that_are_no_job_ids_are_campaigns_or_releases(
    before: str, after: str, kind: str | None
) -> None:
    assert kind_of(before, after) == kind


def test_parameters_stand_with_both_values_and_their_lines() -> None:
    lines = text().splitlines()

    assert lines[0] == "2 parameters differ."
    start = lines.index("  ~ physics.smear.width  [smear]")
    assert lines[start + 1 : start + 3] == ["      a  1.5    a.fcl:4", "      b  0.9    b.fcl:7"]
    assert "  > physics.smear -> physics.smear2  [smear]" in lines
    assert "      a.fcl:4 -> b.fcl:7" in lines


def test_what_is_the_same_and_what_always_differs_is_a_line_each() -> None:
    lines = text().splitlines()

    assert lines[-3:] == [
        "Same: code.",
        "In neither record: seeds.",
        "Differs in any two runs, shown by --all: host 1.",
    ]
    assert "  + cores" in text(everything=True)
    assert "physics" not in text(facets=["host"])


def test_nothing_drives_the_terminal() -> None:
    assert "\x1b" not in text()
    assert "+\ufffd[31my" in text()


def test_where_histories_part_leads_to_the_comparison() -> None:
    failed, succeeded = (
        msgspec.convert({**a_job(state), **OF_A_LISTED_JOB}, DivergedJob)
        for state in ("failed", "succeeded")
    )
    of_both = Divergence(1, "reco", failed, succeeded)
    of_one = Divergence(1, "reco", None, succeeded)
    of_none = Divergence(1, None, None, None)

    assert divergence_text(of_both).splitlines()[0] == "They part in stage reco; 1 job made both."
    assert divergence_text(of_both).endswith("jobprov diff 00000000 00000000")
    assert divergence_text(of_one).splitlines()[2] == "a  no job there"
    assert divergence_text(of_none).startswith("Nowhere: 1 job made both")
