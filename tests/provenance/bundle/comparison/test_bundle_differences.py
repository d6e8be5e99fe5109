"""What differs between an output and the recorded file, in sentences."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import uproot

from jobprov.provenance.bundle.comparison.differences import differences
from jobprov.provenance.bundle.comparison.parameters import read_comparator
from jobprov.provenance.bundle.templates import comparison_program

NUMERIC = read_comparator('numeric {"relative": 1e-12}')


def written(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def root_file(path: Path, energies: list[float], *, title: str = "e", extra: bool = False) -> str:
    with uproot.recreate(path) as file:
        columns = {"energy": np.array(energies), "run": np.arange(len(energies), dtype="i4")}
        file.mktree("events", {name: values.dtype for name, values in columns.items()})
        file["events"].extend(columns)
        file["h"] = np.histogram(np.array(energies), bins=[0.0, 2.0, 4.0])
        file["note"] = title
        if extra:
            file["more"] = "x"
    return str(path)


def test_lines_that_differ_are_shown_and_the_rest_is_counted(tmp_path: Path) -> None:
    recorded = written(tmp_path / "a", "".join(f"{number} was\n" for number in range(9)))
    made = written(tmp_path / "b", "".join(f"{number} is\n" for number in range(9)))

    told = differences(made, recorded, read_comparator("text"))

    assert told[0] == "line 1: '0 is', recorded was '0 was'"
    assert told[5:] == ["and 4 more differences"]


def test_masked_lines_are_not_among_them(tmp_path: Path) -> None:
    recorded = written(tmp_path / "a", "Date: Monday\nmass 1\n")
    made = written(tmp_path / "b", "Date: Friday\nmass 2\nmore\n")

    told = differences(made, recorded, read_comparator('text {"mask": ["^Date.*"]}'))

    assert told == [
        "line 2: 'mass 2', recorded was 'mass 1'",
        "line 3: 'more', recorded was ''",
        "line ends 3, recorded were 2",
    ]


def test_largest_difference_of_numbers_in_text_helps_to_choose_a_tolerance(tmp_path: Path) -> None:
    recorded = written(tmp_path / "a", "x 1.0\ny 200.0\n")
    made = written(tmp_path / "b", "x 1.001\ny 200.002\n")

    first = differences(made, recorded, NUMERIC)[0]

    assert first == (
        "only numbers differ, by 0.001 of the recorded one at most: 1.001, recorded was 1.0"
    )


def test_root_file_is_told_by_object_branch_and_number(tmp_path: Path) -> None:
    recorded = root_file(tmp_path / "a.root", [1.0, 1.5, 3.0], extra=True)
    made = root_file(tmp_path / "b.root", [1.0, 2.5, 3.0], title="f")

    told = differences(made, recorded, NUMERIC)

    assert told == [
        "events: branch energy differs in 1 of 3 numbers, most in number 2: 2.5, recorded was 1.5",
        "h: bins differ in 2 of 4 numbers, most in number 2: 1, recorded was 2",
        "more is missing",
        "note: its content differs",
    ]


def test_other_number_of_entries_is_told(tmp_path: Path) -> None:
    recorded = root_file(tmp_path / "a.root", [1.0, 1.5])
    made = root_file(tmp_path / "b.root", [1.0])

    told = differences(made, recorded, NUMERIC)

    assert told[0] == "events: entries 1, recorded were 2"


@pytest.mark.slow
def test_program_of_a_bundle_tells_the_same(tmp_path: Path) -> None:
    program = tmp_path / "verify.py"
    program.write_bytes(comparison_program())
    recorded = root_file(tmp_path / "a.root", [1.0, 1.5])
    made = root_file(tmp_path / "b.root", [1.0, 1.25])

    command = [sys.executable, str(program), "explain", made, "--reference", recorded]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)

    assert ran.stdout.splitlines() == differences(made, recorded, read_comparator(""))
