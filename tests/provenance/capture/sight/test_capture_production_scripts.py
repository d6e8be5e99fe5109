"""What the hook records of job scripts that are shaped as those of LArSoft, Mu2e and jobsub are.

They work in a folder of their own below the job's, stage inputs in by a list, sort what they made into
folders, and remove everything at the end.
"""

import os
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobprov.provenance.capture.options import Options
from jobprov.provenance.capture.running.children import Child
from jobprov.provenance.capture.sight import held_logs
from jobprov.provenance.capture.sight.following import Following
from jobprov.provenance.capture.sight.outputs import SeenOutputs
from jobprov.provenance.capture.sight.sight import Sight
from tests.library.hook import Runner, can_trace, entry_of, only_entry, said
from tests.provenance.capture.sight.test_capture_sight import Site, by_path

# art's words about its input
OPENS = """
[ -z "$LIST" ] || source=$(cat "$LIST")
date -u +"%d-%b-%Y %H:%M:%S UTC  Opened input file \\"$source\\""
"""


@pytest.fixture
def site(runner: Runner) -> Site:
    site = Site(runner)
    (site.job / "all.fcl").write_text("process_name: Reco\n")
    site.variables["ART_SECONDS"] = "2"  # to be seen also where the machine is busy
    return site


def gaps_of(record: dict[str, Any]) -> str:
    return " ".join(said(record))


@pytest.mark.slow
@pytest.mark.parametrize("target", ["out/reco.root", "out/run_7.root", "deep/er/reco.root"])
@pytest.mark.parametrize("is_made_first", [True, False])
def test_output_that_the_script_sorts_into_a_folder_is_there(
    site: Site, target: str, *, is_made_first: bool
) -> None:
    make, run = f"mkdir -p {Path(target).parent}", "nova -c all.fcl -o reco.root > reco.log"
    steps = [make, run] if is_made_first else [run, make]

    record = site.record("\n".join([*steps, "sleep 0.2", f"mv reco.root {target}"]) + "\n")

    assert record["state"] == "succeeded"
    assert "outputs_not_there" not in record
    (made,) = record["outputs"]
    assert (made["path"], made["step"], made["evidence"]) == (target, "nova", "argument")


@pytest.mark.slow
def test_script_that_removes_its_folder_at_the_end_did_not_fail(site: Site) -> None:
    """As `condor_lar.sh` of larbatch does: a success was told as a failure."""
    record = site.record(
        """
        work=$PWD/work; mkdir $work; trap "rm -rf $work" 0; cp all.fcl $work; cd $work
        nova -c all.fcl -o reco.root > reco.out
        mkdir out; sleep 0.2
        mv reco.root out
        cp out/reco.root $STORAGE/
        """
    )

    assert record["state"] == "succeeded"
    assert "outputs_not_there" not in record
    made = by_path(record["outputs"])["work/out/reco.root"]
    assert (made["step"], made["location"]) == ("nova", str(site.storage / "reco.root"))


@pytest.mark.slow
def test_output_that_never_came_still_fails_the_job(site: Site) -> None:
    (site.job / "all.fcl").write_text("nothing: 1\n")

    record = site.record("nova -c all.fcl -o reco.root; mkdir out; touch out/other.root\n")

    assert record["state"] == "failed"
    assert record["exit"]["decided_by"]["evidence"] == "output-not-there"


@pytest.mark.slow
def test_options_of_a_script_that_are_written_like_arts_are_its_own(site: Site) -> None:
    """`condor_lar.sh -c all_stages.fcl -o reco.root` splits its fcl file and numbers its outputs."""
    script = site.job / "stages.sh"
    script.write_text("#!/bin/sh\nnova -c all.fcl -o reco0.root\n")
    script.chmod(0o755)
    words = ["./stages.sh", "-c", "all_stages.fcl", "-S", "all.list", "-o", "reco.root"]

    site.runner("run", "--", *words, environment=site.variables)

    record = only_entry(site.runner)[0]
    assert record["state"] == "succeeded"
    assert [made["path"] for made in record["outputs"]] == ["reco0.root"]
    assert "outputs_not_there" not in record
    assert not [note for note in said(record) if "all_stages.fcl" in note or "all.list" in note]


@pytest.mark.slow
def test_missing_fcl_file_of_a_script_that_runs_nothing_like_art_is_told(site: Site) -> None:
    script = site.job / "stages.sh"
    script.write_text("#!/bin/sh\nsleep 0.5\n")
    script.chmod(0o755)

    site.runner("run", "--", "./stages.sh", "-c", "x.fcl", environment=site.variables)

    assert "fcl-missing x.fcl" in gaps_of(only_entry(site.runner)[0])


@pytest.mark.slow
def test_input_that_a_script_fetches_from_where_nobody_can_look_is_not_missed(site: Site) -> None:
    """As `condor_lar.sh -s /pnfs/raw.root` does: a note said that there is no such file."""
    script = site.job / "stages.sh"
    script.write_text("#!/bin/sh\ncp $INPUTS/raw.root .; nova -c all.fcl -s raw.root -o out.root\n")
    script.chmod(0o755)

    words = ("./stages.sh", "-c", "all.fcl", "-s", "/pnfs/nowhere/raw.root")
    site.runner("run", "--", *words, environment=site.variables)

    record = only_entry(site.runner)[0]
    assert [file["name"] for file in record["outputs"]] == ["out.root"]
    assert not [sentence for sentence in said(record) if "No such file" in sentence]


@pytest.mark.slow
def test_input_that_a_log_names_lies_where_the_program_ran(site: Site) -> None:
    """As under `mu2eprodsys.sh`: the copy of the input was an output, without a checksum as input."""
    with (site.job.parent / "programs" / "nova").open("a") as program:
        program.write(OPENS)

    record = site.record(
        """
        mkdir -p work/in; cp all.fcl work; cd work
        cat $INPUTS/raw.root > in/raw.root
        export LIST=names; echo in/raw.root > names
        nova -c all.fcl -o reco.root > reco.log
        """
    )

    read = by_path(record["inputs"])["work/in/raw.root"]
    assert read["times_from"] == "log"
    assert read["sha256"]
    assert "work/in/raw.root" not in by_path(record["outputs"])
    assert not [note for note in said(record) if "No such file" in note]


@pytest.mark.slow
def test_input_that_the_script_removed_was_read_once(site: Site) -> None:
    with (site.job.parent / "programs" / "nova").open("a") as program:
        program.write(OPENS)

    record = site.record(
        """
        mkdir work; cp all.fcl work; cd work; cp $INPUTS/raw.root raw.root
        nova -c all.fcl -s raw.root -o reco.root
        rm raw.root; exit 3
        """
    )

    read = [file for file in record["inputs"] if file.get("path") == "work/raw.root"]
    assert [(file["step"], file["status"], file["times_from"]) for file in read] == [
        ("nova", "consumed", "log")
    ]


@pytest.mark.slow
def test_file_that_a_further_program_only_looks_at_is_an_output_all_the_same(site: Site) -> None:
    """As all jobs of Mu2e do: art counts the events of its own output, which only the fcl names."""
    with (site.job.parent / "programs" / "nova").open("a") as program:
        program.write('[ -n "$source" ] || { echo events > sim.art; sleep 0.3; }\n')

    record = site.record(
        """
        nova -c all.fcl > reco.log
        nova -c all.fcl -s sim.art > count.txt
        cp $INPUTS/raw.root fetched.root; touch fetched.root
        nova -c all.fcl -s fetched.root -o again.root
        """
    )

    made = by_path(record["outputs"])
    assert made["sim.art"]["step"] == "nova"
    assert "fetched.root" not in made


@pytest.mark.slow
def test_what_art_writes_of_its_configuration_is_no_output(site: Site) -> None:
    """As `sbndpoms_runnumber_injector.sh` reads the run number."""
    nova = site.job.parent / "programs" / "nova"
    nova.write_text(
        nova.read_text().replace("-s)", "--debug-config) echo x: 1 > $2; shift ;;\n-s)")
    )

    record = site.record("nova --debug-config dump.txt -c all.fcl; nova -c all.fcl -o gen.root\n")

    assert [output["path"] for output in record["outputs"]] == ["gen.root"]
    assert record["configurations"][0]["final_sha256"]


@pytest.mark.slow
def test_list_of_inputs_that_the_script_moved_away_is_read_while_it_is_there(site: Site) -> None:
    record = site.record(
        """
        echo $INPUTS/raw.root > inputs.list
        nova -c all.fcl -S inputs.list -o reco.root
        rm inputs.list
        """
    )

    (read,) = [file for file in record["inputs"] if file.get("role") == "primary"]
    assert (read["path"], read["step"]) == (str(site.inputs / "raw.root"), "nova")


@pytest.mark.slow
def test_products_that_the_script_sets_up_are_recorded(site: Site) -> None:
    """As all real ones do; the bundle named none of the software that the job needs."""
    (site.job.parent / "setup").write_text(
        """
        export SETUP_NOVASOFT="novasoft v1_2 -f Linux64bit -z /products -q e26:prof"
        export NOVASOFT_DIR=/products/novasoft/v1_2
        """
    )

    record = site.record("for n in 1 2; do . ../setup; nova -c all.fcl -o $n.root; done\n")

    (product,) = [entry for entry in record["software"] if entry.get("product")]
    assert (product["name"], product["product"]) == (
        "novasoft",
        {
            "manager": "ups",
            "version": "v1_2",
            "qualifiers": "e26:prof",
            "prefix": "/products/novasoft/v1_2",
        },
    )


# In the manner of FIFE's wrapper: words for art stand behind `--`, files come from and go to
# addresses, outputs get unique names and are removed once they are stored.
WRAPPER = """#!/usr/bin/env python3
import os, subprocess, sys

words = sys.argv[sys.argv.index("--") + 1 :]
os.mkdir("fetched")
for number, name in enumerate(sys.argv[sys.argv.index("--inputs") + 1].split(",")):
    os.environ["fname"] = fetched = "fetched/" + name
    subprocess.check_call(["gfal-copy", "-t", "9", "https://door/in/" + name, fetched])
    code = os.system(" ".join(["nova", *words, fetched]))
    if code:
        sys.exit(os.WEXITSTATUS(code))
    made, unique = "reco_" + name, "reco_" + name[:-5] + "-4f2a.root"
    os.rename(made, unique)
    source = "file://" + os.path.abspath(unique)
    subprocess.check_call(["gfal-copy", source, "https://door/out/" + unique])
    os.unlink(unique)
"""
# Copies as those do that talk to a remote storage: nobody can look there
COPIER = """#!/usr/bin/env python3
import os, sys, time

time.sleep(0.5)
source, target = sys.argv[-2:]
if os.path.isdir(target):
    target = os.path.join(target, os.path.basename(source))
if source.startswith("https:"):
    with open(target, "w") as stream:
        stream.write("raw data of " + os.path.basename(source))
"""


@pytest.fixture
def wrapped(site: Site) -> Site:
    programs = site.job.parent / "programs"
    (programs / "gfal-copy").write_text(COPIER)
    (site.job / "wrap").write_text(WRAPPER)
    for program in (programs / "gfal-copy", site.job / "wrap"):
        program.chmod(0o755)
    (site.job / "setup.sh").write_text("export SETUP=1\n")
    return site


def run_wrapper(site: Site, inputs: str, *words: str) -> dict[str, Any]:
    words = ("./wrap", "--source", "setup.sh", "--inputs", inputs, "--", *words)
    site.runner("run", "--", *words, environment=site.variables)
    return only_entry(site.runner)[0]


@pytest.mark.slow
def test_words_for_art_in_those_of_a_wrapper_are_arts(wrapped: Site) -> None:
    """The wrapper was a step like art: its `--source` was a parent, its `-o` never came."""
    record = run_wrapper(wrapped, "a.root", "-c", "all.fcl", "-o", "reco_${fname##*/}", "-s")

    assert [step["name"] for step in record["command"]["steps"]] == ["wrap", "nova"]
    assert [each["step"] for each in record["configurations"]] == ["nova"]
    parents = [file for file in record["inputs"] if file["role"] == "primary"]
    assert [(file["name"], file["step"]) for file in parents] == [("a.root", "nova")]
    assert "outputs_not_there" not in record
    assert record["state"] == "succeeded"


@pytest.mark.slow
def test_output_that_is_removed_once_it_is_stored_remotely_is_there(wrapped: Site) -> None:
    """Of each file of `fife_wrap`, which removes what it copied, there was no trace."""
    words = ["-c", "all.fcl", "-o", "reco_${fname##*/}", "-s"]

    record = run_wrapper(wrapped, "a.root,b.root", *words)

    read = [file for file in record["inputs"] if file["role"] == "primary"]
    assert [(file["location"], file["step"]) for file in read] == [
        ("https://door/in/a.root", "nova"),
        ("https://door/in/b.root", "nova-2"),
    ]
    assert all(file["sha256"] for file in read)
    made = [(file["name"], file["location"], file["step"]) for file in record["outputs"]]
    assert made == [
        ("reco_a-4f2a.root", "https://door/out/reco_a-4f2a.root", "nova"),
        ("reco_b-4f2a.root", "https://door/out/reco_b-4f2a.root", "nova-2"),
    ]
    assert all(file["sha256"] and file["status"] == "written" for file in record["outputs"])


@pytest.mark.slow
def test_input_that_art_takes_by_its_place_is_that_of_its_step(wrapped: Site) -> None:
    """As NOvA and Mu2e write it, `nova -c reco.fcl raw.root`: each file was a parent of all."""
    nova = wrapped.job.parent / "programs" / "nova"
    nova.write_text(nova.read_text().replace("-s)", "*.root) source=$1 ;;\n        -s)"))

    record = run_wrapper(wrapped, "a.root,b.root", "-o", "reco_${fname##*/}", "-c", "all.fcl")

    read = [(file["name"], file["step"]) for file in record["inputs"] if file["role"] == "primary"]
    assert read == [("a.root", "nova"), ("b.root", "nova-2")]


@pytest.mark.slow
def test_file_that_a_job_hands_on_to_its_next_program_is_not_its_unit(site: Site) -> None:
    """Each of a thousand jobs that simulate in two steps was the unit `gen.root`."""
    record = site.record(
        """
        nova -c all.fcl -o gen.root
        nova -c all.fcl -s gen.root -o sim.root
        mv gen.root gen_17.root
        """,
        "--task-id",
        "mc",
        PROCESS="17",
    )

    assert record["task"]["unit"] == "17"


@pytest.mark.slow
def test_file_that_no_argument_names_and_that_the_next_program_reads_is_made_inside(
    site: Site,
) -> None:
    """ICARUS's overlay: the fcl file names it, the script finds it by a pattern and removes it."""
    mixer = site.job.parent / "programs" / "lar"
    mixer.write_text('#!/bin/sh\nsleep 1\ncat "$2" "$4" > raw_mixed.root\nsleep 1\n')
    mixer.chmod(0o755)
    record = site.record(
        """
        lar -c all.fcl -s $INPUTS/raw.root
        nova -c all.fcl -s *_mixed.root -o gen.root
        rm *_mixed.root
        """,
        "--task-id",
        "mc",
        PROCESS="17",
    )

    mixed = by_path(record["outputs"])["raw_mixed.root"]
    assert (mixed["step"], mixed["status"]) == ("lar", "not_kept")
    assert record["task"]["unit"] == "raw.root"


@pytest.mark.slow
def test_input_that_two_programs_read_is_the_unit(site: Site) -> None:
    record = site.record(
        """
        nova -c all.fcl -s $INPUTS/raw.root -o reco.root
        nova -c all.fcl -s $INPUTS/raw.root -o ana.root
        """,
        "--task-id",
        "mc",
        PROCESS="17",
    )

    assert record["task"]["unit"] == "raw.root"


@pytest.mark.slow
def test_input_of_which_the_job_keeps_a_copy_is_the_unit(site: Site) -> None:
    """The copy is made faster than anybody looks, and seemed to be what the job made itself."""
    script = f"cp {site.inputs}/raw.root in.root; wc -c in.root > size.dat"
    site.variables.update(JOBPROV_TASK_ID="mc", PROCESS="0")
    (site.job / "job.sh").write_text(script)

    site.runner(
        *("run", "--", "sh", "job.sh", str(site.inputs / "raw.root")), environment=site.variables
    )

    assert entry_of(site.runner)[0]["task"]["unit"] == "raw.root"


@pytest.mark.slow
@pytest.mark.parametrize("move", ["", "mv nova.log nova_7.log; "])
def test_log_in_a_folder_that_the_script_removes_is_kept(site: Site, move: str) -> None:
    """It says why the job failed, and the script ends with exit code 0."""
    (site.job / "bad.fcl").write_text("fail: true\n")

    site.run(
        f"""
        mkdir work; cp bad.fcl work; cd work
        nova -c bad.fcl > nova.log 2>&1
        {move}cp *.log $STORAGE/
        cd ..; rm -r work
        """
    )

    record, blobs = only_entry(site.runner)
    log = next(log for log in record["logs"] if log["name"].startswith("nova"))
    assert b"---- Configuration BEGIN" in blobs[log["sha256"]]
    assert record["state"] == "failed"
    assert record["exit"]["decided_by"]["evidence"] == "log"


def test_log_on_a_disk_that_would_keep_its_folder_is_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A removed file that somebody holds stays in its folder on NFS: `rm -r` would fail there."""
    log = tmp_path / "reco.log"
    log.write_text("to be removed\n")
    held, on_network = held_logs.HeldLogs(), held_logs.HeldLogs()

    held.hold([str(log)])
    monkeypatch.setattr(held_logs, "_DISKS", frozenset())
    on_network.hold([str(log)])
    log.unlink()

    assert Path(held.place(str(log))).read_text() == "to be removed\n"
    assert on_network.place(str(log)) == str(log)


def makers(record: dict[str, Any]) -> dict[str, str]:
    return {made["name"]: made["step"] for made in record["outputs"]}


@pytest.mark.slow
def test_outputs_of_one_name_belong_to_the_program_that_wrote_each(site: Site) -> None:
    """The last of them was said to be made from the input of the first."""
    with (site.job.parent / "programs" / "nova").open("a") as program:
        program.write("sleep 1\n")
    (site.inputs / "raw_2.root").write_text("more raw data\n")

    record = site.record(
        """
        for input in raw raw_2; do
            nova -c all.fcl -s $INPUTS/$input.root -o reco.root
            sleep 0.2; mv reco.root ${input}_reco.root
        done
        """
    )

    assert makers(record) == {"raw_reco.root": "nova", "raw_2_reco.root": "nova-2"}


@pytest.mark.slow
def test_output_that_the_fcl_file_names_belongs_to_the_program_that_wrote_it(site: Site) -> None:
    """Of a job of several files, each output was said to be made from all of them."""
    (site.inputs / "raw_2.root").write_text("more raw data\n")
    with (site.job.parent / "programs" / "nova").open("a") as program:
        program.write('cat "$source" > "$(basename "$source" .root)_reco.root"; sleep 1\n')

    record = site.record(
        """
        for input in raw raw_2; do nova -c all.fcl -s $INPUTS/$input.root; done
        cat *_reco.root > merged.root; mv raw_2_reco.root $STORAGE/
        """
    )

    assert makers(record) == {
        "raw_reco.root": "nova",
        "raw_2_reco.root": "nova-2",
        "merged.root": "job.sh",
    }


@pytest.mark.slow
def test_histograms_that_each_program_makes_anew_belong_to_the_last(site: Site) -> None:
    """They were said to be the script's, made from the inputs of both."""
    (site.inputs / "raw_2.root").write_text("more raw data\n")
    with (site.job.parent / "programs" / "nova").open("a") as program:
        program.write('cat "$source" > hist.root; sleep 1\n')

    record = site.record("for i in raw raw_2; do nova -c all.fcl -s $INPUTS/$i.root; done\n")

    assert makers(record) == {"hist.root": "nova-2"}


BEGAN, LAST_SEEN = 1000.0, 1010.0


@pytest.mark.parametrize(
    ("came_at", "written_at", "is_art", "maker"),
    [
        (1005.0, 1006.0, True, "nova"),
        (1009.9, 1010.3, True, "nova"),  # open when it was last seen, and closed at its end
        (1010.3, 1009.9, True, "nova"),  # reported late
        (1010.1, 1010.2, True, None),  # the shell's, as far as anybody can tell
        (990.0, 1006.0, True, "nova"),  # made anew
        (990.0, 1006.0, False, None),  # or written on
        (990.0, 991.0, True, None),
    ],
)
def test_maker_of_a_file_is_the_program_that_ran_when_it_came_and_was_written(
    tmp_path: Path, came_at: float, written_at: float, maker: str | None, *, is_art: bool
) -> None:
    path = tmp_path / "hist.root"
    path.touch()
    os.utime(path, (written_at, written_at))
    child = SimpleNamespace(began=BEGAN, ended=LAST_SEEN)
    program = SimpleNamespace(child=child, line=SimpleNamespace(is_program=is_art))
    came = SimpleNamespace(came_at=came_at, written_at=None)
    outputs = SeenOutputs.__new__(SeenOutputs)
    outputs._sight = SimpleNamespace(came_and_went={str(path): came})
    outputs._steps = [SimpleNamespace(program=program, step=SimpleNamespace(name="nova"))]

    assert outputs.find_maker(str(path)) == maker


def test_program_that_runs_when_a_file_comes_is_known_to_run_until_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be over before the next look, and the file was the script's."""
    monkeypatch.chdir(tmp_path)
    program = subprocess.Popen(["sleep", "60"])
    child = Child(program.pid, os.getpid(), time.time() - 10)
    sight = Sight(Options([], {}), time.time(), Following(Options([], {}), [], []))
    sight.programs.append(SimpleNamespace(child=child, is_step=True))
    before = child.ended

    sight._see_who_lives()
    while_it_ran = child.ended
    program.kill()
    program.wait()
    sight._see_who_lives()
    sight.settle(0, is_hurried=True)

    assert before < while_it_ran == child.ended


@pytest.mark.slow
def test_files_that_a_script_names_by_variables_are_inputs(site: Site) -> None:
    """`tar xzf $INPUT_TAR_DIR/code_$VERSION.tgz` is over before anybody looks."""
    for folder in (site.inputs, site.job):
        for number in (1, 2):
            (folder / f"code_{number}.tar").write_text(f"{folder}, {number}\n")

    record = site.record(
        """
        VERSION=2; TABLE=$INPUTS/raw.root
        : $INPUTS/code_$VERSION.tar; : ./code_${VERSION}.tar; : "$TABLE"
        """
    )

    read = sorted(file["path"] for file in record["inputs"])
    expected = [site.inputs / "code_2.tar", site.inputs / "raw.root", "code_2.tar"]
    assert read == [str(path) for path in expected]


@pytest.mark.slow
def test_files_that_jobsub_unpacked_for_the_job_are_kept_or_named(site: Site) -> None:
    """As `cp -r $INPUT_TAR_DIR_LOCAL/* .` of project.py's jobs: the folder is gone weeks later."""
    unpacked = site.job.parent / "fifeuser"
    (unpacked / "bin").mkdir(parents=True)
    (unpacked / "wrapper.fcl").write_text("process_name: Wrapped\n")
    (unpacked / "flux.dat").write_text("1 2 3\n")
    (unpacked / "bin" / "setup.sh").write_text("export READY=1\n")
    with (unpacked / "larsoft.tar").open("wb") as large:
        large.truncate(17 << 20)

    (unpacked / "noise.dat").write_text("4 5 6\n")

    record = site.record(
        "cp $INPUT_TAR_DIR_LOCAL/wrapper.fcl .; cat $INPUT_TAR_DIR_LOCAL/flux.dat\n"
        "{ cat; sleep 0.4; } < $INPUT_TAR_DIR_LOCAL/noise.dat",
        INPUT_TAR_DIR_LOCAL=str(unpacked),
    )

    kept = {file["path"]: file["role"] for file in record["inputs"]}
    assert kept[str(unpacked / "flux.dat")] == "configuration"
    assert kept[str(unpacked / "noise.dat")] == "configuration", "though it was seen open"
    assert kept[str(unpacked / "wrapper.fcl")] == "configuration"
    assert str(unpacked / "bin" / "setup.sh") in by_path(record["scripts"])
    assert str(unpacked / "larsoft.tar") not in kept
    (gap,) = [gap for gap in record["weaknesses"] if gap["name"] == str(unpacked)]
    assert (gap["kind"], gap["detail"]) == (
        "code-unknown",
        "jobsub unpacked it, and not all of its files are kept: 1 of 5",
    )


@pytest.mark.slow
def test_input_that_only_the_log_names_is_of_the_program_that_ran(site: Site) -> None:
    """As where art asks SAM, or where a driver writes the inputs into the fcl file."""
    (site.inputs / "raw_2.root").write_text("more raw data\n")
    with (site.job.parent / "programs" / "nova").open("a") as program:
        program.write(OPENS)

    record = site.record(
        """
        export LIST=names
        for input in raw raw_2; do
            echo $INPUTS/$input.root > names
            nova -c all.fcl -o ${input}_reco.root
            sleep 2.5  # a log dates its lines to the second
        done
        """
    )

    read = {file["name"]: file["step"] for file in record["inputs"] if file["role"] == "primary"}
    assert {name: read[name] for name in ("raw.root", "raw_2.root")} == {
        "raw.root": "nova",
        "raw_2.root": "nova-2",
    }


@pytest.mark.slow
@pytest.mark.parametrize("variable", ["", "_CONDOR_SCRATCH_DIR"])
def test_job_that_goes_elsewhere_to_work_is_seen_there_or_has_a_gap(
    site: Site, variable: str
) -> None:
    """`cd $TMPDIR`, as mu2eprodsys.sh does: a record without inputs and outputs had no gap."""
    away = site.job.parent / "away"
    away.mkdir()
    if variable:
        site.variables[variable] = str(away)

    script = f"cp all.fcl {away}; cd {away}; nova -c all.fcl > reco.log; echo 1 > plain.root\n"
    record = site.record(script)

    is_seen = [output["path"] for output in record.get("outputs", ())] == [f"{away}/plain.root"]
    has_gap = f"it ran in {away}" in gaps_of(record)
    assert (is_seen, has_gap) == (bool(variable), not variable)


@pytest.mark.slow
def test_what_is_stored_beside_outputs_in_a_folder_that_is_renamed_is_no_output(
    site: Site,
) -> None:
    """As mu2eprodsys.sh does; the copies were seen to be written in the storage."""
    record = site.record(
        """
        nova -c all.fcl -o reco.root > reco.log
        echo '{}' > reco.root.json
        mkdir $STORAGE/tmp.1
        for name in reco.root reco.root.json reco.log; do
            python3 -c "
import sys, time
with open(sys.argv[2], 'wb') as target:
    target.write(open(sys.argv[1], 'rb').read())
    target.flush()
    time.sleep(0.3)" $name $STORAGE/tmp.1/$name
        done
        mv $STORAGE/tmp.1 $STORAGE/done
        """
    )

    places = {output["name"]: output.get("location") for output in record["outputs"]}
    assert places == {"reco.root": str(site.storage / "done" / "reco.root")}


@pytest.mark.slow
@pytest.mark.skipif(not can_trace(), reason="strace may not trace here")
@pytest.mark.parametrize("option", ["--trace", "--no-trace"])
def test_unit_does_not_depend_on_the_trace(site: Site, option: str) -> None:
    """A list of all jobs' inputs, which the trace alone shows, made the job's number its unit."""
    (site.job / "raw_7.root").write_text("7")
    (site.job / "list.txt").write_text("raw_6.root\nraw_7.root\n")
    site.variables.update(JOBPROV_TASK_ID="t1", PROCESS="1")
    script = 'read a < $(printf "li%s" st.txt); sleep 2 < $(printf "raw_%s.root" 7)\n'
    (site.job / "job.sh").write_text(script)

    site.runner("run", option, "--", "sh", "job.sh", environment=site.variables)

    assert entry_of(site.runner)[0]["task"]["unit"] == "raw_7.root"
