"""Copies of outputs that were seen outside of the job's folders while they were written."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobprov.provenance.capture.files.hashing import Clock
from jobprov.provenance.capture.record.json_objects import Entry
from jobprov.provenance.capture.recording.output_entries import join_copies


class SeenCopy:
    """What the hook saw of a file that has another one's bytes."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def find_copies(self, path: str, _size_bytes: int) -> Iterator[str]:
        if path != str(self._place):
            yield str(self._place)

    def find_source(self, _place: str) -> None:
        """Return None: no program's words tell of a copy."""


@pytest.mark.parametrize(("second", "is_copy"), [(6, True), (5, True), (4, False)])
def test_what_was_written_elsewhere_is_a_copy_unless_it_is_older(
    tmp_path: Path, second: int, *, is_copy: bool
) -> None:
    """`cp a.txt $STORE/a_7.txt` copies a.txt, `cp $STORE/a_7.txt a.txt` makes it."""
    elsewhere = tmp_path / "a_7.txt"
    elsewhere.write_text("same\n")
    outputs = [_entry("a.txt", 5), _entry(str(elsewhere), second)]

    joined = join_copies(outputs, SeenCopy(elsewhere), Clock(10))  # type: ignore[arg-type]

    locations = {entry["path"]: entry.get("location") for entry in joined}
    if is_copy:
        assert locations == {"a.txt": str(elsewhere)}
    else:
        assert locations == {"a.txt": None, str(elsewhere): None}


def _entry(path: str, second: int) -> Entry:
    return {
        "name": Path(path).name,
        "path": path,
        "evidence": "seen",
        "size_bytes": 5,
        "sha256": hashlib.sha256(b"same\n").hexdigest(),
        "closed_at": f"2026-12-01T08:55:0{second}.000000Z",
    }
