"""SAM alone: who asks, what its parser refuses, and projects as the official client asks for them."""

import os
from collections.abc import Iterator

import pytest

from jobprov.provenance.catalogs.http import Access
from jobprov.provenance.catalogs.sam import Sam
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.selections.catalog_source import CatalogSource
from tests.library.servers.catalogs import SamServer, Shelf, ShelfProcess, ShelfProject

NO_ACCOUNT = 3_999_999_999
"""A number of a user that no machine knows, as in a container."""


@pytest.fixture(scope="module")
def server() -> Iterator[SamServer]:
    shelf = Shelf()
    shelf.add("a1.root")
    shelf.add("é.root", parents=["a1.root"])
    shelf.add("b.root", parents=["é.root"], metadata={"data_tier": "reco"})
    shelf.snapshots[71] = ["a1.root"]
    process = ShelfProcess(7, "12.0@schedd", "node1", "completed", {"a1.root": "consumed"})
    shelf.projects["p1"] = ShelfProject(71, [process])
    made = SamServer(shelf)
    yield made
    made.close()


@pytest.fixture
def sam(server: SamServer) -> Sam:
    server.asked.clear()
    return Sam(Access(server.url, attempts=1))


def test_account_without_an_entry_asks_all_the_same(
    server: SamServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GRID_USER", "LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: NO_ACCOUNT)

    sam = Sam(Access(server.url, attempts=1))

    assert list(sam.list_names("file_name 'a1.root'")) == ["a1.root"]


def test_dimension_outside_of_ascii_is_told_before_sam_is_asked(
    sam: Sam, server: SamServer
) -> None:
    with pytest.raises(BadInputError, match=r"character 12 of this one is 'é'"):
        list(sam.list_names("file_name 'é.root'"))
    with pytest.raises(BadInputError, match="outside of ASCII"):
        sam.task_query("prüfung")
    with pytest.raises(BadInputError, match="cannot be said"):
        sam.source_query(CatalogSource(definition="two\nlines"))
    with pytest.raises(BadInputError, match="or is no name"):
        sam.unprocessed_query("snapshot_id 71", {"not": "reco"})

    assert server.asked == []


def test_children_of_a_file_that_no_dimension_can_name_are_found(sam: Sam) -> None:
    [child] = sam.read_children(["é.root"], {"data_tier": "reco"})

    assert (child.name, child.parents) == ("b.root", ("é.root",))


def test_project_has_its_processes(sam: Sam) -> None:
    [process] = sam.read_project("p1").processes

    assert (process.process_id, process.description) == (7, "12.0@schedd")


def test_checksum_of_enstore_compares_with_adler32(sam: Sam, server: SamServer) -> None:
    """SAM has Enstore's alone of files that came from tape; a job knows adler32.

    The values are those of a file of DUNE of which SAM has both.
    """
    both = {"enstore": "1390300706", "adler32": "e8bf4e23"}
    server.shelf.add("tape.root", size_bytes=14264091111, checksums={"enstore": "1390300706"})
    server.shelf.add("both.root", size_bytes=14264091111, checksums=both)
    server.shelf.add("odd.root", size_bytes=7, checksums={"enstore": "unknown"})

    files = {file.name: file.checksums for file in sam.read_files(["tape.root", "both.root"])}

    assert files["tape.root"] == ("adler32:e8bf4e23", "enstore:1390300706")
    assert files["both.root"] == files["tape.root"]
    assert [file.checksums for file in sam.read_files(["odd.root"])] == [("enstore:unknown",)]
