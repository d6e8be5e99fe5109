"""Reruns of job scripts that fetch and store files themselves, with every storage gone."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from jobprov.provenance.bundle import templates
from tests.library.productions.storing_job import DOOR, RAW, input_from, let_job_run
from tests.library.productions.toy_job import Run, Toy


@pytest.fixture(params=["--own-root", "--no-own-root"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


FETCHES = {
    f"xrdcp -f --nopbar -t 3 {DOOR}/raw.dat .": f"{DOOR}/raw.dat",
    f"xrdcp -S 4 {DOOR}/raw.dat fetched/; mv fetched/raw.dat .": f"{DOOR}/raw.dat",
    'ifdh cp -D /pnfs/raw.dat "$PWD"': "/pnfs/raw.dat",
    "ifdh cp --force=xrootd /pnfs/raw.dat ./raw.dat": "/pnfs/raw.dat",
    "ifdh cp /pnfs/raw.dat a.dat ';' /pnfs/raw.dat raw.dat; rm a.dat": "/pnfs/raw.dat",
    "echo /pnfs/raw.dat raw.dat >list; ifdh cp -f list; rm list": "/pnfs/raw.dat",
    "rm -f raw.dat; gfal-copy -p -T 900 davs://dav.example.org:2880/a/raw.dat raw.dat": (
        "davs://dav.example.org:2880/a/raw.dat"
    ),
    'globus-url-copy gsiftp://other.example.org/pnfs/raw.dat file://"$PWD"/raw.dat': (
        f"{DOOR}/raw.dat"
    ),
    f"xrdcp {DOOR}/raw.dat - >raw.dat": f"{DOOR}/raw.dat",
}
"""What a script says, and the recorded location of its input."""


@pytest.mark.slow
@pytest.mark.parametrize("fetch", FETCHES)
def test_script_fetches_its_input_where_the_storage_is_gone(
    toy: Toy, tmp_path: Path, shell: Run, way: str, fetch: str
) -> None:
    script = f"{fetch}\ncat raw.dat raw.dat >made.dat\nxrdcp made.dat {DOOR}/out/made.dat\n"
    let_job_run(toy, script + "rm raw.dat made.dat\n", location=FETCHES[fetch])
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = shell(bag / "data/run.sh", way, out)
    verdict = shell(bag / "data/verify.sh", out)

    assert outcome.returncode == 0, (out / "run.log").read_text()
    assert verdict.stdout == "IDENTICAL made.dat\n"
    assert "level R7" in verdict.stderr


@pytest.mark.slow
def test_input_that_the_bundle_lacks_is_served_from_the_folder_that_is_named(
    toy: Toy, tmp_path: Path, shell: Run, way: str
) -> None:
    """It is a link there, through which the job must not write."""
    script = f"xrdcp -f {DOOR}/raw.dat .\ncat raw.dat raw.dat >made.dat; echo more >>raw.dat\n"
    let_job_run(toy, script + f"xrdcp made.dat {DOOR}/out/\n")
    toy.blobs.stored.pop(toy.record["inputs"][0]["sha256"])
    bag, out, store = toy.unpack(tmp_path / "bag"), tmp_path / "out", tmp_path / "store"
    store.mkdir()
    (store / "raw.dat").write_bytes(RAW)

    outcome = shell(bag / "data/run.sh", way, "--input-dir", store, out)

    assert outcome.returncode == 0, outcome.stderr
    assert shell(bag / "data/verify.sh", out).stdout == "IDENTICAL made.dat\n"
    assert (store / "raw.dat").read_bytes() == RAW


@pytest.mark.slow
def test_files_of_a_sam_project_are_delivered_in_their_order(
    toy: Toy, tmp_path: Path, shell: Run, way: str
) -> None:
    """As in the scripts that loop over `ifdh getNextFile`."""
    let_job_run(
        toy,
        """\
url=$(ifdh findProject prod_17 uboone)
id=$(ifdh establishProcess "$url" reco v1 "$(hostname)" me "" "" 1)
while uri=$(ifdh getNextFile "$url" "$id") && [ -n "$uri" ]; do
  file=$(ifdh fetchInput "$uri")
  ifdh updateFileStatus "$url" "$id" "$file" transferred
  cat "$file" >>made.dat
  ifdh updateFileStatus "$url" "$id" "$file" consumed
  rm "$file"
done
ifdh endProcess "$url" "$id"
ifdh mkdir_p /pnfs/out
ifdh addOutputFile made.dat
ifdh copyBackOutput /pnfs/out
ifdh ls /pnfs/out/made.dat
ifdh cleanup
""",
    )
    names = ["z.dat", "a.dat"]
    toy.record["inputs"] = [
        input_from(toy, name, f"{DOOR}/{name}", name.encode() + b"\n") for name in names
    ]
    made = b"z.dat\na.dat\n"
    toy.record["outputs"][0] |= {
        "location": "/pnfs/out/made.dat",
        "sha256": hashlib.sha256(made).hexdigest(),
        "size_bytes": len(made),
    }
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = shell(bag / "data/run.sh", way, out)

    assert outcome.returncode == 0, (out / "run.log").read_text()
    assert shell(bag / "data/verify.sh", out).stdout == "IDENTICAL made.dat\n"
    assert (out / "elsewhere/pnfs/out/made.dat").read_bytes() == made
    assert "/pnfs/out/made.dat\n" in (out / "run.log").read_text()


@pytest.mark.slow
def test_script_that_takes_what_ifdh_lists_has_whole_names(
    toy: Toy, tmp_path: Path, shell: Run, way: str
) -> None:
    """They were bare names, which no storage has: the script fetched nothing."""
    let_job_run(
        toy,
        """\
mkdir sub && ifdh cp -r sub /pnfs/in/sub && rmdir sub
[ "$(ifdh ls /pnfs/in/)" = "$(printf '/pnfs/in/\\n/pnfs/in/raw.dat\\n/pnfs/in/sub/')" ] || exit 4
[ "$(ifdh ls /pnfs/in 0)" = /pnfs/in/ ] || exit 5
[ "$(ifdh lss /pnfs/in/raw.dat)" = "$(printf '/pnfs/in/raw.dat\\t%d' SIZE)" ] || exit 6
for file in $(ifdh ls /pnfs/in | grep 'dat$'); do ifdh cp -D "$file" .; done
cat raw.dat raw.dat >made.dat
ifdh cp made.dat /pnfs/out/made.dat
""".replace("SIZE", str(len(RAW))),
        location="/pnfs/in/raw.dat",
    )
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = shell(bag / "data/run.sh", way, out)

    assert outcome.returncode == 0, (out / "run.log").read_text()
    assert shell(bag / "data/verify.sh", out).stdout == "IDENTICAL made.dat\n"


@pytest.mark.slow
def test_folder_that_is_renamed_in_the_storage_has_the_output(
    toy: Toy, tmp_path: Path, shell: Run, way: str
) -> None:
    """As `mu2ejobsub.sh` stores, which asks for ifdh's help text first, to see whether it is there."""
    let_job_run(
        toy,
        """\
ifdh --help >/dev/null
ifdh cp /pnfs/raw.dat .
cat raw.dat raw.dat >made.dat
ifdh mkdir_p /pnfs/out/7.c0ffee
ifdh cp -D made.dat /pnfs/out/7.c0ffee
ifdh rename /pnfs/out/7.c0ffee /pnfs/out/7
ifdh ls /pnfs/out/7/made.dat
! ifdh ls /pnfs/out/7.c0ffee
""",
        location="/pnfs/raw.dat",
    )
    toy.record["outputs"][0]["location"] = "/pnfs/out/7/made.dat"
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = shell(bag / "data/run.sh", way, out)

    assert outcome.returncode == 0, (out / "run.log").read_text()
    assert shell(bag / "data/verify.sh", out).stdout == "IDENTICAL made.dat\n"
    assert [folder.name for folder in (out / "elsewhere/pnfs/out").iterdir()] == ["7"]


@pytest.mark.slow
def test_nothing_is_stored_by_a_client_that_is_here(
    toy: Toy, tmp_path: Path, shell: Run, way: str
) -> None:
    """Neither by one on the caller's PATH, nor by one where the job had it."""
    product = tmp_path / "product" / "bin"
    product.mkdir(parents=True)
    client = product / "ifdh"
    client.write_text(f"#!/bin/sh\necho was called >{tmp_path}/stored\n")
    client.chmod(0o755)
    script = f"PATH={product}:$PATH\nifdh cp /pnfs/raw.dat .; cat raw.dat raw.dat >made.dat\n"
    let_job_run(toy, script + "ifdh cp made.dat /pnfs/out/made.dat\n", location="/pnfs/raw.dat")
    digest = toy.blobs.write(client.read_bytes())
    toy.record["scripts"].append({"name": "ifdh", "path": str(client), "sha256": digest})
    toy.record["outputs"][0]["location"] = "/pnfs/out/made.dat"
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = shell(bag / "data/run.sh", way, out)

    assert not (tmp_path / "stored").exists()
    if way == "--own-root":
        assert outcome.returncode == 0, (out / "run.log").read_text()
        assert shell(bag / "data/verify.sh", out).stdout == "IDENTICAL made.dat\n"
    else:  # a script that names a path finds what lies there
        assert outcome.returncode == 125


@pytest.mark.slow
def test_nothing_of_the_machine_is_moved_or_removed(
    toy: Toy, tmp_path: Path, shell: Run, way: str
) -> None:
    own = tmp_path / "own.dat"
    own.write_bytes(RAW)
    script = f"ifdh mv {own} /pnfs/own.dat; ifdh cp /pnfs/own.dat made.dat; ifdh rm {own} || true\n"
    let_job_run(toy, script)
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    shell(bag / "data/run.sh", way, out)

    assert own.read_bytes() == RAW
    if way == "--no-own-root":  # in a root of its own, this test's folder is not shown
        assert (out / "work/made.dat").read_bytes() == RAW, (out / "run.log").read_text()


@pytest.mark.slow
def test_program_that_is_given_is_used_in_place_of_the_stand_in(
    toy: Toy, tmp_path: Path, dash: Run, way: str
) -> None:
    let_job_run(toy, "xrdcp another >made.dat\n")
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    dash(bag / "data/run.sh", way, "--program", "xrdcp=/bin/echo", out)

    assert (out / "work/made.dat").read_text() == "another\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (f"xrdcp {DOOR}/other.dat .", f"xrdcp: {DOOR}/other.dat is no input in the bundle"),
        ("xrdcp -f", "xrdcp: no file is named that could be copied"),
        ("ifdh renameOutput unique", "ifdh: ifdh renameOutput is not known here"),
        ("ifdh", "ifdh: ifdh without a verb is not known here"),
        (f"xrdfs {DOOR} truncate /a 0", "xrdfs: xrdfs truncate is not known here"),
    ],
)
def test_what_a_stand_in_cannot_do_fails_and_says_so(
    toy: Toy, tmp_path: Path, dash: Run, call: str, reason: str
) -> None:
    let_job_run(toy, call + "\n")
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = dash(bag / "data/run.sh", out)

    assert outcome.returncode == 1
    assert f"{reason}" in (out / "run.log").read_text()
    assert "--program NAME=FILE has them use another" in outcome.stderr


@pytest.mark.slow
def test_folders_are_made_and_files_removed_and_listed(
    toy: Toy, tmp_path: Path, shell: Run
) -> None:
    let_job_run(
        toy,
        f"""\
xrdfs door.example.org:1094 mkdir -p /pnfs/made
cat raw.dat raw.dat >made.dat
xrdcp made.dat {DOOR}/made
xrdfs root://door.example.org:1094/ stat /pnfs/made/made.dat
gfal-ls {DOOR}/made
gfal-copy {DOOR}/made/made.dat again.dat
gfal-rm {DOOR}/made/made.dat
! gfal-stat {DOOR}/made/made.dat
cmp made.dat again.dat
ifdh mv made.dat /pnfs/moved.dat
[ ! -e made.dat ]
""",
    )
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = shell(bag / "data/run.sh", out)

    assert outcome.returncode == 0, (out / "run.log").read_text()
    assert (out / "elsewhere/pnfs/moved.dat").read_bytes() == RAW * 2


def test_job_that_names_no_client_has_its_own_path(toy: Toy, tmp_path: Path) -> None:
    """A script may print it."""
    let_job_run(toy, "echo $PATH\n")
    layout = (toy.unpack(tmp_path) / "data/command/layout.sh").read_text()

    assert "storage_client" not in layout


@pytest.mark.parametrize("moves_files", [True, False])
def test_script_that_nobody_has_may_call_a_client_if_the_job_moved_files(
    toy: Toy, tmp_path: Path, *, moves_files: bool
) -> None:
    let_job_run(toy, "true\n")
    toy.record["scripts"].append({"name": "other.sh", "sha256": "0" * 64})
    if not moves_files:
        del toy.record["inputs"][0]["location"]
        del toy.record["outputs"][0]["location"]
    layout = (toy.unpack(tmp_path) / "data/command/layout.sh").read_text()

    assert ("storage_client 'xrdcp'\n" in layout) is moves_files


def test_first_edition_has_no_stand_ins() -> None:
    assert not (templates.FOLDER / "1" / "storage.sh").is_file()


@pytest.mark.slow
def test_shell_and_coreutils_are_enough_for_a_stand_in(
    toy: Toy, tmp_path: Path, bare: Path
) -> None:
    let_job_run(toy, f"xrdcp {DOOR}/raw.dat .; cat raw.dat raw.dat >made.dat\n")
    toy.record["environment"]["variables"]["PATH"] = str(bare)
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = subprocess.run(
        [bare / "sh", bag / "data/run.sh", "--no-own-root", out],
        env={"PATH": str(bare)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert outcome.returncode == 0, (out / "run.log").read_text()
    assert (out / "work/made.dat").read_bytes() == RAW * 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["storage.sh", "mkdir.sh"])
def test_stand_in_is_clean_for_shellcheck(name: str) -> None:
    shellcheck = shutil.which("shellcheck") or pytest.fail("shellcheck is not installed")
    script = os.fspath(Path(str(templates.FOLDER)) / "2" / name)

    outcome = subprocess.run(
        [shellcheck, "-s", "sh", script], capture_output=True, text=True, check=False
    )

    assert outcome.stdout == ""
