"""What jobs have in common is sent once, as excerpts of records.

They go between the hook and a real service.
"""

import json
import zipfile
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests

from jobprov.provenance.capture.files.hashing import Clock
from jobprov.provenance.capture.record import excerpts
from jobprov.provenance.capture.sending import delivery
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.intake.excerpts import CONTENT_TYPE, Excerpts, UnknownExcerptError
from tests.library.hook import Runner, ups_dump
from tests.library.servers.hook_service import Service
from tests.library.servers.live_service import LiveService

GRID = {
    "CLUSTER": "81234",
    "PROCESS": "17",
    "JOBSUBJOBID": "81234.17@sched01.example.org",
    "TMPDIR": "/scratch/dir_4711",
    "ART_CACHE": "/scratch/dir_4711/cache",
}


def a_record(**variables: str) -> tuple[dict[str, Any], bytes]:
    """Return a record of a job of 50 fcl files, and its bytes.

    The job has a set-up of a hundred UPS products.
    """
    files = [
        {"name": f"f{n}.fcl", "path": f"fcl/f{n}.fcl", "found_in": 0, "sha256": f"{n:064x}"}
        for n in range(50)
    ]
    environment = {**ups_dump(), **GRID, **variables}
    record = {
        "schema_version": 1,
        "job_id": str(uuid4()),
        "experiment": "toy",
        "state": "succeeded",
        "started_at": "2026-01-01T00:00:00Z",
        "configurations": [{"step": "art", "main": "f0.fcl", "files": files}],
        "environment": {
            "variables": {name: environment[name] for name in excerpts.order(environment)}
        },
    }
    return record, json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode()


def unfolded(memory: Excerpts, body: bytes, experiment: str = "toy") -> bytes:
    whole, new = memory.unfold(experiment, body)
    memory.remember(experiment, new, [])
    return whole


def test_excerpts_of_one_job_stand_in_for_those_of_the_next() -> None:
    memory = Excerpts()
    first, first_bytes = a_record()
    second, second_bytes = a_record(
        PROCESS="18",
        ART_CACHE="/scratch/dir_4711/other",
        JOBSUBJOBID="81234.18@sched01.example.org",
    )
    found = excerpts.find(second, second_bytes)
    digests = [excerpt.sha256 for excerpt in found]

    assert memory.known("toy", digests) == []
    assert (
        unfolded(memory, excerpts.fold(first_bytes, excerpts.find(first, first_bytes), ()))
        == first_bytes
    )
    assert memory.known("toy", digests) == digests
    body = excerpts.fold(second_bytes, found, digests)
    assert unfolded(memory, body) == second_bytes
    assert len(second_bytes) > 50_000 > 20 * len(body)


def test_variable_of_a_job_alone_spoils_a_part_and_not_the_whole() -> None:
    memory = Excerpts()
    first, first_bytes = a_record(UNKNOWN_KIND="1")
    second, second_bytes = a_record(UNKNOWN_KIND="2")
    unfolded(memory, excerpts.fold(first_bytes, excerpts.find(first, first_bytes), ()))

    found = excerpts.find(second, second_bytes)
    known = memory.known("toy", [excerpt.sha256 for excerpt in found])

    assert len(known) == len(found) - 1
    assert unfolded(memory, excerpts.fold(second_bytes, found, known)) == second_bytes


def test_record_in_other_forms_has_no_excerpts() -> None:
    record, _ = a_record()
    spaced = json.dumps(record, indent=1).encode()

    assert excerpts.find(record, spaced) == []
    assert excerpts.find({"configurations": None, "environment": None}, b"{}") == []


def test_excerpt_is_known_to_its_experiment_alone() -> None:
    memory = Excerpts()
    record, body = a_record()
    found = excerpts.find(record, body)
    unfolded(memory, excerpts.fold(body, found, ()))
    digests = [excerpt.sha256 for excerpt in found]

    assert memory.known("nova", digests) == []
    with pytest.raises(UnknownExcerptError):
        memory.unfold("nova", excerpts.fold(body, found, digests))


def test_excerpt_whose_blobs_are_missing_is_not_remembered() -> None:
    memory = Excerpts()
    record, body = a_record()
    found = excerpts.find(record, body)
    memory.remember("toy", memory.unfold("toy", excerpts.fold(body, found, ()))[1], [f"{7:064x}"])

    known = memory.known("toy", [excerpt.sha256 for excerpt in found])

    assert [excerpt.sha256 for excerpt in found if f"{7:064x}".encode() in excerpt.content] == [
        excerpt.sha256 for excerpt in found if excerpt.sha256 not in known
    ]


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobprov.provenance.services.intake.excerpts.KNOWN_BYTES", 10_000)
    memory = Excerpts()

    memory.remember("toy", [b"%05d" % number * 200 for number in range(100)], [])
    memory.remember("toy", [b"x" * 300_000], [])

    assert sum(map(len, memory._known.values())) <= 10_000
    assert len(memory._known) == 7
    assert all(content[:5] >= b"00093" for content in memory._known.values())


@pytest.mark.parametrize(
    "head",
    [
        b"{}",
        b"[1]",
        b'[[0,5,"x"]]',
        b'[[-1,5,"x",true]]',
        b'[[0,-5,"x",true]]',
        b'[[900,5,"x",true]]',
        b'[[5,5,"x",true],[2,1,"y",true]]',
        b"[" + b",".join([b'[0,0,"x",true]'] * 17) + b"]",
        b"\xff",
        b"[" * 4000,
    ],
)
def test_head_that_says_what_cannot_be_is_refused(head: bytes) -> None:
    with pytest.raises(BadInputError):
        Excerpts().unfold("toy", head + b"\n" + b"x" * 20)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, Any]]:
    """Return what the hook's own code sends, in order.

    Method and path, bytes, and type of the body.
    """
    calls: list[tuple[str, int, Any]] = []
    send = delivery.Service.call

    def call(service: Any, method: str, path: str, body: bytes, headers: Any, is_whole: Any) -> Any:
        calls.append((f"{method} {path}", len(body), headers["Content-Type"]))
        return send(service, method, path, body, headers, is_whole)

    monkeypatch.setattr(delivery.Service, "call", call)
    return calls


def spool(runner: Runner, number: int, task_id: str) -> Path:
    """Return the spooled entry of a grid job with 50 fcl files and a UPS set-up."""
    (runner.folder / "fcl").mkdir(exist_ok=True)
    for name in range(49):
        (runner.folder / "fcl" / f"f{name}.fcl").write_text(f"a{name}: {task_id[:4]}\n" * 30)
    main = runner.folder / "main.fcl"
    main.write_text("".join(f'#include "f{name}.fcl"\n' for name in range(49)))
    grid = {**GRID, "PROCESS": str(number), "JOBSUBJOBID": f"81234.{number}@sched01.example.org"}
    words = ("run", "--task-id", task_id, "--", "true", "-c", "main.fcl")
    runner(*words, environment={**ups_dump(), **grid, "FHICL_FILE_PATH": "fcl"})
    return max(runner.entries(), key=lambda path: path.name)


@pytest.mark.slow
def test_job_of_fifty_fcl_files_and_a_ups_set_up_sends_three_kilobytes(
    runner: Runner, live: LiveService, sent: list[tuple[str, int, Any]]
) -> None:
    task_id = uuid4().hex
    delivery.deliver(str(spool(runner, 1, task_id)), live.url, None, Clock(20))
    sent.clear()
    entry = spool(runner, 2, task_id)

    answer = delivery.deliver(str(entry), live.url, None, Clock(20)).answer

    assert [
        (name.split("/")[-1] if "missing" in name else name[:9], kind) for name, _, kind in sent
    ] == [
        ("missing", "application/json"),
        ("PUT /jobs", CONTENT_TYPE),
    ]
    assert sum(size for _, size, _ in sent) < 3000
    with zipfile.ZipFile(entry) as archive:
        whole = archive.read("record.json")
    assert len(whole) > 50_000
    held = requests.get(f"{live.url}/api/v1/jobs/{answer['job_id']}", timeout=10).json()
    assert held["record"] == json.loads(whole)
    assert not [gap for gap in held["gaps"] if gap["code"] == "blob-missing"]


@pytest.mark.slow
def test_service_that_forgot_gets_the_record_whole(
    runner: Runner,
    live: LiveService,
    sent: list[tuple[str, int, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As after a restart, or behind a balancer.

    What it says to know, another one of it does not.
    """
    entry = str(spool(runner, 3, uuid4().hex))
    ask = delivery._missing

    def wrong(service: Any, digests: Any, asked: Any = ()) -> Any:
        wanted, known = ask(service, digests, asked)
        return wanted, known if known is None else frozenset(asked)

    monkeypatch.setattr(delivery, "_missing", wrong)

    answer = delivery.deliver(entry, live.url, None, Clock(20)).answer

    puts = [name for name, _, _ in sent if name.startswith("PUT /jobs")]
    assert len(puts) == 3  # by name, whole, and once more when the blobs that it told were there
    held = requests.get(f"{live.url}/api/v1/jobs/{answer['job_id']}", timeout=10).json()
    assert len(held["record"]["configurations"][0]["files"]) == 50
    assert answer["missing_blobs"] == []


@pytest.mark.slow
def test_service_that_knows_no_excerpts_gets_plain_records(
    runner: Runner, service: Service, sent: list[tuple[str, int, Any]]
) -> None:
    delivery.deliver(str(spool(runner, 4, uuid4().hex)), service.url, None, Clock(20))

    assert {kind for name, _, kind in sent if name.startswith("PUT /jobs")} == {"application/json"}
    assert len(service.only_record()["configurations"][0]["files"]) == 50
    assert len(service.blobs) >= 50
