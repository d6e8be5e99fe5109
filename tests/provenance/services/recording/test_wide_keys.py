"""Keys of four bytes end some day: an operator widens them, and all goes on past the end."""

from pathlib import Path

import pytest
from sqlalchemy import text

from jobprov.archive.opening import open_store
from jobprov.provenance.db.connections.engines import open_database
from jobprov.provenance.db.upkeep.key_widths import keys_used, widen_keys
from jobprov.provenance.errors import UnreachableError
from jobprov.provenance.services.upkeep.database_rebuild import rebuild_database
from jobprov.provenance.services.upkeep.sealing import seal_all
from tests.library.logical_tables import differences
from tests.library.production import Production, tables_at
from tests.library.productions.story import play
from tests.library.records import record_of

LAST = 2**31 - 1
PAST_FOUR_BYTES = 3_000_000_000
_SEQUENCES = text(
    "SELECT sequencename FROM pg_sequences WHERE sequencename <> 'experiments_id_seq'"
)

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def production_at(url: str, folder: Path) -> Production:
    return Production(open_database(url), open_store(f"file:{folder / 'archive'}"), folder)


def give_out(url: str, last: int) -> None:
    """Have the next key of every table be the one after `last`; experiments are few."""
    database = open_database(url)
    with database.writing.begin() as connection:
        for name in connection.execute(_SEQUENCES).scalars().all():
            connection.execute(text("SELECT setval(:name, :last)"), {"name": name, "last": last})
    database.dispose()


def test_whole_story_past_four_bytes_is_the_same_story(database_url: str, tmp_path: Path) -> None:
    widen_keys(database_url)
    give_out(database_url, PAST_FOUR_BYTES)
    production = production_at(database_url, tmp_path)
    play(production)
    seal_all(production.database, production.writer, production.store)

    rebuild_database(production.store, f"sqlite:///{tmp_path / 'rebuilt.db'}")

    assert differences(production.tables(), tables_at(f"sqlite:///{tmp_path / 'rebuilt.db'}")) == []
    with production.database.reading.connect() as connection:
        assert connection.execute(text("SELECT min(id) FROM jobs")).scalar_one() > PAST_FOUR_BYTES
        assert max(keys_used(connection).values()) < 1e-6
    production.close()
    production.database.dispose()


def test_keys_that_are_used_up_name_the_way_out_and_widening_is_it(
    database_url: str, tmp_path: Path
) -> None:
    before = production_at(database_url, tmp_path)
    before.record(record_of(1))
    before.close()
    before.database.dispose()
    give_out(database_url, LAST)
    production = production_at(database_url, tmp_path)
    with production.database.reading.connect() as connection:
        used = keys_used(connection)

    with pytest.raises(UnreachableError, match="jobprov migrate --wide-keys"):
        production.record(record_of(2))
    widen_keys(database_url)
    [outcome] = production.record(record_of(2))

    assert used["jobs"] == 1
    assert outcome.change == "created"
    production.close()
    production.database.dispose()
