"""A look at the places of inputs before anything is submitted: real files, a real web server."""

import functools
import threading
import time
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from jobprov.provenance.answers.orders.orders import OutsideInput
from jobprov.provenance.services.agents.input_search import InputSearch


def an_input(*places: str, size: int | None = 4) -> OutsideInput:
    return OutsideInput(
        job_id="j1",
        name="raw.root",
        namespace="",
        sha256=None,
        size_bytes=size,
        places=list(places),
    )


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "raw.root").write_bytes(b"1234")
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_an_input_is_found_at_its_first_place_that_has_it(tmp_path: Path, served: str) -> None:
    search = InputSearch()

    assert search.look_for(an_input(f"{tmp_path}/raw.root")).found == f"{tmp_path}/raw.root"
    look = search.look_for(an_input("/gone/raw.root", f"{served}/raw.root"))
    assert look.found == f"{served}/raw.root"
    assert look.tried == ["/gone/raw.root: no such file"]


def test_what_is_at_none_of_its_places_is_out_of_reach(tmp_path: Path, served: str) -> None:
    look = InputSearch().look_for(
        an_input(f"{tmp_path}/raw.root", f"{served}/gone.root", f"{served}/raw.root", size=5)
    )

    assert look.is_unreachable
    assert look.sentence() == (
        f"input raw.root of job j1: {tmp_path}/raw.root: it has 4 bytes, not 5; "
        f"{served}/gone.root: status 404; {served}/raw.root: it has 4 bytes, not 5"
    )
    assert InputSearch().look_for(an_input()).sentence().endswith("no place of it is recorded")


def test_a_folder_that_was_named_comes_first(tmp_path: Path, served: str) -> None:
    look = InputSearch([tmp_path]).look_for(an_input(f"{served}/raw.root"))

    assert look.found == f"{tmp_path}/raw.root"


def test_what_cannot_be_looked_at_is_not_out_of_reach() -> None:
    place = "root://door.example.org//d/raw.root"

    assert not InputSearch().look_for(an_input(place)).is_unreachable
    assert InputSearch().look_for(an_input("dcache:/d/raw.root")).is_unreachable
    command = InputSearch(fetch_command="ifdh cp {url} {file}")
    assert not command.look_for(an_input("dcache:/d/raw.root")).is_unreachable


def test_a_server_that_does_not_answer_is_asked_once() -> None:
    search = InputSearch()
    began = time.monotonic()

    looks = [search.look_for(an_input(f"http://127.0.0.1:9/{number}")) for number in range(200)]

    assert all(look.is_unreachable for look in looks)
    assert "does not answer" in looks[-1].tried[0]
    assert time.monotonic() - began < 30
