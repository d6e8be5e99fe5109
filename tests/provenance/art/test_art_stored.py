"""What art stores in its files is read whole from a good file.

A bad one is told what is wrong with it, in bounded time and memory.
"""

import hashlib
import os
import sqlite3
import struct
import tracemalloc
from pathlib import Path

import pytest
import uproot

from jobprov.provenance.art.stored import read_stored
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.fhicl import FhiclError
from jobprov.provenance.fhicl.stored import load_stored
from tests.data.art import make_art_file

FOLDER = Path(__file__).parents[2] / "data" / "art"
TOY = FOLDER / "toy_reco.root"


def with_database(
    path: Path, content: bytes, *, name: str = "RootFileDB", claimed: int | None = None
) -> Path:
    """Write a ROOT file in which these bytes are art's database.

    `claimed` is the size that its key tells of.
    """
    with uproot.recreate(path) as file:
        size = len(content) if claimed is None else claimed
        file._cascading.add_object(
            file._file.sink, "TKey", name, "sqlite3 database file", content, size
        )
    return path


def database(*statements: str) -> bytes:
    """Return an SQLite file made by these statements."""
    with sqlite3.connect(":memory:") as made:
        for statement in statements:
            made.execute(statement)
        made.commit()
        return made.serialize()


def test_sets_metadata_and_ranges_are_read() -> None:
    found = read_stored(TOY)

    assert len(found.parameter_sets) == 19
    assert found.event_ranges == [(0, 1, 21)]
    assert found.metadata["parents"] == ["toy_gen.root"]
    assert found.metadata["file_type"] == "mc"  # stored without quotes
    assert found.metadata["data_tier"] == "reco"  # the last of two is meant
    assert not any("\0" in text for pair in found.parameter_sets.items() for text in pair)


def test_every_set_written_out_has_the_id_under_which_it_is_stored() -> None:
    sets = read_stored(TOY).parameter_sets

    assert [load_stored(sets, identity).parameter_set_id for identity in sets] == list(sets)


def test_an_id_within_a_string_is_left_alone() -> None:
    sets = read_stored(TOY).parameter_sets
    main = next(
        load_stored(sets, identity)
        for identity, text in sets.items()
        if 'process_name:"Reco"' in text
    )

    assert (
        main.value("physics.producers.smear.note")
        == "not @id::0123456789012345678901234567890123456789"
    )
    assert main.value("physics.producers.smear.tracker.layers") == 8


def test_uproot_reads_the_same_bytes() -> None:
    key = uproot.open(TOY).key("RootFileDB")
    chunk, cursor = key.get_uncompressed_chunk_cursor()
    with sqlite3.connect(":memory:") as read:
        read.deserialize(bytes(cursor.bytes(chunk, key.data_uncompressed_bytes, {})))
        rows = read.execute("SELECT ID, PSetBlob FROM ParameterSets").fetchall()

    assert {name[:-1]: text[:-1] for name, text in rows} == read_stored(TOY).parameter_sets


def test_the_file_in_the_tree_is_the_one_that_its_script_makes(tmp_path: Path) -> None:
    make_art_file.write(tmp_path / "again.root", make_art_file.database())

    again, kept = read_stored(tmp_path / "again.root"), read_stored(TOY)
    assert (again.parameter_sets, again.metadata, again.tables) == (
        kept.parameter_sets,
        kept.metadata,
        kept.tables,
    )
    assert hashlib.sha256(TOY.read_bytes()).hexdigest() in (FOLDER / "SOURCES.md").read_text()


@pytest.mark.parametrize("kept", [0, 3, 60, 200, 5000, 20_000])
def test_a_file_cut_short_is_not_whole(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "cut.root"
    path.write_bytes(TOY.read_bytes()[:kept])

    with pytest.raises(BadInputError, match=r"cut\.root"):
        read_stored(path)


@pytest.mark.slow
def test_every_damaged_byte_of_the_front_is_an_answer(tmp_path: Path) -> None:
    """Whatever one byte of header, folder and key list says, the file is read or refused."""
    whole = TOY.read_bytes()
    places = [*range(400), *range(len(whole) - 600, len(whole), 3)]
    path = tmp_path / "damaged.root"
    refused = 0
    for place in places:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            read_stored(path)
        except BadInputError:
            refused += 1

    assert 10 < refused < len(places)


def test_what_is_no_art_file_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "text.root").write_text("hello" * 100)
    with uproot.recreate(tmp_path / "plain.root") as file:
        file["words"] = "only this"

    with pytest.raises(BadInputError, match="not a ROOT file"):
        read_stored(tmp_path / "text.root")
    with pytest.raises(
        BadInputError, match="no RootFileDB in it, so art did not write it; it holds words"
    ):
        read_stored(tmp_path / "plain.root")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (os.urandom(5000), "not a database"),
        (b"SQLite format 3\0" + os.urandom(5000), "cannot be read"),
        (database("CREATE TABLE FileCatalog_metadata(Name text, Valeur text)"), "no such column"),
    ],
)
def test_a_database_that_is_none_cannot_be_read(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        read_stored(with_database(tmp_path / "a.root", content))


def test_a_compressed_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="compressed"):
        read_stored(with_database(tmp_path / "a.root", b"x" * 100, claimed=5000))


def test_a_view_is_not_run(tmp_path: Path) -> None:
    """A view could count for ever; only plain tables are read."""
    endless = (
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x AS ID, "
        "x AS PSetBlob FROM n"
    )

    found = read_stored(
        with_database(tmp_path / "a.root", database(f"CREATE VIEW ParameterSets AS {endless}"))
    )

    assert (found.parameter_sets, found.tables) == ({}, {})


def test_more_rows_than_the_limit_are_refused(tmp_path: Path) -> None:
    many = (
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 "
        "FROM n LIMIT 200001) INSERT INTO ParameterSets SELECT x, x FROM n"
    )
    content = database("CREATE TABLE ParameterSets(ID PRIMARY KEY, PSetBlob)", many)

    with pytest.raises(
        BadInputError, match=r"ParameterSets has 200,001 rows; 200,000 is the limit"
    ):
        read_stored(with_database(tmp_path / "a.root", content))


def test_a_file_that_claims_much_costs_no_memory(tmp_path: Path) -> None:
    path = with_database(
        tmp_path / "a.root", database("CREATE TABLE ParameterSets(ID PRIMARY KEY, PSetBlob)")
    )
    data = bytearray(path.read_bytes())
    (begin,) = struct.unpack_from(">i", data, 8)
    (name_length,) = struct.unpack_from(">i", data, 28)
    struct.pack_into(">i", data, begin + name_length + 10, 2**31 - 1)
    path.write_bytes(data)
    os.truncate(path, 3 << 30)  # sparse
    struct_end = struct.pack(">i", 2**31 - 1)
    with path.open("r+b") as file:
        file.seek(12)
        file.write(struct_end)

    tracemalloc.start()
    with pytest.raises(BadInputError, match="can be read"):
        read_stored(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 1_000_000


def test_sets_that_hold_themselves_or_grow_without_end_are_refused() -> None:
    ids = [f"{number:040x}" for number in range(64)]
    doubling = {ids[0]: f'a: "{"x" * 100}"'} | {
        ids[n]: f"a: @id::{ids[n - 1]} b: @id::{ids[n - 1]}" for n in range(1, 64)
    }

    with pytest.raises(FhiclError, match="passes the limit"):
        load_stored(doubling, ids[63])
    with pytest.raises(FhiclError, match="contains itself"):
        load_stored({ids[1]: f"a: @id::{ids[1]}"}, ids[1])
    with pytest.raises(FhiclError, match="no stored set"):
        load_stored({}, ids[1])
