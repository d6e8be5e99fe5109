"""`jobprov job ID --parameter KEY` and `jobprov jobs --cause ID` against a real service."""

import json
import time
from collections.abc import Iterator

import pytest

from jobprov.provenance.client import Client
from tests.library.records import JOB, a_record, job_id, sha256
from tests.library.servers.live_service import LiveService

pytestmark = pytest.mark.slow

TEXT = b"""process_name: Reco
source: { module_type: RootInput maxEvents: 100 }
physics: {
  producers: { hits: { module_type: HitFinder threshold: 0.05 } spare: { module_type: Spare x: 1 } }
  reco: [hits]
}
"""
ARGV = ["lar", "-c", "job.fcl", "-n", "10", "-s", "/data/a.root"]
RELEASE = [{"name": "art", "product": {"manager": "ups", "version": "v3_14_04"}}]
FAILED = {
    "state": "failed",
    "exit": {
        "code": 1,
        "failed_step": "art",
        "error_class": "BadHit",
        "message": "hit 3 is bad (HitFinder/hits, run 1 subRun 0 event 2)",
    },
    "command": {"argv": ARGV, "steps": [{"name": "art", "argv": ARGV}]},
}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    service = LiveService(tmp_path_factory.mktemp("ran") / "var")
    client = Client(service.url)
    digest = sha256(TEXT)
    client.put_blob(digest, TEXT)
    files = [{"name": "job.fcl", "path": "job.fcl", "sha256": digest}]
    ran = {"step": "art", "main": "job.fcl", "files": files}
    client.record(a_record(**FAILED, software=RELEASE, configurations=[ran]))
    client.record(a_record(2, **FAILED, configurations=[ran]))
    other = {**FAILED["exit"], "message": "the beam is off"}
    drawn = [{"module": "gen", "engine": "HepJamesRandom", "seed": 4711}]
    client.record(a_record(3, **{**FAILED, "exit": other}, seeds=drawn))
    yield service
    service.stop()


def test_a_list_of_jobs_says_which_engine_began_with_the_seed(live: LiveService) -> None:
    listed = live.run("jobs", "--seed", "4711").stdout.splitlines()
    [job] = json.loads(live.run("jobs", "--seed", "4711", "--json").stdout)
    other = json.loads(live.run("jobs", "--json").stdout)

    assert listed[0].endswith("MATCHED")
    assert listed[1].startswith(job_id(3))
    assert listed[1].endswith("seed of gen (HepJamesRandom)=4711")
    assert job["matched"] == [{"key": "seed of gen (HepJamesRandom)", "value": "4711"}]
    assert job["job_id"] == job_id(3)
    assert all("matched" not in each for each in other)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("source.maxEvents", "10, set by the command line, -n 10; job.fcl:2 says 100"),
        ("source.fileNames", '["/data/a.root"], set by the command line, -s /data/a.root'),
        ("source.fileNames[0]", '"/data/a.root", set by the command line, -s /data/a.root'),
        ("process_name", '"Reco", set by job.fcl:1'),
        ("physics.producers.hits.threshold", "0.05, set by job.fcl:4"),
        ("physics.producers.spare.x", "not in what ran, as no path has it; job.fcl:4 says 1"),
        ("services.scheduler.num_threads", "1, set by art itself"),
    ],
)
def test_a_parameter_is_shown_as_it_ran_with_who_set_it(
    live: LiveService, key: str, said: str
) -> None:
    ended = live.run("job", JOB, "--parameter", key)

    assert ended.stdout == f"{key} in step art: {said}\n", ended.stderr


def test_a_table_is_shown_without_one_who_set_it(live: LiveService) -> None:
    ended = live.run("job", JOB, "--parameter", "physics.producers.hits")

    assert ended.stdout.startswith("physics.producers.hits in step art: {module_label:")
    assert "set by" not in ended.stdout


def test_what_is_not_known_to_have_run_is_shown_as_written(live: LiveService) -> None:
    ended = live.run("job", job_id(2), "--parameter", "source.maxEvents")

    assert ended.stdout.startswith(
        "source.maxEvents in step art, as written in job.fcl:2: 100. Which set ran is not known. "
    )
    [value] = json.loads(
        live.run("job", job_id(2), "--parameter", "source.maxEvents", "--json").stdout
    )
    assert (value["value"], value["written"], value["written_at"]) == (None, "100", "job.fcl:2")


def test_a_parameter_that_no_configuration_has_is_a_wrong_question(live: LiveService) -> None:
    ended = live.run("job", JOB, "--parameter", "no.such")

    assert (ended.returncode, ended.stdout) == (2, "")
    assert f"No configuration of job {JOB} has no.such." in ended.stderr


def test_jobs_of_one_cause_are_listed_from_one_of_them(live: LiveService) -> None:
    end = time.monotonic() + 60
    while "alike" not in (text := live.run("job", JOB).stdout):  # read in the background
        assert time.monotonic() < end, text
        time.sleep(0.2)
    [words] = [line.split()[1:] for line in text.splitlines() if line.startswith("alike")]
    assert words[:3] == ["jobprov", "jobs", "--cause"]
    assert "class      code: " in text
    assert "advice     Look at the message" in text

    listed = json.loads(live.run(*words[1:], "--json").stdout)
    counted = live.run("errors").stdout

    assert {job["job_id"] for job in listed} == {JOB, job_id(2)}
    assert f"jobprov jobs --cause {words[3]}" in counted
