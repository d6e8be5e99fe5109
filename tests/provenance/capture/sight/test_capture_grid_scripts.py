"""What the hook records of jobs whose fcl names their inputs and whose storage is not mounted.

As those of Mu2e are: `mu2ejobsub.sh` stages by a list, and renames the folder that it stored into.
"""

import os
from pathlib import Path
from typing import Any

import pytest

from jobprov.provenance.capture.command.arguments import CommandLine
from tests.library.hook import Runner, only_entry, said
from tests.provenance.capture.sight.test_capture_sight import Site

IFDH = """#!/usr/bin/env python3
import os, shutil, sys, time

verb, *words = sys.argv[1:]
elsewhere = os.environ["ELSEWHERE"]  # where /pnfs is, which no worker node has mounted
here = [word.replace("/pnfs/toy", elsewhere) for word in words]
time.sleep(0.3)
if verb == "cp" and words[0] == "-f":
    for line in open(words[1]):
        source, target = line.replace("/pnfs/toy", elsewhere).split()
        shutil.copyfile(source, target)
elif verb == "cp":
    for source in here[1:-1]:
        shutil.copy(source, here[-1])
elif verb == "mkdir_p":
    os.makedirs(here[0])
elif verb == "rename":
    os.rename(*here)
time.sleep(0.3)
"""
ART = """#!/usr/bin/env python3
import re, sys, time

fcl = open(sys.argv[sys.argv.index("-c") + 1]).read()
sources = re.findall(r'"(.*)" # in', fcl)
time.sleep(0.5)
with open("dig_7.art", "w") as target:
    for source in sources:
        target.write(source if "://" in source else open(source).read())
"""


@pytest.fixture
def site(runner: Runner) -> Site:
    site = Site(runner)
    programs = site.job.parent / "programs"
    for name, text in (("ifdh", IFDH), ("mu2e", ART)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    site.variables["ELSEWHERE"] = str(site.storage)
    (site.storage / "dts_7.art").write_text("simulated\n")
    (site.storage / "mix_1.art").write_text("mixed\n")
    os.utime(site.storage / "dts_7.art", (1_700_000_000, 1_700_000_000))
    return site


def parents(record: dict[str, Any]) -> dict[str, str | None]:
    """Return {name: location} of what the outputs were made from."""
    inputs = [file for file in record["inputs"] if file["role"] == "primary"]
    return {file["name"]: file.get("location") for file in inputs}


@pytest.mark.slow
def test_what_a_list_stages_and_the_fcl_names_is_the_input(site: Site) -> None:
    """It was an output, without a parent, and the job's unit was its number."""
    record = site.record(
        """
        mkdir in
        echo "/pnfs/toy/dts_7.art $PWD/in/dts_7.art" > spec
        echo "/pnfs/toy/mix_1.art $PWD/in/mix_1.art" >> spec
        ifdh cp -f spec
        rm spec
        echo 'source: { module_type: RootInput }' > job.fcl
        echo "source.fileNames: [
            \\"$PWD/in/dts_7.art\\" # in
        ]" >> job.fcl
        echo "physics.filters.mixer.fileNames: [\\"$PWD/in/mix_1.art\\" # in" >> job.fcl
        echo "]" >> job.fcl
        mu2e -c job.fcl
        """,
        JOBPROV_TASK_ID="t1",
    )

    assert parents(record) == {
        "dts_7.art": "/pnfs/toy/dts_7.art",
        "mix_1.art": "/pnfs/toy/mix_1.art",
    }
    assert [file["name"] for file in record["outputs"]] == ["dig_7.art"]


@pytest.mark.slow
def test_input_that_the_fcl_has_at_an_address_is_known_by_it(site: Site) -> None:
    """Nobody sees a connection: the job had no input at all, and no gap said so."""
    (site.job / "job.fcl").write_text('source.fileNames: ["root://door//dts_7.art" # in\n]\n')

    record = site.record("mu2e -c job.fcl\n", JOBPROV_TASK_ID="t1")

    assert parents(record) == {"dts_7.art": "root://door//dts_7.art"}
    assert record["task"]["unit"] == "dts_7.art"


@pytest.mark.slow
def test_input_in_the_fcl_of_the_command_itself_is_known(site: Site) -> None:
    (site.inputs / "dts_7.art").write_text("simulated\n")
    (site.job / "job.fcl").write_text(f'source.fileNames: ["{site.inputs}/dts_7.art" # in\n]\n')

    site.runner("run", "--", "mu2e", "-c", "job.fcl", environment=site.variables)

    record = only_entry(site.runner)[0]
    (raw,) = [file for file in record["inputs"] if file["role"] == "primary"]
    assert (raw["name"], raw["size_bytes"]) == ("dts_7.art", 10)


@pytest.mark.slow
@pytest.mark.parametrize("end", ["", "rm dig_7.art\n"])
def test_output_in_a_storage_that_is_not_mounted_has_its_last_place(site: Site, end: str) -> None:
    """An output that stayed in the job's folder had none: only what can be read was compared."""
    (site.job / "job.fcl").write_text('source.fileNames: ["root://door//dts_7.art" # in\n]\n')

    record = site.record(
        f"""
        mu2e -c job.fcl
        ifdh mkdir_p /pnfs/toy/out/00007.c0ffee
        ifdh cp -D dig_7.art /pnfs/toy/out/00007.c0ffee
        ifdh rename /pnfs/toy/out/00007.c0ffee /pnfs/toy/out/00007
        {end}
        """
    )

    (made,) = record["outputs"]
    assert (made["path"], made["location"]) == ("dig_7.art", "/pnfs/toy/out/00007/dig_7.art")
    assert (site.storage / "out" / "00007" / "dig_7.art").is_file()
    assert not [words for words in said(record) if "nobody saw" in words]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fetch", "path"),
    [
        ("curl -sSLo a.tgz https://door/fcl/fcl.tgz", "a.tgz"),
        ("curl -L -O https://door/fcl/fcl.tgz", "fcl.tgz"),
        ("curl -s --output a.tgz https://door/fcl/fcl.tgz?version=3", "a.tgz"),
        ("wget -nv https://door/fcl/fcl.tgz", "fcl.tgz"),
        ("wget -o wget.log -P sub https://door/fcl/fcl.tgz", "sub/fcl.tgz"),
        ("wget -qO a.tgz https://door/fcl/fcl.tgz", "a.tgz"),
    ],
)
def test_what_a_job_fetches_from_the_web_is_an_input(site: Site, fetch: str, path: str) -> None:
    """As jobscripts of justIN fetch their fcl: each job had made the archive, which none does."""
    for name in ("curl", "wget"):
        program = site.job.parent / "programs" / name
        program.write_text('#!/bin/sh\nsleep 0.4; echo data > "$FETCHED"; sleep 0.2\n')
        program.chmod(0o755)

    record = site.record(f"mkdir sub; FETCHED={path} {fetch}; echo 1 > out.dat\n")

    fetched = {file["path"]: file for file in record["inputs"]}[path]
    assert (fetched["name"], fetched["location"]) == ("fcl.tgz", fetch.rsplit(maxsplit=1)[-1])
    assert fetched["size_bytes"] == 5
    assert [file["path"] for file in record["outputs"]] == ["out.dat"]


@pytest.mark.slow
def test_what_a_job_stores_by_curl_is_an_output_there(site: Site) -> None:
    program = site.job.parent / "programs" / "curl"
    program.write_text("#!/bin/sh\nsleep 0.4\n")
    program.chmod(0o755)

    record = site.record("echo 1 > out.dat; curl -T out.dat https://door/out_7.dat; rm out.dat\n")

    (made,) = record["outputs"]
    assert (made["path"], made["location"]) == ("out.dat", "https://door/out_7.dat")


@pytest.mark.slow
def test_copy_in_a_folder_that_the_job_removes_again_is_no_place_of_an_output(site: Site) -> None:
    record = site.record(
        "echo 1 > out.dat; W=$(mktemp -d); ifdh cp -D out.dat $W; sort $W/out.dat; rm -r $W\n"
    )

    (made,) = record["outputs"]
    assert (made["path"], "location" in made) == ("out.dat", False)


@pytest.mark.parametrize(
    ("fcl", "options", "sources"),
    [
        ('source: { fileNames: [ "root://d//a.art", "/pnfs/b.art" ] }', "", "ab"),
        ('source.fileNames: [ "/a.art" ]\nsource.fileNames : ["/b.art"]', "", "b"),
        ('source.fileNames: [ "/a.art" ]', "-s /b.art", "b"),
        ('source.fileNames: []\nphysics.filters.m.fileNames: ["/a.art"]', "-s /b.art", "ba"),
        (
            '# source.fileNames: [ "/a.art" ]\nsource.fileNames: [\n  // "/c.art"\n "/b.art"]',
            "",
            "b",
        ),
        ('source.fileNames: [ "looked/up/by/the/module.art" ]', "", ""),
        ('source.fileNames: @local::names\nmyfileNames: [ "/a.art" ]', "", ""),
    ],
)
def test_fcl_names_inputs_unless_an_option_does(
    fcl: str, options: str, sources: str, tmp_path: Path
) -> None:
    line = CommandLine(["mu2e", "-c", "job.fcl", *options.split()])

    line.add_sources_in(fcl.encode(), str(tmp_path))

    assert [Path(name).stem for name in line.sources] == list(sources)
