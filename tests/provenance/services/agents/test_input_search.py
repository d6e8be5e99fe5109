"""A look at the places of inputs before anything is submitted: real files, a real web server."""

import functools
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from jobprov.provenance.answers.orders.orders import OutsideInput
from jobprov.provenance.services.agents import outside_addresses
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
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "raw.root").write_bytes(b"1234")
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    # Loopback stands for the servers of others here
    monkeypatch.setattr(outside_addresses, "is_inner", lambda *_: False)
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


class Redirecting(BaseHTTPRequestHandler):
    """Sends whoever asks to another address, and notes what was asked."""

    target = ""
    asked: ClassVar[list[str]] = []

    def do_HEAD(self) -> None:
        self.asked.append(self.path)
        self.send_response(302)
        self.send_header("Location", self.target)
        self.end_headers()


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0", "2130706433"]
)
def test_what_only_this_machine_can_reach_is_not_asked(host: str) -> None:
    """A record may name any address, and what is told of it reaches whoever wrote the record."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Redirecting)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    look = InputSearch().look_for(an_input(f"http://{host}:{server.server_port}/latest/meta-data"))

    server.shutdown()
    server.server_close()
    assert look.found is None
    assert "which is not looked at" in look.tried[0] or "does not answer" in look.tried[0]
    assert Redirecting.asked == []


def test_redirect_to_this_machine_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """127.0.0.2 stands for a server of others, which sends those who ask to 127.0.0.1."""
    monkeypatch.setattr(outside_addresses, "is_inner", lambda host, _: host == "127.0.0.1")
    inner = ThreadingHTTPServer(("127.0.0.1", 0), Redirecting)
    outer = ThreadingHTTPServer(("127.0.0.2", 0), Redirecting)
    for server in (inner, outer):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(Redirecting, "target", f"http://127.0.0.1:{inner.server_port}/secret")
    monkeypatch.setattr(Redirecting, "asked", [])

    look = InputSearch().look_for(an_input(f"http://127.0.0.2:{outer.server_port}/raw.root"))

    for server in (inner, outer):
        server.shutdown()
        server.server_close()
    assert Redirecting.asked == ["/raw.root"]
    assert "127.0.0.1 is 127.0.0.1, which is not looked at" in look.tried[0]


@pytest.mark.parametrize(
    ("host", "inner"),
    [
        ("127.8.9.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::127.0.0.1", True),
        ("64:ff9b::169.254.169.254", True),  # as a machine that only speaks IPv6 says it
        ("64:ff9b::131.225.1.1", False),
        ("2002:7f00:1::", True),
        ("169.254.169.254", True),
        ("fe80::1", True),
        ("0.0.0.0", True),  # noqa: S104 - only looked at
        ("224.0.0.1", True),
        ("10.1.2.3", False),  # a site's own storage
        ("131.225.1.1", False),
        ("2620:6a::1", False),
    ],
)
def test_addresses_of_this_machine_and_its_link_are_inner(host: str, *, inner: bool) -> None:
    assert outside_addresses.is_inner(host, "10.9.9.9") == inner


def test_address_of_a_card_of_this_machine_is_inner() -> None:
    """A firewall may keep others from what listens there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as card:
        try:
            card.connect(("192.0.2.77", 9))  # nothing is sent
        except OSError:
            pytest.skip("this machine has no network")
        own = card.getsockname()[0]
    server = ThreadingHTTPServer((own, 0), Redirecting)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Redirecting.asked.clear()

    look = InputSearch().look_for(an_input(f"http://{own}:{server.server_port}/raw.root"))

    server.shutdown()
    server.server_close()
    assert "which is not looked at" in look.tried[0]
    assert Redirecting.asked == []


def test_name_that_leads_elsewhere_the_second_time_is_not_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The name server is the attacker's: first it says 127.0.0.2, which stands for a public address."""
    monkeypatch.setattr(outside_addresses, "is_inner", lambda host, _: host == "127.0.0.1")
    inner = ThreadingHTTPServer(("127.0.0.1", 0), Redirecting)
    outer = ThreadingHTTPServer(("127.0.0.2", inner.server_port), Redirecting)
    for server in (inner, outer):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    answers = iter(["127.0.0.2", "127.0.0.1"])
    look_up = socket.getaddrinfo

    def rebinding(host: str, *how: Any, **more: Any) -> Any:
        return look_up(next(answers) if host == "rebinding.example.org" else host, *how, **more)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    place = f"http://rebinding.example.org:{inner.server_port}"
    monkeypatch.setattr(Redirecting, "target", f"{place}/secret")
    Redirecting.asked.clear()

    look = InputSearch().look_for(an_input(f"{place}/raw.root"))

    for server in (inner, outer):
        server.shutdown()
        server.server_close()
    assert Redirecting.asked == ["/raw.root"]
    assert "rebinding.example.org is 127.0.0.1, which is not looked at" in look.tried[0]


def test_inner_address_is_not_even_greeted() -> None:
    """A greeting of TLS has bytes that whoever wrote the address chose."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        look = InputSearch().look_for(an_input(f"https://127.0.0.1:{port}/raw.root"))

        connection, _ = server.accept()
        with connection:
            assert connection.recv(100) == b""
    assert "which is not looked at" in look.tried[0]


def test_password_of_a_netrc_goes_to_no_address_of_a_record(
    tmp_path: Path, served: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login ada password for-the-catalog\n", encoding="utf-8")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    sent: list[str | None] = []

    def note(handler: SimpleHTTPRequestHandler) -> None:
        sent.append(handler.headers.get("Authorization"))
        if handler.path == "/raw.root":
            handler.send_response(302)
            handler.send_header("Location", f"{served}/moved.root")
        else:
            handler.send_response(200)
        handler.end_headers()

    monkeypatch.setattr(SimpleHTTPRequestHandler, "do_HEAD", note)

    look = InputSearch().look_for(an_input(f"{served}/raw.root", size=None))

    assert look.found == f"{served}/raw.root"
    assert sent == [None, None]
