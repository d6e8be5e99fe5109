"""What the hook records of job scripts that are shaped as those of LArSoft, Mu2e and jobsub are.

They work in a folder of their own below the job's, stage inputs in by a list, sort what they made into
folders, and remove everything at the end.
"""

from pathlib import Path
from typing import Any

import pytest

from tests.library.hook import Runner, only_entry, said
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
    words = ["./stages.sh", "-c", "all_stages.fcl", "-o", "reco.root"]

    site.runner("run", "--", *words, environment=site.variables)

    record = only_entry(site.runner)[0]
    assert record["state"] == "succeeded"
    assert [made["path"] for made in record["outputs"]] == ["reco0.root"]
    assert "outputs_not_there" not in record
    assert "fcl-missing" not in gaps_of(record)


@pytest.mark.slow
def test_missing_fcl_file_of_a_script_that_runs_nothing_like_art_is_told(site: Site) -> None:
    script = site.job / "stages.sh"
    script.write_text("#!/bin/sh\nsleep 0.5\n")
    script.chmod(0o755)

    site.runner("run", "--", "./stages.sh", "-c", "x.fcl", environment=site.variables)

    assert "fcl-missing x.fcl" in gaps_of(only_entry(site.runner)[0])


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
