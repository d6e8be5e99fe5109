"""What scripts as users write them do, and workflow runners with them, that a record got wrong.

Seen with scripts of Muon g-2, EIC and DUNE users, a CWL runner, `make -j` and GNU parallel.
"""

import hashlib
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.library.hook import Runner, only_entry
from tests.provenance.capture.sight.test_capture_sight import Site

# A copier that brings addresses too, takes a moment, and knows no folder of a storage element
COPIER = """#!/bin/sh
sleep 0.5
for word in "$@"; do source=$target target=$word; done
case $source in https:*) source=$INPUTS/$(basename "$source") ;; esac
case $target in *:* | /pnfs/*) ;; *) cp "$source" "$target" ;; esac
"""


@pytest.fixture
def site(runner: Runner) -> Site:
    site = Site(runner)
    programs = site.job.parent / "programs"
    for name in ("gfal-copy", "ifdh", "xrdcp"):
        (programs / name).write_text(COPIER)
        (programs / name).chmod(0o755)
    for number in (1, 2, 3):
        (site.inputs / f"raw_{number}.root").write_text(f"raw {number}\n")
    return site


def primary(record: dict[str, Any]) -> list[tuple[str, str]]:
    inputs = [file for file in record["inputs"] if file["role"] == "primary"]
    return sorted((file["name"], file.get("location", "")) for file in inputs)


@pytest.mark.slow
@pytest.mark.parametrize("reader", ["nova -c fcl/base.fcl -s in.root", "sort in.root >"])
def test_inputs_that_come_under_one_name_keep_their_own(site: Site, reader: str) -> None:
    """As `xrdcp $f input.root` in a loop: all had the name and the place of the last one.

    What a copier runs in its turn, and is seen, too, does not count.
    """
    inner = site.job.parent / "programs" / "cp"
    inner.write_text('#!/bin/sh\nsleep 0.2; { cat; sleep 0.4; } < "$1" > "$2"\n')
    inner.chmod(0o755)
    out = "-o out_$n.root" if "nova" in reader else "out_$n.root"
    record = site.record(
        f"""
        for n in 1 2 3; do
            xrdcp https://door/in/raw_$n.root in.root
            {reader} {out}
            rm in.root
        done
        """
    )

    names = [f"raw_{number}.root" for number in (1, 2, 3)]
    assert primary(record) == [(name, f"https://door/in/{name}") for name in names]
    if "nova" in reader:
        steps = {file["name"]: file["step"] for file in record["inputs"]}
        assert [steps[name] for name in names] == ["nova", "nova-2", "nova-3"]
        assert len({file["sha256"] for file in record["inputs"]}) == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    "copy",
    [
        "ifdh cp -D hist.root /pnfs/toy/scratch/out",  # which no worker node has mounted
        "xrdcp --force --recursive hist.root root://door//eic/RECO/25.10.0/DIS",
        "xrdcp hist.root root://door//eic/RECO/",
        "gfal-copy -t 9 hist.root other.root https://door/out",
    ],
)
def test_output_that_is_copied_into_a_folder_keeps_its_name(site: Site, copy: str) -> None:
    """The folder may be where nobody can look: outputs got its name, or none."""
    record = site.record(f"echo hist > hist.root; echo 2 > other.root; {copy}; rm hist.root\n")

    (made,) = [output for output in record["outputs"] if output["path"] == "hist.root"]
    assert made["name"] == "hist.root"
    folder = copy.rsplit(maxsplit=1)[-1].rstrip("/")
    assert made["location"] == f"{folder}/hist.root"


@pytest.mark.slow
def test_output_that_is_copied_to_another_name_has_that(site: Site) -> None:
    copy = "xrdcp --debug 2 hist.root root://door//eic/hist_7.root"
    record = site.record(f"echo hist > hist.root; {copy}; rm hist.root\n")

    (made,) = record["outputs"]
    assert (made["name"], made["location"]) == ("hist_7.root", "root://door//eic/hist_7.root")


def run_into(runner: Runner, target: Path, *words: str, errors: Path | None = None) -> None:
    """Run a command under the hook, its standard output to a file, as a shell's `>` does."""
    with target.open("wb") as out, (errors or target.parent / "err").open("ab") as err:
        command = [runner.python, runner.hook, "run", "--", *words]
        variables = runner.environment | {"STORE": str(target.parent)}
        subprocess.run(
            command,
            cwd=runner.folder,
            env=variables,
            stdout=out,
            stderr=err,
            check=True,
            timeout=60,
        )


@pytest.mark.slow
@pytest.mark.parametrize("place", ["merged.dat", "../merged.dat"])
def test_data_on_standard_output_is_the_output(runner: Runner, place: str) -> None:
    """As `stdout: merged.dat` of CWL, and `cat $^ > $@` of make: nobody had made the file."""
    for name in ("a.dat", "b.dat"):
        (runner.folder / name).write_text(f"{name}\n")
    run_into(runner, runner.folder / place, "cat", "a.dat", "b.dat")

    record, _ = only_entry(runner)
    (made,) = record["outputs"]
    assert (made["name"], made["evidence"], made["step"]) == ("merged.dat", "argument", "cat")
    assert made["sha256"]
    assert [file["name"] for file in record["inputs"]] == ["a.dat", "b.dat"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["job.out", "slurm-12", "log.txt", "all.dat"])
def test_log_on_standard_output_is_no_output(runner: Runner, name: str) -> None:
    target = runner.folder / name
    is_both = name == "all.dat"  # `> all.dat 2>&1`
    run_into(runner, target, "echo", "hello", errors=target if is_both else None)

    record, _ = only_entry(runner)
    assert "outputs" not in record


@pytest.mark.slow
def test_output_that_was_printed_as_well_keeps_its_name(runner: Runner) -> None:
    """As `| tee hist.csv` does: the batch system's file with the same bytes was taken for it."""
    run_into(
        runner, runner.folder.parent / "job-7", "sh", "-c", "echo 1 | tee hist.csv; : $STORE/x"
    )

    record, _ = only_entry(runner)
    (made,) = record["outputs"]
    assert made["name"] == "hist.csv"
    assert "location" not in made


@pytest.mark.slow
def test_copy_that_was_tried_again_elsewhere_brings_one_input(site: Site) -> None:
    script = "for door in a b; do xrdcp https://$door/in/raw_1.root in.root; done; sort in.root\n"

    assert primary(site.record(script)) == [("raw_1.root", "https://b/in/raw_1.root")]


@pytest.mark.slow
@pytest.mark.parametrize("fetch", ["cp $INPUTS/raw_1.root .", "xrdcp https://door/raw_1.root ."])
@pytest.mark.parametrize(
    "store", ["ifdh cp raw_1.root $STORAGE/sim_1.root", "mv raw_1.root $STORAGE/sim_1.root"]
)
def test_fetched_file_that_is_updated_and_stored_is_input_and_output(
    site: Site, fetch: str, store: str
) -> None:
    """As a script that adds to an HDF5 file: it was no output, and the input had its digest."""
    fetch = "sleep 0.1; " + fetch + "; sleep 0.3"
    record = site.record(f"{fetch}; echo more >> raw_1.root; {store}; rm -f raw_1.root\n")

    (read,) = [file for file in record["inputs"] if file["name"] == "raw_1.root"]
    assert read["sha256"] == hashlib.sha256(b"raw 1\n").hexdigest()
    (made,) = record["outputs"]
    assert (made["path"], made["name"]) == ("raw_1.root", "sim_1.root")
    assert made["location"] == str(site.storage / "sim_1.root")
    assert made["sha256"] == hashlib.sha256(b"raw 1\nmore\n").hexdigest()


@pytest.mark.slow
def test_fetched_file_that_is_stored_as_it_is_is_no_output(site: Site) -> None:
    """However long the copy takes, so that its target is seen open for writing."""
    inner = site.job.parent / "programs" / "cp"
    inner.write_text(
        '#!/bin/sh\n[ -d "$2" ] && exec /bin/cp "$@"; { cat "$1"; sleep 0.5; } > "$2"\n'
    )
    inner.chmod(0o755)

    record = site.record("ifdh cp $INPUTS/raw_1.root .; ifdh cp raw_1.root $STORAGE/again.root\n")

    assert [file["name"] for file in record["inputs"]] == ["raw_1.root"]
    assert "outputs" not in record


@pytest.mark.slow
def test_copy_of_what_lay_in_a_folder_of_the_job_is_no_output(site: Site) -> None:
    """As `cp ${CONDOR_DIR_INPUT}/*.txt .`, where that folder is the job's own."""
    given = site.job / "given"
    given.mkdir()
    (given / "field.txt").write_text("1\n")
    script = "cp given/*.txt .; sort field.txt > sorted.dat\n"
    record = site.record(script, "--input", "given/field.txt")

    assert [file["path"] for file in record["outputs"]] == ["sorted.dat"]
