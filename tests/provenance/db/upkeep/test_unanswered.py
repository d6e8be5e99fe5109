"""A database that does not answer: one sentence says so, why, and where to look."""

import pytest

from jobprov.provenance.db.upkeep.migrating import current_revision
from jobprov.provenance.errors import UnreachableError


def test_postgresql_that_is_stopped_is_told_in_one_line_with_a_way_out() -> None:
    with pytest.raises(UnreachableError) as caught:
        current_revision("postgresql+psycopg://jobprov@127.0.0.1:1/jobprov")

    words = str(caught.value)
    assert "Connection refused" in words
    assert words.endswith("; check JOBPROV_DATABASE_URL, and the server there.")
    assert "\n" not in words
