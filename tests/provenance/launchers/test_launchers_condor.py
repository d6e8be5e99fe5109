"""What HTCondor says of real jobs that died in different ways, read without HTCondor.

Ads, event logs, ends, records.
"""

import io
import json
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from jobprov.provenance.errors import BadInputError
from jobprov.provenance.launchers.condor.ads import read_ads
from jobprov.provenance.launchers.condor.attempts import Collection, Source
from jobprov.provenance.launchers.condor.events import attempts_of, read_events
from jobprov.provenance.launchers.condor.record import experiment_of, job_id_of, record_of
from jobprov.provenance.records.identity import JOB_NAMESPACE
from jobprov.provenance.records.reading.decoding import decode_record

DATA = Path(__file__).resolve().parents[2] / "data" / "condor"
ENDS = {
    "ok 1": ("succeeded", {"code": 0}),
    "code65 1": ("failed", {"code": 65}),
    "segv 1": ("failed", {"code": 139, "signal": 11}),
    "kill9 1": ("killed", {"code": 137, "signal": 9}),
    "rm 1": ("killed", {"code": 143, "signal": 15, "error_class": "removed"}),
    "prem 1": ("killed", {"code": 143, "signal": 15, "error_class": "removed"}),
    "hold 1": ("killed", {"code": 143, "signal": 15, "error_class": "held: UserRequest"}),
    "phold 1": ("killed", {"code": 143, "signal": 15, "error_class": "held: JobPolicy"}),
    "allowed 1": (
        "killed",
        {"code": 143, "signal": 15, "error_class": "held: JobDurationExceeded"},
    ),
    "noinput 1": ("killed", {"error_class": "held: TransferInputError"}),
    "starter 1": ("lost", {"error_class": "lost: ReconnectFailed"}),
    "vacate 1": ("killed", {"code": 143, "signal": 15, "error_class": "evicted: JobShouldRequeue"}),
    "vacate 2": ("succeeded", {"code": 0}),
}


def read(**files: str) -> Collection:
    collection = Collection()
    for source, file in files.items():
        name: Source = source  # type: ignore[assignment]
        with (DATA / file).open("rb") as stream:
            collection.add(read_ads(stream, file), name)
    return collection


def records(collection: Collection) -> dict[str, dict[str, Any]]:
    """Return records by the name of their script and the attempt.

    Each is one that the service takes.
    """
    found = {}
    for attempt in collection.attempts.values():
        record = record_of(attempt, "toy")
        assert decode_record(json.dumps(record).encode()).record is not None
        script = record.get("command", {}).get("argv", [attempt.identity.split("#")[1]])[0]
        found[f"{Path(script).stem} {attempt.number}"] = record
    return found


def ends(found: dict[str, dict[str, Any]]) -> dict[str, tuple[str, dict[str, Any]]]:
    return {
        name: (
            record["state"],
            {key: value for key, value in record["exit"].items() if key != "message"},
        )
        for name, record in found.items()
    }


def test_each_attempt_of_each_job_has_its_own_end() -> None:
    collection = read(epochs="epochs.json", history="history.json", queue="queue.json")

    assert ends(records(collection)) == ENDS
    assert (collection.never_started, collection.unnamed, len(collection.running)) == (1, 0, 1)


def test_epochs_alone_know_all_but_who_held_and_removed() -> None:
    found = ends(records(read(epochs="epochs.json")))

    evicted = ("killed", {"code": 143, "signal": 15, "error_class": "evicted"})
    unread = ("killed", {"error_class": "evicted: TransferInputError"})
    assert found == {**ENDS, "rm 1": evicted, "hold 1": evicted, "noinput 1": unread}


def test_history_alone_knows_the_last_attempts_of_jobs_that_left() -> None:
    known = ("ok 1", "code65 1", "segv 1", "kill9 1", "rm 1", "prem 1", "vacate 2")

    assert ends(records(read(history="history.json"))) == {name: ENDS[name] for name in known}


def test_long_form_of_an_epoch_file_reads_like_json() -> None:
    long, short = records(read(epochs="epoch_history")), records(read(epochs="epochs.json"))

    for name in ("vacate 1", "vacate 2"):
        for field in ("job_id", "state", "exit", "started_at", "ended_at", "host"):
            assert long[name][field] == short[name][field]


def test_job_id_is_that_of_every_witness() -> None:
    [second] = [
        found
        for (name, number), found in read(epochs="epochs.json").attempts.items()
        if (name[8:12], number) == ("13.0", 2)
    ]

    assert job_id_of(second) == str(uuid.uuid5(JOB_NAMESPACE, f"{second.identity}|2|0"))


def test_zeros_of_the_ad_are_not_told() -> None:
    for record in records(read(epochs="epochs.json", history="history.json")).values():
        assert 0 not in record["resources"].values()
        assert "cpu_user_seconds" not in record["resources"]


def test_removal_of_a_held_or_idle_job_is_not_the_end_of_its_attempt() -> None:
    """It was held days before, so its removal is not the end of an attempt.

    The removal of a job that waits again says nothing of the attempt that was lost.
    """
    facts = {
        "GlobalJobId": "s#1.0#1",
        "NumShadowStarts": 1,
        "JobCurrentStartDate": 100,
        "LastVacateTime": 200,
        "JobStatus": 3,
    }
    held = {
        **facts,
        "LastJobStatus": 5,
        "LastHoldReason": "too long",
        "LastHoldReasonCode": 46,
        "RemoveReason": "tidy",
    }
    idle = {
        **facts,
        "GlobalJobId": "s#2.0#1",
        "LastJobStatus": 1,
        "RemoveReason": "tidy",
        "VacateReasonCode": 1008,
    }
    collection = Collection()
    collection.add([held, idle], "history")

    assert [
        record_of(found, "toy")["exit"]["error_class"] for found in collection.attempts.values()
    ] == [
        "held: JobDurationExceeded",
        "lost: ReconnectFailed",
    ]


def test_ticket_of_an_earlier_attempt_is_not_taken() -> None:
    ad = {
        "GlobalJobId": "s#1.0#1",
        "NumShadowStarts": 2,
        "JobCurrentStartDate": 300,
        "LastVacateTime": 400,
    }
    stale = {
        "ToE": {"HowCode": 0, "When": 200, "ExitBySignal": False, "ExitCode": 0},
        "ExitSignal": 15,
    }
    collection = Collection()
    collection.add([{**ad, **stale}], "epochs")
    [found] = collection.attempts.values()

    assert ends({"x": record_of(found, "toy")}) == {"x": ("killed", {"error_class": "evicted"})}


def test_condor_before_tickets_tells_the_exit_code_by_its_status() -> None:
    ad = {
        "GlobalJobId": "s#1.0#1",
        "NumShadowStarts": 1,
        "JobStatus": 4,
        "ExitCode": 3,
        "ExitBySignal": False,
    }
    collection = Collection()
    collection.add([ad], "history")
    [found] = collection.attempts.values()

    assert ends({"x": record_of(found, "toy")}) == {"x": ("failed", {"code": 3})}


def test_jobsub_job_brings_task_site_and_image_and_no_secret() -> None:
    collection = read(queue="jobsub.json")
    [attempt] = collection.attempts.values()
    record = record_of(attempt, str(experiment_of(attempt)))

    assert (record["experiment"], record["state"], record["exit"]["error_class"]) == (
        "nova",
        "killed",
        "held: JobOutOfResources",
    )
    assert record["task"] == {
        "task_id": "991",
        "campaign": "prod5",
        "stage": "reco",
        "project": "nova_reco_0042",
        "submitted_by": "novapro",
    }
    assert record["host"] == {
        "hostname": "wn123.fnal.gov",
        "slot": "slot1_3@glidein_1_77@wn123.fnal.gov",
        "site": "FermiGrid",
    }
    assert (record["batch"]["id"], record["batch"]["attempt"]) == ("81234.17@jobsub05.fnal.gov", 2)
    assert record["resources"] == {
        "wall_seconds": 3230.0,
        "cpu_user_seconds": 3100.0,
        "max_rss_bytes": 2355200 * 1024,
        "requested_memory_bytes": 2048 * 1024 * 1024,
    }
    assert record["environment"]["container"]["image"].endswith("fnal-wn-el9:latest")
    assert "canary" not in json.dumps(record)
    assert "eyJ" not in json.dumps(record)


def events(name: str) -> Iterable[str]:
    return (DATA / f"{name}.log").read_text().splitlines(keepends=True)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("rm", [("killed", {"error_class": "removed"})]),
        ("hold", [("killed", {"error_class": "held: UserRequest"})]),
        ("allowed", [("killed", {"error_class": "held: JobDurationExceeded"})]),
        ("segv", [("failed", {"code": 139, "signal": 11})]),
        (
            "starter",
            [("lost", {"error_class": "lost: ReconnectFailed"}), ("succeeded", {"code": 0})],
        ),
        ("vacate", [("killed", {"error_class": "evicted"}), ("succeeded", {"code": 0})]),
    ],
)
def test_event_log_tells_each_attempt(name: str, told: list[Any]) -> None:
    collection = Collection()
    collection.add(attempts_of(read_events(events(name), name)), "events")

    assert list(ends(records(collection)).values()) == told


def test_event_log_without_ad_information_needs_the_schedds_name() -> None:
    bare = "...\n".join(
        part for part in "".join(events("starter")).split("...\n") if not part.startswith("028")
    )
    named, unnamed = Collection(), Collection()
    named.add(attempts_of(read_events(bare.splitlines(), "bare"), schedd="sched01"), "events")
    unnamed.add(attempts_of(read_events(bare.splitlines(), "bare")), "events")

    assert [(found.identity.split("#")[:2], found.number) for found in named.attempts.values()] == [
        (["sched01", "12.0"], 1),
        (["sched01", "12.0"], 2),
    ]
    assert (unnamed.attempts, unnamed.unnamed) == ({}, 2)


def test_event_that_is_being_written_is_left_out() -> None:
    whole = "".join(events("segv"))

    seen = [
        event.number
        for event in read_events([*whole[: whole.index("005 (")].splitlines(), "005 (011.0"], "x")
    ]

    assert 5 not in seen
    assert seen[0] == 0


def test_log_of_dates_without_year_is_read() -> None:
    [event] = read_events(
        ["001 (7.3.0) 11/24 18:53:40 Job executing on host: <1.2.3.4>\n", "...\n"], "x", year=2021
    )

    assert (event.job, event.number) == ((7, 3), 1)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'[{"a": 1}, {"b": ', "breaks off"),
        (b'[{"a": 1}] and more', "breaks off"),
        (b"GlobalJobId = 1\nno ad at all\n", "line 2"),
        (b"\x00\x01\x02", "line 1"),
        (b'[{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}]", "nested too deeply"),
    ],
)
def test_damaged_ads_are_an_error_that_names_the_place(content: bytes, words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        list(read_ads(io.BytesIO(content), "file.json"))


@pytest.mark.slow
def test_file_without_lines_is_not_read_to_its_end() -> None:
    """A core dump, or /dev/zero, would fill the memory."""
    stream = io.BytesIO(b"A = " + b"x" * (32 << 20))

    with pytest.raises(BadInputError, match="line 1"):
        list(read_ads(stream, "core"))

    assert stream.tell() < 6 << 20


def test_damaged_event_log_is_an_error_that_names_the_line() -> None:
    with pytest.raises(BadInputError, match=r"job\.log, line 1: 'hello'"):
        list(read_events(["hello\n", "...\n"], "job.log"))


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"[\n]\n", b'{"a": 1}\n{"a": 1}\n', b'[{"a":1},{"a":1}]']
)
def test_every_form_of_json_is_read(content: bytes) -> None:
    assert list(read_ads(io.BytesIO(content), "x")) == [{"a": 1}] * content.count(b"a")


def test_ads_are_read_one_at_a_time() -> None:
    """A gigabyte of history takes no more memory than its largest ad.

    What comes first is there before the end is.
    """
    parts = [
        b"[\n",
        *[b'{"GlobalJobId": "%d"}\n,\n' % number for number in range(20_000)],
        b'{"GlobalJobId": "last"}\n]\n',
    ]
    stream = io.BytesIO(b"".join(parts))

    ads = read_ads(stream, "x")

    assert next(ads) == {"GlobalJobId": "0"}
    assert stream.tell() <= 1 << 16
    assert sum(1 for _ in ads) == 20_000


def test_ad_that_names_unit_and_what_is_tried_again_has_them_told() -> None:
    ad = {
        "GlobalJobId": "s#1.0#1700000000", "ClusterId": 1, "ProcId": 0, "NumShadowStarts": 1, "JobStatus": 4, "ExitCode": 1,
        "ExitBySignal": False, "EnteredCurrentStatus": 1700000100, "CompletionDate": 1700000100, "JobStartDate": 1700000000,
    }  # fmt: skip
    first = str(uuid.UUID(int=1))
    told = {}
    for retry_of in (first, "no id"):
        variables = f"JOBPROV_TASK_ID=t JOBPROV_UNIT='two words' JOBPROV_RETRY_OF='{retry_of}'"
        collection = Collection()
        collection.add([{**ad, "Environment": variables}], "history")
        [told[retry_of]] = records(collection).values()

    assert told[first]["task"] == {"task_id": "t", "unit": "two words"}
    assert told[first]["retry_of"] == first
    assert "retry_of" not in told["no id"]
