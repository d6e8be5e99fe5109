"""Lists of units as submissions have them, read by `register` and `declare`."""

import io

import pytest

from jobprov.app.commands.tasks.unit_lists import read_units
from jobprov.provenance.errors import BadInputError


def listed(text: str) -> list[str]:
    file = io.StringIO(text)
    file.name = "files.txt"
    return read_units(file)


def test_files_given_by_path_or_address_are_units_by_their_names() -> None:
    """The list of a submission has paths; no job of it counted, and the list was frozen."""
    text = "/pnfs/nova/raw/a.root\n\n root://door:1094//pnfs/b.root?authz=x \nc.root\n"

    assert listed(text) == ["a.root", "b.root", "c.root"]


def test_other_units_are_taken_as_they_are() -> None:
    assert listed("hd-protodune:a.root\nrun 7/subrun 3\n7\n") == [
        "hd-protodune:a.root",
        "run 7/subrun 3",
        "7",
    ]


def test_two_files_of_one_name_are_refused() -> None:
    with pytest.raises(BadInputError) as refused:
        listed("/data/1/a.root\n/data/2/a.root\n")

    assert "two files with the name a.root: /data/1/a.root and /data/2/a.root" in str(refused.value)
