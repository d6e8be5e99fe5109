"""Ads with values that no record can hold: each costs that value alone.

Neither its record nor the other attempts are lost.
"""

import json
from typing import Any

import pytest

from jobprov.provenance.launchers.condor.attempts import Collection
from jobprov.provenance.launchers.condor.record import experiment_of, job_id_of, record_of
from jobprov.provenance.records.reading.decoding import decode_record

STARTED = 1_790_000_000
AD = {
    "GlobalJobId": "s#7.0#1789999000", "ClusterId": 7, "ProcId": 0, "NumShadowStarts": 1, "NumJobStarts": 1, "QDate": STARTED - 1000,
    "Owner": "me", "Cmd": "/bin/job", "Arguments": "a b", "JobStatus": 4, "EnteredCurrentStatus": STARTED + 60,
    "CompletionDate": STARTED + 50, "JobStartDate": STARTED, "JobCurrentStartDate": STARTED, "RemoteHost": "slot1@node",
    "ExitCode": 1, "ExitBySignal": False, "Jobsub_Group": "nova", "POMS_TASK_ID": "991", "POMS_CAMPAIGN_NAME": "prod5",
    "ToE": {"HowCode": 0, "How": "OF_ITS_OWN_ACCORD", "When": STARTED + 50, "ExitBySignal": False, "ExitCode": 1},
}  # fmt: skip
TICKET: Any = AD["ToE"]


def told(**odd: Any) -> dict[str, Any]:
    """Return the record of an ad with these values; it is one that the service takes."""
    collection = Collection()
    collection.add([{**AD, **odd}], "history")
    [attempt] = collection.attempts.values()
    record = record_of(attempt, str(experiment_of(attempt)))
    assert record["job_id"] == job_id_of(attempt)
    assert decode_record(json.dumps(record, ensure_ascii=False).encode()).record is not None
    assert (record["state"], record["task"]["submitted_by"]) == (
        "failed",
        odd.get("Owner", "me")[:1000],
    )
    return record


@pytest.mark.parametrize(
    "moment", [-5, 0, 2**33, 2**63, 1e308, float("inf"), float("nan"), True, "never", [1]]
)
@pytest.mark.parametrize(
    "name", ["QDate", "JobCurrentStartDate", "JobCurrentStartExecutingDate", "CompletionDate"]
)
def test_date_that_is_none_is_left_out(name: str, moment: Any) -> None:
    record = told(**{name: moment})

    assert record["started_at"] == "2026-09-21T14:13:20.000000Z"
    assert record["ended_at"] == "2026-09-21T14:14:10.000000Z"
    assert ("queued_at" in record["batch"]) == (name != "QDate" or moment == 0)


@pytest.mark.parametrize("moment", [-5, None])
def test_job_whose_start_nobody_tells_began_when_it_was_first_heard_of(moment: Any) -> None:
    record = told(JobCurrentStartDate=moment, JobStartDate=moment)

    assert record["started_at"] == record["ended_at"]
    assert "resources" not in record


@pytest.mark.parametrize("moment", [-5, 2**40, STARTED - 500])
def test_end_before_the_start_by_clocks_that_were_put_back_keeps_its_exit_code(moment: int) -> None:
    record = told(ToE={**TICKET, "When": moment}, ExitCode=None)

    assert record["exit"] == {"code": 1}


@pytest.mark.parametrize(
    ("name", "value", "path", "kept"),
    [
        ("POMS_TASK_ID", "a/b", ("task", "task_id"), "a%2Fb"),
        ("POMS_CAMPAIGN_NAME", "c" * 2000, ("task", "campaign"), "c" * 1000),
        ("POMS_CAMPAIGN_NAME", "a\nb", ("task", "campaign"), "a\\x0ab"),
        ("Owner", "o" * 2000, ("task", "submitted_by"), "o" * 1000),
        ("RemoteHost", "n" * 2000, ("host", "slot"), "n" * 1000),
        ("Arguments", "x\x00y", ("command", "argv"), ["/bin/job", "x\\x00y"]),
        ("Arguments", "\ud800", ("command", "argv"), ["/bin/job", "?"]),
        ("SingularityImage", "i\x00", ("environment", "container"), {"image": "i\\x00"}),
    ],
)
def test_word_that_no_record_holds_is_cut_or_escaped(
    name: str, value: str, path: tuple[str, str], kept: Any
) -> None:
    assert told(**{name: value})[path[0]][path[1]] == kept


def test_what_was_cut_is_noted() -> None:
    history = told(POMS_TASK_ID="a/b")["extra"]["batch_history"]

    assert history["notes"] == ["a task id has no slash: a/b is written with %2F"]
    assert "notes" not in told()["extra"]["batch_history"]


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 2**64, "many", True])
@pytest.mark.parametrize(
    "name", ["RequestMemory", "ResidentSetSize", "RemoteUserCpu", "HoldReasonCode", "NumJobStarts"]
)
def test_number_that_is_none_is_left_out(name: str, value: Any) -> None:
    record = told(**{name: value})

    assert record["resources"] == {"wall_seconds": 50.0}
    assert "hold_reason_code" not in record["extra"]["batch_history"]
    assert record["extra"]["batch_history"].get("program_starts") in (None, 1)


@pytest.mark.parametrize("code", [True, 2**70, "1", None])
def test_exit_code_that_is_none_is_not_told(code: Any) -> None:
    collection = Collection()
    collection.add([{**AD, "ToE": {**TICKET, "ExitCode": code}}], "history")
    [attempt] = collection.attempts.values()

    assert "code" not in record_of(attempt, "nova")["exit"]


@pytest.mark.parametrize("code", [[1008], {"a": 1}, True])
def test_reason_that_is_no_number_reads_as_an_eviction(code: Any) -> None:
    ad = {**AD, "ToE": None, "JobStatus": 1, "VacateReasonCode": code, "VacateReason": ["x"]}
    collection = Collection()
    collection.add([ad], "epochs")
    [attempt] = collection.attempts.values()

    assert record_of(attempt, "nova")["state"] == "killed"
