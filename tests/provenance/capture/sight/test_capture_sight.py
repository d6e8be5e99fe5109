"""What the hook sees of job scripts that know nothing of it: programs, inputs, outputs, failures."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from jobprov.provenance.capture.options import Options
from jobprov.provenance.capture.running.file_events import FileEvents
from jobprov.provenance.capture.running.followed import Followed
from jobprov.provenance.capture.sight.following import Following
from jobprov.provenance.capture.sight.sight import Sight
from tests.library.hook import Runner, missed_nothing, only_entry

ART = """#!/bin/sh
# A program with art's options and words, as far as a job script shows them.
sleep "${ART_SECONDS:-1}"  # the hook looks every 40 ms, later where the machine is busy
config= source= output=
while [ $# -gt 0 ]; do
    case "$1" in
        -c) config=$2; shift ;;
        -s) source=$2; shift ;;
        -o) output=$2; shift ;;
    esac
    shift
done
for folder in . $(echo "$FHICL_FILE_PATH" | tr ':' ' '); do
    [ -f "$folder/$config" ] && found=$folder/$config
done
if [ -z "$found" ] || grep -q fail "$found"; then
    echo "---- Configuration BEGIN"; echo "  bad module"; echo "---- Configuration END"
    echo "Art has completed and will exit with status 9."
    exit 9
fi
if [ -n "$output" ] && ! grep -q nothing "$found"; then
    { cat "$found"; [ -z "$source" ] || cat "$source"; } > "$output"
fi
echo "TrigReport Events total = 3 passed = 3 failed = 0"
echo "Art has completed and will exit with status 0."
"""


class Site:
    """A worker node with a program like art, inputs that lie elsewhere, and a storage folder."""

    def __init__(self, runner: Runner) -> None:
        self.runner, self.job = runner, runner.folder
        self.inputs, self.storage = self.job.parent / "inputs", self.job.parent / "storage"
        programs = self.job.parent / "programs"
        for folder in (self.inputs, self.storage, programs, self.job / "fcl"):
            folder.mkdir()
        (programs / "nova").write_text(ART)
        (programs / "nova").chmod(0o755)
        (self.inputs / "raw.root").write_text("raw data\n")
        (self.job / "fcl" / "base.fcl").write_text("a: 1\n")
        (self.job / "fcl" / "reco.fcl").write_text('#include "base.fcl"\nprocess_name: Reco\n')
        self.variables = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "STORAGE": str(self.storage),
            "INPUTS": str(self.inputs),
        }
        time.sleep(0.05)  # so that what lies here is older than the job

    def run(
        self, script: str, *options: str, **variables: str | None
    ) -> subprocess.CompletedProcess:
        """Run a job script under the hook."""
        path = self.job / "job.sh"
        path.write_text("#!/bin/sh\n" + script)
        path.chmod(0o755)
        environment = dict(self.variables, **variables)
        return self.runner("run", *options, "--", "./job.sh", environment=environment)

    def record(self, script: str, *options: str, **variables: str | None) -> dict[str, Any]:
        """Return the record of a job script."""
        self.run(script, *options, **variables)
        return only_entry(self.runner)[0]


@pytest.fixture
def site(runner: Runner) -> Site:
    return Site(runner)


def by_path(entries: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {entry["path"]: entry for entry in entries}


@pytest.mark.slow
def test_script_that_knows_nothing_of_the_hook_is_recorded_whole(site: Site) -> None:
    record = site.record(
        """
        export FHICL_FILE_PATH=$PWD/fcl
        nova -c reco.fcl -s $INPUTS/raw.root -o reco.root > reco.log 2>&1
        rm -r fcl
        mv reco.root $STORAGE/
        echo done
        """
    )

    payload, art = record["command"]["steps"]
    assert (payload["name"], payload["role"], payload["exit_code"]) == ("job.sh", "payload", 0)
    assert (art["name"], art["role"], art["within"]) == ("nova", "program", "job.sh")
    assert art["argv"][-6:] == [
        "-c", "reco.fcl", "-s", str(site.inputs / "raw.root"), "-o", "reco.root",
    ]  # fmt: skip
    (configuration,) = record["configurations"]
    assert configuration["step"] == "nova"
    assert configuration["process_name"] == "Reco"
    assert [file["name"] for file in configuration["files"]] == ["reco.fcl", "base.fcl"]
    (read,) = record["inputs"]
    assert (read["name"], read["step"], read["role"]) == ("raw.root", "nova", "primary")
    assert read["sha256"]
    (made,) = record["outputs"]
    assert (made["path"], made["step"]) == ("reco.root", "nova")
    assert made["location"] == str(site.storage / "reco.root")
    assert made["sha256"]
    assert [log["name"] for log in record["logs"]] == ["stdout", "reco.log"]
    assert "outputs_not_there" not in record
    assert record["state"] == "succeeded"


@pytest.mark.slow
def test_job_itself_is_not_changed(site: Site) -> None:
    script = "nova -c reco.fcl -o a.root; echo to stderr >&2; echo done; exit 7\n"
    alone = {"FHICL_FILE_PATH": str(site.job / "fcl")}

    done = site.run(script, **alone)
    beside = subprocess.run(
        ["sh", "-c", script],
        cwd=site.job,
        env=dict(site.runner.environment, **site.variables, **alone),
        capture_output=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (beside.returncode, beside.stdout)
    assert done.stderr.startswith(beside.stderr)


@pytest.mark.slow
def test_file_that_is_made_and_moved_at_once_is_one_output(site: Site) -> None:
    record = site.record(
        "echo data > a.root; mv a.root $STORAGE/b.root; mv $STORAGE/b.root $STORAGE/a.root"
    )

    (output,) = record["outputs"]
    assert (output["path"], output["location"]) == ("a.root", str(site.storage / "a.root"))
    assert output["size_bytes"] == len("data\n")


@pytest.mark.slow
def test_file_that_goes_at_once_into_a_folder_made_just_before_is_one_output(site: Site) -> None:
    record = site.record("echo data > a.root; mkdir out; mv a.root out/")

    (output,) = record["outputs"]
    assert (output["path"], output["size_bytes"]) == ("out/a.root", len("data\n"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "place", ["$STORAGE/deep", "${STORAGE}/deep/er", "$HERE", "/$ONE/x", "$STORAGE/deep/er/est"]
)
def test_file_is_found_where_the_script_says_that_it_goes(site: Site, place: str) -> None:
    (site.storage / "deep" / "er" / "est").mkdir(parents=True)
    (site.storage / "one" / "x").mkdir(parents=True)
    script = f"HERE=$STORAGE/deep/er\nONE=${{STORAGE}}/one\necho data > a.root; mv a.root {place}/"

    record = site.record(script)

    (output,) = record["outputs"]
    assert output["path"] == "a.root"
    assert Path(output["location"]).read_text() == "data\n"
    assert output["sha256"]


def test_copy_elsewhere_is_the_same_file(site: Site) -> None:
    (site.storage / "other.root").write_text("of another job")

    record = site.record("echo data > a.root; cp a.root $STORAGE/; echo more > b.root")

    outputs = by_path(record["outputs"])
    assert set(outputs) == {"a.root", "b.root"}
    assert outputs["a.root"]["location"] == str(site.storage / "a.root")
    assert "location" not in outputs["b.root"]


@pytest.mark.slow
def test_copy_in_a_further_folder_of_the_job_is_no_second_output(site: Site) -> None:
    """As jobsub's `-d HIST` wants it; files with other bytes are files of their own."""
    record = site.record(
        """
        mkdir out_HIST 1 2; echo data > a.root; cp a.root out_HIST/
        echo 1 > 1/b.root; echo 2 > 2/b.root
        """
    )

    assert sorted(output["path"] for output in record["outputs"]) == [
        "1/b.root",
        "2/b.root",
        "a.root",
    ]


@pytest.mark.slow
def test_copy_that_is_renamed_elsewhere_is_the_same_file(site: Site) -> None:
    """As ifdh does: under another name first; or as a script of Python does, at once."""
    script = """
mkdir work && echo one > gen.root && echo two > work/summary.json
cp gen.root $STORAGE/gen.root.tmp.$$ && mv $STORAGE/gen.root.tmp.$$ $STORAGE/gen.root
cat work/summary.json > $STORAGE/summary_7.json
rm gen.root
"""
    record = site.record(script)
    places = {output["path"]: output["location"] for output in record["outputs"]}
    assert places == {
        "gen.root": str(site.storage / "gen.root"),
        "work/summary.json": str(site.storage / "summary_7.json"),
    }
    # as others find it
    assert {output["name"] for output in record["outputs"]} == {"gen.root", "summary_7.json"}


@pytest.mark.slow
def test_renamed_copy_that_is_seen_while_it_is_written_is_no_second_output(site: Site) -> None:
    """As on a busy node, where each program takes its time."""
    script = """
echo one > a.txt; (cat a.txt; sleep 0.5) > $STORAGE/a_7.txt
"""
    (output,) = site.record(script)["outputs"]
    assert (output["path"], output["location"]) == ("a.txt", str(site.storage / "a_7.txt"))


@pytest.mark.slow
def test_file_that_grew_unseen_and_went_is_found_in_the_storage_folder(site: Site) -> None:
    """On a busy node nobody looks between its last bytes, its copy and its removal."""
    script = """
(echo one; sleep 0.3; echo two) > gen.root; cp gen.root $STORAGE/; rm gen.root
"""
    (output,) = site.record(script)["outputs"]
    assert (output["location"], output["size_bytes"]) == (str(site.storage / "gen.root"), 8)


@pytest.mark.slow
def test_input_that_was_copied_in_at_once_is_no_output(site: Site) -> None:
    """No look sees so short a copy. What the job made and copied away is an output all the same."""
    (site.inputs / "geometry.gdml").write_text("<gdml/>")
    record = site.record(
        f"cp {site.inputs}/geometry.gdml .\necho made > gen.root\ncp -p gen.root $STORAGE/\n"
        "FHICL_FILE_PATH=$PWD/fcl nova -c reco.fcl -s $STORAGE/gen.root -o reco.root\n"
    )

    assert set(by_path(record["outputs"])) == {"gen.root", "reco.root"}
    assert f"{site.inputs}/geometry.gdml" in by_path(record["inputs"])


@pytest.mark.slow
def test_input_that_was_copied_in_has_the_name_that_others_know(site: Site) -> None:
    """By a copy that takes some time; the record keeps the path that it had in the job."""
    (site.inputs / "gen_7.root").write_text("raw data")
    (site.job / "slow").write_text('cat "$1" > "$2"; sleep 3')  # seen on a busy machine, too
    script = """
bash -c 'exec -a cp sh slow "$@"' bash $INPUTS/gen_7.root in.root
FHICL_FILE_PATH=$PWD/fcl nova -c reco.fcl -s in.root -o reco.root
"""
    (read,) = [entry for entry in site.record(script)["inputs"] if entry.get("step") == "nova"]
    assert (read["name"], read["path"]) == ("gen_7.root", "in.root")
    assert read["location"] == str(site.inputs / "gen_7.root")


@pytest.mark.slow
def test_file_that_is_told_at_the_end_keeps_the_place_where_it_was_seen(site: Site) -> None:
    """As a retry tells of all that it made."""
    environment = site.variables
    copy = "echo made > a.txt; cat a.txt > $STORAGE/a_7.txt"
    for words in (["start"], ["step", "--", "sh", "-c", copy], ["end", "--output", "a.txt"]):
        site.runner(*words, environment=environment)
    (output,) = only_entry(site.runner)[0]["outputs"]
    assert (output["name"], output["evidence"]) == ("a_7.txt", "told")
    assert output["location"] == str(site.storage / "a_7.txt")


@pytest.mark.slow
@pytest.mark.parametrize("copy", ["cp b.txt $STORAGE/", "(cat b.txt; sleep 0.5) > $STORAGE/b.txt"])
def test_outputs_with_the_same_bytes_are_each_at_their_own_place(site: Site, copy: str) -> None:
    record = site.record("echo same > a.txt; echo same > b.txt; " + copy)
    places = {output["name"]: output.get("location") for output in record["outputs"]}
    assert places == {"a.txt": None, "b.txt": str(site.storage / "b.txt")}


@pytest.mark.slow
def test_file_that_a_program_writes_into_a_shared_folder_is_an_output(site: Site) -> None:
    """Its words name it, and nobody saw it open; what others wrote there before is none."""
    script = """
echo other > $STORAGE/other.csv; sleep 0.1
select() { sh -c 'sleep 3; echo 1 > "$2"; cat "$1"' sh "$@"; }
select $STORAGE/other.csv $STORAGE/sel_7.csv
"""
    outputs = site.record(script)["outputs"]
    assert [(output["name"], output["path"]) for output in outputs] == [
        ("sel_7.csv", str(site.storage / "sel_7.csv"))
    ]


@pytest.mark.slow
def test_log_of_the_tracer_is_no_output_where_nobody_names_the_spool(site: Site) -> None:
    """A program that strace has just begun to follow holds its log open, under strace's words."""
    home = site.job.parent / "home"
    site.runner.spool = home / ".jobprov" / "spool"
    (site.runner.spool / "trace-1").mkdir(parents=True)

    outputs = site.record(
        "sh -c 'exec 3> $1; sleep 0.5; echo x >&3' sh $HOME/.jobprov/spool/trace-1/command\n"
        "echo 1 > a.root",
        HOME=str(home),
        JOBPROV_SPOOL=None,
    )["outputs"]

    assert [output["name"] for output in outputs] == ["a.root"]


@pytest.mark.slow
def test_files_of_the_kernel_are_no_inputs(site: Site) -> None:
    """They have other bytes at each reading, so that nobody could send them."""
    record = site.record("sh -c 'sleep 0.3; cat \"$1\" > load.txt' sh /proc/loadavg")
    assert not record.get("inputs")


@pytest.mark.slow
def test_files_of_the_machine_that_a_program_holds_open_are_no_inputs(site: Site) -> None:
    """Its C library reads them for it, whatever the job is; another node has others."""
    (site.job / "table.csv").write_text("1,2\n")
    time.sleep(0.05)

    record = site.record("sleep 1 3< /etc/passwd 4< table.csv")

    assert [entry["path"] for entry in record["inputs"]] == ["table.csv"]


@pytest.mark.slow
def test_file_of_another_job_in_the_storage_folder_is_not_ours(site: Site) -> None:
    record = site.record(
        "echo ours > a.root; echo theirs > $STORAGE/theirs.root; sleep 1; rm a.root;"
        "echo other > $STORAGE/a.root"
    )

    assert "outputs" not in record


@pytest.mark.slow
def test_scratch_that_vanishes_is_no_output(site: Site) -> None:
    record = site.record("echo x > scratch.dat; sleep 0.1; rm scratch.dat; echo y > kept.dat")

    assert [output["path"] for output in record["outputs"]] == ["kept.dat"]


@pytest.mark.slow
def test_caches_of_python_numba_and_matplotlib_are_no_outputs(site: Site) -> None:
    """They hold times, paths, or machine code of this one CPU: no rerun makes them again."""
    record = site.record(
        "mkdir __pycache__ plots plots/__pycache__\n"
        "for name in job.f-4.py311.nbi job.f-4.py311.1.nbc job.cpython-311.pyc; do\n"
        "    echo cache | tee __pycache__/$name > plots/__pycache__/$name\n"
        "done\n"
        "echo {} > plots/fontlist-v390.json\necho plot > plots/mass.png\n"
    )

    assert list(by_path(record["outputs"])) == ["plots/mass.png"]


@pytest.mark.slow
def test_what_root_compiles_of_a_macro_is_no_output(site: Site) -> None:
    """As `root macro.C+` leaves it; a library that the job builds by itself is an output."""
    record = site.record(
        "for end in .so .d _ACLiC_dict_rdict.pcm; do echo made > macro_C$end; done\n"
        "echo made > libReco.so\necho made > hits.root\n"
    )

    assert set(by_path(record["outputs"])) == {"libReco.so", "hits.root"}


def test_files_keep_the_folders_that_they_had(site: Site) -> None:
    record = site.record("mkdir -p results/A results/B; echo 1 > results/A/x; echo 2 > results/B/x")

    outputs = by_path(record["outputs"])
    assert set(outputs) == {"results/A/x", "results/B/x"}
    assert outputs["results/A/x"]["sha256"] != outputs["results/B/x"]["sha256"]


@pytest.mark.slow
def test_what_changed_is_an_output_and_what_did_not_is_none(site: Site) -> None:
    for name in ("grown.dat", "same.dat"):
        (site.job / name).write_text("old\n")
    time.sleep(0.05)

    record = site.record("echo more >> grown.dat; cat same.dat > /dev/null")

    assert [output["path"] for output in record["outputs"]] == ["grown.dat"]


@pytest.mark.slow
def test_last_line_of_art_beats_the_exit_code_of_a_shell(site: Site) -> None:
    (site.job / "fcl" / "reco.fcl").write_text("fail: 1\n")

    done = site.run("FHICL_FILE_PATH=$PWD/fcl nova -c reco.fcl -o reco.root\necho done\n")

    assert done.returncode == 0
    record, _ = only_entry(site.runner)
    assert record["state"] == "failed"
    assert record["exit"]["code"] == 0
    assert record["exit"]["failed_step"] == "nova"
    assert record["exit"]["error_class"] == "Configuration"
    assert record["exit"]["decided_by"] == {
        "evidence": "log",
        "text": "Art has completed and will exit with status 9. (log stdout)",
    }


@pytest.mark.slow
def test_last_line_counts_in_a_log_of_its_own(site: Site) -> None:
    (site.job / "fcl" / "reco.fcl").write_text("fail: 1\n")

    record = site.record("FHICL_FILE_PATH=$PWD/fcl nova -c reco.fcl > art.log 2>&1; echo done")

    assert record["state"] == "failed"
    assert record["exit"]["decided_by"]["text"].endswith("(log art.log)")


@pytest.mark.slow
def test_output_of_art_that_never_came_is_a_failure(site: Site) -> None:
    (site.job / "fcl" / "reco.fcl").write_text("nothing: 1\n")

    record = site.record("FHICL_FILE_PATH=$PWD/fcl nova -c reco.fcl -o reco.root; echo done")

    assert record["state"] == "failed"
    assert record["exit"]["decided_by"]["evidence"] == "output-not-there"
    assert record["outputs_not_there"] == [
        {"path": "reco.root", "step": "nova", "evidence": "argument"}
    ]


@pytest.mark.slow
def test_second_try_of_a_script_counts(site: Site) -> None:
    (site.job / "fcl" / "bad.fcl").write_text("fail: 1\n")

    record = site.record(
        """
        export FHICL_FILE_PATH=$PWD/fcl
        nova -c bad.fcl -o reco.root > first.log 2>&1 || nova -c reco.fcl -o reco.root
        """
    )

    assert record["state"] == "succeeded"
    assert [step["name"] for step in record["command"]["steps"]] == ["job.sh", "nova", "nova-2"]


@pytest.mark.slow
def test_subshells_of_a_program_are_no_steps_of_their_own(site: Site) -> None:
    """They show the words of their script for as long as they run."""
    nova = site.job.parent / "programs" / "nova"
    nova.write_text(ART.replace("config=", "$(sleep 0.2; :) $(sleep 0.2; :)\nconfig=", 1))

    record = site.record("FHICL_FILE_PATH=$PWD/fcl nova -c reco.fcl -o reco.root; echo done")

    assert [step["name"] for step in record["command"]["steps"]] == ["job.sh", "nova"]


@pytest.mark.slow
def test_check_of_a_configuration_makes_no_output(site: Site) -> None:
    (site.job / "fcl" / "reco.fcl").write_text("nothing: 1\n")

    record = site.record(
        "FHICL_FILE_PATH=$PWD/fcl nova -c reco.fcl -o reco.root --validate-config x.fcl; true"
    )

    assert record["state"] == "succeeded"


@pytest.mark.slow
def test_what_one_program_hands_to_the_next_is_made_inside(site: Site) -> None:
    record = site.record(
        """
        export FHICL_FILE_PATH=$PWD/fcl
        nova -c reco.fcl -s $INPUTS/raw.root -o step1.root
        nova -c reco.fcl -s step1.root -o step2.root
        rm step1.root
        """
    )

    outputs = by_path(record["outputs"])
    assert outputs["step1.root"]["status"] == "not_kept"
    handed = [entry for entry in record["inputs"] if entry["name"] == "step1.root"]
    assert [entry["sha256"] for entry in handed] == [outputs["step1.root"]["sha256"]]
    assert outputs["step2.root"]["status"] == "written"
    assert {entry["name"]: entry["step"] for entry in record["inputs"]} == {
        "raw.root": "nova",
        "step1.root": "nova-2",
    }


@pytest.mark.slow
def test_output_that_a_script_removes_unread_is_scratch(site: Site) -> None:
    record = site.record(
        "FHICL_FILE_PATH=$PWD/fcl nova -c reco.fcl -s gone.root -o tmp.root; rm -f tmp.root"
    )

    assert "outputs" not in record
    assert "outputs_not_there" not in record
    assert "inputs" not in record


@pytest.mark.slow
def test_small_input_is_kept_before_the_job_removes_it(site: Site) -> None:
    (site.job / "table.csv").write_text("1,2\n")
    time.sleep(0.05)

    site.run("tail -f table.csv > /dev/null & sleep 0.5; rm table.csv; kill $!")

    record, blobs = only_entry(site.runner)
    (entry,) = [entry for entry in record["inputs"] if entry["name"] == "table.csv"]
    assert (entry["role"], entry["evidence"]) == ("primary", "seen")
    assert blobs[entry["sha256"]] == b"1,2\n"


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0, 0.5])
def test_input_that_was_copied_in_is_no_output(site: Site, seconds: float) -> None:
    """It is one input, however long the copy takes, so that its source is seen open."""
    copier = site.job.parent / "programs" / "cp"
    copier.write_text(f'#!/bin/sh\nexec < "$1"; sleep {seconds}; exec /bin/cp "$@"\n')
    copier.chmod(0o755)

    record = site.record(
        """
        cp $INPUTS/raw.root .
        FHICL_FILE_PATH=$PWD/fcl nova -c reco.fcl -s raw.root -o reco.root
        """
    )

    assert [output["path"] for output in record["outputs"]] == ["reco.root"]
    assert [entry["path"] for entry in record["inputs"]] == ["raw.root"]


@pytest.mark.slow
def test_private_files_are_not_recorded(site: Site) -> None:
    home = site.job.parent / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "config").write_text("Host x\n")
    (site.inputs / "x509up_u1000").write_text("proxy\n")
    (site.inputs / "notes.txt").write_text("password=canary123canary\n")
    time.sleep(0.05)
    words = f"{home}/.ssh/config $INPUTS/x509up_u1000 $INPUTS/notes.txt"

    site.run(f"tail -f {words} > /dev/null & sleep 0.5; kill $!", HOME=str(home))

    record, blobs = only_entry(site.runner)
    assert [entry["name"] for entry in record["inputs"]] == ["notes.txt"]
    assert not any(b"canary123canary" in blob for blob in blobs.values())
    assert "canary123canary" not in json.dumps(record)


@pytest.mark.slow
def test_what_is_told_is_recorded_once(site: Site) -> None:
    record = site.record(
        "FHICL_FILE_PATH=$PWD/fcl nova -c reco.fcl -s $INPUTS/raw.root -o reco.root",
        "--input",
        str(site.inputs / "raw.root"),
        "--output",
        "reco.root",
    )

    assert [(entry["name"], entry["evidence"]) for entry in record["outputs"]] == [
        ("reco.root", "told")
    ]


@pytest.mark.slow
def test_file_of_a_try_that_failed_gets_no_sidecar(site: Site) -> None:
    """A file transfer service would have declared what the first try left of it."""
    site.record(
        """
        echo fail > fcl/try.fcl; export FHICL_FILE_PATH=fcl
        nova -c try.fcl -s $INPUTS/raw.root -o one.root > one.log 2>&1 || echo part > one.root
        echo good > fcl/try.fcl
        nova -c try.fcl -s $INPUTS/raw.root -o two.root > two.log 2>&1
        """,
        "--namespace=toy",
    )

    assert not (site.job / "one.root.json").exists()
    assert (site.job / "two.root.json").exists()


@pytest.mark.slow
def test_sidecar_never_names_its_own_file(site: Site) -> None:
    (site.job / "data.root").write_text("old\n")

    site.run("echo more >> data.root", "--input", "data.root", "--output", "data.root")

    sidecar = json.loads((site.job / "data.root.json").read_text())
    assert sidecar["parents"] == []


@pytest.mark.slow
def test_nothing_is_seen_where_only_what_is_told_counts(site: Site) -> None:
    record = site.record("nova -c reco.fcl -o reco.root; echo x > x.dat", "--told-only")

    assert "processes" not in record["command"]
    assert "outputs" not in record
    assert [step["name"] for step in record["command"]["steps"]] == ["job.sh"]


@pytest.mark.slow
def test_every_program_of_some_length_is_listed(site: Site) -> None:
    site.run("(cd /; sleep 0.7); sleep 0.8 & wait; exec sleep 0.9")

    record, blobs = only_entry(site.runner)
    processes = record["command"]["processes"]
    listed = [json.loads(line) for line in blobs[processes["sha256"]].splitlines()]
    assert [one["argv"] for one in listed if one["argv"][0] == "sleep"] == [
        ["sleep", "0.7"],
        ["sleep", "0.8"],
        ["sleep", "0.9"],
    ]
    assert listed[1]["working_directory"] == "/"
    assert processes["count"] == len(listed)
    assert missed_nothing(processes)


@pytest.mark.slow
def test_steps_of_a_job_script_see_their_programs_too(site: Site) -> None:
    script = site.job / "job.sh"
    script.write_text(
        """
        export FHICL_FILE_PATH=$PWD/fcl
        python3 $HOOK start
        python3 $HOOK step --name reco -- sh -c 'nova -c reco.fcl -s $INPUTS/raw.root -o reco.root'
        python3 $HOOK step --name save -- sh -c 'sleep 0.06; mv reco.root $STORAGE/'
        python3 $HOOK end
        """
    )
    environment = dict(site.runner.environment, **site.variables, HOOK=site.runner.hook)
    subprocess.run(["sh", "job.sh"], cwd=site.job, env=environment, check=True)

    record, _ = only_entry(site.runner)
    assert [step["name"] for step in record["command"]["steps"]] == ["reco", "nova", "save"]
    assert [output["name"] for output in record["outputs"]] == ["reco.root"]
    assert record["command"]["processes"]["count"] >= 3
    assert record["state"] == "succeeded"


@pytest.mark.slow
def test_step_that_fails_in_its_log_fails_the_job(site: Site) -> None:
    (site.job / "fcl" / "reco.fcl").write_text("fail: 1\n")
    script = "$HOOK start; $HOOK step --name reco -- sh -c 'nova -c reco.fcl; true'; $HOOK end"
    environment = dict(
        site.runner.environment,
        **site.variables,
        HOOK=f"{site.runner.python} {site.runner.hook}",
        FHICL_FILE_PATH=str(site.job / "fcl"),
    )
    subprocess.run(["sh", "-c", script + "; exit 0"], cwd=site.job, env=environment, check=True)

    record, _ = only_entry(site.runner)
    assert record["state"] == "failed"
    assert record["exit"]["decided_by"]["evidence"] == "log"


@pytest.mark.slow
def test_job_that_is_told_to_end_ends_at_once(site: Site) -> None:
    for number in range(3000):
        (site.job / f"{number}.dat").touch()

    record = ended_early(site, "echo > ../begun; sleep 30\n")

    assert record["state"] == "killed"
    assert "outputs" not in record


@pytest.mark.slow
def test_log_of_a_job_that_is_told_to_end_is_no_output(site: Site) -> None:
    """The folder is not listed then: the kernel alone told of its files."""
    record = ended_early(site, "echo a > reco.log; echo b > out.dat; echo > ../begun; sleep 30\n")

    assert [log["name"] for log in record["logs"]] == ["reco.log"]
    assert [output["path"] for output in record["outputs"]] == ["out.dat"]


def ended_early(site: Site, script: str) -> dict[str, Any]:
    """Return the record of a job script that is told to end once it has made `../begun`."""
    path = site.job / "job.sh"
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(0o755)
    process = subprocess.Popen(
        [site.runner.python, site.runner.hook, "run", "--", "./job.sh"],
        cwd=site.job,
        env=dict(site.runner.environment, **site.variables),
        stderr=subprocess.DEVNULL,
    )
    while not (site.job.parent / "begun").exists():
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == -signal.SIGTERM
    return only_entry(site.runner)[0]


@pytest.mark.slow
def test_file_that_a_program_moves_deep_under_another_name_is_found(site: Site) -> None:
    """Nothing names the folder."""
    deep = site.storage / "caf" / "07" / "good"
    deep.mkdir(parents=True)
    (deep / "other.json").write_text("{}")
    time.sleep(0.05)
    program = """
import json, os, shutil, time
with open("out.csv", "w") as rows:
    rows.write("1,2\\n")
with open("summary.json", "w") as summary:
    json.dump({"rows": 1}, summary)
time.sleep(0.5)
for name, end in (("out", "csv"), ("summary", "json")):
    shutil.move(name + "." + end, os.environ["STORAGE"] + "/caf/%02d/good/run_7." % 7 + end)
"""
    (site.inputs / "caf.py").write_text(program)

    record = site.record("python3 $INPUTS/caf.py")

    places = {output["path"]: output.get("location") for output in record["outputs"]}
    assert places == {
        "out.csv": str(deep / "run_7.csv"),
        "summary.json": str(deep / "run_7.json"),
    }
    assert {output["name"] for output in record["outputs"]} == {"run_7.csv", "run_7.json"}


TRANSFER = 'ShouldTransferFiles = "YES"\n'


def test_file_that_is_moved_soon_is_looked_at_while_it_is_there(tmp_path: Path) -> None:
    """Nobody looks here but the thread that reads the kernel's reports as they come."""
    folder, away = tmp_path / "job", tmp_path / "storage"
    folder.mkdir()
    away.mkdir()
    events = FileEvents(Followed([str(folder)], []))
    events.read_on()
    (folder / "part.csv").write_text("1\n")
    inode = (folder / "part.csv").stat().st_ino

    time.sleep(0.3)
    (folder / "part.csv").rename(away / "run.csv")
    time.sleep(0.3)
    events.close()

    made = events.made[str(folder / "part.csv")]
    assert made.is_moved
    assert made.identity is not None
    assert made.identity[1] == inode


@pytest.mark.slow
@pytest.mark.parametrize(
    ("starter", "lines", "kept"),
    [
        ("condor_starter", TRANSFER + 'TransferOutput = ""', set()),
        ("condor_starter", TRANSFER + 'TransferOutput = "top.root, work"', {"top", "deep"}),
        ("condor_starter", TRANSFER, {"top"}),
        ("condor_starter", 'ShouldTransferFiles = "NO"', {"top", "deep"}),
        # The job script around the hook may still move them
        ("job.sh", TRANSFER + 'TransferOutput = ""', {"top", "deep"}),
    ],
)
def test_output_that_vanishes_with_the_scratch_folder_is_not_kept(
    site: Site, starter: str, lines: str, kept: set[str]
) -> None:
    (site.job.parent / "ad").write_text(f'GlobalJobId = "s#1.0#1"\nNumShadowStarts = 1\n{lines}\n')
    shutil.copy("/bin/sh", site.job.parent / starter)
    (site.job / "make.sh").write_text(
        "mkdir work; echo 1 > top.root; echo 2 > work/deep.root; echo 3 > away.root\n"
        "mv away.root $STORAGE/\n"
    )
    condor = {
        "_CONDOR_SCRATCH_DIR": str(site.job),
        "_CONDOR_JOB_AD": str(site.job.parent / "ad"),
    }
    hook = [site.runner.python, site.runner.hook, "run", "--", "sh", "make.sh"]

    subprocess.run(
        [site.job.parent / starter, "-c", '"$@"; exit $?', "-", *hook],
        cwd=site.job,
        env={**site.runner.environment, **site.variables, **condor},
        check=True,
    )

    outputs = only_entry(site.runner)[0]["outputs"]
    statuses = {Path(output["name"]).stem: output["status"] for output in outputs}
    assert set(statuses) == {"top", "deep", "away"}
    assert {name for name, status in statuses.items() if status == "written"} == {"away", *kept}
    assert set(statuses.values()) <= {"written", "not_kept"}


RUCIO = """#!/usr/bin/env python3
import os, sys, time
folder, (scope, name) = sys.argv[3], sys.argv[4].split(":")
os.makedirs(os.path.join(folder, scope))
with open(os.path.join(folder, scope, name), "w") as stream:
    stream.write("raw data\\n")
time.sleep(0.5)
"""


@pytest.mark.slow
def test_file_that_rucio_downloads_is_no_output_of_the_job(site: Site) -> None:
    """As rucio-clients 41.5 puts it: below a folder of its scope. It was claimed as made here.

    As an input it had its scope in its name, so nothing knew which job had made it.
    """
    rucio = site.job.parent / "programs" / "rucio"
    rucio.write_text(RUCIO)
    rucio.chmod(0o755)

    record = site.record(
        "rucio download --dir in hd-protodune:raw1.root\n"
        "nova -c fcl/reco.fcl -s in/hd-protodune/raw1.root -o reco.root\n"
    )

    assert [output["name"] for output in record["outputs"]] == ["reco.root"]
    (used,) = [entry for entry in record["inputs"] if entry["role"] == "primary"]
    assert (used["name"], used["location"]) == ("raw1.root", "rucio:///hd-protodune/raw1.root")
    assert "namespace" not in used


UPLOADER = """#!/usr/bin/env python3
import os, sys, time
time.sleep(0.5)
if "--summary" in sys.argv:
    open("rucio_upload.json", "w").write("{}")
sys.exit(int(os.environ.get("EXIT_CODE", "0")))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "place"),
    [
        (
            "--account dunepro upload --summary --rse DISK --scope reco reco.root",
            "rucio://DISK/reco/reco.root",
        ),
        (
            "-a dunepro upload --scope=reco --name reco_7.root --rse=DISK reco:a-dataset reco.root",
            "rucio://DISK/reco/reco_7.root",
        ),
        ("upload --rse 'tier=1' ./reco.root", "rucio://tier=1/reco.root"),
        (
            "upload --rse DISK --pfn root://host//store/reco_7.root reco.root",
            "root://host//store/reco_7.root",
        ),
    ],
)
def test_output_that_rucio_uploads_is_where_rucio_has_it(
    site: Site, words: str, place: str
) -> None:
    """As rucio-clients 41.5 and the ones before take it. It was lost if the job then removed it."""
    rucio = site.job.parent / "programs" / "rucio"
    rucio.write_text(UPLOADER)
    rucio.chmod(0o755)

    record = site.record(f"echo data > reco.root\nrucio {words}\nrm reco.root\n")

    (output,) = record["outputs"]
    assert (output["location"], output["status"]) == (place, "written")
    assert output["name"] == Path(place).name
    assert output["sha256"] == hashlib.sha256(b"data\n").hexdigest()


WAITER = """
import subprocess, time
upload = subprocess.Popen(["rucio", "upload", "--rse", "DISK", "--scope", "reco", "reco.root"])
while ") Z " not in open("/proc/{}/stat".format(upload.pid)).read():
    time.sleep(0.05)
time.sleep(1.5)  # however late it ended, its exit code can be seen so long
upload.wait()
"""


@pytest.mark.slow
@pytest.mark.parametrize("exit_code", ["0", "1"])
def test_copy_that_was_seen_to_fail_is_nowhere(site: Site, exit_code: str) -> None:
    rucio = site.job.parent / "programs" / "rucio"
    rucio.write_text(UPLOADER)
    rucio.chmod(0o755)
    (site.job / "upload.py").write_text(WAITER)

    record = site.record("echo data > reco.root\npython3 upload.py\n", EXIT_CODE=exit_code)

    (output,) = record["outputs"]
    place = "rucio://DISK/reco/reco.root" if exit_code == "0" else None
    assert (output["path"], output.get("location")) == ("reco.root", place)


CONTAINER = """
cat > inside.sh <<'END'
mount --bind "$1" /srv && mount --bind "$2" "$3" && cd /srv || exit 9
sleep 0.3  # now the mounts are made
exec sh -c 'exec 3< "$0"/table.root; cp "$0"/raw.root in.root; sleep 1; cat in.root > /srv/reco.root' "$3"
END
[ "$(id -u)" = 0 ] || user=--map-root-user  # others may in a namespace of their own
unshare --mount $user sh inside.sh "$PWD" "$INPUTS" "$STORAGE"
"""


@pytest.mark.slow
def test_file_of_a_container_is_not_taken_for_the_one_that_has_its_path_outside(site: Site) -> None:
    """As bind mounts of apptainer and bwrap do: /srv is the job's folder, and $STORAGE another."""
    for name in ("raw.root", "table.root"):
        (site.storage / name).write_text("what lies outside, and nobody read\\n")
        (site.inputs / name).write_text(f"{name} of the container\\n")
    time.sleep(0.05)

    record = site.record(CONTAINER)

    digests = {entry.get("sha256") for entry in record["inputs"]}
    outside = hashlib.sha256(b"what lies outside, and nobody read\\n").hexdigest()
    assert outside not in digests
    places = {entry.get("location") for entry in record["inputs"]}
    assert f"container://{site.storage}/table.root" in places
    made = by_path(record["outputs"])
    assert (site.job / "reco.root").read_text() == "raw.root of the container\\n"
    assert "reco.root" in made
    assert not any(path.startswith(("/srv", "container")) for path in made)


def test_clock_that_is_set_back_while_the_job_runs_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is made then is older than the job, by its time, and was neither output nor gap."""
    monkeypatch.chdir(tmp_path)
    sight = Sight(Options([], {}), time.time(), Following(Options([], {}), [], []))
    usual = time.time

    monkeypatch.setattr(time, "time", lambda: usual() - 3600)
    sight.settle(0, is_hurried=True)

    (why,) = sight.why_incomplete
    assert "set back by 3600 s" in why
