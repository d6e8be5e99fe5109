"""Real jobs in a real pool, killed in every way there is.

What the record then says, by the way the hook was let in.
"""

import re
from pathlib import Path
from typing import Any

import pytest
import requests

from jobprov.provenance.launchers.condor.attempts import Collection
from jobprov.provenance.launchers.condor.events import attempts_of, read_events
from jobprov.provenance.launchers.condor.record import record_of
from tests.library.grid.deaths import DEATHS, DOCUMENT, WAYS
from tests.library.grid.story import PAIRS, Story

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("grid")]


def cell(job: dict[str, Any]) -> str:
    """Return what the table says of a job: state, code and signal, class, who saw it.

    The class is that of the batch system.
    """
    merged = job["merged"]
    end = merged.get("exit") or {}
    seen = [witness["witness"] for witness in job["witnesses"]]
    words = [str(end["code"])] if "code" in end else []
    words += [f"signal {end['signal']}"] if "signal" in end else []
    differs = (
        " (they differ)"
        if any(gap["code"] == "witness-contradiction" for gap in job["gaps"])
        else ""
    )
    return f"{' '.join([merged['state'], ', '.join(words)]).strip()}: {', '.join(seen)}{differs}"


def documented() -> dict[str, list[str]]:
    """Return the rows of the document's table, by way of dying."""
    part = DOCUMENT.split("## Way of dying, way in")[1].split("\n## ")[0]
    tables = [
        dict(re.findall(r"^\| (.+) \| (.+) \|$", table, re.MULTILINE))
        for table in part.split("\n### ")[1:]
    ]
    for table in tables:
        del table["way of dying"]
    return {death: [table.get(death, "") for table in tables] for death in tables[0]}


def test_table_has_a_row_for_each_way_of_dying() -> None:
    assert list(documented()) == [death.words for death in DEATHS.values()]


@pytest.mark.parametrize("death", DEATHS)
def test_record_says_what_the_table_of_the_document_says(story: Story, death: str) -> None:
    word = history_record(story, death)["exit"].get("error_class", "")

    assert [cell(story.jobs[death, way]) for way in WAYS] + [word] == documented()[
        DEATHS[death].words
    ]


def history_record(story: Story, death: str, way: str = "none") -> dict[str, Any]:
    answer = requests.get(
        f"{story.service.url}/api/v1/jobs/{story.job_id((death, way))}",
        params={"witness": "history"},
        timeout=30,
    )
    record: dict[str, Any] = answer.json()["record"]
    return record


def test_witness_tells_of_each_attempt_once(story: Story) -> None:
    """At first it waits for the schedd to settle; then it tells all, and a third time nothing."""
    assert "wait for the next run" in story.first
    assert sum(story.second["states"].values()) == story.over >= len(story.ids)
    assert (story.second["refused"], story.second["conflicts"]) == ({}, [])
    assert (story.third["states"], story.third["told_before"]) == ({}, story.over)


def test_witness_that_forgot_everything_changes_nothing(story: Story, tmp_path: Path) -> None:
    report = story.witness("--state", str(tmp_path / "state.db"))

    assert sum(report["states"].values()) == story.over
    assert (report["new"], report["conflicts"], report["refused"]) == (0, [], {})


def test_event_logs_alone_tell_the_same_ends(story: Story) -> None:
    """A user without the batch history names the jobs alike and sees the same states."""
    collection = Collection()
    for death, way in PAIRS:
        log = story.pool.folder / "jobs" / f"{death}-{way}.log"
        collection.add(attempts_of(read_events(log.read_text().splitlines(), log.name)), "events")
    told = {
        record["job_id"]: record
        for record in (record_of(found, "toy") for found in collection.attempts.values())
    }

    for death, way in PAIRS:
        history = history_record(story, death, way)
        event = told[history["job_id"]]
        attempt = story.attempts[story.ids[death, way]]
        seen = (event["state"], event["batch"]["attempt"])
        assert seen == (history["state"], attempt), (death, way)
        if history["exit"].get("error_class", "").startswith("held"):
            assert event["exit"]["error_class"] == history["exit"]["error_class"]


def test_command_reads_event_logs(story: Story, tmp_path: Path) -> None:
    logs = [
        word
        for way in WAYS
        for word in ("--event-log", str(story.pool.folder / "jobs" / f"node-{way}.log"))
    ]

    report = story.witness(
        "--dry-run", "--experiment", "toy", "--state", str(tmp_path / "state.db"), *logs
    )

    assert report["states"] == {"lost": 4}


def test_killed_jobs_keep_what_they_printed_where_a_hook_was_there(story: Story) -> None:
    """The batch system brings nothing home of a job that was removed."""
    for way in ("wrapper", "postcmd", "startd"):
        assert "begins rm-" in story.log(("rm", way), "stdout"), way


def test_job_killed_with_its_hook_keeps_what_it_said_last(story: Story) -> None:
    """Its record is the witness's; the hook only said that it runs, and sent ends of its logs."""
    pair = ("late", "tail")
    job = story.read(story.job_id(pair))

    assert {witness["witness"] for witness in job["witnesses"]} == {"wrapper", "history"}
    assert (job["merged"]["state"], job["merged"]["exit"]["signal"]) == ("killed", 9)
    said = story.log(pair, "stdout")
    assert said.startswith("begins late-tail\nworks on 0\n")
    assert "works on 5\n" in said
    page = requests.get(
        f"{story.service.url}/jobs/{story.job_id(pair)}/logs/stdout", timeout=30
    ).text
    assert "works on 5" in page


def test_jobs_without_a_hook_keep_what_the_batch_system_has(story: Story) -> None:
    assert "begins code-none" in story.log(("code", "none"), "stdout")
    assert "via condor_rm" in story.log(("rm", "none"), "condor.log")
    assert "JobLeaseDuration" in story.log(("node", "none"), "condor.log")
    assert story.log(("rm", "none"), "stdout") == ""


def test_record_that_could_not_be_sent_comes_home_with_the_output(story: Story) -> None:
    """The service was down for this job.

    Its record arrives when the witness looks, and may be sent again by hand.
    """
    job_id = story.job_id(("ok", "unsent"))
    assert (story.pool.folder / "jobs" / f"jobprov-{job_id}.jobprov").exists()
    job = story.read(job_id)

    done = story.flush_what_came_home()

    assert "sent 1" in done
    assert {found["witness"] for found in job["witnesses"]} == {"wrapper", "history"}
    assert "begins ok-unsent" in story.log(("ok", "unsent"), "stdout")


def test_node_times_and_amounts_come_from_the_history(story: Story) -> None:
    record = history_record(story, "wall")

    assert record["host"]["slot"].startswith("slot1_")
    assert record["batch"]["queued_at"] <= record["started_at"] < record["ended_at"]
    assert 30 <= record["resources"]["wall_seconds"] < 150
    assert record["resources"]["requested_memory_bytes"] == 32 * 1024 * 1024
    assert "PeriodicRemove" in record["exit"]["message"]
    for death in DEATHS:
        assert 0 not in history_record(story, death).get("resources", {}).values(), death


def test_hooks_on_the_node_name_host_and_task(story: Story) -> None:
    for way in ("postcmd", "startd"):
        merged = story.jobs["code", way]["merged"]
        assert merged["host"]["slot"].startswith("slot1_"), way
        assert (merged["experiment"], merged["task"]["task_id"]) == ("toy", "my-first-task")


def test_contradiction_is_shown_on_the_page(story: Story) -> None:
    """The job did its work, and its output never came home.

    The wrapper and the history cannot both be right.
    """
    pair = ("output", "wrapper")

    page = requests.get(f"{story.service.url}/jobs/{story.job_id(pair)}", timeout=30).text

    [gap] = [gap for gap in story.jobs[pair]["gaps"] if gap["code"] == "witness-contradiction"]
    assert "state" in gap["message"]
    shown = re.sub(r"<[^>]+>|\s+", " ", page.split('id="contradictions"')[1])
    assert re.search(r"state\s+wrapper\s+succeeded\s*;\s*history\s+failed", shown), shown[:2000]
    assert "held: TransferOutputError: Transfer output files failure" in page
