"""The demo runs real programs under the built hook.

Only the service is a small stand-in that keeps what it is sent.
"""

import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from jobprov.provenance import fhicl
from jobprov.provenance.errors import NotFoundError, ProvenanceError, UnreachableError
from jobprov.provenance.services.demo import production as run_demo_module
from jobprov.provenance.services.demo.jobs import Production
from jobprov.provenance.services.demo.production import DemoReport, run_demo
from jobprov.provenance.services.demo.release import PROGRAMS, Release
from tests.library.hook import put_hook

# One production serves every test here
pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("run_demo"),
]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "StandIn"

    def log_message(self, *_words: object) -> None:
        """Keep quiet."""

    def do_GET(self) -> None:
        job_id = self.path.partition("?")[0].rpartition("/")[2]
        self.answer(200 if self.path.endswith("/health") or job_id in self.server.records else 404)

    def do_POST(self) -> None:
        wanted = json.loads(self.body())["sha256"]
        self.answer(200, missing=[digest for digest in wanted if digest not in self.server.blobs])

    def do_PUT(self) -> None:
        kind, name = self.path.removeprefix("/api/v1/").split("/")
        content = self.body()
        self.server.tokens.add(self.headers.get("Authorization"))
        if kind == "tasks":
            self.server.tasks[name] = json.loads(content)
            self.answer(self.server.answer_to_tasks)
        else:
            kept = self.server.blobs if kind == "blobs" else self.server.records
            kept[name] = content if kind == "blobs" else json.loads(content)
            self.answer(201, job_id=name, sha256=name, missing_blobs=[])

    def body(self) -> bytes:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return (
            gzip.decompress(content) if self.headers.get("Content-Encoding") == "gzip" else content
        )

    def answer(self, status: int, **fields: Any) -> None:
        content = json.dumps(fields).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class StandIn(ThreadingHTTPServer):
    daemon_threads = True
    answer_to_tasks = 201

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.records: dict[str, Any] = {}
        self.blobs: dict[str, bytes] = {}
        self.tasks: dict[str, Any] = {}
        self.tokens: set[str | None] = set()
        self.url = f"http://127.0.0.1:{self.server_port}"


class Demo:
    """One run of a small demo, and what it left."""

    def __init__(self, data: Path, hook: Path, service: StandIn) -> None:
        self.data, self.service = data, service
        self.lines: list[str] = []
        self.registered: list[tuple[str, str]] = []
        self.report: DemoReport = run_demo(
            url=service.url,
            token="t0ken",  # noqa: S106  a made-up one
            data=data,
            hook=hook,
            report=self.lines.append,
            register_repository=lambda name, path: self.registered.append((name, path)),
            events=40,
            units=1,
        )

    def records(self, stage: str) -> list[dict[str, Any]]:
        found = (
            record for record in self.service.records.values() if record["task"]["stage"] == stage
        )
        return sorted(found, key=lambda record: (record["task"]["unit"], record["started_at"]))


@pytest.fixture(scope="module")
def hook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return put_hook(tmp_path_factory.mktemp("hook") / "job-end-hook.pyz")


@contextmanager
def answering() -> Iterator[StandIn]:
    """Yield a stand-in that answers as long as the block runs."""
    with StandIn() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def service() -> Iterator[StandIn]:
    with answering() as server:
        yield server


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, hook: Path, service: StandIn) -> Demo:
    return Demo(tmp_path_factory.mktemp("data"), hook, service)


def test_every_job_is_recorded_by_the_hook(demo: Demo) -> None:
    assert set(demo.service.records) == {job.job_id for job in demo.report.jobs}
    assert len(demo.report.jobs) == 8
    assert demo.report.unrecorded == []
    assert {record["experiment"] for record in demo.service.records.values()} == {"toyexp"}
    assert {record["task"]["campaign"] for record in demo.service.records.values()} == {"demo-2026"}
    assert demo.service.tokens == {"Bearer t0ken"}


def test_code_is_named_by_the_registered_repository_and_tag(demo: Demo) -> None:
    ((name, path),) = demo.registered

    for record in demo.service.records.values():
        (software,) = record["software"]
        assert (software["name"], software["repository"]) == (name, path)
        assert (software["requested_ref"], software["revision"]) == ("v1_02_00", demo.report.commit)
        assert software["is_dirty"] is False


def test_generation_has_no_inputs_and_its_seed_is_recorded(demo: Demo) -> None:
    record = demo.records("gen")[0]

    assert record.get("inputs", []) == []
    assert record["task"]["unit"] == "0000"
    # As the option says, and as the log says
    assert {seed["seed"] for seed in record["seeds"]} == {2026100}
    assert record["outputs"][0]["event_count"] == 40
    assert record["outputs"][0]["data_tier"] == "generated"


def test_configuration_arrives_with_its_include_closure(demo: Demo) -> None:
    (configuration,) = demo.records("gen")[0]["configurations"]

    names = [file["name"] for file in configuration["files"]]

    assert names[0] == "gen_0000.fcl"
    assert {"gen.fcl", "generator_toyexp.fcl", "beams_toyexp.fcl", "messages_toyexp.fcl"} < set(
        names
    )
    assert all(file["sha256"] in demo.service.blobs for file in configuration["files"])


def test_hopeless_job_is_killed_and_not_retried(demo: Demo) -> None:
    record = demo.records("gen")[-1]

    assert (record["state"], record["exit"]["signal"]) == ("killed", 24)
    assert [job.unit for job in demo.report.failed if job.stage == "gen"] == ["0001"]


def test_misspelt_job_fails_clearly_and_its_retry_has_the_same_unit(demo: Demo) -> None:
    first, second = demo.records("reco")

    assert (first["state"], first["exit"]["code"], first["exit"]["failed_step"]) == (
        "failed",
        9,
        "smear",
    )
    assert "unsupported parameter: eficiency" in first["exit"]["message"]
    assert (second["state"], second["task"]["unit"]) == ("succeeded", first["task"]["unit"])
    assert second["job_id"] != first["job_id"]
    assert [job.is_retry for job in demo.report.jobs if job.stage == "reco"] == [False, True]


def test_reconstruction_has_two_steps_and_two_streams(demo: Demo) -> None:
    record = demo.records("reco")[-1]

    assert [step["name"] for step in record["command"]["steps"]] == ["smear", "select"]
    streams = [output["data_stream"] for output in record["outputs"] if output["step"] == "select"]
    assert streams == ["dimuon", "sideband"]
    assert "run_reco.sh" in {script["name"] for script in record["scripts"]}


def test_jobs_that_end_well_tell_how_long_their_modules_took(demo: Demo) -> None:
    told = {
        stage: {
            (module["step"], module.get("label")): module["events"]
            for record in demo.records(stage)
            if record["state"] == "succeeded"
            for module in record["modules"]
        }
        for stage in ("gen", "reco", "merge", "histogram")
    }

    assert told["gen"]["toy", "generator"] == 40
    assert {
        ("smear", "smear"),
        ("select", "pairs"),
        ("select", "in_window"),
        ("select", "off_window"),
    } <= set(told["reco"])
    assert ("toy", "out") in told["merge"]
    assert ("toy", "mass") in told["histogram"]
    assert all(
        "modules" not in record for record in demo.records("gen") if record["state"] == "killed"
    )


def test_last_stage_writes_json_and_svg(demo: Demo) -> None:
    record = demo.records("histogram")[0]

    assert {Path(output["name"]).suffix for output in record["outputs"]} == {".json", ".svg"}
    assert {output["data_tier"] for output in record["outputs"]} == {"histogram"}


def test_kept_files_carry_the_task_id_beside_them(demo: Demo) -> None:
    declared = json.loads(
        (demo.data / "demo/run-0001/files" / f"{demo.report.merged_file}.json").read_text()
    )

    assert declared["metadata"]["prov.task_id"] == "toyexp-demo-merge-0001"


def test_report_says_what_to_try_next(demo: Demo) -> None:
    text = "\n".join(demo.lines)

    assert f"{demo.service.url}/files/{demo.report.merged_file}" in text
    assert all(f"/jobs/{job.job_id}" in text for job in demo.report.failed)
    assert f" --into again --url {demo.service.url}" in text


def test_file_whose_page_is_told_is_the_one_that_is_made_again(demo: Demo) -> None:
    """Whichever of the merges ended first."""
    report = replace(demo.report, jobs=demo.report.jobs[::-1])
    [merge] = [job for job in report.jobs if report.merged_file in job.outputs]

    for told in (demo.report, report):
        lines: list[str] = []
        run_demo_module._report_end(told, "http://here", "jobprov", Path("spool"), lines.append)
        assert f"jobprov rerun {merge.job_id} --into again" in lines[-1]


def test_tasks_are_declared_with_their_units(demo: Demo) -> None:
    assert set(demo.service.tasks) == {
        f"toyexp-demo-{stage}-0001" for stage in ("gen", "reco", "merge", "histogram")
    }
    assert demo.service.tasks["toyexp-demo-gen-0001"]["units"] == ["0000", "0001"]
    assert "was not declared" not in "\n".join(demo.lines)


def test_token_and_scratch_are_gone_afterwards(demo: Demo) -> None:
    left = [
        path for path in demo.data.rglob("*") if path.is_file() and b"t0ken" in path.read_bytes()
    ]

    assert left == []
    assert sorted(path.name for path in (demo.data / "demo").iterdir()) == [
        "git",
        "run-0001",
        "toyexp",
    ]


def test_whole_production_has_the_promised_shape(tmp_path: Path) -> None:
    release = Release(tmp_path, tmp_path, "v1_02_00", "0" * 40)
    production = Production(1, release, tmp_path, tmp_path / "hook.pyz", {})
    stages = [
        production.generation(),
        production.reconstruction(),
        production.merge(),
        production.histograms(),
    ]

    jobs = [job for stage in stages for job in stage.jobs]

    assert len(stages) == 4
    assert len(jobs) + sum(job.correction is not None for job in jobs) == 26
    assert (
        sum(job.is_doomed for job in jobs) == sum(job.correction is not None for job in jobs) == 1
    )
    assert [len(job.job.inputs) for job in stages[2].jobs] == [10, 10]
    assert len({name for job in jobs for name in job.outputs}) == 11 + 20 + 2 + 4


def test_second_run_makes_files_and_tasks_of_its_own(tmp_path: Path) -> None:
    release = Release(tmp_path, tmp_path, "v1_02_00", "0" * 40)
    first, second = (Production(number, release, tmp_path, tmp_path, {}) for number in (1, 2))

    assert first.task_id("gen") != second.task_id("gen")
    assert first.merged_name("dimuon") != second.merged_name("dimuon")
    seeds = [next(iter(run.generation().jobs[0].job.contents.values())) for run in (first, second)]
    assert seeds[0] != seeds[1]


def test_fcl_of_every_job_is_valid(tmp_path: Path) -> None:
    release = Release(tmp_path, PROGRAMS, "v1_02_00", "0" * 40)
    production = Production(1, release, tmp_path, tmp_path, {})
    jobs = [*production.generation().jobs, *production.reconstruction().jobs]

    for job in jobs:
        ((name, text),) = job.job.contents.items()
        (tmp_path / name).write_text(text)
        loaded = fhicl.load(str(tmp_path / name), search_path=[str(PROGRAMS / "fcl")])
        assert loaded.value("source.module_type") in ("EmptyEvent", "RootInput")


def test_missing_packages_are_told_with_the_command(
    tmp_path: Path, hook: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_demo_module, "_PACKAGES", ("numpy", "no_such_package"))

    with pytest.raises(NotFoundError, match=r"no_such_package.*\./scripts/setup demo"):
        start(tmp_path, hook, "http://127.0.0.1:9")


def test_missing_hook_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="build it"):
        start(tmp_path, tmp_path / "absent.pyz", "http://127.0.0.1:9")


def test_service_that_does_not_answer_is_told_before_anything_is_made(
    tmp_path: Path, hook: Path
) -> None:
    with StandIn() as closed:
        url = closed.url

    with pytest.raises(UnreachableError, match="jobprov serve"):
        start(tmp_path, hook, url)

    assert list(tmp_path.iterdir()) == []


def test_production_stops_where_a_stage_lacks_its_units(
    tmp_path: Path, hook: Path, service: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobprov.provenance.services.demo.jobs._search_path", lambda: "/nowhere")

    with pytest.raises(ProvenanceError, match="stage gen of the demo made 0 of 1 units"):
        start(tmp_path, hook, service.url)


@pytest.mark.parametrize("missing", [{"unrecorded": ["some-job"]}, {"unsent": 1}])
def test_records_that_did_not_arrive_are_told_with_the_command(
    demo: Demo, missing: dict[str, Any]
) -> None:
    lines: list[str] = []
    report = replace(demo.report, **missing)

    run_demo_module._report_end(report, demo.service.url, "jobprov", Path("spool"), lines.append)

    [told] = [line for line in lines if "1 record did not arrive in whole; send again: " in line]
    assert told.endswith(f"jobprov record --url {demo.service.url} spool")


def test_what_a_hook_left_in_its_spool_is_sent_at_the_end(tmp_path: Path, hook: Path) -> None:
    """On a slow machine the first jobs have more to send than their hooks have time."""
    spool = tmp_path / "spool"
    settings = {"JOBPROV_SPOOL": str(spool), "JOBPROV_EXPERIMENT": "toyexp"}
    spool.mkdir(mode=0o700)
    words = [sys.executable, str(hook), "run", "--", "true"]
    subprocess.run(words, env={**os.environ, **settings}, check=True, cwd=tmp_path)
    assert len(list((spool / "ready").iterdir())) == 1

    with answering() as service:
        left = run_demo_module._send_rest(hook, {**settings, "JOBPROV_URL": service.url})

    assert left == 0
    assert list((spool / "ready").iterdir()) == []
    assert len(service.records) == 1


def test_refused_task_is_told_and_stops_nothing(tmp_path: Path) -> None:
    lines: list[str] = []
    stage = Production(
        1, Release(tmp_path, tmp_path, "v1", "0" * 40), tmp_path, tmp_path, {}
    ).merge()

    with answering() as service:
        service.answer_to_tasks = 422
        run_demo_module._Service(service.url, None).declare(stage, lines.append)

    assert list(service.tasks) == ["toyexp-demo-merge-0001"]
    assert lines == ["task toyexp-demo-merge-0001 was not declared: the service answered 422"]


def start(data: Path, hook: Path, url: str) -> DemoReport:
    return run_demo(
        url=url,
        token=None,
        data=data,
        hook=hook,
        report=lambda _line: None,
        register_repository=lambda _name, _path: None,
        events=5,
        units=1,
    )
