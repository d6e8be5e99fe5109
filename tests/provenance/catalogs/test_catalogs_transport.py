"""Answers of catalogs that are cut, packed, slow, long or none.

Every one ends in time, as a list or as one of our errors.
"""

import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from jobprov.provenance.catalogs.http import Access
from jobprov.provenance.catalogs.metacat import MetaCat
from jobprov.provenance.catalogs.sam import Sam
from jobprov.provenance.errors import (
    BadInputError,
    ForbiddenError,
    NotFoundError,
    ProvenanceError,
    UnreachableError,
)

NAMES = [f"{number * 7919 % 10_007}.root" for number in range(5000)]
LIST = "".join(f"{name}\n" for name in NAMES).encode()
PACKED = gzip.compress(LIST)

Serve = Callable[..., str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return what starts a server that gives each caller these pieces; it returns the address.

    There is a pause before each piece but the first.
    """
    sockets: list[socket.socket] = []

    def start(*pieces: bytes, pause: float = 0.0) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        sockets.append(server)
        threading.Thread(target=_answer_all, args=(server, pieces, pause), daemon=True).start()
        return f"http://127.0.0.1:{server.getsockname()[1]}"

    yield start
    for each in sockets:
        each.close()


def _answer_all(server: socket.socket, pieces: tuple[bytes, ...], pause: float) -> None:
    while True:
        try:
            caller, _ = server.accept()
        except OSError:
            return
        with caller:
            _receive(caller)
            try:
                for place, piece in enumerate(pieces):
                    time.sleep(pause if place else 0)
                    caller.sendall(piece)
            except OSError:
                continue


def _receive(caller: socket.socket) -> None:
    """Take a whole call: what is left unread when a socket closes destroys the answer too."""
    with caller.makefile("rb") as call:
        length = 0
        for line in call:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
            if not line.strip():
                break
        call.read(length)


def answer(body: bytes, *lines: str, status: str = "200 OK", size: int | None = None) -> bytes:
    head = [
        f"HTTP/1.1 {status}",
        f"Content-Length: {len(body) if size is None else size}",
        "Connection: close",
        *lines,
    ]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


def access(url: str, **how: float) -> Access:
    return Access(url, seconds=30.0, attempts=2, pause=0.01, **how)


@pytest.mark.parametrize(
    "packed", [PACKED, gzip.compress(LIST[:10_000]) + gzip.compress(LIST[10_000:])]
)
def test_packed_list_is_read(serve: Serve, packed: bytes) -> None:
    assert (
        list(Sam(access(serve(answer(packed, "Content-Encoding: gzip")))).list_names("x")) == NAMES
    )


@pytest.mark.parametrize("packed", [PACKED[: len(PACKED) // 2], PACKED[:-3], b"no gzip", b""])
def test_packed_list_without_its_end_is_no_list(serve: Serve, packed: bytes) -> None:
    """A list of half the inputs would be frozen for a task."""
    with pytest.raises(UnreachableError, match="broke off its answer"):
        list(Sam(access(serve(answer(packed, "Content-Encoding: gzip")))).list_names("x"))


@pytest.mark.parametrize("body", [LIST[:1000], b""])
def test_list_without_its_end_is_no_list(serve: Serve, body: bytes) -> None:
    with pytest.raises(UnreachableError, match="broke off its answer"):
        list(Sam(access(serve(answer(body, size=len(LIST))))).list_names("x"))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("400 Bad Request", BadInputError), ("401 Unauthorized", ForbiddenError), ("404 Not Found", NotFoundError),
        ("302 Found", UnreachableError), ("999 Odd", UnreachableError),
    ],
)  # fmt: skip
@pytest.mark.parametrize("head", [("Content-Encoding: gzip",), ()])
def test_error_whose_words_cannot_be_read_is_told_by_its_status(
    serve: Serve, status: str, kind: type[ProvenanceError], head: tuple[str, ...]
) -> None:
    with pytest.raises(kind):
        list(Sam(access(serve(answer(b"no gzip", *head, status=status, size=100)))).list_names("x"))


def test_odd_time_to_wait_is_not_waited_for(serve: Serve) -> None:
    with pytest.raises(UnreachableError, match="503"):
        list(
            Sam(access(serve(answer(b"", "Retry-After: \xb2", status="503 Busy")))).list_names("x")
        )


@pytest.mark.slow
@pytest.mark.parametrize("status", ["200 OK", "404 Not Found"])
def test_answer_that_comes_by_drops_ends_with_the_patience(serve: Serve, status: str) -> None:
    """Each byte came in time, and the whole of it would have taken hours."""
    url = serve(answer(b"", status=status, size=5000), *[b"a\n"] * 600, pause=0.1)
    began = time.monotonic()

    with pytest.raises((UnreachableError, NotFoundError)):
        list(Sam(access(url, patience=1)).list_names("x"))

    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    "head",
    [b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"],
)
def test_head_or_length_that_comes_by_drops_ends_with_the_patience(
    serve: Serve, head: bytes
) -> None:
    """Each byte began the time limit anew: 29 seconds a byte held a call for hours."""
    url = serve(head, *[b"1"] * 600, pause=0.1)
    began = time.monotonic()

    with pytest.raises(UnreachableError, match=r"took more than 0\.5 seconds"):
        MetaCat(access(url, patience=0.5)).read_files(["a:b.root"])

    assert time.monotonic() - began < 30


SEQUENCE = b'\x1e{"fid": "1", "namespace": "a", "name": "b"}\n'


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        ([answer(b"<html>Please log in</html>")], "no JSON"),
        ([answer(b"[", size=50)], "broke off"),
        ([answer(b'[{"fid": "1", "namespace": "a", "name": "b"},')], "no JSON"),
        ([answer(b"", "Location: https://login.example.org/", status="302 Found")], "want a login"),
        (
            [
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                b"%x\r\n%s\r\n" % (len(SEQUENCE), SEQUENCE),
            ],
            "broke off",
        ),
        ([b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + SEQUENCE + SEQUENCE[:20]], "no JSON"),
        ([answer(b'{"files": 1}')], "no file"),
        ([answer(b"17")], "no file"),
        ([answer(b"[17]")], "no file"),
    ],
)
def test_answer_that_is_no_whole_list_of_files_is_told_and_none(
    serve: Serve, pieces: list[bytes], words: str
) -> None:
    """Each way to ask gives an error; half a list would be frozen as the inputs of a task."""
    catalog = MetaCat(access(serve(*pieces)))

    with pytest.raises((UnreachableError, BadInputError), match=words):
        list(catalog.list_names("files from a:b"))
    with pytest.raises((UnreachableError, BadInputError), match=words):
        list(catalog.read_children_of("files from a:b", {}))


def test_answer_without_a_body_is_no_list_of_files(serve: Serve) -> None:
    """An answer that was cut in its head reads like this."""
    with pytest.raises(UnreachableError, match="answers with nothing"):
        MetaCat(access(serve(answer(b"")))).read_files(["a:b.root"])


def test_address_at_which_there_is_no_metacat_is_told(serve: Serve) -> None:
    """Each task was asked about in turn, and the message said that files are not known."""
    url = serve(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    with pytest.raises(UnreachableError, match="is its address right"):
        MetaCat(access(url)).read_files(["a:b.root"])


@pytest.mark.slow
def test_list_of_very_many_files_may_be_one_line(serve: Serve) -> None:
    """Its time grew with the square of its length: a million files took minutes."""
    files = b",".join(
        b'{"fid":"f","namespace":"n","name":"%d","note":"%s"}' % (number, b"x" * 2000)
        for number in range(20_000)
    )
    began = time.process_time()

    found = list(MetaCat(access(serve(answer(b"[" + files + b"]")))).list_names("x"))

    assert (len(found), found[-1]) == (20_000, "n:19999")
    assert time.process_time() - began < 10


def test_page_to_log_in_is_shown(serve: Serve) -> None:
    page = answer(b"<!DOCTYPE html><html>Please log in</html>")

    for catalog in (Sam(access(serve(page))), MetaCat(access(serve(page)))):
        with pytest.raises(UnreachableError, match=r"<!DOCTYPE html>.*address right"):
            list(catalog.list_names("x"))
