"""Which compilers a command used."""

from pathlib import Path

import pytest

from jobprov.provenance.capture.surroundings import compilers
from tests.library.hook import Runner, only_entry


@pytest.fixture
def toolchain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Compilers that tell their versions as real ones do, and nothing else on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    told = {
        "gcc": "gcc (GCC) 4.8.5 20150623 (Red Hat 4.8.5-44)",
        "g++": "g++ (Debian 14.2.0-19) 14.2.0",
        "gfortran": "GNU Fortran (Debian 14.2.0-19) 14.2.0",
        "nvcc": "nvcc: NVIDIA (R) Cuda compiler driver\nCuda compilation tools, release 12.2, V12.2.140",
        "cc": "",
    }
    for name, text in told.items():
        (folder / name).write_text(f"#!/bin/sh\necho '{text}'\n")
        (folder / name).chmod(0o755)
    (folder / "gcc-4").symlink_to("gcc")
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.mark.parametrize(
    ("script", "found"),
    [
        (b"gcc -O2 -o x x.c\n", ["gcc 4.8.5"]),
        (b"set -e; cd src && time g++ main.cpp\n", ["g++ 14.2.0"]),
        (b"x=$(gfortran -v)\nFC=gfortran\n", ["gfortran 14.2.0"]),
        (b"CUDA: nvcc k.cu\n", ["nvcc 12.2"]),
        (b"# gcc -O2 x.c\necho cc me, gcc is good\n", []),
        (b"clang -c x.c\n", []),  # not installed: none of this job's
        (b"cc -c x.c\n", []),  # tells no version
    ],
)
def test_compilers_that_scripts_call_are_listed_with_their_versions(
    toolchain: Path, script: bytes, found: list[str]
) -> None:
    lines = compilers.list_compilers(["sh", "x.sh"], [script], b"", b"")

    assert [" ".join(line.split("\t")[1:3]) for line in lines] == found
    assert all(Path(line.split("\t")[3]).parent == toolchain for line in lines)


def test_one_compiler_by_many_names_is_listed_once(toolchain: Path) -> None:
    processes = b'{"argv": ["' + bytes(toolchain) + b'/gcc-4", "x.c"], "process": 1}\n'
    touched = bytes(toolchain) + b"/gcc\tfile\t0755\t9\tab\n/usr/lib/libgcc.so\tlink\tx\n"

    lines = compilers.list_compilers(["gcc", "x.c"], [], processes, touched)

    assert [line.split("\t")[1] for line in lines] == ["gcc"]


@pytest.mark.usefixtures("toolchain")
def test_make_uses_the_compilers_that_its_own_rules_name() -> None:
    Path("Makefile").write_text("CXX=g++\nx: x.o\n\t$(FC) $^\n")

    lines = compilers.list_compilers(["make", "x"], [], b"", b"")

    assert sorted(line.split("\t")[1] for line in lines) == ["g++", "gfortran"]


@pytest.mark.slow
def test_record_of_a_job_that_compiles_names_its_compiler(runner: Runner, toolchain: Path) -> None:
    (runner.folder / "build.sh").write_text("gcc -o x x.c\n")

    runner("run", "--", "/bin/sh", "build.sh", environment={"PATH": str(toolchain)})

    record, blobs = only_entry(runner)
    listing = blobs[record["environment"]["packages_sha256"]].decode()
    assert listing == f"compiler\tgcc\t4.8.5\t{toolchain}/gcc\n"
