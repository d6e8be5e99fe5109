"""`retry-job.sh` as it runs on a worker node: under the hook, with real files.

What it makes comes home whatever happens: a full disk, a kill, a file that is there already.
"""

import ast
import functools
import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import threading
import time
import zipfile
import zlib
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from jobprov.provenance.capture.surroundings.batch import describe_batch, name_job
from jobprov.provenance.launchers.scripts import retry_files, retry_script
from jobprov.provenance.triage.built_in import built_in_rules
from jobprov.provenance.triage.rules import Failure, find_rule
from tests.library.compiled_hook import put_compiled_hook
from tests.library.disk import storage_folder
from tests.library.productions.toy_job import CHECKOUT, WORK, Toy


@pytest.fixture(scope="module")
def hook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return put_compiled_hook(tmp_path_factory.mktemp("hook") / "job-end-hook.pyz")


def a_job(script: str, *arguments: str, outputs: tuple[str, ...] = ()) -> Toy:
    """Return a recorded job of one shell script, which made these files by its record."""
    toy = Toy()
    toy.files.append(("bin/make", 0o100755, f"#!/bin/sh\nset -e\n{script}\n".encode()))
    [step] = [step for step in toy.record["command"]["steps"] if step["role"] == "payload"]
    step["argv"] = [f"{CHECKOUT}/bin/make", *arguments]
    toy.record["outputs"] = [
        {"name": path.rpartition("/")[2], "path": path, "status": "written"} for path in outputs
    ]
    return toy


def prepare(folder: Path, toy: Toy, hook: Path, **variables: str) -> dict[str, str]:
    """Put beside each other what a worker node gets; return the environment of the job there."""
    (folder / "job.tar").write_bytes(toy.tar_bytes())
    shutil.copy(hook, folder)
    (folder / "retry-job.sh").write_text(retry_script())
    return {
        "PATH": os.environ["PATH"],
        "JOBPROV_EXPERIMENT": "toy",
        "JOBPROV_SPOOL": str(folder / "spool"),
        "JOBPROV_RETRY_OF": toy.record["job_id"],
        **variables,
    }


def run_script(
    folder: Path, toy: Toy, hook: Path, *words: str, **variables: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["sh", "retry-job.sh", *words],
        cwd=folder,
        env=prepare(folder, toy, hook, **variables),
        capture_output=True,
        text=True,
        check=False,
    )


def name_of(slurm_job: str) -> str:
    return name_job(describe_batch({"SLURM_JOB_ID": slurm_job}, {}))


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def spooled(folder: Path) -> dict[str, Any]:
    [file] = (folder / "spool" / "ready").iterdir()
    with zipfile.ZipFile(file) as entry:
        return dict(json.loads(entry.read("record.json")))


@pytest.mark.slow
def test_a_try_on_a_worker_node_has_a_record_of_the_recorded_code_and_inputs(
    tmp_path: Path, hook: Path
) -> None:
    toy = Toy()

    done = run_script(
        tmp_path, toy, hook, "job.tar", JOBPROV_UNIT="it's a 'unit'", JOBPROV_TASK_ID="toy-1"
    )

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "outputs/out/result.txt").read_bytes() == toy.expected
    assert (tmp_path / "outputs/out/result.txt.json").is_file(), "its sidecar came along"
    record = spooled(tmp_path)
    assert (record["state"], record["retry_of"]) == ("succeeded", toy.record["job_id"])
    assert record["task"] == {"task_id": "toy-1", "unit": "it's a 'unit'"}
    [step] = record["command"]["steps"]
    assert step["name"] == "join"
    [code] = record["software"]
    assert code["repository"] == "https://git.example.org/toy-code.git"
    assert (code["revision"], code["is_dirty"]) == (toy.resolved()[0].commit, False)
    recorded = toy.record["inputs"][0]["sha256"]
    assert [(file["sha256"], file["role"]) for file in record["inputs"]] == [(recorded, "primary")]
    assert [file["sha256"] for file in record["outputs"]] == [toy.record["outputs"][0]["sha256"]]
    assert WORK not in json.dumps(record["command"]), "it ran where this machine has room"


@pytest.mark.slow
def test_a_try_is_a_job_of_its_own_and_takes_what_the_steps_set(tmp_path: Path, hook: Path) -> None:
    """Without an ad, the recorded batch job named the try: its record was one with the first."""
    toy = Toy()
    toy.record["environment"]["variables"]["SLURM_JOB_ID"] = "77"
    toy.record["environment"]["niceness"] = 3
    toy.record["command"]["stdin"] = "closed"
    toy.record["host"] = {"hostname": "node", "cores": 2}

    done = run_script(tmp_path, toy, hook, "job.tar", SLURM_JOB_ID="78")

    assert done.returncode == 0, done.stderr
    assert "not found" not in done.stderr
    assert spooled(tmp_path)["job_id"] not in (name_of("77"), name_of("78"))


@pytest.mark.slow
def test_files_of_a_try_have_the_namespaces_of_the_job(tmp_path: Path, hook: Path) -> None:
    toy = Toy()
    toy.record["inputs"][0]["namespace"] = "raw-data"
    toy.record["outputs"][0]["namespace"] = "usertests"

    done = run_script(tmp_path, toy, hook, "job.tar")

    assert done.returncode == 0, done.stderr
    record = spooled(tmp_path)
    files = [*record["inputs"], *record["outputs"]]
    assert [file["namespace"] for file in files] == ["raw-data", "usertests"]
    assert [Path(file["path"]).name for file in files] == [file["name"] for file in files]


@pytest.mark.slow
def test_a_try_of_a_job_that_works_in_its_scratch_folder_works_in_its_own(
    tmp_path: Path, hook: Path
) -> None:
    """Job scripts say `cd $_CONDOR_SCRATCH_DIR`: what they made lay where nobody looked for it."""
    toy = a_job("cd $_CONDOR_SCRATCH_DIR; echo made >result.txt", outputs=("result.txt",))
    toy.record["environment"]["variables"]["_CONDOR_SCRATCH_DIR"] = WORK
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    done = run_script(tmp_path, toy, hook, "job.tar", _CONDOR_SCRATCH_DIR=str(scratch))

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "outputs/result.txt").read_text() == "made\n"
    assert not (scratch / "result.txt").exists()


@pytest.mark.slow
def test_a_try_ends_as_the_job_does_and_what_it_made_is_kept_apart(
    tmp_path: Path, hook: Path
) -> None:
    toy = a_job("echo half >out/result.txt; exit 65", outputs=("out/result.txt",))

    done = run_script(tmp_path, toy, hook, "job.tar")

    assert done.returncode == 65
    record = spooled(tmp_path)
    assert (record["state"], record["exit"]["code"]) == ("failed", 65)
    kept = tmp_path / f"outputs/failed-{record['job_id']}/out/result.txt"
    assert kept.read_text() == "half\n"
    assert not list(tmp_path.glob("retry-[0-9]*"))


@pytest.mark.slow
def test_every_file_that_is_new_or_changed_comes_home_and_vanished_scratch_does_not(
    tmp_path: Path, hook: Path
) -> None:
    script = r"""
mkdir -p deep/er 'a b'
echo 1 >named.root; echo 2 >deep/er/hist.root; echo 3 >'a b/it'\''s.txt'; : >empty.txt
echo 4 >scratch.tmp; rm scratch.tmp
echo more >>in/a.txt
ln -s named.root link.root
echo 5 >"$1"
"""
    toy = a_job(script, f"{WORK}/argument.txt", outputs=("named.root",))
    toy.record["outputs"].append({"name": "a.txt", "path": "in/a.txt", "status": "written"})

    done = run_script(tmp_path, toy, hook, "job.tar")

    assert done.returncode == 0, done.stderr
    home = tmp_path / "outputs"
    made = [name for name in files_below(home) if not name.endswith(".json")]
    names = ["a b/it's.txt", "argument.txt", "deep/er/hist.root", "empty.txt", "in/a.txt"]
    assert made == [*names, "named.root"]
    record = spooled(tmp_path)
    folder = record["command"]["working_directory"] + "/"
    recorded = {entry["path"].removeprefix(folder): entry for entry in record["outputs"]}
    assert sorted(recorded) == sorted(made), "each once"
    for name in made:
        assert recorded[name]["sha256"] == sha256(home / name), name
        sidecar = json.loads((home / f"{name}.json").read_text())
        assert sidecar["metadata"]["prov.job_id"] == record["job_id"]
    assert "brought deep/er/hist.root to" in done.stderr
    assert not list(tmp_path.glob("retry-[0-9]*"))


@pytest.fixture
def store() -> Iterator[Path]:
    with storage_folder() as folder:
        yield folder


@pytest.mark.slow
def test_outputs_go_where_the_jobs_own_stage_out_put_them(
    tmp_path: Path, hook: Path, store: Path
) -> None:
    """By absolute path of the program itself, and by the copy of a step of the record."""
    script = f"mkdir -p out; echo a >out/a.root; echo b >out/b.root; echo c >{store}/c.root"
    copied = {"name": "a-copied.root", "path": f"{store}/new/a-copied.root", "step": "copy_out"}
    toy = a_job(script, outputs=("out/a.root",))
    toy.record["outputs"][0]["sha256"] = copied["sha256"] = hashlib.sha256(b"other").hexdigest()
    toy.record["outputs"].append(copied)

    done = run_script(tmp_path, toy, hook, "--output-dir", str(store / "retries"), "job.tar")

    assert done.returncode == 0, done.stderr
    found = [name for name in files_below(store) if not name.endswith(".json")]
    assert found == ["c.root", "new/a-copied.root", "retries/out/b.root"]
    assert (store / "new/a-copied.root").read_text() == "a\n"


def test_what_rucio_stored_has_no_place_where_a_retry_can_store() -> None:
    """A command that stores at addresses knows none of Rucio's: the file goes home instead."""
    place = "rucio://DISK/reco/reco.root"
    output = {"name": "reco.root", "path": "reco.root", "location": place}
    record = {"command": {"working_directory": "/srv"}, "outputs": [output]}

    assert retry_files.stage_out_places(record, {}) == {}


@pytest.mark.slow
def test_an_absolute_output_folder_of_the_arguments_gets_its_files(
    tmp_path: Path, hook: Path, store: Path
) -> None:
    """The bundle lays such a folder out elsewhere; nothing was brought from there."""
    toy = a_job('echo a >"$1/a.root"; echo b >"$1/b.root"', str(store / "run 7"))
    output = {"name": "a.root", "path": f"{store}/run 7/a.root", "status": "written"}
    toy.record["outputs"] = [output]

    done = run_script(tmp_path, toy, hook, "job.tar")

    assert done.returncode == 0, done.stderr
    assert (store / "run 7/a.root").read_text() == "a\n"
    assert (tmp_path / f"outputs{store}/run 7/b.root").read_text() == "b\n"


@pytest.mark.slow
def test_a_file_with_other_bytes_is_never_replaced(tmp_path: Path, hook: Path, store: Path) -> None:
    (store / "retries").mkdir()
    (store / "retries/a.root").write_text("from the first attempt\n")
    (store / "retries/b.root").write_text("b\n")
    toy = a_job("echo a >a.root; echo b >b.root", outputs=("a.root",))

    done = run_script(tmp_path, toy, hook, "--output-dir", str(store / "retries"), "job.tar")

    assert done.returncode == 0, done.stderr
    job = spooled(tmp_path)["job_id"]
    assert (store / "retries/a.root").read_text() == "from the first attempt\n"
    assert (store / f"retries/a.root.{job}").read_text() == "a\n"
    assert (store / f"retries/a.root.{job}.json").is_file()
    assert not (store / f"retries/b.root.{job}").exists(), "the same bytes are there already"
    assert "has other bytes and was kept" in done.stderr


@pytest.mark.slow
def test_a_try_that_made_nothing_is_no_success(tmp_path: Path, hook: Path) -> None:
    done = run_script(tmp_path, a_job("echo done", outputs=("a.root",)), hook, "job.tar")

    assert done.returncode == 70
    record = spooled(tmp_path)
    assert (record["state"], record["exit"]["failed_step"]) == ("failed", "stage_out")
    assert "made nothing" in done.stderr
    assert not list(tmp_path.glob("retry-[0-9]*"))


@pytest.mark.slow
@pytest.mark.skipif(os.getuid() != 0, reason="NOT ROOT: no full disk can be mounted")
def test_a_full_disk_at_the_destination_loses_nothing(
    tmp_path: Path, hook: Path, store: Path
) -> None:
    toy = a_job("head -c 3000000 /dev/urandom >big.root; echo a >a.root", outputs=("big.root",))
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(store)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("NO MOUNT ALLOWED: no full disk can be mounted")
    try:
        done = run_script(tmp_path, toy, hook, "--output-dir", str(store), "job.tar")
        at_destination = files_below(store)
    finally:
        subprocess.run(["umount", str(store)], check=True)

    assert done.returncode == 73, done.stderr
    assert at_destination == ["a.root"], "what went was whole; no half file stays"
    assert "No space left on device" in done.stderr
    record = spooled(tmp_path)
    assert (record["state"], record["exit"]["failed_step"]) == ("failed", "stage_out")
    [work] = tmp_path.glob("retry-*/out/work")
    assert f"all are still in {work}" in done.stderr
    recorded = {entry["name"]: entry["sha256"] for entry in record["outputs"]}
    assert sha256(work / "big.root") == recorded["big.root"]
    assert sha256(tmp_path / "outputs/big.root") == recorded["big.root"], "and is taken along"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_try_that_is_killed_while_it_brings_home_loses_nothing(
    tmp_path: Path, hook: Path, store: Path, number: int
) -> None:
    toy = a_job(
        "for n in 1 2 3 4 5 6; do head -c 60000000 /dev/urandom >$n.root; done; sha256sum *.root >sums",
        outputs=("1.root",),
    )
    job = subprocess.Popen(
        ["sh", "retry-job.sh", "--output-dir", str(store / "retries"), "job.tar"],
        cwd=tmp_path,
        env=prepare(tmp_path, toy, hook),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    until = time.monotonic() + 600
    while not list((store / "retries").glob(".[234].root.*.part")):
        assert time.monotonic() < until
        time.sleep(0.001)

    os.killpg(job.pid, number)

    assert job.wait(60) != 0
    [work] = tmp_path.glob("retry-*/out/work")
    check = subprocess.run(["sha256sum", "-c", "sums"], cwd=work, capture_output=True, check=False)
    assert check.returncode == 0, "all that was made is there"
    for file in (store / "retries").glob("*.root"):
        assert sha256(file) == sha256(work / file.name), "what has its name is whole"
    assert not (store / "retries/6.root").exists()


@pytest.mark.slow
def test_a_line_of_a_list_names_the_try_of_a_process(tmp_path: Path, hook: Path) -> None:
    job = Toy().record["job_id"]
    lines = ["t0\ts\tc\tu0\t-\tnothing.tar", f"toy 1\tjoin\t\tunit 1\t{job}\tjob.tar"]
    (tmp_path / "retry-1.list").write_text("\n".join(lines) + "\n")

    done = run_script(tmp_path, Toy(), hook, "--list", "retry-1.list", PROCESS="1")

    assert done.returncode == 0, done.stderr
    assert spooled(tmp_path)["task"] == {"task_id": "toy 1", "stage": "join", "unit": "unit 1"}
    missing = run_script(tmp_path, Toy(), hook, "--list", "retry-1.list", PROCESS="9")
    assert missing.returncode == 125
    assert "no line for process 9" in missing.stderr


@pytest.mark.slow
def test_what_is_no_bundle_is_refused(tmp_path: Path, hook: Path) -> None:
    done = run_script(tmp_path, Toy(), hook, "retry-job.sh")

    assert done.returncode == 125
    assert "is no bundle" in done.stderr
    done = run_script(tmp_path, Toy(), hook, "--output-dir")
    assert done.returncode == 125
    assert "wants a value" in done.stderr


def test_what_the_script_carries_is_python_of_any_worker_node() -> None:
    text = Path(retry_files.__file__).read_text(encoding="utf-8")

    ast.parse(text, feature_version=(3, 6))
    assert text in retry_script()


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("shellcheck") is None, reason="NO SHELLCHECK: retry-job.sh is not checked"
)
def test_the_script_is_plain_posix(tmp_path: Path) -> None:
    (tmp_path / "retry-job.sh").write_text(retry_script())

    done = subprocess.run(
        ["shellcheck", "-s", "sh", "retry-job.sh"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout


RAW = b"raw data\n" * 1000


def with_input(**recorded: Any) -> Toy:
    """Return a job whose bundle lacks an input."""
    toy = a_job('cat "$1" >copy.root', f"{WORK}/in/big.raw", outputs=("copy.root",))
    entry = {"name": "big.raw", "path": "in/big.raw", "size_bytes": len(RAW), "role": "primary"}
    toy.record["inputs"].append({**entry, **recorded})
    return toy


@pytest.fixture
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """Yield a folder, and the address under which a web server serves it."""
    folder = tmp_path_factory.mktemp("served")
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


ADLER32 = f"adler32:{zlib.adler32(RAW):08x}"


@pytest.mark.slow
@pytest.mark.parametrize("way", ["path", "file", "http", "command", "told", "delivered"])
def test_an_input_that_the_bundle_lacks_is_staged_in(
    tmp_path: Path, hook: Path, served: tuple[Path, str], way: str
) -> None:
    folder, url = served
    (folder / "big.raw").write_bytes(RAW)
    places = {
        "path": f"{folder}/big.raw",
        "file": f"file://{folder}/big.raw",
        "http": f"{url}/big.raw",
        "command": "toy:big.raw",
        "told": f"{url}/gone/big.raw",
        "delivered": "",
    }
    command = shlex.join(["sh", "-c", f'cp "{folder}/${{1#toy:}}" "$2"', "sh", "{url}", "{file}"])
    variables = {"JOBPROV_FETCH_COMMAND": command} if way == "command" else {}
    digest = hashlib.sha256(RAW).hexdigest()
    recorded = {"checksums": [ADLER32]} if way == "path" else {"sha256": digest}
    toy = with_input(location=places[way], **recorded)
    if way == "told":
        lines = [f"{toy.record['job_id']}\tinput\tbig.raw\t{url}/big.raw", "other\tinput\tx\ty"]
        (tmp_path / "retry-places.tsv").write_text("\n".join(lines) + "\n")
    if way == "delivered":
        (tmp_path / "big.raw").write_bytes(RAW)

    done = run_script(tmp_path, toy, hook, "job.tar", **variables)

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "outputs/copy.root").read_bytes() == RAW
    assert (folder / "big.raw").read_bytes() == RAW


@pytest.mark.slow
@pytest.mark.parametrize("recorded", [{"sha256": "a" * 64}, {"checksums": ["adler32:00000001"]}])
def test_an_input_with_other_bytes_is_not_the_input(
    tmp_path: Path, hook: Path, served: tuple[Path, str], recorded: dict[str, Any]
) -> None:
    folder, url = served
    (folder / "big.raw").write_bytes(RAW)

    done = run_script(tmp_path, with_input(location=f"{url}/big.raw", **recorded), hook, "job.tar")

    assert done.returncode == 66
    record = spooled(tmp_path)
    assert (record["state"], record["exit"]["failed_step"]) == ("failed", "stage_in")
    assert "input big.raw (" in record["exit"]["message"]
    assert "jobprov retry JOB --input-dir FOLDER" in record["exit"]["message"]
    assert record["retry_of"] == Toy().record["job_id"]
    assert record["environment"]["variables"]["RETRY_BUNDLE_OF"] == Toy().record["job_id"]
    rule = find_rule(
        built_in_rules(),
        Failure("failed", 66, step="stage_in", message=record["exit"]["message"]),
    )
    assert rule is not None
    assert rule.rule.class_name == "input"
    assert not list(tmp_path.glob("retry-[0-9]*"))


@pytest.mark.slow
def test_outputs_go_to_an_address_by_commands_and_are_fetched_back(
    tmp_path: Path, hook: Path, store: Path
) -> None:
    """As with ifdh, where nothing is mounted."""
    put = f'file="{store}/${{2#toy://}}"; mkdir -p "$(dirname "$file")" && cp "$1" "$file"'
    get = f'cp "{store}/${{1#toy://}}" "$2"'
    commands = {
        "JOBPROV_STORE_COMMAND": shlex.join(["sh", "-c", put, "sh", "{file}", "{url}"]),
        "JOBPROV_FETCH_COMMAND": shlex.join(["sh", "-c", get, "sh", "{url}", "{file}"]),
    }
    toy = a_job("mkdir d; echo a >a.root; echo b >d/b.root", outputs=("a.root",))
    (store / "r").mkdir()
    (store / "r/a.root").write_text("first attempt\n")

    done = run_script(tmp_path, toy, hook, "--output-dir", "toy://r", "job.tar", **commands)

    assert done.returncode == 0, done.stderr
    job = spooled(tmp_path)["job_id"]
    assert (store / "r/a.root").read_text() == "first attempt\n"
    assert (store / f"r/a.root.{job}").read_text() == "a\n"
    assert (store / "r/d/b.root").read_text() == "b\n"
    assert (store / "r/d/b.root.json").is_file()


@pytest.mark.slow
def test_a_store_that_keeps_other_bytes_is_a_failure(
    tmp_path: Path, hook: Path, store: Path
) -> None:
    put = f'echo other >"{store}/$(basename "$2")"'
    get = f'cp "{store}/$(basename "$1")" "$2"'
    commands = {
        "JOBPROV_STORE_COMMAND": shlex.join(["sh", "-c", put, "sh", "{file}", "{url}"]),
        "JOBPROV_FETCH_COMMAND": shlex.join(["sh", "-c", get, "sh", "{url}", "{file}"]),
    }

    done = run_script(
        tmp_path,
        a_job("echo a >a.root"),
        hook,
        *("--output-dir", "toy://r", "job.tar"),
        **commands,
    )

    assert done.returncode == 73
    assert "has the SHA-256" in done.stderr
    assert (tmp_path / "outputs/a.root").read_text() == "a\n"
    assert list(tmp_path.glob("retry-*/out/work/a.root"))


def test_more_files_than_a_retry_may_make_stay_where_they_are_and_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(retry_files, "MOST_FILES", 3)
    work, data = tmp_path / "out/work", tmp_path / "data"
    for folder in (work, data, tmp_path / "out/elsewhere"):
        folder.mkdir(parents=True)
    record = {"job_id": "j0", "outputs": [{"name": "z.root", "path": "z.root"}]}
    (data / "JOB.json").write_text(json.dumps(record))
    retry_files.main(["look", str(tmp_path / "before"), str(work)])
    for name in ("a", "b", "c", "d", "z.root"):
        (work / name).write_text(name)

    options = {
        "before": "before", "data": "data", "work": "out/work", "elsewhere": "out/elsewhere",
        "output-dir": "home", "rescue": "outputs", "brought": "brought", "made": "made",
        "hook": "hook", "code": None,
    }  # fmt: skip
    words = []
    for option, name in options.items():
        words += [f"--{option}", "0" if name is None else str(tmp_path / name)]
    code = retry_files.main(["bring-home", *words])

    assert code == 73
    assert files_below(tmp_path / "home") == ["a", "b", "z.root"], "what is recorded comes first"
    assert "5 files were made; 3 of them were brought home" in capsys.readouterr().err
