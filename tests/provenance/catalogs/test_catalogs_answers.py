"""Odd answers of a catalog: what cannot be kept of a file is left out.

What is no answer of a catalog is never taken for a list.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from jobprov.provenance.catalogs.answers import plain_metadata
from jobprov.provenance.catalogs.catalog import CatalogFile
from jobprov.provenance.catalogs.http import Access
from jobprov.provenance.catalogs.metacat import MetaCat
from jobprov.provenance.catalogs.sam import Sam
from jobprov.provenance.errors import UnreachableError

OUT = CatalogFile(
    "out.root", 10, ("adler32:1",), ("in.root",), 7, "t1", "j1", "born.root", is_retired=False
)
SAM = {
    "file_name": "out.root",
    "file_size": 10,
    "checksum": ["adler32:1"],
    "parents": [{"file_name": "in.root", "file_id": 1}],
    "process_id": 7,
    "prov.task_id": "t1",
    "prov.job_id": "j1",
    "prov.output": "born.root",
}
METACAT = {
    "namespace": "dune",
    "name": "out.root",
    "fid": "f1",
    "size": 10,
    "checksums": {"adler32": "1"},
    "metadata": {
        "core.process_id": 7,
        "prov.task_id": "t1",
        "prov.job_id": "j1",
        "prov.output": "born.root",
    },
}


class Saying:
    """A transport that gives one answer to everything."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    def post(self, *_words: object, **_more: object) -> bytes:
        return self.body

    def lines(self, *_words: object, **_more: object) -> Iterator[str]:
        return iter(self.body.decode("utf-8", "replace").split("\n"))


def said_by(catalog: Any, body: Any) -> Any:
    catalog._transport = Saying(body if isinstance(body, bytes) else json.dumps(body).encode())
    return catalog


def without_metadata(files: list[CatalogFile]) -> list[CatalogFile]:
    """Return files with what is read of their metadata, but not these themselves."""
    return [file._replace(metadata={}) for file in files]


def sam(body: Any) -> Sam:
    return said_by(Sam(Access("http://localhost/sam/x/api")), body)


def metacat(body: Any) -> MetaCat:
    return said_by(MetaCat(Access("http://localhost")), body)


@pytest.mark.parametrize(
    ("odd", "read"),
    [
        ({}, {}),
        ({"file_size": 2**70}, {"size_bytes": None}),
        ({"file_size": True}, {"size_bytes": None}),
        ({"process_id": 2**70}, {"process_id": None}),
        ({"parents": 5}, {"parents": ()}),
        ({"parents": ["in.root", {"file_name": None}]}, {"parents": ()}),
        (
            {
                "checksum": [
                    "adler32:1",
                    "md5:\ud800",
                    "x:" + "1" * 5000,
                    "md5:",
                    ":1",
                    "a b:1",
                    5,
                    None,
                ]
            },
            {},
        ),
        ({"prov.task_id": "z\x00\ud800"}, {"task_id": None}),
        (
            {"prov.job_id": "z\ud800" + "x" * 34, "prov.output": 5},
            {"job_id": None, "born_as": None},
        ),
    ],
)
def test_value_that_cannot_be_kept_is_left_out(odd: dict[str, Any], read: dict[str, Any]) -> None:
    files = sam([{**SAM, **odd}]).read_files(["out.root"])

    assert without_metadata(files) == [OUT._replace(**read)]


@pytest.mark.parametrize("name", [None, 5, "", "a\ud800b", "a\x00b", "x" * 5000])
def test_file_without_a_usable_name_is_left_out(name: Any) -> None:
    files = sam([{**SAM, "file_name": name}, SAM]).read_files(["out.root"])
    assert without_metadata(files) == [OUT]
    assert [
        file.name for file in metacat([{**METACAT, "name": name}, METACAT]).read_files(["d:x"])
    ] == ["dune:out.root"]


@pytest.mark.parametrize(
    ("odd", "read"),
    [
        ({}, {}),
        ({"size": 2**70}, {"size_bytes": None}),
        ({"checksums": ["1"]}, {"checksums": ()}),
        ({"checksums": {"adler32": "1", "md5": None, "sha1": "", "crc": [1]}}, {}),
        ({"metadata": [1]}, {"process_id": None, "task_id": None, "job_id": None, "born_as": None}),
        ({"parents": 5, "children": [{"id": "x"}, 5]}, {}),
    ],
)
def test_odd_file_of_metacat_is_read(odd: dict[str, Any], read: dict[str, Any]) -> None:
    expected = OUT._replace(name="dune:out.root", parents=())._replace(**read)

    files = metacat([{**METACAT, **odd}]).read_files(["dune:out.root"])
    assert without_metadata(files) == [expected]
    assert metacat([{**METACAT, **odd}]).read_children(["dune:out.root"], {}) == []


@pytest.mark.parametrize(
    "body", [b"<html>\n<body>log in</body>\n", b'{"error": "busy"}\n', b"a.root\nb\x00.root\n"]
)
def test_page_is_not_taken_for_a_list_of_names(body: bytes) -> None:
    """It would be frozen as the inputs of a task."""
    with pytest.raises(UnreachableError, match="no list of file names"):
        list(sam(body).list_names("defname: x"))


@pytest.mark.parametrize("body", [b'{"error": "busy"}', b"<html>", b"[" * 100_000])
def test_what_is_no_list_of_files_is_not_taken_for_an_empty_one(body: bytes) -> None:
    """Outputs that are known would be forgotten."""
    with pytest.raises(UnreachableError):
        sam(body).read_files(["out.root"])


def test_metadata_for_a_sighting_are_short_and_dotted() -> None:
    kept = {"DUNE.campaign": "fd", "DUNE.id": 4711, "core.good": True, "core.start": 1.5}
    odd = {"plain": 1, "a.long": "x" * 1001, "a.nul": "x\0", "a.nan": float("nan"), "a.b\0": 1}
    more = {"core.runs": [1], "a.none": None, "a.large": 2**70, "a.inf": float("inf")}

    assert plain_metadata({**odd, **kept, **more}) == kept
