"""Inputs that bundles lack, with the places that records and SAM know."""

from collections.abc import Iterator

import pytest

from jobprov.provenance.answers.orders.orders import OutsideInput
from jobprov.provenance.catalogs.opening import CatalogSettings
from jobprov.provenance.services.orders.outside_inputs import locate
from tests.library.servers.catalogs import SamServer, Shelf

FILE = OutsideInput(
    job_id="j1",
    name="raw.root",
    namespace="",
    sha256=None,
    size_bytes=7,
    places=["/nova/raw.root"],
)


@pytest.fixture
def sam() -> Iterator[SamServer]:
    shelf = Shelf()
    shelf.add("raw.root").folders = ["dcache:/pnfs/nova/raw"]
    server = SamServer(shelf)
    yield server
    server.close()


def test_the_catalog_adds_places_to_those_of_the_record(sam: SamServer) -> None:
    settings = CatalogSettings(kind="sam", url=sam.url)
    unknown = OutsideInput(
        job_id="j1", name="other.root", namespace="", sha256=None, size_bytes=None, places=[]
    )

    located = locate([FILE, unknown], {"nova": settings}, "nova")

    assert located.problem is None
    assert [file.places for file in located.inputs] == [
        [
            "/nova/raw.root",
            "root://door.example.org:1094//pnfs/nova/raw/raw.root",
            "/pnfs/nova/raw/raw.root",
        ],
        [],
    ]


def test_a_catalog_that_does_not_answer_is_told_and_the_places_of_the_record_stay() -> None:
    settings = CatalogSettings(kind="sam", url="http://127.0.0.1:9/sam/nova/api", attempts=1)

    located = locate([FILE], {"nova": settings}, "nova")

    assert located.inputs == [FILE]
    assert located.problem is not None
    assert "does not answer" in located.problem
    assert locate([FILE], {}, "nova").problem is None
