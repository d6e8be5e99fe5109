"""What a rerun printed, as a sentence about the first thing missing."""

import pytest

from jobprov.provenance.services.reruns.first_missing import (
    first_missing,
    last_words,
    missing_inputs_alone,
)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("missing: program lar (looked in /usr/bin)", "The program lar is not on this machine."),
        (
            (
                "./fit: error while loading shared libraries: libGeom.so.6: cannot open shared object "
                "file: No such file or directory"
            ),
            "The shared library libGeom.so.6 is missing.",
        ),
        (
            "ModuleNotFoundError: No module named 'uproot.models'",
            "The Python module uproot.models is missing.",
        ),
        (
            "ImportError: cannot import name 'x' from 'y'",
            "A Python module cannot be imported: cannot import name 'x' from 'y'.",
        ),
        (
            "Can't locate XML/Parser.pm in @INC (you may need to install it)",
            "The Perl module XML/Parser.pm is missing.",
        ),
        (
            "Error in library(dplyr) : there is no package called \u2018dplyr\u2019",
            "The R package dplyr is missing.",
        ),
        ("sh: 1: gfortran: not found", "The program gfortran is missing."),
        ("bash: line 3: root-config: command not found", "The program root-config is missing."),
        ("cat: /exp/geo.gdml: No such file or directory", "The file /exp/geo.gdml is missing."),
        (
            "FileNotFoundError: [Errno 2] No such file or directory: 'calib.db'",
            "The file calib.db is missing.",
        ),
        (
            "sed: can't read '/a b.txt': No such file or directory",
            "The file b.txt is missing.",
        ),
        (
            "./fit: /lib/libc.so.6: version `GLIBC_2.38' not found (required by ./fit)",
            "The machine's C or C++ library is older than the job's: GLIBC_2.38 is missing.",
        ),
        (
            "curl: (6) Could not resolve host: cvmfs.example.org",
            (
                "It needs the network, and a proof has none: Could not resolve host: "
                "cvmfs.example.org."
            ),
        ),
        (
            "fatal: unable to access: Temporary failure in name resolution",
            "It needs the network, and a proof has none: Temporary failure in name resolution.",
        ),
    ],
)
def test_first_thing_missing_is_named(line: str, sentence: str) -> None:
    found = first_missing(["run.sh: the job ended with exit code 1"], ["before", line, "after"])

    assert found is not None
    assert (found.sentence, found.is_limit) == (sentence, False)


def test_limits_of_the_rerun_are_not_missing() -> None:
    lines = ["terminate called after throwing an instance of 'std::bad_alloc'"]

    assert first_missing(lines) is not None
    assert [first_missing([line]).is_limit for line in (  # type: ignore[union-attr]
        *lines,
        "write error: No space left on device",
        "sh: 1: Cannot fork",
    )] == [True] * 3  # fmt: skip


def test_what_run_sh_misses_comes_before_the_log() -> None:
    found = first_missing(
        ["missing: program lar (looked in /)"], ["cat: x: No such file or directory"]
    )

    assert found is not None
    assert found.sentence == "The program lar is not on this machine."
    assert first_missing(["all is well"], ["no words of it"]) is None
    assert last_words(["the reason", "", "run.sh: step ended"]) == "the reason"


def test_inputs_alone_are_told_from_programs() -> None:
    file, program = (
        "missing: input a.root (sha256 1, 2 bytes)",
        "missing: program lar (looked in /)",
    )

    assert missing_inputs_alone([file, "run.sh: 1 things are missing"])
    assert not missing_inputs_alone([file, program])
    assert not missing_inputs_alone(["nothing"])
