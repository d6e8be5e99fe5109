"""The client against a real socket that answers as told.

Errors by class, tries again only what may be repeated.
"""

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests
from flask import Flask

from jobprov.app.config import load_settings
from jobprov.provenance.answers.lookup.jobs import JobSummary
from jobprov.provenance.answers.recording import RecordAnswer
from jobprov.provenance.client import Client, transport
from jobprov.provenance.errors import (
    AmbiguousError,
    BadInputError,
    ConflictError,
    ForbiddenError,
    LimitError,
    NotFoundError,
    ProvenanceError,
    UnreachableError,
)
from tests.library.records import JOB, sha256


def summary(job_id: str) -> dict[str, Any]:
    """Return a job in short, as lists answer it."""
    unknown_task = dict.fromkeys(("task_id", "campaign", "stage", "unit"))
    unknown_exit = dict.fromkeys(("code", "signal", "failed_step", "error_class", "message"))
    unknown_resources = dict.fromkeys(("wall_seconds", "cpu_seconds", "max_rss_bytes"))
    return {
        "job_id": job_id,
        "experiment": "nova",
        "state": "succeeded",
        "batch_id": None,
        "task": unknown_task,
        "host": {"hostname": None, "site": None},
        "code": None,
        "received_at": "2026-11-24T16:00:00Z",
        "heard_at": "2026-11-24T16:00:00Z",
        "started_at": None,
        "ended_at": None,
        "exit": unknown_exit,
        "resources": unknown_resources,
        "output_count": 0,
        "grade": "L0",
        "proof": None,
        "rerun_of": None,
        "retry_of": None,
        "url": f"/jobs/{job_id}",
    }


def file_answer(name: str) -> dict[str, Any]:
    """Return the answer about a file that no recorded job made."""
    lists = ("versions", "parents", "children", "consumers", "locations", "aliases", "sightings")
    unknown = ("version", "producer", "written_by", "task")
    return {
        "file": {"name": name, "namespace": "", "experiment": "nova", "url": "/files/x"},
        "is_placeholder": True,
        "is_crowded": False,
        "consumer_count": 0,
        **dict.fromkeys(unknown),
        **{member: [] for member in lists},
    }


class Peer:
    """A server on loopback. `answers` are given in order, the last one again and again.

    (status, JSON or bytes).
    """

    def __init__(self) -> None:
        self.answers: list[tuple[int, Any]] = [(200, {})]
        self.is_jobprov = True
        self.requests: list[tuple[str, str, bytes, str | None]] = []
        peer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                peer.requests.append(
                    (self.command, self.path, body, self.headers.get("Authorization"))
                )
                status, answer = peer.answers.pop(0) if len(peer.answers) > 1 else peer.answers[0]
                content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.send_header("ETag", '"1-L2-abc"')
                if peer.is_jobprov:
                    self.send_header("X-Request-Id", "f4fe5cb2-1")
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_PUT = do_POST = _answer  # noqa: N815 - names of http.server

            def log_message(self, *_words: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Peer]:
    monkeypatch.setattr(transport, "_PAUSE_SECONDS", 0.01)
    made = Peer()
    yield made
    made.close()


def test_address_that_is_not_the_root_of_the_service_is_told_with_its_variable(
    peer: Peer, bare_app: Flask
) -> None:
    answer = bare_app.test_client().get("/api/api/v1/jobs/1")
    peer.answers = [(answer.status_code, answer.get_json())]

    with pytest.raises(NotFoundError, match=rf"Try {peer.url} as JOBPROV_URL, or as --url"):
        Client(f"{peer.url}/api").job(JOB)
    with pytest.raises(NotFoundError, match="There is no such address"):
        Client(peer.url).job(JOB)


def test_older_service_is_named_where_it_knows_no_such_call_or_parameter(
    peer: Peer, bare_app: Flask
) -> None:
    client = bare_app.test_client()
    peer.answers = []
    for path in ("/api/v1/divinations", "/api/v1/search?q=x&divine=1"):
        answer = client.get(path)
        peer.answers.append((answer.status_code, answer.get_json()))

    with pytest.raises(
        NotFoundError, match=r"such address.* service may be older than this program"
    ):
        Client(peer.url).attention()
    with pytest.raises(BadInputError, match=r"divine: Unknown field\. The service may be older"):
        Client(peer.url).search("x")


def test_address_of_the_api_is_taken_for_that_of_the_service(peer: Peer) -> None:
    assert Client(f"{peer.url}/api/v1/").url == peer.url


@pytest.mark.parametrize(
    ("status", "problem", "kind"),
    [
        (300, {"choices": [{"experiment": "nova", "namespace": ""}]}, AmbiguousError),
        (401, {}, ForbiddenError),
        (403, {}, ForbiddenError),
        (404, {"nearest": ["a.root"]}, NotFoundError),
        (409, {}, ConflictError),
        (413, {"limit": 8}, LimitError),
        (422, {"errors": {"limit": ["too large"]}}, BadInputError),
        (500, {}, UnreachableError),
        (503, {}, UnreachableError),
    ],
)
def test_answer_becomes_the_error_that_the_service_raised(
    peer: Peer, status: int, problem: dict[str, Any], kind: type[ProvenanceError]
) -> None:
    told = {"type": "/problems/x", "status": status, "detail": "what failed", **problem}
    peer.answers = [(status, told)]

    with pytest.raises(kind, match="what failed") as caught:
        Client(peer.url).file("a.roo")

    for name, value in problem.items():
        if name in ("nearest", "limit"):
            assert getattr(caught.value, name) == value
        if name == "errors":
            assert caught.value.fields == value  # type: ignore[attr-defined]
        if name == "choices":
            assert caught.value.choices == [("nova", "")]  # type: ignore[attr-defined]


@pytest.mark.parametrize("status", [401, 403])
def test_refusal_says_where_the_token_lies_that_was_sent(
    peer: Peer, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ticket that something left in a shell is found and unset."""
    refusal = {"type": "/problems/x", "status": status, "detail": "No."}
    peer.answers = [(status, refusal)] * 3
    file = tmp_path / "token"
    file.write_text("prov_2_b\n", encoding="utf-8")
    monkeypatch.setenv("JOBPROV_TOKEN", "prov_1_a")

    for client, words in (
        (Client(peer.url, "prov_1_a"), r"No\. What was sent is in the variable JOBPROV_TOKEN\."),
        (Client(peer.url, token_file=file), rf"No\. What was sent is in the file {file}\."),
        (Client(peer.url, "prov_3_c"), r"No\.$"),
    ):
        with pytest.raises(ForbiddenError, match=words):
            client.file("a.root")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 413, 415, 422, 502])
@pytest.mark.parametrize("content", [b"<html>no</html>", {"detail": "no"}, {"status": 404}])
def test_error_of_a_gateway_is_not_one_of_jobprov(peer: Peer, status: int, content: Any) -> None:
    """Else a blob that a gateway refuses would count as refused for good, and a file as unknown."""
    peer.answers = [(status, content)]

    with pytest.raises(UnreachableError, match="not jobprov that answered"):
        Client(peer.url).put_blob(sha256(b"x"), b"x")


def test_answer_about_another_blob_or_job_is_a_strangers(peer: Peer) -> None:
    record = msgspec.to_builtins(RecordAnswer("another", "created", "u", "L0", [], []))
    peer.answers = [(201, {"sha256": "0" * 64, "size_bytes": 1, "is_new": True}), (201, record)]

    with pytest.raises(UnreachableError, match="it names blob 000"):
        Client(peer.url).put_blob(sha256(b"x"), b"x")
    with pytest.raises(UnreachableError, match="it names job another"):
        Client(peer.url).record({"job_id": JOB})


def test_batch_with_too_few_results_is_not_taken_for_recorded(peer: Peer) -> None:
    peer.answers = [(200, {"results": []})]

    with pytest.raises(UnreachableError, match="0 results for 2 records"):
        Client(peer.url).record_batch([b"{}", b"{}"])


def test_busy_service_is_asked_again(peer: Peer) -> None:
    peer.answers = [(503, {}), (503, {}), (200, {"hits": []})]

    assert Client(peer.url).search("x") == []
    assert len(peer.requests) == 3


def test_verdict_is_posted_once_whatever_happens(peer: Peer) -> None:
    peer.answers = [(503, {}), (201, {})]

    with pytest.raises(UnreachableError):
        Client(peer.url).post_verdict(JOB, {"level": "R7"})
    assert len(peer.requests) == 1


def test_names_are_one_part_of_the_address(peer: Peer) -> None:
    peer.answers = [(200, file_answer("a b/ä?#.root"))]

    Client(f"{peer.url}/api/v1/", "t").file("a b/ä?#.root", experiment="nova")

    assert peer.requests[0][1] == "/api/v1/files/a%20b%2F%C3%A4%3F%23.root?experiment=nova"
    assert peer.requests[0][3] == "Bearer t"


@pytest.mark.parametrize("task_id", ["reco/0042", "reco%2F0042"])
def test_slash_in_a_task_id_is_sent_as_hooks_write_it(peer: Peer, task_id: str) -> None:
    Client(peer.url).missing_text(task_id, "plain", experiment="nova")

    asked = "/api/v1/tasks/reco%252F0042/missing?experiment=nova&format=plain"
    assert peer.requests[0][1] == asked


def test_bytes_of_a_record_are_sent_as_they_are(peer: Peer) -> None:
    body = b'{ "job_id" : "' + JOB.encode() + b'" }'
    answer = RecordAnswer(JOB, "created", f"{peer.url}/jobs/{JOB}", "L0", [], [])
    peer.answers = [(201, msgspec.to_builtins(answer))]

    assert Client(peer.url).record(body) == answer
    assert peer.requests[0][:3] == ("PUT", f"/api/v1/jobs/{JOB}", body)


def test_answer_that_says_nothing_of_the_record_is_none_of_jobprovs(peer: Peer) -> None:
    peer.answers = [(200, {"status": "ok"})]

    with pytest.raises(UnreachableError, match="does not answer as jobprov does"):
        Client(peer.url).record({"job_id": JOB})


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", "it breaks off the connection"),
        (b"", "it breaks off the connection"),
    ],
)
def test_answer_that_breaks_off_is_told_in_words(
    monkeypatch: pytest.MonkeyPatch, sent: bytes, reason: str
) -> None:
    monkeypatch.setattr(transport, "_PAUSE_SECONDS", 0.01)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def break_off() -> None:
            for _ in range(transport.TRIES):
                line, _ = server.accept()
                with line:
                    line.recv(65536)
                    line.sendall(sent)

        thread = threading.Thread(target=break_off, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"

        with pytest.raises(UnreachableError, match=f"No jobprov answers at {url}: {reason}"):
            list(Client(url).jobs())
        thread.join()


def test_error_of_the_system_is_told_in_its_words() -> None:
    problem = requests.ConnectionError("Failed to establish: [Errno 113] No route to host'))")

    assert transport.reason_of(problem) == "No route to host"


@pytest.mark.parametrize(
    ("status", "question"), [(403, "Is the address right?"), (502, "Does jobprov run behind it?")]
)
def test_error_of_a_gateway_says_what_to_look_at(peer: Peer, status: int, question: str) -> None:
    peer.answers = [(status, b"<html>nginx</html>")]

    with pytest.raises(UnreachableError) as refused:
        Client(peer.url).file("a.root")
    assert str(refused.value).endswith(f"not jobprov that answered. {question}")


_TEXTS: list[Callable[[Client, Path], object]] = [
    lambda client, _: client.lineage_text("a.root", "text"),
    lambda client, _: client.export(JOB, "prov-n"),
    lambda client, _: client.log(JOB, "stdout"),
    lambda client, _: client.configuration_text(JOB, "reco", "ran"),
    lambda client, _: client.draining_text("t1", "plain"),
    lambda client, _: client.missing_text("t1", "plain"),
    lambda client, _: client.retries_text("condor"),
    lambda client, _: client.get_blob(sha256(b"")),
    lambda client, _: list(client.impact_lines("csv")),
    lambda client, folder: client.save_bundle(JOB, folder / "job.tar"),
    lambda client, folder: client.save_log(JOB, "stdout", folder / "job.log"),
]


@pytest.mark.parametrize("ask", _TEXTS)
@pytest.mark.parametrize("page", [b"<html>Log in</html>", b'{"jobs": [\xff'])
def test_page_of_a_portal_is_no_text_or_bundle_of_jobprovs(
    peer: Peer, tmp_path: Path, ask: Callable[[Client, Path], object], page: bytes
) -> None:
    peer.is_jobprov = False
    peer.answers = [(200, page)]

    with pytest.raises(UnreachableError, match="does not answer as jobprov does"):
        ask(Client(peer.url), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_answer_without_what_jobprov_says_is_a_strangers(peer: Peer) -> None:
    peer.answers = [(200, {"status": "ok"})] * 2

    with pytest.raises(
        UnreachableError, match="jobs: missing; it has to be given; is the address right"
    ):
        list(Client(peer.url).jobs())
    with pytest.raises(UnreachableError, match="does not answer as jobprov does"):
        Client(peer.url).task("t1")


def test_lists_are_read_to_their_end(peer: Peer) -> None:
    first, second = summary("first"), summary("second")
    peer.answers = [
        (200, {"jobs": [first], "next": "7"}),
        (200, {"jobs": [second], "next": None}),
    ]

    jobs = list(Client(peer.url).jobs(state="failed"))

    assert [msgspec.to_builtins(job) for job in jobs] == [first, second]
    assert peer.requests[1][1] == "/api/v1/jobs?state=failed&cursor=7"


def test_bundle_arrives_whole_or_not_at_all(peer: Peer, tmp_path: Path) -> None:
    told = {"type": "/problems/not-found", "status": 404, "detail": "no such job"}
    peer.answers = [(200, b"tar"), (404, told)]
    client = Client(peer.url)

    assert client.save_bundle(JOB, tmp_path / "a.tar") == "1-L2-abc"
    with pytest.raises(NotFoundError):
        client.save_bundle(JOB, tmp_path / "b.tar")
    with pytest.raises(BadInputError, match=r"There is no folder .+ for c"):
        client.save_bundle(JOB, tmp_path / "missing" / "c.tar")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar"]


def test_what_is_no_plain_file_is_not_replaced(peer: Peer, tmp_path: Path) -> None:
    """A device, given by root, would be gone."""
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(BadInputError, match="pipe is no plain file"):
        Client(peer.url).save_bundle(JOB, tmp_path / "pipe")

    assert peer.requests == []


def test_bundle_that_cannot_be_written_is_named_as_it_was_asked_for(peer: Peer) -> None:
    peer.answers = [(200, b"tar")]

    with pytest.raises(FileNotFoundError) as problem:
        Client(peer.url).save_bundle(JOB, "/proc/a.tar")

    assert problem.value.filename == "/proc/a.tar"


def test_something_that_is_no_jobprov_is_said_so(peer: Peer) -> None:
    peer.answers = [(200, b"<html>")]

    with pytest.raises(UnreachableError, match="address"):
        Client(peer.url).job(JOB)
    assert not Client("http://127.0.0.1:9").is_ready()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1:8095", "that is not an address, which looks like http://HOST:PORT"),
        ("localhost:8095", "that is not an address, which looks like http://HOST:PORT"),
        ("http://", "that is not an address, which looks like http://HOST:PORT"),
        ("http://127.0.0.1:9", "it refuses connections"),
        ("http://nobody.invalid:9", "no such host is known"),
    ],
)
def test_address_where_nobody_answers_is_told_in_words(
    address: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_PAUSE_SECONDS", 0.01)

    with pytest.raises(UnreachableError, match=words):
        Client(address).job(JOB)


def test_service_that_is_silent_is_told_in_words(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests.Session, "request", silent)

    with pytest.raises(UnreachableError, match="it does not answer in time"):
        Client(peer.url).job(JOB)


def silent(*_: object, **__: object) -> None:
    raise requests.ReadTimeout


def test_line_break_behind_a_token_is_not_sent(peer: Peer) -> None:
    """No header can hold it, and a secret that is mounted as a variable often ends with one."""
    peer.answers = [(200, {"status": "ok"})]

    Client(peer.url, "prov_1_x\n").log(JOB, "out")

    assert peer.requests[0][3] == "Bearer prov_1_x"


def test_client_without_address_asks_the_service_of_the_environment(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBPROV_URL", peer.url)
    monkeypatch.setenv("JOBPROV_TOKEN", "of-the-environment")
    peer.answers = [(200, {"hits": []}), (200, {"hits": []})]

    Client().search("x")
    Client(peer.url).search("x")

    tokens = [token for _, _, _, token in peer.requests]
    assert tokens == ["Bearer of-the-environment", None], "another service does not get the token"


def test_usual_address_is_that_of_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOBPROV_URL", raising=False)

    assert load_settings({}, {}).url == transport.USUAL_URL
    assert Client().url == transport.USUAL_URL


def test_log_is_written_to_a_path_that_is_text(peer: Peer, tmp_path: Path) -> None:
    missing = {"type": "/problems/not-found", "status": 404, "detail": "no such log"}
    peer.answers = [(200, b"line\n"), (404, missing)]

    Client(peer.url).save_log(JOB, "out", str(tmp_path / "out.txt"))
    with pytest.raises(NotFoundError):
        Client(peer.url).save_log(JOB, "gone", str(tmp_path / "gone.txt"))

    assert [path.name for path in tmp_path.iterdir()] == ["out.txt"]
    assert (tmp_path / "out.txt").read_bytes() == b"line\n"


def test_notebook_shows_a_job_and_escapes_what_it_says() -> None:
    document = summary(JOB)
    document["exit"]["message"] = "<script>alert(1)</script>"
    job = msgspec.convert(document, JobSummary)

    shown = job._repr_html_()

    assert f"Job {JOB}: succeeded" in shown
    assert "<th>Experiment</th><td>nova</td>" in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert "None" not in shown


def test_token_with_a_letter_that_no_token_has_is_told_before_it_is_sent() -> None:
    """`prov_…`, as the documentation writes it."""
    with pytest.raises(BadInputError, match="The token is not ASCII"):
        Client("http://127.0.0.1:9", "prov_…")
