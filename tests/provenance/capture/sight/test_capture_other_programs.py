"""What the hook records of job scripts that run no art, as those of flux, GENIE and merging jobs.

They fetch their inputs, unpack their code, write into their storage and sort it there.
"""

import os
from pathlib import Path
from typing import Any

import pytest

from jobprov.provenance.capture.command.arguments import script_argument
from tests.library.hook import Runner, only_entry, said
from tests.provenance.capture.sight.test_capture_production_scripts import COPIER
from tests.provenance.capture.sight.test_capture_sight import Site

# `hadd TARGET SOURCE…` of ROOT, where a source may be `@LIST`; it has its target open all the time
MERGER = """#!/usr/bin/env python3
import sys, time

sources = sys.argv[2:]
if sources[0].startswith("@"):
    sources = open(sources[0][1:]).read().split()
with open(sys.argv[1], "w") as target:
    time.sleep(1.5)
    for source in sources:
        target.write(open(source).read())
"""


@pytest.fixture
def site(runner: Runner) -> Site:
    site = Site(runner)
    programs = site.job.parent / "programs"
    for name, text in (("hadd", MERGER), ("gfal-copy", COPIER)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    for number in range(4):
        (site.inputs / f"hist_{number}.root").write_text(f"hist {number}\n")
    return site


def parents(record: dict[str, Any]) -> list[str]:
    return sorted(file["name"] for file in record["inputs"] if file["role"] == "primary")


def put_slow_ifdh(site: Site) -> None:
    """Put an ifdh that takes as long as the real one into the job's programs."""
    ifdh = site.job.parent / "programs" / "ifdh"
    ifdh.write_text(
        '#!/bin/sh\nshift; [ "$1" != -D ] || shift; sleep 0.4; cp "$1" "$2"; sleep 0.4\n'
    )
    ifdh.chmod(0o755)


@pytest.mark.slow
def test_what_a_job_fetches_for_a_program_unlike_art_is_its_input(site: Site) -> None:
    """As `condor_hadd_sam.sh` of larbatch does: a merged file had no parents."""
    record = site.record(
        """
        for n in 1 2; do gfal-copy https://door/in/gen_$n.root gen_$n.root; done
        ls gen_*.root > list
        hadd merged.root @list
        rm gen_1.root gen_2.root
        """
    )

    assert parents(record) == ["gen_1.root", "gen_2.root"]
    places = sorted(file["location"] for file in record["inputs"] if file["role"] == "primary")
    assert places == ["https://door/in/gen_1.root", "https://door/in/gen_2.root"]
    assert "merged.root" in [file["name"] for file in record["outputs"]]


@pytest.mark.slow
@pytest.mark.parametrize("end", ["rm -r $W", "true"])
def test_job_that_works_in_a_temporary_folder_has_inputs_and_outputs(site: Site, end: str) -> None:
    """As with `W=$(mktemp -d)`: what it stored had no producer, and no gap said so."""
    put_slow_ifdh(site)

    record = site.record(
        f"""
        W=$(mktemp -d); cd $W
        name=raw; ifdh cp $(ls $INPUTS/$name.root) in.root
        cat in.root in.root > gen.root
        ifdh cp gen.root $STORAGE/gen_7.root
        gfal-copy gen.root https://door/gen_8.root
        {end}
        """
    )

    assert parents(record) == ["raw.root"]
    (made,) = record["outputs"]
    assert (made["name"], made["size_bytes"]) == ("gen_8.root", 18)
    assert made["location"] == "https://door/gen_8.root"


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["$(mktemp -d)", "$PWD"])
def test_output_that_is_stored_twice_is_one_output(site: Site, folder: str) -> None:
    """A copy that takes its time is seen open for writing: the first was an output of its own."""
    ifdh = site.job.parent / "programs" / "ifdh"
    ifdh.write_text('#!/bin/sh\nsleep 0.4; { cat "$2"; sleep 0.6; } > "$3"\n')
    ifdh.chmod(0o755)

    record = site.record(
        f"""
        W={folder}; cd $W
        seq 1 9 > gen.root
        ifdh cp gen.root $STORAGE/gen_7.root
        ifdh cp gen.root $STORAGE/gen_8.root
        rm gen.root
        """
    )

    (made,) = record["outputs"]
    assert (made["name"], made["size_bytes"]) == ("gen_8.root", 18)


@pytest.mark.slow
@pytest.mark.parametrize(
    "fetch",
    [
        "ifdh cp $INPUTS/raw.root raw.root",
        "ifdh cp -D $INPUTS/raw.root $PWD",
        "gfal-copy https://door/in/raw.root .",
        "ifdh cp $(ls $INPUTS/ra?.root) raw.root",
        "gfal-copy https://door/in/raw.root raw.root",
    ],
)
def test_input_that_the_job_removes_again_is_known_by_its_bytes(site: Site, fetch: str) -> None:
    """Else it had no checksum, and the job no rerun; or it was no parent, named in the script."""
    put_slow_ifdh(site)

    record = site.record(f"{fetch}; sleep 0.5; cat raw.root raw.root > gen; rm raw.root\n")

    (read,) = [file for file in record["inputs"] if file["role"] == "primary"]
    made = next(file for file in record["outputs"] if file["name"] == "gen")
    assert read["name"] == "raw.root"
    assert made["size_bytes"] == 2 * read["size_bytes"]
    assert len(read["sha256"]) == 64


@pytest.mark.slow
def test_file_that_the_job_fetches_and_reports_to_sam_is_one_input(site: Site) -> None:
    """As `condor_hadd_sam.sh` of larbatch does: the other one had no path and no checksum."""
    put_slow_ifdh(site)

    record = site.record(
        """
        mkdir ifdh_0_17; gfal-copy https://door/in/gen.root ifdh_0_17/gen.root
        ifdh updateFileStatus http://sam/project 7 gen.root consumed || true
        cat ifdh_0_17/gen.root > merged.root
        rm ifdh_0_17/gen.root
        """
    )

    (read,) = [file for file in record["inputs"] if file["role"] == "primary"]
    assert (read["name"], read["path"]) == ("gen.root", "ifdh_0_17/gen.root")
    assert read["location"] == "https://door/in/gen.root"
    assert (read["times_from"], len(read["sha256"])) == ("sam", 64)


@pytest.mark.slow
def test_file_that_a_log_names_and_that_is_gone_was_read_when_it_came(site: Site) -> None:
    """As art does that has its files from SAM: it had no digest, and a note said that it is gone."""
    line = "01-Dec-2026 12:00:00 UTC  Opened input file"

    record = site.record(
        f"""
        mkdir ifdh_0_17; gfal-copy https://door/in/gen.root ifdh_0_17/gen.root
        sleep 0.5; cat ifdh_0_17/gen.root > merged.root
        echo '{line} "'$PWD'/ifdh_0_17/gen.root"' > merge.log
        rm ifdh_0_17/gen.root
        """
    )

    (read,) = [file for file in record["inputs"] if file["role"] == "primary"]
    assert (read["name"], read["location"]) == ("gen.root", "https://door/in/gen.root")
    assert (read["times_from"], len(read["sha256"])) == ("log", 64)
    assert not [sentence for sentence in said(record) if "No such file" in sentence]


@pytest.mark.slow
@pytest.mark.parametrize("wait", ["", "sleep 0.3"])
def test_fetched_file_that_art_reads_by_another_path_is_one_input(site: Site, wait: str) -> None:
    """As Mu2e's `runmu2e.py` with `copy_input`: it moves what it fetched, seen or not."""
    mover = site.job.parent / "programs" / "mv"
    mover.write_text(f'#!/bin/sh\n{wait}\n/bin/mv "$@"\n{wait}\n')
    mover.chmod(0o755)

    record = site.record(
        """
        gfal-copy https://door/in/gen.root gen.root
        mkdir indir; sleep 0.2; mv gen.root indir/
        nova -c fcl/base.fcl -s indir/gen.root -o reco.root
        """
    )

    (read,) = [file for file in record["inputs"] if file["role"] == "primary"]
    assert (read["path"], read["step"]) == ("indir/gen.root", "nova")
    assert read["location"] == "https://door/in/gen.root"


@pytest.mark.slow
def test_each_file_of_a_list_is_an_input(site: Site) -> None:
    """As `run_hadd.sh` of DUNE's near detector: files that were read fast were no parents."""
    record = site.record("ls $INPUTS/hist_*.root > list; hadd merged.root @list\n")

    assert parents(record) == [f"hist_{number}.root" for number in range(4)]


@pytest.mark.slow
@pytest.mark.parametrize("seen", [(), ("1",), ("2",), ("1", "2")])
def test_file_that_is_written_in_the_storage_and_sorted_there_is_an_output(
    site: Site, seen: tuple[str, ...]
) -> None:
    """As `run_genie.sh` of DUNE's near detector does; any move may be too quick to be seen."""
    slow = site.job.parent / "slow"
    slow.mkdir()
    (slow / "mv").write_text('#!/bin/sh\nsleep 0.3; /bin/mv "$@"; sleep 0.3\n')
    (slow / "mv").chmod(0o755)
    first, second = (str(slow / "mv") if number in seen else "mv" for number in "12")
    record = site.record(
        f"""
        mkdir -p $STORAGE/tmp/gen
        hadd $STORAGE/tmp/gen/a.7.ghep.root $INPUTS/raw.root
        {first} $STORAGE/tmp/gen/a.7.ghep.root $STORAGE/tmp/gen/a.GHEP.root
        mkdir -p $STORAGE/gen/GHEP/0000000
        {second} $STORAGE/tmp/gen/a.GHEP.root $STORAGE/gen/GHEP/0000000
        """
    )

    made = [(file["name"], file.get("location", file["path"])) for file in record["outputs"]]
    place = site.storage / "gen" / "GHEP" / "0000000" / "a.GHEP.root"
    assert made == [("a.GHEP.root", str(place))]


@pytest.mark.slow
def test_what_a_job_unpacks_is_no_output(site: Site) -> None:
    """As Mu2e's `runjob.sh` does with its code: 180 files of it were outputs."""
    code = site.job.parent / "code"
    code.mkdir()
    for name in ("README.md", "table.json"):
        (code / name).write_text(name)
        os.utime(code / name, (1_700_000_000, 1_700_000_000))

    record = site.record(
        "tar cf code.tar -C ../code .; mkdir c; tar xf code.tar -C c; echo 1 > o.txt\n"
    )

    assert sorted(file["path"] for file in record["outputs"]) == ["code.tar", "o.txt"]


@pytest.mark.slow
def test_folder_that_the_job_makes_is_no_missing_output(site: Site) -> None:
    """As `--logdir` of larbatch's scripts."""
    script = site.job / "job.sh"
    script.write_text('#!/bin/sh\nmkdir -p "$2"; echo 1 > o.txt\n')
    script.chmod(0o755)
    words = ["./job.sh", "--logdir", str(site.storage / "log")]

    site.runner("run", "--", *words, environment=site.variables)

    record = only_entry(site.runner)[0]
    assert "outputs_not_there" not in record
    assert not [note for note in said(record) if "no regular file" in note]


@pytest.mark.slow
def test_products_that_a_script_sets_up_for_a_program_unlike_art_are_recorded(site: Site) -> None:
    """As `g4numi_job.sh` does: neither geant4 nor root, which made its flux files, was named."""
    record = site.record(
        """
        export SETUP_GEANT4="geant4 v4_9_6 -f Linux64bit -z /products -q e2"
        hadd flux.root $INPUTS/raw.root
        export SETUP_ROOT="root v5_34 -f Linux64bit -z /products -q e2"
        hadd more.root $INPUTS/raw.root
        """
    )

    named = [entry["name"] for entry in record["software"] if entry.get("product")]
    assert named == ["geant4", "root"]


def test_words_after_a_script_that_is_not_here_are_its_own(tmp_path: Path) -> None:
    """A subshell that went elsewhere has the words of its script: data were taken for code."""
    (tmp_path / "merged.root").write_text("")
    (tmp_path / "here.sh").write_text("")

    assert script_argument(["./job.sh", "-T", "merged.root"], str(tmp_path)) == []
    assert script_argument(["-x", "here.sh", "merged.root"], str(tmp_path)) == ["here.sh"]


@pytest.mark.slow
@pytest.mark.parametrize("is_under_hook", [False, True])
def test_tasks_of_slurm_are_a_gap_unless_each_is_under_a_hook(
    runner: Runner, *, is_under_hook: bool
) -> None:
    """Slurm's daemons start them; what stands for srun here has its name and its words."""
    program = f"./{Path(runner.hook).name} run" if is_under_hook else "./work"

    runner("run", "--", "bash", "-c", f"exec -a srun sh -c 'sleep 0.3; : $0' -n4 {program}")

    processes = only_entry(runner)[0]["command"]["processes"]
    why = "what srun starts is not seen from outside: put the hook after srun"
    assert processes.get("why_incomplete") == (None if is_under_hook else why)
