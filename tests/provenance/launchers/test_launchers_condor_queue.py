"""What a real queue of HTCondor says of jobs that wait and run, and of those removed before they began."""

import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from jobprov.provenance.answers.tasks.queue import QueuedJob
from jobprov.provenance.launchers.condor import queue as queues
from jobprov.provenance.launchers.condor.ads import read_ads
from jobprov.provenance.launchers.condor.attempts import Collection
from jobprov.provenance.launchers.condor.queue import queues_of
from jobprov.provenance.launchers.condor.record import record_of
from jobprov.provenance.records.attempts import node_of, node_of_batch
from jobprov.provenance.records.identity import JOB_NAMESPACE
from jobprov.provenance.records.job_record import Batch
from jobprov.provenance.records.reading.decoding import decode_record

DATA = Path(__file__).resolve().parents[2] / "data" / "condor"
SUBMITTED = 1795892094


def ads(name: str) -> list[dict[str, Any]]:
    with (DATA / name).open("rb") as stream:
        return list(read_ads(stream, name))


def jobs(*changed: dict[str, Any], experiment: str = "toy") -> dict[str | None, QueuedJob]:
    """Return the jobs of the real queue, or of these ads, by unit."""
    found = queues_of(changed or ads("waiting.json"), experiment)[experiment].jobs
    return {job.unit: job for job in found.values()}


def an_ad(**changes: Any) -> dict[str, Any]:
    """Return the ad of the job that runs, with changes."""
    return {**ads("waiting.json")[0], **changes}


def test_jobs_of_a_real_queue_by_unit_and_state() -> None:
    found = {unit: (job.state, job.task_id) for unit, job in jobs().items()}

    assert found == {
        "u1": ("running", "77"),
        "u 2": ("idle", "77"),
        "u3": ("held", "77"),
        "u4": ("held", "77"),
    }, "the fifth names no task"


def test_running_job_has_node_times_and_amounts() -> None:
    job = jobs()["u1"]

    assert job == QueuedJob(
        batch_id="1.0@pool@",
        job_id=str(uuid.uuid5(JOB_NAMESPACE, f"pool@#1.0#{SUBMITTED}|1|0")),
        task_id="77",
        unit="u1",
        state="running",
        since=datetime.fromtimestamp(SUBMITTED + 2, UTC),
        started_at=datetime.fromtimestamp(SUBMITTED + 3, UTC),
        host="wn7.example.org",
        memory_bytes=70872 * 1024,
        requested_memory_bytes=128 * 1024 * 1024,
        cpu_seconds=4.0,
        measured_seconds=24.0,
    )


def test_held_job_says_why_and_has_no_node() -> None:
    job = jobs()["u4"]

    assert "reading from file /nonexistent/input.root" in (job.hold_reason or "")
    assert (job.host, job.started_at, job.cpu_seconds) == (None, None, None)


def test_job_that_never_began_has_the_id_of_its_first_attempt() -> None:
    identity = f"pool@#2.0#{SUBMITTED}|1|0"

    assert jobs()["u 2"].job_id == str(uuid.uuid5(JOB_NAMESPACE, identity))


def test_attempt_that_runs_has_its_own_id() -> None:
    [job] = jobs(an_ad(NumShadowStarts=3)).values()

    assert job.job_id == str(uuid.uuid5(JOB_NAMESPACE, f"pool@#1.0#{SUBMITTED}|3|0"))


def test_site_comes_from_what_the_glidein_said() -> None:
    [job] = jobs(
        an_ad(MATCH_GLIDEIN_Site="$$(GLIDEIN_Site)", MachineAttrGLIDEIN_Site0="BNL")
    ).values()

    assert job.site == "BNL"


@pytest.mark.parametrize("status", [2, 6, 7])
def test_job_that_brings_home_its_output_or_is_suspended_runs(status: int) -> None:
    [job] = jobs(an_ad(JobStatus=status)).values()

    assert job.state == "running"


def test_manager_of_a_dag_is_no_job_of_its_task() -> None:
    assert jobs(an_ad(JobUniverse=7)) == {}


def test_jobs_of_other_experiments_are_left_to_them() -> None:
    other = an_ad(Environment="JOBPROV_EXPERIMENT=mu2e JOBPROV_TASK_ID=77")

    assert queues_of([other], "toy")["toy"].jobs == {}
    assert set(queues_of([other, an_ad()], None)) == {"mu2e", "toy"}


def test_job_that_names_no_task_is_told_while_it_runs() -> None:
    """Its hook may have announced it with a task that only the script knows."""
    running = an_ad(Environment="JOBPROV_EXPERIMENT=toy", Args="x")

    [job] = jobs(running).values()

    assert (job.task_id, job.state) == (None, "running")
    assert jobs({**running, "JobStatus": 1}) == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"ResidentSetSize_RAW": "undefined", "ResidentSetSize": -1, "RequestMemory": "/Expr(x)/"},
        {"RemoteUserCpu": True, "RemoteSysCpu": None, "StatsLifetimeStarter": 2**80},
        {"EnteredCurrentStatus": -5, "QDate": "x", "JobCurrentStartExecutingDate": 2**60},
        {"Args": "run --unit " + "u" * 5000 + " -- x"},
        {"Args": "run --unit a\x00b\ud800 -- x", "RemoteHost": 7},
        {"NumShadowStarts": "undefined"},
        {"DAGManJobId": "/Expr(x)/", "DAGNodeName": 7},
    ],
)
def test_odd_values_are_left_out_and_the_job_stays(changes: dict[str, Any]) -> None:
    [job] = jobs(an_ad(**changes)).values()

    assert job.state == "running"
    assert len(job.unit or "") <= 1000
    json.dumps(job.unit).encode()
    assert job.requested_memory_bytes in (None, 128 << 20)


def test_slash_in_a_task_id_is_written_as_in_records() -> None:
    [job] = jobs(an_ad(Environment="JOBPROV_EXPERIMENT=toy JOBPROV_TASK_ID=a/b")).values()

    assert job.task_id == "a%2Fb"


@pytest.mark.parametrize("section", ["", " JOBSUBJOBSECTION=3"])
def test_job_of_a_dag_is_in_the_same_place_as_its_record_says(section: str) -> None:
    variables = f"JOBPROV_EXPERIMENT=toy JOBPROV_TASK_ID=77{section}"
    ad = an_ad(DAGManJobId=70, DAGNodeName="n1", Environment=variables)
    collection = Collection()
    collection.add([{**ad, "JobStatus": 1, "LastJobStatus": 2, "RemoteHost": None}], "queue")
    [attempt] = collection.attempts.values()
    record = decode_record(json.dumps(record_of(attempt, "toy")).encode()).record
    assert record is not None

    [job] = jobs(ad).values()

    batch = Batch(id=job.batch_id, dag=job.dag, dag_node=job.dag_node, section=job.section)
    assert (job.dag, job.dag_node, job.section) == ("70", "n1", "3" if section else None)
    assert node_of_batch("toy", "77", batch) == node_of(record)


def test_secret_in_a_reason_is_redacted() -> None:
    reason = "cannot read https://me:Zk3hVx9QpLw2RtYb@example.org/x"  # made up

    [job] = jobs(an_ad(JobStatus=5, HoldReason=reason)).values()

    assert "Zk3hVx9QpLw2RtYb" not in (job.hold_reason or "")


def test_jobs_beyond_the_limit_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "MOST_REPORTED", 2)

    queue = queues_of(ads("waiting.json"), "toy")["toy"]

    assert (len(queue.jobs), queue.left_out) == (2, 2)


def removed() -> dict[str, dict[str, Any]]:
    """Return the records of jobs that were removed before they began, by unit."""
    collection = Collection()
    collection.add(ads("removed.json"), "history")
    assert collection.never_started == 0
    found = [record_of(attempt, "toy") for attempt in collection.attempts.values()]
    return {record["task"]["unit"]: record for record in found}


def test_job_removed_before_it_began_has_a_record_without_a_start() -> None:
    record = removed()["u5"]

    assert (record["state"], record.get("started_at")) == ("killed", None)
    assert record["exit"] == {
        "error_class": "removed",
        "message": "via condor_rm (by user me)",
    }
    assert record["ended_at"].startswith("2026-11-28T")
    assert record["batch"]["attempt"] == 1
    assert decode_record(json.dumps(record).encode()).record is not None


def test_job_removed_while_it_was_held_says_why_it_was() -> None:
    end = removed()["u6"]["exit"]

    assert end["error_class"].startswith("held: ")
    assert "submitted on hold" in end["message"]


@pytest.mark.parametrize(
    "changes",
    [{"Environment": "A=b"}, {"JobStatus": 4}, {"JobUniverse": 7}, {"JobStartDate": SUBMITTED}],
    ids=["no task", "not removed", "manager of a DAG", "begun"],
)
def test_other_jobs_that_never_began_are_no_attempts(changes: dict[str, Any]) -> None:
    collection = Collection()

    collection.add([{**ads("removed.json")[0], **changes}], "history")

    assert (collection.attempts, collection.never_started) == ({}, 1)
