"""HTCondor's own call: the job ad on standard input, or the scratch folder's."""

import uuid

import pytest

from tests.library.hook import Runner
from tests.library.servers.hook_service import Service

AD = """GlobalJobId = "sched01#7.0#1700000000"
ClusterId = 7
ProcId = 0
NumShadowStarts = 1
Cmd = "/home/nova/job.sh"
Arguments = "-n 5 --password hunter2canary"
Environment = "POMS_TASK_ID=991 EXPERIMENT=nova BEARER_TOKEN=envcanary"
Jobsub_Group = "nova"
JobCurrentStartDate = 1700000100
JobDuration = 12.5
RemoteUserCpu = 0.0
RequestMemory = 2000
"""
JOB_ID = str(
    uuid.uuid5(uuid.UUID("6f2a0c1e-5b7d-5e0a-9c3f-23518a16f001"), "sched01#7.0#1700000000|1|0")
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lines", "argument", "state", "ended"),
    [
        ("ExitBySignal = false\nExitCode = 0\n", "exit", "succeeded", {"code": 0}),
        ("ExitBySignal = false\nExitCode = 65\n", "exit", "failed", {"code": 65}),
        ("ExitBySignal = true\nExitSignal = 11\n", "exit", "failed", {"code": 139, "signal": 11}),
        ("ExitBySignal = true\nExitSignal = 9\n", "exit", "killed", {"code": 137, "signal": 9}),
        ("", "evict", "killed", {}),
    ],
)
def test_exit_hook_records_the_end_that_the_ad_tells(
    runner: Runner, service: Service, lines: str, argument: str, state: str, ended: dict[str, int]
) -> None:
    done = runner(
        "condor-exit",
        argument,
        "--url",
        service.url,
        input=(AD + lines).encode(),
        environment={"JOBPROV_EXPERIMENT": None},
    )

    record = service.only_record()
    assert done.returncode == 0
    assert (record["job_id"], record["witness"], record["state"], record["exit"]) == (
        JOB_ID,
        "startd",
        state,
        ended,
    )
    assert (record["experiment"], record["task"]["task_id"]) == ("nova", "991")
    assert record["resources"] == {
        "wall_seconds": 12.5,
        "requested_memory_bytes": 2000 * 1024 * 1024,
    }
    assert record["command"]["argv"] == [
        "/home/nova/job.sh",
        "-n",
        "5",
        "--password",
        "<redacted:option>",
    ]
    assert "environment" not in record
    assert not any(b"canary" in body for body in service.received + list(service.records.values()))


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["-5", "99999999999999999999", "inf", "nan"])
def test_date_that_is_none_costs_no_record(runner: Runner, service: Service, moment: str) -> None:
    ad = (
        AD.replace("1700000100", moment)
        + f"QDate = {moment}\nJobDuration = {moment}\nExitCode = 3\n"
    )

    runner("condor-exit", "exit", "--url", service.url, input=ad.encode())

    record = service.only_record()
    assert (record["state"], record["started_at"][:2]) == ("failed", "20")
    assert "queued_at" not in record["batch"]


@pytest.mark.slow
def test_post_command_takes_the_scratch_folders_ad_and_the_exit_code_variable(
    runner: Runner, service: Service
) -> None:
    (runner.folder / ".job.ad").write_text(AD)

    runner(
        "condor-exit",
        "--url",
        service.url,
        input=b"",
        environment={"_CONDOR_MAINJOB_EXIT_CODE": "3"},
    )

    record = service.only_record()
    assert (record["job_id"], record["witness"], record["state"]) == (JOB_ID, "postcmd", "failed")


@pytest.mark.slow
def test_call_without_any_ad_fails_nothing(runner: Runner, service: Service) -> None:
    done = runner("condor-exit", "exit", "--url", service.url, input=b"")

    assert done.returncode == 0
    assert service.records == {}
    assert b"no job ad" in done.stderr
