"""Revision 23: identities of an older database are those that the service of today would write, and go back as they were."""

import hashlib
import uuid
from typing import Any

import pytest
from sqlalchemy import select, text

from jobprov.provenance.db.engines import open_database
from jobprov.provenance.db.migrating import current_revision, downgrade, upgrade
from jobprov.provenance.db.recording.identities import FileKey, see_identity
from jobprov.provenance.db.tables import Identity
from jobprov.provenance.errors import UnreachableError
from jobprov.provenance.records.checksums import pack_checksums, unpack_checksums

SHA256, SHA512 = "ab" * 32, "01" * 64
CHECKSUMS = (
    "",
    "adler32:0badcafe",
    f"adler32:0badcafe sha256:{SHA256}",
    "crc32:00000001 crc32c:ffffffff",
    f"md5:{'0f' * 16} sha1:{'10' * 20} sha512:{SHA512}",
    "md5:1",
    "adler32:0BADCAFE",
    "enstore:1:2345 größe:ü",
    f"sha256:{SHA256[:-2]} whirlpool:{SHA512}",
    f"sha256:{SHA256[:-1]}g",
)


def test_checksums_are_packed_in_half_the_bytes_and_come_back() -> None:
    for words in CHECKSUMS:
        assert unpack_checksums(pack_checksums(words)) == words
    assert len(pack_checksums(f"adler32:0badcafe sha256:{SHA256}")) == 38


@pytest.mark.parametrize("size", [None, 0, 2**40])
def test_identities_of_an_older_database_are_those_of_today(
    empty_url: str, size: int | None
) -> None:
    upgrade(empty_url, "0019")
    _write_older(empty_url, size)
    before = _rows(empty_url)

    upgrade(empty_url)
    database = open_database(empty_url)
    with database.reading.connect() as connection:
        query = select(Identity.size_bytes, Identity.checksums, Identity.key).order_by(Identity.id)
        found = [tuple(row) for row in connection.execute(query)]
    database.dispose()
    downgrade(empty_url, "0019")

    assert found == [(size, words, _today(size, words)) for words in CHECKSUMS]
    assert _rows(empty_url) == before


@pytest.mark.parametrize("empty_url", ["postgresql"], indirect=True)
def test_who_may_read_the_tables_of_a_server_still_may(empty_url: str) -> None:
    upgrade(empty_url, "0022")
    reader = f"reader_{uuid.uuid4().hex}"
    _run(
        empty_url,
        f"CREATE ROLE {reader}",
        f"GRANT SELECT ON jobs, ledger_entries TO {reader}",
        "GRANT SELECT ON jobs TO PUBLIC",
    )

    upgrade(empty_url)

    query = text(
        "SELECT has_table_privilege(:who, :table, 'SELECT'), has_table_privilege(:who, :table, 'INSERT')"
    )
    database = open_database(empty_url)
    with database.reading.connect() as connection:
        may = [
            connection.execute(query, {"who": reader, "table": table}).one()
            for table in ("jobs", "ledger_entries")
        ]
    database.dispose()
    _run(empty_url, f"DROP OWNED BY {reader}", f"DROP ROLE {reader}")
    assert may == [(True, False), (True, False)]


@pytest.mark.parametrize("empty_url", ["postgresql"], indirect=True)
def test_view_of_somebody_else_is_named_and_nothing_is_changed(empty_url: str) -> None:
    upgrade(empty_url, "0019")
    _run(empty_url, "CREATE VIEW dashboard AS SELECT id, state FROM jobs")

    with pytest.raises(UnreachableError, match=r"(?s)nothing was.*dashboard.*drop them"):
        upgrade(empty_url)

    assert current_revision(empty_url) == "0019"


def _run(url: str, *statements: str) -> None:
    database = open_database(url)
    with database.writing.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    database.dispose()


def _today(size: int | None, words: str) -> bytes:
    digest = next((word[7:] for word in words.split() if word.startswith("sha256:")), None)
    rest = [word for word in words.split() if not word.startswith("sha256:")]
    if "0BADCAFE" in words:  # a word that nobody writes so since checksums are normalised
        return _digest(size, words)[:11]
    seen = see_identity(FileKey("däta.root", "ns", 1), size, rest, digest)
    assert seen.checksums == words
    return seen.key


def _digest(size: int | None, words: str) -> bytes:
    return hashlib.sha256(f"1\0ns\0däta.root\0{size}\0{words}".encode()).digest()


def _write_older(url: str, size: int | None) -> None:
    database = open_database(url)
    with database.writing.begin() as connection:
        connection.execute(text("INSERT INTO experiments (id, name) VALUES (1, 'nova')"))
        connection.execute(
            text(
                "INSERT INTO files (id, experiment_id, namespace, name, is_crowded) VALUES (1, 1, 'ns', 'däta.root', :no)"
            ),
            {"no": False},
        )
        connection.execute(
            text(
                "INSERT INTO identities (id, file_id, size_bytes, key, checksums) VALUES (:id, 1, :size, :key, :words)"
            ),
            [
                {"id": number, "size": size, "key": _digest(size, words)[:12], "words": words}
                for number, words in enumerate(CHECKSUMS, 1)
            ],
        )
    database.dispose()


def _rows(url: str) -> list[tuple[Any, ...]]:
    database = open_database(url)
    with database.reading.connect() as connection:
        rows = connection.execute(
            text("SELECT id, size_bytes, key, checksums FROM identities ORDER BY id")
        ).all()
    database.dispose()
    return [(row[0], row[1], bytes(row[2]), row[3]) for row in rows]
