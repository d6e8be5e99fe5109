"""Records of the hook that came home unsent are sent by the witness.

They are sent where they are of the very job.
"""

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from jobprov.provenance.capture.sending.delivery import LaterError, RefusedError
from jobprov.provenance.capture.sending.leftovers import encode_block
from jobprov.provenance.capture.surroundings.batch import name_job
from jobprov.provenance.db.witness_state import WitnessState
from tests.library.servers.witnessed import ME, NOW, Service, attempt, tell


class Delivery:
    """Takes entries as the hook's delivery does, and answers as told."""

    def __init__(self, problem: Exception | None = None) -> None:
        self.problem, self.records = problem, []

    def __call__(self, entry: BinaryIO) -> None:
        if self.problem is not None:
            raise self.problem
        with zipfile.ZipFile(entry) as archive:
            self.records.append(json.loads(archive.read("record.json")))


def job_id(number: int, part: int = 0) -> str:
    return str(name_job({"global_job_id": f"s#{number}.0#1", "attempt": 1, "part": part}))


def entry(number: int, **fields: Any) -> bytes:
    record = {"job_id": job_id(number), "experiment": "nova", "witness": "wrapper", **fields}
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("record.json", json.dumps(record))
    return target.getvalue()


def at_home(folder: Path, number: int, **more: Any) -> dict[str, Any]:
    return attempt(number, Iwd=str(folder), Out="job.out", Err=f"{number}.err", **more)


def lay(folder: Path, number: int, content: bytes, part: int = 0) -> Path:
    path = folder / f"jobprov-{job_id(number, part)}.jobprov"
    path.write_bytes(content)
    return path


def test_blocks_and_files_of_jobs_are_sent_once_and_logs_go_without_them(
    state: WitnessState, tmp_path: Path
) -> None:
    delivery, service = Delivery(), Service()
    failure = {"HowCode": 0, "When": NOW - 1000, "ExitBySignal": False, "ExitCode": 1}
    (tmp_path / "1.err").write_bytes(
        b"before\n" + encode_block(entry(1), f"{job_id(1)}.jobprov") + b"after\n"
    )
    os.utime(tmp_path / "1.err", (NOW, NOW))
    kept = [lay(tmp_path, 2, entry(2)), lay(tmp_path, 2, entry(2, job_id=job_id(2, 1)), part=1)]
    ads = [at_home(tmp_path, 1, ToE=failure), at_home(tmp_path, 2), at_home(tmp_path, 3)]

    report = tell(service, state, ads, deliver=delivery)
    again = tell(service, state, ads, deliver=delivery)

    assert [record["job_id"] for record in delivery.records] == [job_id(1), job_id(2), job_id(2, 1)]
    assert (report.leftovers, report.new, again.leftovers, again.told_before) == (3, 3, 0, 3)
    assert all(path.exists() for path in kept)
    [log] = service.blobs.values()
    assert log == b"before\n[jobprov: a record that could not be sent stood here]\nafter\n"


@pytest.mark.parametrize(
    "content",
    [
        entry(9),
        entry(1, job_id="00000000-0000-4000-8000-000000000000"),
        entry(1, experiment="dune"),
        entry(1, witness="history"),
        entry(1)[:40],
        b"",
    ],
    ids=[
        "another job",
        "a made-up job",
        "another experiment",
        "the witness itself",
        "cut",
        "empty",
    ],
)
def test_what_is_not_the_hooks_word_on_this_job_is_left(
    state: WitnessState, tmp_path: Path, content: bytes
) -> None:
    delivery = Delivery()
    lay(tmp_path, 1, content)
    (tmp_path / "1.err").write_bytes(encode_block(content, "x.jobprov"))

    report = tell(Service(), state, [at_home(tmp_path, 1)], deliver=delivery)

    assert (delivery.records, report.leftovers, report.new) == ([], 0, 1)


@pytest.mark.parametrize("trick", ["other owner", "link"])
def test_file_that_is_not_the_owners_is_not_read(
    state: WitnessState, tmp_path: Path, trick: str
) -> None:
    delivery, more = Delivery(), {}
    path = lay(tmp_path, 1, entry(1))
    if trick == "link":
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
    else:
        more = {"Owner": "nobody" if ME != "nobody" else "root"}

    tell(Service(), state, [at_home(tmp_path, 1, **more)], deliver=delivery)

    assert delivery.records == []


def test_bomb_is_not_unpacked(state: WitnessState, tmp_path: Path) -> None:
    delivery, target = Delivery(), io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("record.json", b" " * (9 << 20))
    lay(tmp_path, 1, target.getvalue())

    tell(Service(), state, [at_home(tmp_path, 1)], deliver=delivery)

    assert delivery.records == []


def test_job_is_told_again_where_the_service_takes_its_record_later(
    state: WitnessState, tmp_path: Path
) -> None:
    lay(tmp_path, 1, entry(1))
    late, good = Delivery(LaterError("503")), Delivery()

    report = tell(Service(), state, [at_home(tmp_path, 1), attempt(2)], deliver=late)
    again = tell(Service(), state, [at_home(tmp_path, 1), attempt(2)], deliver=good)

    assert (report.leftovers, list(report.refused), report.reached) == (0, [job_id(1)], NOW - 1000)
    assert (again.leftovers, again.told_before) == (1, 1)


def test_record_that_is_refused_for_good_is_said_once(state: WitnessState, tmp_path: Path) -> None:
    lay(tmp_path, 1, entry(1))
    refusing = Delivery(RefusedError("409 differs"))

    report = tell(Service(), state, [at_home(tmp_path, 1)], deliver=refusing)
    again = tell(Service(), state, [at_home(tmp_path, 1)], deliver=refusing)

    assert (list(report.refused.values()), report.new) == (["what the hook left: 409 differs"], 1)
    assert (again.refused, again.told_before) == ({}, 1)
