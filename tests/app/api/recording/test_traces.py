"""Which jobs are to be traced: the first of each kind that asks, and another one where no trace comes."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from jobprov.app.config import load_settings
from jobprov.app.wiring import Service
from jobprov.provenance.services.background import HANDLERS
from jobprov.provenance.services.intake import trace_turns
from jobprov.provenance.services.intake.trace_turns import may_get_turn, take_turn
from jobprov.provenance.services.recording.traced_kinds import MOST_USED
from jobprov.provenance.services.work.queue import Parts, drain
from tests.library.answers import assert_problem
from tests.library.databases import on_sqlite_alone
from tests.library.records import a_record, digest

KEY, OTHER = digest(1), digest(2)


def ask(
    client: FlaskClient,
    key: str = KEY,
    experiment: str = "nova",
    headers: dict[str, str] | None = None,
    **more: bool,
) -> Any:
    question = {"experiment": experiment, "key": key, **more}
    return client.post("/api/v1/traces/turns", json=question, headers=headers)


def is_wanted(client: FlaskClient, key: str = KEY, experiment: str = "nova") -> bool:
    answer = ask(client, key, experiment)
    assert answer.status_code == 200
    return answer.get_json()["is_wanted"]


def test_first_of_each_kind_and_experiment_is_traced(client: FlaskClient) -> None:
    assert is_wanted(client)
    assert not is_wanted(client)
    assert is_wanted(client, OTHER)
    assert is_wanted(client, experiment="dune")
    assert not is_wanted(client)


def turn_after(service: Service, passed: timedelta) -> bool:
    now = datetime.now(UTC) + passed
    return service.write(lambda writing: take_turn(writing.connection, "nova", KEY, now))


def test_another_job_gets_the_turn_where_no_trace_comes(
    client: FlaskClient, service: Service
) -> None:
    assert is_wanted(client)

    assert not turn_after(service, timedelta(hours=5))
    assert turn_after(service, timedelta(hours=7))
    assert not turn_after(service, timedelta(hours=8))


def test_turn_whose_hook_gave_up_waiting_soon_goes_to_another_job(
    client: FlaskClient, service: Service
) -> None:
    """Its job runs untraced, and no job of the kind was traced for six hours."""
    assert ask(client, confirms=True).get_json()["is_wanted"]

    assert not is_wanted(client)
    assert turn_after(service, timedelta(minutes=2))


def test_turn_that_a_hook_confirms_is_kept(client: FlaskClient, service: Service) -> None:
    assert ask(client, confirms=True).get_json()["is_wanted"]
    assert not ask(client, can_be_traced=False, is_traced=True).get_json()["is_wanted"]

    assert not turn_after(service, timedelta(hours=5))
    assert turn_after(service, timedelta(hours=7))


def test_confirmation_that_comes_after_the_record_leaves_the_kind_alone(
    client: FlaskClient, service: Service
) -> None:
    record = a_record(1, experiment="nova", trace={"keys": [KEY]})
    assert ask(client, confirms=True).get_json()["is_wanted"]
    client.put(f"/api/v1/jobs/{record['job_id']}", json=record)

    answer = ask(client, can_be_traced=False, is_traced=True)

    assert answer.status_code == 200
    assert not turn_after(service, timedelta(days=30))


def test_other_jobs_of_the_kind_are_told_what_the_traced_one_used(client: FlaskClient) -> None:
    traced = {"evidence": "traced", "sha256": digest(5)}
    seen = {"evidence": "seen", "sha256": digest(7)}
    record = a_record(
        1,
        trace={
            "keys": [KEY],
            "not_kept": [{"path": "/data/large.h5", "reason": "large"}],
            "network": ["10.0.0.1:80"],
            "changed": ["/exp/job/table.db", "/data/list.txt"],
            "absent": ["~/.rootrc"],
        },
        command={"argv": ["reco", "7", "run012"], "working_directory": "/exp/job"},
        inputs=[
            {"name": "told.root", "path": "/data/told.root", "evidence": "told"},
            {"name": "calib.txt", "path": "/data/calib.txt", **traced},
            {"name": "cuts.txt", "path": "cuts.txt", "role": "configuration", **traced},
            {"name": "main.c", "path": "/data/main.c", "sha256": digest(6), "evidence": "seen"},
        ],
        scripts=[
            {"name": "m.py", "path": "/opt/odd/m.py", **traced},
            {"name": "tool.py", "path": "tool.py", "modified_at": "2026-03-01T08:00:00Z", **seen},
            {"name": "tmp4x.py", "path": "w/tmp4x.py", **seen},  # the job wrote it itself
        ],
        layout=[
            {"path": "/exp/results", "kind": "folder"},
            {"path": "/exp/new", "kind": "new folder"},
            {"path": "plots", "kind": "folder"},
        ],
    )
    experiment = record["experiment"]
    assert is_wanted(client, experiment=experiment)
    before = ask(client, experiment=experiment).get_json()

    client.put(f"/api/v1/jobs/{record['job_id']}", json=record)

    after = ask(client, experiment=experiment).get_json()
    assert before == {"is_wanted": False, "is_pending": True, "used": None}
    assert after["used"] == {
        "files": ["/data/calib.txt", "cuts.txt", "/data/main.c", "/data/large.h5"],
        "code": ["/opt/odd/m.py", "tool.py"],
        "hosts": ["10.0.0.1:80"],
        "folders": ["/exp/results"],
        "own": [],
        "copies": [],
        "changed": ["table.db", "/data/list.txt"],
        "absent": ["~/.rootrc"],
        "no_parents": ["cuts.txt"],
        "numbers": ["7", "012"],
        "left_out": 0,
    }
    assert not after["is_pending"]


def test_other_jobs_are_not_told_the_files_of_the_traced_one_s_unit(client: FlaskClient) -> None:
    """Else each of them would have that file among its parents."""
    made = a_record(1, outputs=[{"name": "gen.root", "sha256": digest(6)}])
    client.put(f"/api/v1/jobs/{made['job_id']}", json=made)
    paths = ["/data/gen.root", "/data/raw_0007.root", "/data/staged.root", "/data/calib_17.root"]
    traced = []
    for number, path in enumerate(paths):
        file = {"name": path[6:], "path": path, "sha256": digest(10 + number)}
        traced.append({**file, "evidence": "traced"})
    copy = {"name": "in.root", "path": "in.root", "evidence": "seen", "sha256": digest(12)}
    fetched = {
        "name": "sam.root",
        "path": "ifdh_0_41/sam.root",
        "location": "gsiftp://door.example.org/sam.root",
        "evidence": "seen",
        "sha256": digest(15),
    }
    record = a_record(
        2,
        task={"task_id": "reco", "unit": "7"},
        trace={"keys": [KEY], "not_kept": [{"path": "/data/big_7.h5", "reason": "large"}]},
        inputs=[copy, *traced, fetched],
    )
    client.put(f"/api/v1/jobs/{record['job_id']}", json=record)

    answer = ask(client, experiment=record["experiment"]).get_json()

    assert answer["used"]["files"] == ["in.root", "/data/calib_17.root"]
    own = [*paths[:2], "/data/big_7.h5", "ifdh_0_41/sam.root"]
    assert answer["used"]["own"] == own
    assert answer["used"]["copies"] == ["/data/staged.root"]


def test_job_with_fewer_inputs_that_nobody_named_than_the_traced_one_is_not_whole(
    client: FlaskClient,
) -> None:
    """An input that all jobs of the kind name stood for a configuration that nobody saw."""
    made = a_record(1, outputs=[{"name": "gen.root", "sha256": digest(6)}])
    raw = {"name": "raw.root", "path": "/data/raw.root", "sha256": digest(5), "evidence": "told"}
    copy = {**raw, "path": "raw.root", "evidence": "seen"}
    gen = {"name": "gen.root", "path": "/data/gen.root", "sha256": digest(6), "evidence": "traced"}
    at_another_place = {**gen, "path": "/scratch/gen.root"}
    shared = {"name": "offset.txt", "path": "/data/offset.txt", "sha256": digest(8)}
    shared["evidence"] = "traced"
    inputs = [raw, copy, gen, at_another_place, shared]
    traced = a_record(2, trace={"keys": [KEY]}, inputs=inputs)
    lacking, whole = (a_record(number, trace={"waits_for": [KEY]}) for number in (3, 4))
    lacking["inputs"] = [raw, copy, shared]
    other = {"name": "other.root", "path": "/data/other.root", "sha256": digest(7)}
    whole["inputs"] = [raw, {**other, "evidence": "seen"}, copy, shared]

    for record in (made, traced, lacking, whole):
        client.put(f"/api/v1/jobs/{record['job_id']}", json=record)

    assert unseen_of(client, whole) == ""
    assert "/data/gen.root" in unseen_of(client, lacking)


def test_job_that_ended_before_the_traced_one_of_its_kind_learns_what_that_used(
    client: FlaskClient, service: Service, tmp_path: Path
) -> None:
    """Untraced jobs are the faster ones: the first wave of a task would never be whole."""
    early, named = (a_record(number, trace={"waits_for": [KEY]}) for number in (1, 2))
    calib = {"name": "calib.txt", "path": "/data/calib.txt", "sha256": digest(5)}
    named["inputs"] = [calib]
    traced = a_record(3, trace={"keys": [KEY]}, inputs=[{**calib, "evidence": "traced"}])
    for record in (early, named):
        client.put(f"/api/v1/jobs/{record['job_id']}", json=record)
    before = [unseen_of(client, record) for record in (early, named)]

    client.put(f"/api/v1/jobs/{traced['job_id']}", json=traced)
    parts = Parts(service.database, service.writer, service.store, tmp_path / "git")
    drain(parts, HANDLERS)

    after = [unseen_of(client, record) for record in (early, named)]
    assert ["No record" in message for message in before] == [True, True]
    assert "/data/calib.txt" in after[0]
    assert after[1] == ""


def test_file_that_jobsub_brings_to_each_job_is_one_file(client: FlaskClient) -> None:
    """Its folder has the number of the job: all jobs of the first wave had a gap."""
    brought = "no_xfer/{}/TRANSFERRED_INPUT_FILES/files.txt"
    jobs = []
    for number, trace in enumerate(
        ({"keys": [KEY]}, {"waits_for": [KEY]}, {"waits_for": [KEY]}), 1
    ):
        job = a_record(number, trace=trace)
        path = brought.format(number)
        scratch = f"/scratch/dir_{number}"
        job["command"] = {"argv": ["sh", "reco.sh"], "working_directory": scratch}
        folder = Path(scratch, path).parent
        job["environment"] = {"variables": {"CONDOR_DIR_INPUT": str(folder)}}
        job["inputs"] = [{"name": "files.txt", "path": path, "evidence": "traced"}]
        jobs.append(job)
    jobs[2]["inputs"] = []

    for job in jobs:
        client.put(f"/api/v1/jobs/{job['job_id']}", json=job)

    assert unseen_of(client, jobs[1]) == ""
    assert brought.format(1) in unseen_of(client, jobs[2])


def test_job_of_several_steps_waits_until_the_kinds_of_all_were_traced(
    client: FlaskClient, service: Service, tmp_path: Path
) -> None:
    other = "b" * 64
    early = a_record(1, trace={"waits_for": [KEY, other]})
    files = {KEY: "/data/first.txt", other: "/data/second.txt"}
    client.put(f"/api/v1/jobs/{early['job_id']}", json=early)
    parts = Parts(service.database, service.writer, service.store, tmp_path / "git")
    told = []

    for number, (key, path) in enumerate(files.items(), 2):
        read = {"name": Path(path).name, "path": path, "evidence": "traced"}
        traced = a_record(number, trace={"keys": [key]}, inputs=[read])
        client.put(f"/api/v1/jobs/{traced['job_id']}", json=traced)
        drain(parts, HANDLERS)
        told.append(unseen_of(client, early))

    assert "No record" in told[0]
    assert "/data/first.txt, /data/second.txt" in told[1]


def test_traced_job_of_several_steps_tells_the_jobs_of_all_their_kinds(
    client: FlaskClient,
) -> None:
    other = "b" * 64
    calib = {"name": "calib.txt", "path": "/data/calib.txt", "evidence": "traced"}
    traced = a_record(1, trace={"keys": [KEY, other]}, inputs=[calib])

    client.put(f"/api/v1/jobs/{traced['job_id']}", json=traced)

    for key in (KEY, other):
        answer = ask(client, experiment=traced["experiment"], key=key).get_json()
        assert answer["used"]["files"] == ["/data/calib.txt"]


SETTINGS = ["~/.config/tool/toolrc", "~/.data/", "~/.rootrc"]


@pytest.mark.parametrize("is_traced_first", [True, False])
@pytest.mark.parametrize(
    ("absent", "message"),
    [
        (["~/.rootrc", "~/.other"], "looked for ~/.rootrc in vain"),
        (["~/.config/tool"], "looked for ~/.config/tool in vain"),
        (["~/.data/run/tool.db"], "looked for ~/.data/run/tool.db in vain"),
        (["~/.config/other", "~/.root", "/data/.rootrc"], ""),
    ],
)
def test_settings_that_the_traced_job_of_its_kind_lacked_are_a_gap_of_an_early_job(
    client: FlaskClient,
    service: Service,
    tmp_path: Path,
    absent: list[str],
    message: str,
    *,
    is_traced_first: bool,
) -> None:
    """The early one has them in its home folder, and ran otherwise."""
    early = a_record(1, trace={"waits_for": [KEY], "home_settings": SETTINGS})
    traced = a_record(2, trace={"keys": [KEY], "absent": absent})
    records = [traced, early] if is_traced_first else [early, traced]

    for record in records:
        client.put(f"/api/v1/jobs/{record['job_id']}", json=record)
    parts = Parts(service.database, service.writer, service.store, tmp_path / "git")
    drain(parts, HANDLERS)

    told = gaps_of(client, early, "touched-not-kept")
    assert message in told
    assert bool(told) == bool(message)
    assert unseen_of(client, early) == ""


@pytest.mark.slow
def test_jobs_of_a_kind_are_told_how_many_files_the_record_of_the_traced_one_does_not_name(
    client: FlaskClient,
) -> None:
    """One of them may have what stands in no list."""
    early = a_record(1, trace={"waits_for": [KEY]})
    traced = a_record(
        2,
        trace={
            "keys": [KEY],
            "absent": ["~/.rootrc"],
            "absent_left_out": 30,
            "not_kept": [{"path": "/data/large.h5", "reason": "large"}],
            "not_kept_count": 5,
        },
        inputs=[
            {"name": f"{number}", "path": f"/data/{number}", "evidence": "traced"}
            for number in range(MOST_USED + 6)
        ],
    )
    early["inputs"] = [*traced["inputs"], {"name": "large.h5", "path": "/data/large.h5"}]

    for record in (traced, early):
        client.put(f"/api/v1/jobs/{record['job_id']}", json=record)

    told = ask(client, experiment=traced["experiment"]).get_json()["used"]
    assert (len(told["files"]), told["left_out"]) == (MOST_USED, 30 + 4 + 7)
    assert "41 more files than its record names" in unseen_of(client, early)


def test_newest_traced_job_of_a_kind_stands_whichever_stands_first_in_a_batch(
    client: FlaskClient,
) -> None:
    records = []
    for number in (2, 1):
        file = {"name": f"{number}.txt", "path": f"/data/{number}.txt", "evidence": "traced"}
        records.append(a_record(number, trace={"keys": [KEY]}, inputs=[file]))

    client.post("/api/v1/jobs/batch", json={"jobs": records})

    told = ask(client, experiment=records[0]["experiment"]).get_json()
    assert told["used"]["files"] == ["/data/2.txt"]


def unseen_of(client: FlaskClient, record: dict[str, Any]) -> str:
    """Return what the gap of a job says that it may have read."""
    return gaps_of(client, record, "reads-unseen")


def gaps_of(client: FlaskClient, record: dict[str, Any], code: str) -> str:
    answer = client.get(f"/api/v1/jobs/{record['job_id']}").get_json()
    return " ".join(gap["message"] for gap in answer["gaps"] if gap["code"] == code)


def test_job_that_cannot_be_traced_does_not_take_the_turn(client: FlaskClient) -> None:
    question = {"experiment": "nova", "key": KEY, "can_be_traced": False}

    assert not client.post("/api/v1/traces/turns", json=question).get_json()["is_wanted"]
    assert is_wanted(client)


@pytest.mark.parametrize("way", ["alone", "in a batch"])
def test_kind_of_which_a_trace_came_is_left_alone_for_months(
    client: FlaskClient, service: Service, way: str
) -> None:
    record = a_record(1, trace={"keys": [KEY]})
    assert is_wanted(client, experiment=record["experiment"])

    if way == "alone":
        client.put(f"/api/v1/jobs/{record['job_id']}", json=record)
    else:
        client.post("/api/v1/jobs/batch", json={"jobs": [record]})

    later = datetime.now(UTC) + timedelta(days=30)
    much_later = datetime.now(UTC) + timedelta(days=200)
    with service.reading() as connection:
        assert not may_get_turn(connection, record["experiment"], KEY, later)
        assert may_get_turn(connection, record["experiment"], KEY, much_later)


def test_service_that_is_told_so_has_nobody_traced(app: Flask, service: Service) -> None:
    settings = replace(
        service.settings, trace_first=load_settings({"JOBPROV_TRACE_FIRST": "off"}).trace_first
    )
    app.extensions["jobprov"] = replace(service, settings=settings)

    assert service.settings.trace_first
    assert not is_wanted(app.test_client())


@pytest.mark.parametrize("confirms", [True, False])
def test_jobs_that_are_all_of_a_new_kind_are_not_all_traced(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, *, confirms: bool
) -> None:
    monkeypatch.setattr(trace_turns, "MOST_AN_HOUR", 3)

    wanted = []
    for number in range(5):
        answer = ask(client, digest(number), confirms=confirms)
        wanted.append(answer.get_json()["is_wanted"])

    assert wanted == [True] * 3 + [False] * 2


def test_kinds_that_are_remembered_are_bounded(
    client: FlaskClient, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace_turns, "MOST_KINDS", 2)

    assert [is_wanted(client, digest(number)) for number in range(3)] == [True, True, False]
    later = datetime.now(UTC) + timedelta(days=200)
    assert service.write(lambda writing: take_turn(writing.connection, "nova", digest(9), later))


def test_tokens_ask_for_their_experiment_alone(
    client: FlaskClient, new_token: Callable[..., dict[str, str]]
) -> None:
    nova = new_token("nova")

    assert ask(client, headers=nova).get_json()["is_wanted"]
    assert_problem(ask(client, experiment="dune", headers=nova), 403)
    assert_problem(ask(client), 401)


@on_sqlite_alone
@pytest.mark.parametrize(
    "question",
    [
        {},
        [],
        {"experiment": "nova", "key": "x"},
        {"experiment": "", "key": KEY},
        {"experiment": "nova" * 200, "key": KEY},
        {"experiment": "nova", "key": "A" * 64},
    ],
)
def test_question_that_is_none_is_refused(client: FlaskClient, question: Any) -> None:
    assert_problem(client.post("/api/v1/traces/turns", json=question), 422)
