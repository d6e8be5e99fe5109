"""A database whose file is removed or replaced takes nothing more: nobody would find it again."""

from pathlib import Path

import pytest

from jobprov.provenance.db.connections.engines import open_database
from jobprov.provenance.errors import UnreachableError


@pytest.mark.parametrize("is_replaced", [False, True])
def test_nothing_is_written_into_a_file_that_is_gone(tmp_path: Path, *, is_replaced: bool) -> None:
    file = tmp_path / "jobprov.db"
    database = open_database(f"sqlite:///{file}")
    with database.writing.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE jobs (number INTEGER)")
    file.rename(tmp_path / "aside.db")
    if is_replaced:
        file.touch()

    for _attempt in range(2):
        with (
            pytest.raises(UnreachableError, match=r"jobprov\.db was removed or replaced while"),
            database.writing.begin() as connection,
        ):
            connection.exec_driver_sql("INSERT INTO jobs VALUES (1)")

    (tmp_path / "aside.db").rename(file)
    with database.writing.begin() as connection:
        connection.exec_driver_sql("INSERT INTO jobs VALUES (2)")
    with database.reading.connect() as connection:
        assert connection.exec_driver_sql("SELECT number FROM jobs").scalars().all() == [2]
    database.dispose()
