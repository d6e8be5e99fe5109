"""When inputs were opened and closed.

It is known from art's dated lines, from calls to SAM, and from looks at open files.
"""

import json
import os
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobprov.provenance.capture.logs import times
from jobprov.provenance.capture.running import open_files as opened
from jobprov.provenance.capture.running.open_files import OpenFiles
from tests.library.hook import Runner, only_entry

ART = """\
%MSG-i MF_INIT_OK:  Early 24-Nov-2026 14:50:48 UTC JobSetup
24-Nov-2026 14:50:50 UTC  Initiating request to open input file "a.root"
24-Nov-2026 14:50:51 UTC  Opened input file "a.root"
24-Nov-2026 14:51:02 UTC  Closed input file "a.root"
24-Nov-2026 14:51:03 UTC  Opened input file "root://door.example.org:1094//pnfs/toy/b.root"
24-Nov-2026 14:51:04 UTC  Opened secondary input file "raw/c.root"
24-Nov-2026 14:51:09 UTC  Closed input file "root://door.example.org:1094//pnfs/toy/b.root"
24-Nov-2026 14:51:09 UTC  Opened output file with pattern "out.root"
TrigReport Events total = 7 passed = 7 failed = 0
"""


def inputs_of(runner: Runner) -> dict[str, dict[str, Any]]:
    record, _ = only_entry(runner)
    return {entry["name"]: entry for entry in record["inputs"]}


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.slow
def test_art_dates_its_inputs_and_names_those_that_sam_delivered(runner: Runner) -> None:
    (runner.folder / "a.root").write_bytes(b"a" * 10)
    (runner.folder / "raw").mkdir()
    (runner.folder / "raw" / "c.root").write_bytes(b"c" * 20)
    (runner.folder / "log").write_text(ART)

    runner("run", "--input", "a.root", "--", "sh", "-c", "cat log")

    found = inputs_of(runner)
    assert list(found) == ["a.root", "b.root", "c.root"]
    a, b, c = found.values()
    assert (a["opened_at"], a["closed_at"]) == (
        "2026-11-24T14:50:51.000000Z",
        "2026-11-24T14:51:02.000000Z",
    )
    assert (a["times_from"], a["times_within_seconds"]) == ("log", 1.0)
    assert (b["location"], b["role"]) == (
        "root://door.example.org:1094//pnfs/toy/b.root",
        "primary",
    )
    assert b["closed_at"] == "2026-11-24T14:51:09.000000Z"
    assert (c["role"], c["path"], c["size_bytes"], "closed_at" in c) == (
        "secondary",
        "raw/c.root",
        20,
        False,
    )
    assert c["checksums"][0].startswith("adler32:")


@pytest.mark.parametrize(
    ("zone", "expected"),
    [("UTC", "2026-07-01T12:00:00+00:00"), ("CDT", "2026-07-01T17:00:00+00:00"), ("XYZ", None)],
)
def test_time_zone_is_that_of_the_line(
    monkeypatch: pytest.MonkeyPatch, zone: str, expected: str | None
) -> None:
    monkeypatch.setenv("TZ", "America/Chicago")
    time.tzset()
    try:
        line = f'01-Jul-2026 12:00:00 {zone}  Opened input file "a.root"\n'.encode()
        ((role, began, closed),) = times.read_log([("stdout", line, False)]).values()
    finally:
        monkeypatch.undo()
        time.tzset()

    assert (role, closed) == ("primary", None)
    assert began == (None if expected is None else datetime.fromisoformat(expected).timestamp())


def test_lines_that_only_look_like_it_say_nothing() -> None:
    lines = b"""Opened input file "x"
24-Nov-2026 14:50:51 UTC  Opened input file x
24-Foo-2026 14:50:51 UTC  Opened input file "y"
 24-Nov-2026 14:50:51 UTC  Opened input file "z"
"""

    assert times.read_log([("stdout", lines, False)]) == {"y": ["primary", None, None]}


def test_file_is_seen_open_by_a_process_of_the_tree(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("x")
    words = f"exec 3<{tmp_path}/in.txt; read go; exec 3<&-; echo; read go"
    process = subprocess.Popen(
        ["sh", "-c", words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
    seen = OpenFiles(100.0)
    end = time.monotonic() + 60
    while str(tmp_path / "in.txt") not in seen.files and time.monotonic() < end:
        seen.look([process.pid], 101.0)
    process.stdin.write(b"\n")
    process.stdout.read(1)
    seen.look([process.pid], 103.5)

    sighting = seen.files[str(tmp_path / "in.txt")]
    process.communicate(b"\n")
    assert (sighting.opened, sighting.closed, sighting.late) == (101.0, 103.5, 2.5)


@pytest.mark.slow
def test_open_files_of_a_job_give_times_where_nothing_better_does(runner: Runner) -> None:
    (runner.folder / "in.txt").write_text("x" * 100)
    began = datetime.now(UTC)

    runner(
        "run", "--", "python3", "-c", "import time; f = open('in.txt'); time.sleep(1.6)", "in.txt"
    )

    entry = inputs_of(runner)["in.txt"]
    assert entry["times_from"] == "proc"
    assert began < moment(entry["opened_at"]) < moment(entry["closed_at"])
    assert moment(entry["closed_at"]) - moment(entry["opened_at"]) > timedelta(seconds=0.4)
    assert entry["times_within_seconds"] < 5


@pytest.mark.parametrize(
    ("words", "name", "status"),
    [
        ("ifdh updateFileStatus http://sam/p 17 /pnfs/toy/a.root consumed", "a.root", "consumed"),
        (
            "/bin/bash /products/ifdh updateFileStatus http://sam/p 17 a.root transferred",
            "a.root",
            "transferred",
        ),
        ("python3 /usr/bin/samweb release-file http://sam/p/17 a.root", "a.root", "consumed"),
        ("samweb release-file --status=ok http://sam/p 17 a.root", "a.root", "consumed"),
        ("samweb release-file --status bad http://sam/p/17 a.root", "a.root", "skipped"),
        ("samweb -e nova set-process-file-status http://sam/p/17 a.root bad", "a.root", "bad"),
        ("samweb set-process-file-status http://sam/p 17 a.root skipped", "a.root", "skipped"),
    ],
)
def test_calls_to_sam_are_read(words: str, name: str, status: str) -> None:
    """As samweb's help has them: with the address of a process, or a project's and an id."""
    call = opened.file_call(words.split())

    assert call is not None
    assert (call.namespace, call.name, call.status) == (None, name, status)


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("python3 /v/bin/ddisp worker done 4711 hd-protodune:raw.root", "consumed"),
        ("ddisp worker done -w 67fee692 4711 hd-protodune:raw.root", "consumed"),
        ("ddisp worker failed -f 4711 hd-protodune:raw.root", "failed"),
    ],
)
def test_calls_to_the_data_dispatcher_are_read(words: str, status: str) -> None:
    call = opened.file_call(words.split())

    assert call is not None
    assert (call.namespace, call.name, call.status) == ("hd-protodune", "raw.root", status)


@pytest.mark.parametrize(
    "words",
    [
        "ifdh cp a.root b.root",
        "echo ifdh updateFileStatus",
        "ddisp worker next -t 60 4711",
        "ddisp worker done 4711 all",
        "ddisp",
        "samweb list-files release-file",
        "",
    ],
)
def test_other_calls_tell_of_no_file(words: str) -> None:
    assert opened.file_call(words.split()) is None


DISPATCHED = """
ddisp worker next 4711
cp "$DISPATCHED"/raw_1.root in.root
cat in.root > reco_1.root && rm in.root
ddisp worker done 4711 hd-protodune:raw_1.root
ddisp worker next 4711
./lar -c reco.fcl -s "$DISPATCHED"/raw_2.root -o reco_2.root
ddisp worker failed -f 4711 hd-protodune:raw_2.root
"""


@pytest.mark.slow
def test_files_of_the_data_dispatcher_are_inputs_with_their_namespaces(runner: Runner) -> None:
    """One was copied in before anybody looked, the other had no namespace, nor any status."""
    store, programs = runner.folder.parent / "store", runner.folder.parent / "programs"
    for folder in (store, programs):
        folder.mkdir()
    for number in (1, 2):
        (store / f"raw_{number}.root").write_text(f"raw {number}\n")
    program = '#!/bin/sh\nsleep 1\n[ "$5" != -o ] || cat "$4" > "$6"\n'
    for path in (programs / "ddisp", runner.folder / "lar"):
        path.write_text(program)
        path.chmod(0o755)
    (runner.folder / "reco.fcl").write_text("process_name: Reco\n")
    (runner.folder / "job.sh").write_text(DISPATCHED)
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "DISPATCHED": str(store)}

    runner("run", "--", "sh", "job.sh", environment=environment)

    record = only_entry(runner)[0]
    inputs = {entry["name"]: entry for entry in record["inputs"] if entry["role"] == "primary"}
    assert set(inputs) == {"raw_1.root", "raw_2.root"}
    assert {entry["namespace"] for entry in inputs.values()} == {"hd-protodune"}
    assert inputs["raw_1.root"]["status"] == "consumed"
    assert inputs["raw_2.root"]["status"] == "failed"
    assert inputs["raw_2.root"]["size_bytes"] == len("raw 2\n")
    sidecar = json.loads((runner.folder / "reco_2.root.json").read_text())
    assert sidecar["parents"] == [{"namespace": "hd-protodune", "name": "raw_2.root"}]


JOBSCRIPT = """
echo hd-protodune:raw_1.root >> all-input-dids.txt  # as justin-get-file does
echo hd-protodune:raw_2.root >> all-input-dids.txt
echo monte-carlo-1234-000001 >> all-input-dids.txt
./lar -c reco.fcl -s root://door.example.org:1094//dune/raw_1.root -o reco.root
echo root://door.example.org:1094//dune/raw_1.root > justin-processed-pfns.txt
echo hd-protodune:raw_3.root > justin-processed-dids.txt
"""


@pytest.mark.slow
def test_files_that_justin_gives_are_inputs_with_their_namespaces(runner: Runner) -> None:
    """What justIN gave and the jobscript does not list was not processed, and is no input."""
    (runner.folder / "lar").write_text('#!/bin/sh\nsleep 1\necho reco > "$6"\n')
    (runner.folder / "lar").chmod(0o755)
    (runner.folder / "reco.fcl").write_text("process_name: Reco\n")
    (runner.folder / "job.sh").write_text(JOBSCRIPT)

    runner("run", "--", "sh", "job.sh", environment={"JUSTIN_PATH": str(runner.folder)})

    record = only_entry(runner)[0]
    inputs = {entry["name"]: entry for entry in record["inputs"] if entry["role"] == "primary"}
    assert set(inputs) == {"raw_1.root", "raw_3.root"}
    assert {entry["namespace"] for entry in inputs.values()} == {"hd-protodune"}
    assert {entry["status"] for entry in inputs.values()} == {"consumed"}
    assert inputs["raw_1.root"]["location"] == "root://door.example.org:1094//dune/raw_1.root"
    assert [output["name"] for output in record["outputs"]] == ["reco.root"]
    sidecar = json.loads((runner.folder / "reco.root.json").read_text())
    assert sidecar["parents"] == [{"namespace": "hd-protodune", "name": "raw_1.root"}]


@pytest.mark.slow
def test_delivery_and_release_by_sam_give_times(runner: Runner) -> None:
    """A call takes some tenths of a second: looks at open files, one a second, miss most."""
    (runner.folder / "a.root").write_bytes(b"a" * 10)
    (runner.folder / "ifdh").write_text("#!/bin/sh\nsleep 0.3\n")
    (runner.folder / "ifdh").chmod(0o755)
    call = "./ifdh updateFileStatus http://sam/project 17 a.root"

    runner("run", "--input", "a.root", "--", "sh", "-c", f"{call} transferred; {call} skipped; :")

    entry = inputs_of(runner)["a.root"]
    assert (entry["times_from"], entry["status"]) == ("sam", "skipped")
    assert moment(entry["opened_at"]) < moment(entry["closed_at"])
