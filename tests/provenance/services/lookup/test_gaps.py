"""Gaps of many jobs, counted by code."""

from jobprov.provenance.answers.lookup.jobs import GapCounts
from jobprov.provenance.answers.reruns.proofs import ProofCounts
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.records.gaps.codes import GAPS
from jobprov.provenance.services.lookup.gaps import list_gaps
from tests.library.production import Production
from tests.library.records import a_record, file_entry


def test_gaps_are_counted_over_the_jobs_of_a_campaign(production: Production) -> None:
    task = {"task_id": "t1", "campaign": "c", "stage": "reco"}
    production.record(
        a_record(1, task=task, inputs=[file_entry("a", 1, 1)]),
        a_record(2, task=task, inputs=[file_entry("b", 2, 2), file_entry("c", 3, 3)]),
        a_record(3, task={**task, "task_id": "t2"}),
        a_record(4, task={**task, "task_id": "t3", "campaign": "other"}),
        a_record(5),
    )
    with production.database.reading.connect() as connection:
        campaign = list_gaps(connection, JobFilters(campaign="c"))
        task_alone = list_gaps(connection, JobFilters(task_id="t2"))
        nothing = list_gaps(connection, JobFilters(campaign="none"))
    counts = {row.code: row for row in campaign.gaps}

    assert campaign.job_count == 3
    assert (counts["command-missing"].job_count, counts["command-missing"].stops) == (3, "L1")
    assert counts["input-checksum-short"].job_count == 2  # jobs, not inputs
    assert counts["input-checksum-short"].example.job_id == a_record(2)["job_id"]
    assert counts["log-missing"].stops is None
    assert all(row.how_to_close == GAPS[code][1] for code, row in counts.items())
    assert [GAPS[row.code][0] for row in campaign.gaps] == sorted(
        GAPS[row.code][0] for row in campaign.gaps
    )
    assert "input-checksum-short" not in {row.code for row in task_alone.gaps}
    assert nothing == GapCounts(job_count=0, gaps=[], proof=ProofCounts(0, 0, 0, 0))
