"""What a record holds: fcl, scripts, repositories, files, surroundings, steps."""

import hashlib
import json
import os
import subprocess
import sys
import uuid
import zipfile
import zlib
from operator import itemgetter
from pathlib import Path

import pytest

from jobprov.provenance.capture.command import arguments, closure
from tests.library.git import git
from tests.library.hook import Runner, only_entry
from tests.library.servers.hook_service import Service


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout at a tag, with fcl, a script and a remote whose address holds a password."""
    origin, top = tmp_path / "toy.git", tmp_path / "checkout"
    git(tmp_path, "init", "-q", "-b", "main", "--bare", origin)
    git(tmp_path, "init", "-q", "-b", "main", top)
    (top / "fcl").mkdir()
    (top / "fcl" / "base.fcl").write_text("a: 1\n")
    (top / "fcl" / "gen.fcl").write_text('#include "base.fcl"\nprocess_name: Gen\n')
    (top / "gen.sh").write_text("#!/bin/sh\necho data > out.root\n")
    (top / "gen.sh").chmod(0o755)
    git(top, "add", "-A")
    git(top, "commit", "-q", "-m", "first")
    git(top, "tag", "v1")
    git(top, "remote", "add", "origin", str(origin))
    git(top, "push", "-q", "origin", "main", "v1")
    git(top, "remote", "set-url", "origin", "https://robot:hunter22canary@git.example.org/toy.git")
    git(top, "checkout", "-q", "v1")
    return top


def run_in_checkout(
    runner: Runner, checkout: Path, *words: str
) -> subprocess.CompletedProcess[bytes]:
    fcl = {"FHICL_FILE_PATH": f"{checkout}/nothing:{checkout}/fcl"}
    return runner(
        "run",
        *words,
        "--",
        f"{checkout}/gen.sh",
        "-c",
        "gen.fcl",
        "-o",
        "out.root",
        environment=fcl,
    )


@pytest.mark.slow
def test_clean_checkout_is_named_by_commit_tag_and_address(runner: Runner, checkout: Path) -> None:
    run_in_checkout(runner, checkout)

    record, blobs = only_entry(runner)
    (software,) = record["software"]
    assert software["revision"] == git(checkout, "rev-parse", "HEAD")
    assert software["tree"] == git(checkout, "rev-parse", "HEAD^{tree}")
    assert (software["name"], software["repository"]) == ("toy", "https://git.example.org/toy.git")
    assert (software["requested_ref"], software["ref_kind"], software["is_dirty"]) == (
        "v1",
        "tag",
        False,
    )
    assert software["describe"].startswith("v1-0-g")
    assert "objects_sha256" not in software
    assert "folder_links" not in record
    (script,) = record["scripts"]
    assert (script["software"], script["path_in_repository"], script["mode"]) == (
        "toy",
        "gen.sh",
        "0755",
    )
    assert blobs[script["sha256"]] == (checkout / "gen.sh").read_bytes()
    (configuration,) = record["configurations"]
    assert [
        (entry["name"], entry["found_in"], entry["path_in_repository"])
        for entry in configuration["files"]
    ] == [
        ("gen.fcl", 1, "fcl/gen.fcl"),
        ("base.fcl", 1, "fcl/base.fcl"),
    ]
    assert configuration["process_name"] == "Gen"


@pytest.mark.slow
def test_dirty_checkout_keeps_tree_patch_and_objects_and_is_left_untouched(
    runner: Runner, checkout: Path, tmp_path: Path
) -> None:
    (checkout / "fcl" / "base.fcl").write_text("a: 2\n")
    (checkout / "fcl" / "new.fcl").write_text("b: 1\n")
    before = {path: path.stat().st_mtime_ns for path in sorted(checkout.rglob("*"))}

    run_in_checkout(runner, checkout)

    assert {path: path.stat().st_mtime_ns for path in sorted(checkout.rglob("*"))} == before
    record, blobs = only_entry(runner)
    (software,) = record["software"]
    assert software["is_dirty"] is True
    assert b"+a: 2" in blobs[software["dirty_patch_sha256"]]
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", tmp_path / "toy.git", clone)
    pack = blobs[software["objects_sha256"]]
    git(clone, "index-pack", "--stdin", stdin=pack)
    assert git(clone, "show", software["worktree_tree"] + ":fcl/base.fcl") == "a: 2"
    assert git(clone, "show", software["worktree_tree"] + ":fcl/new.fcl") == "b: 1"
    git(
        checkout,
        "apply",
        "--reverse",
        "--check",
        str(write(tmp_path, blobs[software["dirty_patch_sha256"]])),
    )


@pytest.mark.slow
def test_edit_in_the_very_moment_of_the_checkout_is_seen(runner: Runner, checkout: Path) -> None:
    """Same size, same time: git knows by the index's own time that it has to look into the file."""
    moment = 1_700_000_000
    git(checkout, "config", "core.trustctime", "false")
    os.utime(checkout / "fcl" / "base.fcl", (moment, moment))
    git(checkout, "update-index", "--refresh")
    (checkout / "fcl" / "base.fcl").write_text("a: 9\n")
    for path in (checkout / "fcl" / "base.fcl", checkout / ".git" / "index"):
        os.utime(path, (moment, moment))

    run_in_checkout(runner, checkout)

    record, blobs = only_entry(runner)
    assert b"+a: 9" in blobs[record["software"][0]["dirty_patch_sha256"]]


@pytest.mark.slow
def test_commit_that_no_remote_has_travels_with_the_record(
    runner: Runner, checkout: Path, tmp_path: Path
) -> None:
    (checkout / "fcl" / "base.fcl").write_text("a: 3\n")
    git(checkout, "commit", "-q", "-a", "-m", "local")

    run_in_checkout(runner, checkout)

    record, blobs = only_entry(runner)
    (software,) = record["software"]
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", tmp_path / "toy.git", clone)
    git(clone, "index-pack", "--stdin", stdin=blobs[software["objects_sha256"]])
    assert git(clone, "show", software["revision"] + ":fcl/base.fcl") == "a: 3"
    assert software["is_dirty"] is False


@pytest.mark.slow
def test_changed_submodule_is_recorded_as_a_checkout_of_its_own(
    runner: Runner, checkout: Path, tmp_path: Path
) -> None:
    """The tree of the checkout around it names its commit alone.

    So the changes were lost, and the job was graded as whole.
    """
    for name in ("ext", "same"):
        git(tmp_path, "clone", "-q", tmp_path / "toy.git", tmp_path / name)
        git(
            checkout,
            "-c",
            "protocol.file.allow=always",
            "submodule",
            "--quiet",
            "add",
            str(tmp_path / name),
            name,
        )
    git(checkout, "commit", "-q", "-m", "submodules")
    (checkout / "ext" / "fcl" / "base.fcl").write_text("a: 7\n")

    run_in_checkout(runner, checkout)

    record, blobs = only_entry(runner)
    outer, inner = record["software"]
    assert outer["is_dirty"] is False
    assert inner["checkout"] == str(checkout / "ext")
    assert inner["is_dirty"] is True
    assert b"+a: 7" in blobs[inner["dirty_patch_sha256"]]


@pytest.mark.slow
def test_dirty_tree_on_a_commit_that_no_remote_has_travels_with_both(
    runner: Runner, checkout: Path, tmp_path: Path
) -> None:
    (checkout / "fcl" / "base.fcl").write_text("a: 3\n")
    git(checkout, "commit", "-q", "-a", "-m", "local")
    (checkout / "fcl" / "new.fcl").write_text("b: 1\n")

    run_in_checkout(runner, checkout)

    record, blobs = only_entry(runner)
    (software,) = record["software"]
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", tmp_path / "toy.git", clone)
    pack = blobs[software["objects_sha256"]]
    git(clone, "index-pack", "--stdin", stdin=pack)
    assert git(clone, "show", software["revision"] + ":fcl/base.fcl") == "a: 3"
    assert git(clone, "show", software["worktree_tree"] + ":fcl/base.fcl") == "a: 3"
    assert git(clone, "show", software["worktree_tree"] + ":fcl/new.fcl") == "b: 1"
    assert software["is_dirty"] is True


@pytest.mark.slow
def test_checkout_without_remote_is_named_by_its_place_and_carried_whole(
    runner: Runner, checkout: Path, tmp_path: Path
) -> None:
    git(checkout, "remote", "remove", "origin")

    run_in_checkout(runner, checkout)

    record, blobs = only_entry(runner)
    (software,) = record["software"]
    assert software["repository"] == str(checkout)
    bare = tmp_path / "bare"
    git(tmp_path, "init", "-q", "--bare", bare)
    git(bare, "index-pack", "--stdin", stdin=blobs[software["objects_sha256"]])
    assert git(bare, "ls-tree", "-r", "--name-only", software["tree"]).split() == [
        "fcl/base.fcl",
        "fcl/gen.fcl",
        "gen.sh",
    ]


@pytest.mark.slow
def test_link_by_which_a_checkout_was_reached_is_recorded_with_where_it_leads(
    runner: Runner, checkout: Path
) -> None:
    """The job's words name the link.

    If a file is a link itself, its folder is none of the checkout's.
    """
    (runner.folder / "code").symlink_to(checkout)
    (runner.folder / "deep").symlink_to(checkout / "fcl")
    (runner.folder / "alone.sh").symlink_to(checkout / "gen.sh")

    runner("run", "--repository", "deep", "--", "code/gen.sh", "./alone.sh")

    record, _ = only_entry(runner)
    real = os.path.realpath(checkout)
    assert sorted(record["folder_links"], key=lambda link: link["path"]) == [
        {"path": str(runner.folder / "code"), "target": real},
        {"path": str(runner.folder / "deep"), "target": f"{real}/fcl"},
    ]


@pytest.mark.slow
def test_file_in_no_checkout_is_recorded_without_software(runner: Runner) -> None:
    (runner.folder / "x.sh").write_text("#!/bin/sh\n")

    runner("run", "--", "sh", "x.sh")

    record, _ = only_entry(runner)
    assert "software" not in record
    assert [script["path"] for script in record["scripts"]] == ["x.sh"]


@pytest.mark.slow
def test_output_is_described_and_gets_a_sidecar(runner: Runner) -> None:
    runner(
        "run",
        "--task-id",
        "t7",
        "--namespace",
        "toy",
        "--input",
        "in.root",
        "--output",
        "b*.root",
        "--",
        "sh",
        "-c",
        "printf data > b.root",
        environment=made(runner, "in.root"),
    )

    record, blobs = only_entry(runner)
    (output,) = record["outputs"]
    assert output["size_bytes"] == 4
    assert output["sha256"] == hashlib.sha256(b"data").hexdigest()
    assert output["checksums"] == [f"adler32:{zlib.adler32(b'data'):08x}"]
    sidecar = json.loads((runner.folder / "b.root.json").read_text())
    assert sidecar["metadata"] == {
        "prov.task_id": "t7",
        "prov.job_id": record["job_id"],
        "prov.output": "b.root",
    }
    assert sidecar["parents"] == [{"namespace": "toy", "name": "in.root"}]
    assert (sidecar["name"], sidecar["size"], sidecar["checksums"]) == (
        "b.root",
        4,
        {"adler32": f"{zlib.adler32(b'data'):08x}"},
    )
    assert blobs[record["inputs"][0]["sha256"]] == b"in.root"


def made(runner: Runner, *names: str) -> dict[str, str]:
    for name in names:
        (runner.folder / name).write_text(name)
    return {}


def write(folder: Path, content: bytes) -> Path:
    (folder / "patch").write_bytes(content)
    return folder / "patch"


@pytest.mark.slow
def test_sidecar_of_the_job_itself_keeps_its_keys(runner: Runner) -> None:
    own = {
        "namespace": "toy",
        "metadata": {"core.event_count": 12, "toy.x": 1, "prov.job_id": "inherited"},
        "parents": [{"did": "toy:p"}],
    }
    (runner.folder / "own.json").write_text(json.dumps(own))

    runner(
        "run", "--output", "b.root", "--", "sh", "-c", "echo data > b.root; cp own.json b.root.json"
    )

    record, _ = only_entry(runner)
    sidecar = json.loads((runner.folder / "b.root.json").read_text())
    assert sidecar["metadata"]["toy.x"] == 1
    assert sidecar["parents"] == own["parents"]
    assert sidecar["metadata"]["prov.job_id"] == record["job_id"]
    assert (record["outputs"][0]["event_count"], record["outputs"][0]["namespace"]) == (12, "toy")


@pytest.mark.slow
def test_flat_sam_sidecar_gets_the_keys_at_its_top(runner: Runner) -> None:
    runner(
        "run",
        "--output",
        "b.root",
        "--",
        "sh",
        "-c",
        """echo data > b.root; echo '{"file_name": "b.root", "event_count": 3}' > b.root.json""",
    )

    record, _ = only_entry(runner)
    sidecar = json.loads((runner.folder / "b.root.json").read_text())
    assert sidecar == {
        "file_name": "b.root",
        "event_count": 3,
        "prov.job_id": record["job_id"],
        "prov.output": "b.root",
    }
    assert record["outputs"][0]["event_count"] == 3


@pytest.mark.slow
def test_failed_job_and_no_sidecar_leave_none(runner: Runner) -> None:
    runner("run", "--output", "b.root", "--", "sh", "-c", "echo x > b.root; exit 1")
    runner("run", "--output", "b.root", "--no-sidecar", "--", "sh", "-c", "echo x > b.root")

    assert not (runner.folder / "b.root.json").exists()


@pytest.mark.slow
def test_named_output_that_is_missing_is_told_and_no_claim(runner: Runner) -> None:
    runner("run", "--output", "b.root", "--output", "c*.root", "--", "true")

    record, _ = only_entry(runner)
    assert "outputs" not in record
    assert record["outputs_not_there"] == [
        {"path": "b.root", "step": "true", "evidence": "told"},
        {"path": "c*.root", "step": "true", "evidence": "told"},
    ]


@pytest.mark.slow
def test_files_on_a_plain_command_line_are_told_apart_by_what_happens_to_them(
    runner: Runner,
) -> None:
    made(runner, "a.root", "cuts.json", "old.root")
    (runner.folder / "p.py").write_text(
        "import sys; open('new.root', 'w').write('n'); open('old.root', 'w').write('changed')"
    )

    runner(
        "run",
        "--",
        sys.executable,
        "p.py",
        "a.root",
        "--cuts=cuts.json",
        "old.root",
        "new.root",
        "--seed",
        "42",
    )

    record, _ = only_entry(runner)
    assert {(entry["name"], entry["role"]) for entry in record["inputs"]} == {
        ("a.root", "primary"),
        ("cuts.json", "configuration"),
        ("old.root", "configuration"),  # it may have been read before it was written anew
    }
    assert [entry["name"] for entry in record["outputs"]] == ["old.root", "new.root"]
    assert record.get("weaknesses", []) == []
    assert record["scripts"][0]["name"] == "p.py"
    assert record["command"]["steps"][0]["name"] == "p"
    assert record["seeds"] == [{"step": "p", "seed": 42, "source": "command line"}]


@pytest.mark.slow
def test_large_input_is_hashed_and_not_carried(runner: Runner) -> None:
    with (runner.folder / "big.root").open("wb") as stream:
        stream.truncate(17 * 1024 * 1024)

    runner(
        "run", "--input", "big.root", "--input", "root://x.example.org//far/away.root", "--", "true"
    )

    record, blobs = only_entry(runner)
    near, far = record["inputs"]
    assert near["size_bytes"] == 17 * 1024 * 1024
    assert near["sha256"] not in blobs
    assert (far["name"], far["location"]) == ("away.root", "root://x.example.org//far/away.root")


@pytest.mark.slow
def test_metadata_fills_fields_and_threads_and_seeds(runner: Runner) -> None:
    words = [
        "data_tier=reco",
        "core.file_type=mc",
        "event_count=12",
        "toy.flavour=up",
        "seed.evgen=7",
        "threads=2",
    ]
    runner(
        "run",
        "--output",
        "b.root",
        *[part for word in words for part in ("--metadata", word)],
        "--parent",
        "p.root",
        "--",
        "sh",
        "-c",
        "echo > b.root",
    )

    record, _ = only_entry(runner)
    output = record["outputs"][0]
    assert (output["data_tier"], output["file_type"], output["event_count"]) == ("reco", "mc", 12)
    assert (output["metadata"], output["parents"]) == ({"toy.flavour": "up"}, ["p.root"])
    assert (record["threads"], record["seeds"][0]["module"], record["seeds"][0]["seed"]) == (
        2,
        "evgen",
        7,
    )


@pytest.mark.slow
def test_steps_of_a_job_script_become_one_record_with_edges_a_step(
    runner: Runner, service: Service
) -> None:
    made(runner, "a.root")
    (runner.folder / "job.sh").write_text(f"""
hook() {{ {runner.python} {runner.hook} "$@"; }}
hook start --task-id t1 --url {service.url}
hook step --name copy_in -- true
hook step --name gen --input a.root --output b.root -- cp a.root b.root
( hook step --name ana --input b.root --output c.root -- sh -c 'cp b.root c.root; echo broken >&2; exit 7' ); code=$?
hook end --exit-code $code --url {service.url}
""")
    done = subprocess.run(
        ["sh", "job.sh"],
        cwd=runner.folder,
        env=runner.environment,
        capture_output=True,
        check=False,
    )

    record = service.only_record()
    assert done.returncode == 7
    assert [
        (step["name"], step["role"], step["exit_code"]) for step in record["command"]["steps"]
    ] == [
        ("copy_in", "stage_in", 0),
        ("gen", "payload", 0),
        ("ana", "payload", 7),
    ]
    assert record["exit"] == {"code": 7, "failed_step": "ana", "message": "broken"}
    assert [(entry["name"], entry["step"]) for entry in record["inputs"]] == [
        ("a.root", "gen"),
        ("b.root", "ana"),
    ]
    assert [(entry["name"], entry["step"]) for entry in record["outputs"]] == [
        ("b.root", "gen"),
        ("c.root", "ana"),
    ]
    assert record["command"]["argv"] == ["sh", "job.sh"]
    assert record["logs"][0]["name"] == "ana.stderr"
    assert list((runner.spool / "open").iterdir()) == []
    assert (runner.folder / "b.root.json").exists()
    assert not (runner.folder / "c.root.json").exists()


@pytest.mark.slow
def test_job_scripts_at_once_do_not_mix(runner: Runner, service: Service) -> None:
    script = f"""hook() {{ {runner.python} {runner.hook} "$@"; }}
hook start; hook step --name s$1 -- sleep 0.2; hook end --url {service.url}"""
    running = [
        subprocess.Popen(
            ["sh", "-c", script, "sh", str(n)],
            cwd=runner.folder,
            env=runner.environment,
            stderr=subprocess.DEVNULL,
        )
        for n in range(4)
    ]
    for process in running:
        assert process.wait(120) == 0

    steps = [
        [step["name"] for step in json.loads(record)["command"]["steps"]]
        for record in service.records.values()
    ]
    assert sorted(steps) == [["s0"], ["s1"], ["s2"], ["s3"]]


@pytest.mark.slow
def test_job_of_dirac_is_not_the_job_of_its_pilot(runner: Runner, tmp_path: Path) -> None:
    """Two jobs of one pilot, each with a spool of its own, had one id and were the unit 0."""
    (tmp_path / "job.ad").write_text(
        'GlobalJobId = "ce01#7.0#1700000000"\nClusterId = 7\nProcId = 0\n'
        'NumShadowStarts = 1\nOwner = "pilot"\n'
    )
    (tmp_path / "machine.ad").write_text('Name = "slot1_3@wn1"\n')
    pilot = {
        "_CONDOR_JOB_AD": str(tmp_path / "job.ad"),
        "_CONDOR_MACHINE_AD": str(tmp_path / "machine.ad"),
        "DIRACSITE": "LCG.CERN.cern",
        "JOBPROV_TASK_ID": "dirac-1",
    }

    for number in ("1234", "1235", "1235"):
        spool = str(tmp_path / f"spool-{number}")
        runner("run", "--", "true", environment={**pilot, "JOBID": number, "JOBPROV_SPOOL": spool})

    entries = sorted(tmp_path.glob("spool-*/ready/*.jobprov*"))
    records = [json.loads(zipfile.ZipFile(entry).read("record.json")) for entry in entries]
    assert len({record["job_id"] for record in records}) == 3  # one was rescheduled
    assert [record["batch"] for record in records] == [
        {"system": "dirac", "id": number} for number in ("1234", "1235", "1235")
    ]
    assert {record["host"]["slot"] for record in records} == {"slot1_3@wn1"}
    for record in records:
        assert record["task"] == {"task_id": "dirac-1"}


@pytest.mark.slow
def test_job_of_panda_is_not_the_job_of_its_pilot(runner: Runner, tmp_path: Path) -> None:
    """Two jobs of one pilot, each with a home and so a spool of its own, had one id."""
    (tmp_path / "job.ad").write_text(
        'GlobalJobId = "ce01#7.0#1700000000"\nClusterId = 7\nProcId = 0\n'
        'NumShadowStarts = 1\nOwner = "pilot"\n'
    )
    pilot = {"_CONDOR_JOB_AD": str(tmp_path / "job.ad"), "PanDA_TaskID": "424242"}

    for number in ("6001", "6002"):
        variables = {**pilot, "PANDAID": number, "JOBPROV_SPOOL": str(tmp_path / f"spool-{number}")}
        runner("run", "--", "true", environment=variables)

    entries = sorted(tmp_path.glob("spool-*/ready/*.jobprov*"))
    records = [json.loads(zipfile.ZipFile(entry).read("record.json")) for entry in entries]
    assert len({record["job_id"] for record in records}) == 2
    batches = sorted((record["batch"] for record in records), key=itemgetter("id"))
    assert batches == [{"system": "panda", "id": number} for number in ("6001", "6002")]
    assert [record["task"] for record in records] == [{"task_id": "424242"}] * 2


@pytest.mark.slow
def test_batch_job_is_named_alike_by_every_witness(runner: Runner, tmp_path: Path) -> None:
    (tmp_path / "job.ad").write_text(
        'GlobalJobId = "sched01#81234.17#1700000000"\nClusterId = 81234\nProcId = 17\n'
        "NumShadowStarts = 2\nQDate = 1700000000\n"
        'POMS_CAMPAIGN_NAME = "prod5"\nOwner = "novapro"\nRequestMemory = 2000\n'
        'Requirements = (a == "b") && TARGET.x\n'
    )
    (tmp_path / "machine.ad").write_text('Name = "slot1_3@wn1"\nGLIDEIN_Site = "FNAL"\n')
    ads = {
        "_CONDOR_JOB_AD": str(tmp_path / "job.ad"),
        "_CONDOR_MACHINE_AD": str(tmp_path / "machine.ad"),
        "POMS_TASK_ID": "991",
    }

    runner("run", "--", "true", environment=ads)
    runner("run", "--", "true", environment=ads)

    first, second = (
        json.loads(zipfile.ZipFile(entry).read("record.json")) for entry in runner.entries()
    )
    namespace = uuid.UUID("6f2a0c1e-5b7d-5e0a-9c3f-23518a16f001")
    assert first["job_id"] == str(uuid.uuid5(namespace, "sched01#81234.17#1700000000|2|0"))
    assert first["batch"] == {
        "system": "htcondor",
        "id": "81234.17@sched01",
        "global_job_id": "sched01#81234.17#1700000000",
        "attempt": 2,
        "part": 0,
        "queued_at": "2023-11-14T22:13:20.000000Z",
    }
    assert second["batch"]["part"] == 1
    assert second["job_id"] == str(uuid.uuid5(namespace, "sched01#81234.17#1700000000|2|1"))
    assert first["task"] == {
        "task_id": "991",
        "campaign": "prod5",
        "submitted_by": "novapro",
        "unit": "17",
    }
    assert (first["host"]["site"], first["host"]["slot"]) == ("FNAL", "slot1_3@wn1")
    assert first["resources"]["requested_memory_bytes"] == 2000 * 1024 * 1024


@pytest.mark.slow
def test_surroundings_are_described(runner: Runner) -> None:
    runner(
        "run",
        "--",
        "sh",
        "-c",
        "head -c 50000000 /dev/zero | tail -c 40000000 > /dev/null",
        environment={"SETUP_TOY": "toy v1_2 -f Linux64 -z /products -q e26:prof"},
    )

    record, _ = only_entry(runner)
    assert record["environment"]["os"]["kernel"] == os.uname().release
    assert record["environment"]["variables"]["LANG"] == "C.UTF-8"
    assert record["environment"]["umask"] == "0022"
    assert record["host"]["cores"] == len(os.sched_getaffinity(0))
    assert record["resources"]["max_rss_bytes"] > 30_000_000
    assert record["resources"]["cpu_user_seconds"] >= 0
    assert record["software"] == [
        {
            "name": "toy",
            "evidence": "declared",
            "product": {"manager": "ups", "version": "v1_2", "qualifiers": "e26:prof"},
        }
    ]


@pytest.mark.slow
def test_python_error_is_told_by_class_and_message(runner: Runner) -> None:
    runner("run", "--", sys.executable, "-c", "raise ValueError('too few hits')")

    record, _ = only_entry(runner)
    assert (record["exit"]["error_class"], record["exit"]["message"]) == (
        "ValueError",
        "too few hits",
    )


@pytest.mark.parametrize(
    ("argv", "config", "sources", "outputs"),
    [
        (
            ["art", "-c", "a.fcl", "-s", "x.root", "y.root", "-o", "o.root", "-n", "5"],
            "a.fcl",
            ["x.root", "y.root"],
            ["o.root"],
        ),
        (
            ["lar", "--config=a.fcl", "-sx.root", "-o", "out1:%ifb_reco.root"],
            "a.fcl",
            ["x.root"],
            ["%ifb_reco.root"],
        ),
        (
            ["/opt/bin/art", "-ca.fcl", "--source", "x.root", "--output=root://h//o.root"],
            "a.fcl",
            ["x.root"],
            ["root://h//o.root"],
        ),
        (["python3", "gen.py", "-c", "gen.fcl", "-T", "h.root"], "gen.fcl", [], ["h.root"]),
        (
            ["nova", "-n5", "--no-output", "x.root", "-o", "o.root", "-c", "a.fcl", "y.root"],
            "a.fcl",
            ["x.root", "y.root"],
            ["o.root"],
        ),
        (
            ["mu2e", "-c", "a.fcl", "--sam-data-tier", "reco", "--nskip=2", "root://h//x.art"],
            "a.fcl",
            ["root://h//x.art"],
            [],
        ),
        (["/bin/sh", "/opt/bin/nova", "-c", "a.fcl", "x.root"], "a.fcl", ["x.root"], []),
        (["./wrap.sh", "-c", "a.fcl", "reconstruct"], "a.fcl", [], []),
        (["./wrap", "--source", "setup.sh", "--exe", "lar", "--", "-c", "a.fcl"], None, [], []),
        (["python3", "-c", "print(1)"], None, [], []),
        (["gcc", "-c", "a.c", "-o", "a.o"], None, [], []),
    ],
)
def test_command_line_of_art_and_its_like_is_read(
    argv: list[str], config: str | None, sources: list[str], outputs: list[str]
) -> None:
    line = arguments.CommandLine(argv)

    assert (line.config, line.sources, line.outputs) == (config, sources, outputs)


def test_closure_follows_the_reference_includer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("p1", "p2/sub"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "main.fcl").write_bytes(
        b'#include "a.fcl"\r\n #include "indented.fcl"\n#include "sub/b.fcl" # no\n'
        b'#include "a.fcl"\n#include "sub/b.fcl"\n'
    )
    (tmp_path / "a.fcl").write_bytes(b"not this one: the working folder is no place for includes\n")
    (tmp_path / "p1" / "a.fcl").write_bytes(b'#include "sub/b.fcl"\n#include "main.fcl"\n')
    (tmp_path / "p2" / "a.fcl").write_bytes(b"shadowed: 1\n")
    (tmp_path / "p2" / "sub" / "b.fcl").write_bytes(b'#include "a.fcl"\nb: 1')
    monkeypatch.chdir(tmp_path)

    found = closure.Closure("main.fcl", closure.search_path({"FHICL_FILE_PATH": ":p1::p2/"}))

    assert [(entry["name"], entry["path"], entry.get("found_in")) for entry in found.files] == [
        ("main.fcl", "main.fcl", None),
        ("a.fcl", "p1/a.fcl", 0),
        ("sub/b.fcl", "p2/sub/b.fcl", 1),
    ]
    assert found.problems == ['include "main.fcl" is not in FHICL_FILE_PATH']


@pytest.mark.slow
def test_configuration_with_a_missing_include_has_no_process_name_and_is_recorded(
    runner: Runner,
) -> None:
    (runner.folder / "main.fcl").write_text('#include "missing.fcl"\nsource: {}\n')

    runner("run", "--", "sh", "-c", "exit 1", "x", "-c", "main.fcl")

    record, _ = only_entry(runner)
    assert [entry["main"] for entry in record["configurations"]] == ["main.fcl"]
    assert "process_name" not in record["configurations"][0]
    assert 'include "missing.fcl" is not in FHICL_FILE_PATH' in record["extra"]["hook_notes"]


@pytest.mark.slow
def test_repository_that_a_step_names_is_recorded(runner: Runner, checkout: Path) -> None:
    """The step itself uses nothing of it: a program that it starts may."""
    (checkout / "fcl" / "base.fcl").write_text("a: 8\n")
    runner("start")
    runner("step", "--repository", str(checkout), "--", "true")
    runner("end")

    record, _ = only_entry(runner)
    (software,) = record["software"]
    assert software["checkout"] == str(checkout)
    assert software["is_dirty"] is True
