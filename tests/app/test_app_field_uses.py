"""The table of what each field of the record reaches says what the code does."""

from pathlib import Path

import pytest

from jobprov.provenance.records.field_uses import FIELD_USES
from tests.library.field_uses import leaf_fields, measured_uses

IDENTITY = {"schema_version", "job_id", "experiment"}


def test_every_field_of_the_record_has_a_row() -> None:
    """A new field begins here: add its row, and see below which consumers it reaches."""
    assert set(FIELD_USES) == {path for path, _ in leaf_fields()} - IDENTITY


@pytest.mark.slow
def test_fields_reach_what_their_rows_say(tmp_path: Path) -> None:
    measured = measured_uses(tmp_path)

    different = [path for path, use in FIELD_USES.items() if measured.get(path) != use]
    assert {path: measured.get(path) for path in different} == {
        path: FIELD_USES[path] for path in different
    }
