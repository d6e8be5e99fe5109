"""What the words of copiers mean, and where a client says that it copies to.

As the real `ifdh` has them: groups of files, whole folders, other clients that it runs.
"""

import os
import shutil
from pathlib import Path

import pytest

from jobprov.provenance.capture.running.children import Child
from jobprov.provenance.capture.running.made_files import Made
from jobprov.provenance.capture.sight.child_programs import ChildProgram, FileReader
from jobprov.provenance.capture.sight.fetched_folders import CameAndWent
from tests.library.hook import Runner
from tests.provenance.capture.sight.test_capture_sight import Site, by_path

# What is at the door lies in a folder that neither words nor variables of the job name
IFDH = """#!/usr/bin/env python3
import os, subprocess, sys, time

def at_door(word):
    return word.replace("/pnfs/", "https://door:2880/") if word.startswith("/pnfs/") else word

verb, *words = sys.argv[1:]
pair = [at_door(word) for word in words if word != "-r"]
time.sleep(0.3)
if verb == "fetchInput":
    os.makedirs(os.environ["FETCHED"])
    pair.append(os.environ["FETCHED"] + "/" + os.path.basename(words[0]))
    print(pair[-1])
program = {"rename": "gfal-rename", "rm": "gfal-rm"}.get(verb, "gfal-copy")
sys.exit(subprocess.call([program, *(["-r"] if "-r" in words else []), *pair]))
"""
GFAL = """#!/usr/bin/env python3
import os, shutil, sys, time

door = "https://door:2880/"
elsewhere = os.path.dirname(os.path.dirname(os.path.abspath(sys.argv[0]))) + "/storage/"
words = [word.replace(door, elsewhere) for word in sys.argv[1:]]
time.sleep(0.3)
if sys.argv[0].endswith("rename"):
    os.rename(*words)
elif sys.argv[0].endswith("rm"):
    os.path.exists(words[0]) and os.remove(words[0])
elif "-r" in words:
    shutil.copytree(words[-2], words[-1], copy_function=shutil.copyfile)
else:
    shutil.copyfile(*words)
time.sleep(0.3)
"""


@pytest.fixture
def site(runner: Runner) -> Site:
    site = Site(runner)
    programs = site.job.parent / "programs"
    for name, text in (
        ("ifdh", IFDH),
        ("gfal-copy", GFAL),
        ("gfal-rename", GFAL),
        ("gfal-rm", GFAL),
    ):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    del site.variables["STORAGE"]
    site.variables["FETCHED"] = str(site.job.parent / "fetched")
    (site.storage / "raw").mkdir()
    for number in (1, 2):
        (site.storage / "raw" / f"raw_{number}.root").write_text(f"raw {number}\n")
    return site


def program_of(words: str, folder: Path) -> ChildProgram:
    child = Child(os.getpid(), 0, 100.0)
    child.argv, child.working_directory = words.split(), str(folder)
    return ChildProgram(child, (), FileReader(100.0, str(folder), 1.0))


@pytest.mark.parametrize(
    ("words", "copies"),
    [
        ("ifdh cp /p/a.root b.root ; /p/c.root d.root", "/p/a.root>b.root /p/c.root>d.root"),
        ("ifdh cp -D /p/a /p/b . ; /p/c sub", "/p/a>a /p/b>b /p/c>sub/c"),
        ("ifdh cp --force=https /p/a b ;", "/p/a>b"),
        ("ifdh cp ; /p/a b", "/p/a>b"),
        ("cp -r in out", "in/a.root>out/a.root in/deep/b.root>out/deep/b.root"),
        ("cp -a in had", "in/a.root>had/in/a.root in/deep/b.root>had/in/deep/b.root"),
        ("ifdh cp -r in /p/x", "in/a.root>/p/x/a.root in/deep/b.root>/p/x/deep/b.root"),
        ("cp -r in/a.root sub", "in/a.root>sub/a.root"),
    ],
)
def test_words_of_copiers(tmp_path: Path, words: str, copies: str) -> None:
    """Each group has its own target, and a folder is all that is in it, but for hidden files."""
    for name in ("in/deep", "in/.git", "had/in", "sub"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("in/a.root", "in/deep/b.root", "in/.git/HEAD"):
        (tmp_path / name).write_text("1\n")

    found = [(copy.source, copy.target) for copy in program_of(words, tmp_path).copies]

    pairs = [pair.split(">") for pair in copies.split()]
    assert found == [(str(tmp_path / source), str(tmp_path / target)) for source, target in pairs]


@pytest.mark.parametrize(
    ("words", "renames"),
    [
        ("ifdh rename /p/a.tmp /p/a", "/p/a.tmp>/p/a"),
        ("ifdh mv -D /p/a /p/b /p/x", "/p/a>/p/x/a /p/b>/p/x/b"),
        ("ifdh mv /p/a /p/b ; /p/c /p/d", "/p/a>/p/b /p/c>/p/d"),
        ("ifdh cp /p/a /p/b", ""),
    ],
)
def test_words_of_renames(tmp_path: Path, words: str, renames: str) -> None:
    found = [">".join(pair) for pair in program_of(words, tmp_path).renames]

    assert found == renames.split()


@pytest.mark.parametrize(
    ("came", "sources"),
    [
        ({"in/a.root": 101, "in/deep/b.root": 102}, "/pnfs/raw/a.root /pnfs/raw/deep/b.root"),
        ({"in/raw/a.root": 101}, "/pnfs/raw/a.root"),  # the folder was there
        ({"in/a.root": 101, "in/made.root": 110, "in/old.root": 99}, "/pnfs/raw/a.root"),
        ({"inner.root": 101}, ""),
    ],
)
def test_what_comes_with_a_folder_that_nobody_can_look_into(
    tmp_path: Path, came: dict[str, float], sources: str
) -> None:
    program = program_of("ifdh cp -r /pnfs/raw in", tmp_path)
    program.child.ended = 103.0
    made = {str(tmp_path / path): Made() for path in came}
    for path, moment in came.items():
        made[str(tmp_path / path)].came_at = moment

    copies = CameAndWent(made).copies_of(program)

    assert [copy.source for copy in copies] == sources.split()
    assert all(copy.target in made for copy in copies)


@pytest.mark.slow
def test_output_is_where_the_job_put_it_and_not_at_the_door_of_another_client(site: Site) -> None:
    """It had the address of the door, and the name that it had before it was renamed there."""
    record = site.record(
        """
        ifdh cp /pnfs/raw/raw_1.root in.root
        cat in.root in.root > out.root
        ifdh cp out.root /pnfs/out.tmp
        ifdh rename /pnfs/out.tmp /pnfs/out_1.root
        """
    )

    (made,) = record["outputs"]
    assert (made["name"], made["location"]) == ("out_1.root", "/pnfs/out_1.root")
    (read,) = [file for file in record["inputs"] if file["role"] == "primary"]
    assert (read["path"], read["location"]) == ("in.root", "/pnfs/raw/raw_1.root")


@pytest.mark.slow
def test_what_the_job_removes_again_from_its_storage_is_not_there(site: Site) -> None:
    """It was an output at that place, for which every rerun was told to differ."""
    record = site.record(
        """
        echo 1 > trial.root; echo 2 > kept.root
        ifdh cp trial.root /pnfs/trial.root
        ifdh rm /pnfs/trial.root
        rm trial.root
        ifdh rm /pnfs/kept.root
        ifdh cp kept.root /pnfs/kept.root
        """
    )

    places = {file["name"]: file.get("location") for file in record["outputs"]}
    assert places == {"kept.root": "/pnfs/kept.root"}


@pytest.mark.slow
def test_folder_that_is_fetched_is_input_and_one_that_is_stored_is_output(site: Site) -> None:
    """There was no input, and no place of an output; of folders on a disk, inputs were outputs."""
    record = site.record(
        """
        ifdh cp -r /pnfs/raw in
        mkdir out
        cat in/raw_1.root in/raw_2.root > out/both.root
        ifdh cp -r out /pnfs/out_1
        rm -r out
        """
    )

    inputs = by_path([file for file in record["inputs"] if file["role"] == "primary"])
    assert {path: file["location"] for path, file in inputs.items()} == {
        "in/raw_1.root": "/pnfs/raw/raw_1.root",
        "in/raw_2.root": "/pnfs/raw/raw_2.root",
    }
    (made,) = record["outputs"]
    assert (made["path"], made["location"]) == ("out/both.root", "/pnfs/out_1/both.root")
    assert made["size_bytes"] == 12


@pytest.mark.slow
def test_input_that_is_fetched_to_a_folder_elsewhere_is_a_parent(site: Site) -> None:
    """As `ifdh fetchInput` does with $TMPDIR: the output had no parent, and no gap said so."""
    record = site.record(
        """
        IN=$(ifdh fetchInput /pnfs/raw/raw_1.root)
        sort $IN > out.root; sleep 0.5
        rm -r $FETCHED
        """
    )

    (read,) = [file for file in record["inputs"] if file["role"] == "primary"]
    assert (read["name"], read["location"]) == ("raw_1.root", "https://door:2880/raw/raw_1.root")
    assert (read["size_bytes"], len(read["sha256"])) == (6, 64)
    assert [file["name"] for file in record["outputs"]] == ["out.root"]


@pytest.mark.slow
def test_output_that_is_renamed_in_the_storage_is_one(site: Site) -> None:
    """It was two: without a place in the job's folder, and one that it made in the storage."""
    for name in ("cp", "mv"):
        program = site.job.parent / "programs" / name
        program.write_text(f'#!/bin/sh\nsleep 0.3; {shutil.which(name)} "$@"; sleep 0.3\n')
        program.chmod(0o755)

    record = site.record(
        "echo 1 > out.root; cp out.root $STORAGE/out.tmp; mv $STORAGE/out.tmp $STORAGE/out_1.root\n",
        STORAGE=str(site.storage),
    )

    (made,) = record["outputs"]
    assert (made["path"], made["name"]) == ("out.root", "out_1.root")
    assert made["location"] == str(site.storage / "out_1.root")
