"""A service that speaks the calls of the hook, remembers every byte, misbehaves on demand."""

import contextlib
import gzip
import hashlib
import json
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class CuttingProxy:
    """Passes connections on, and cuts the next ones.

    One is cut when the client has sent as many bytes as `cuts` says.

    Attributes:
        url: where it listens.
        sent: bytes that the client sent, by connection.
    """

    def __init__(self, url: str, cuts: list[int]) -> None:
        host, port = url.rsplit("/", 1)[1].split(":")
        self._target, self.cuts, self.sent = (host, int(port)), cuts, []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._connections: list[threading.Thread] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening, and wait for the ends of all connections: only then is `sent` whole."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for connection in self._connections:
            connection.join()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                connection = threading.Thread(target=self._pass_on, args=(client,), daemon=True)
                self._connections.append(connection)
                connection.start()

    def _pass_on(self, client: socket.socket) -> None:
        limit, count = self.cuts.pop(0) if self.cuts else None, 0
        with client, socket.create_connection(self._target) as server:
            back = threading.Thread(target=self._answer, args=(server, client), daemon=True)
            back.start()
            with contextlib.suppress(OSError):
                while chunk := client.recv(65536):
                    server.sendall(chunk)
                    count += len(chunk)
                    if limit is not None and count >= limit:
                        break
            self.sent.append(count)
            for line in (server, client):
                with contextlib.suppress(OSError):
                    line.shutdown(socket.SHUT_RDWR)
            back.join()

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := server.recv(65536):
                client.sendall(chunk)


# Status, or "cut" for none; headers; JSON body
Answer = tuple[int | str, dict[str, str], dict[str, Any]]


class Service:
    """A real HTTP server on loopback.

    Attributes:
        blobs, records: what it holds; `requests`: (method, path, status) in order; `received`:
            every body as sent.
        faults: answers to give first, each a (status, headers, body) or a function of the handler;
            used up in order.
        secret: bytes that a blob must not hold.
        gaps: what it answers to a record.
        wants_traces: whether it has jobs traced; a service that does not even knows no such call.
        turn_seconds: how long it thinks about that; `turns`: keys of jobs
            that can be traced and that were asked about; `confirmed`: of jobs that run traced.
        batch_bytes: of blobs that it takes in one call; 0 for a service that has no such call.
    """

    def __init__(self) -> None:
        self.blobs, self.records, self.requests, self.received, self.headers = {}, {}, [], [], []
        self.faults, self.secret, self.gaps, self.lock = [], None, [], threading.Lock()
        self.wants_traces, self.turn_seconds, self.turns, self.confirmed = False, 0.0, [], []
        self.batch_bytes = 0
        self.server = ThreadingHTTPServer(
            ("127.0.0.1", 0), type("Handler", (_Handler,), {"service": self})
        )
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def only_record(self) -> dict:
        (record,) = self.records.values()
        return json.loads(record)

    def count(self, method: str, path: str = "") -> int:
        return sum(1 for request in self.requests if request[0] == method and path in request[1])


class _Handler(BaseHTTPRequestHandler):
    service: Service
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet, or each answer waits for a delayed acknowledgement

    def do_POST(self) -> None:
        if "/traces/" in self.path:  # before the job, and apart from how its record is sent
            self._answer_turn()
        else:
            self._answer(self._batch if self.path.endswith("/blobs/batch") else self._missing)

    def do_PUT(self) -> None:
        self._answer(self._blob if "/blobs/" in self.path else self._job)

    def log_message(self, *_words: object) -> None:
        pass

    def _answer(self, usual: Callable[[bytes], Answer]) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        service = self.service
        with service.lock:
            service.received.append(body)
            service.headers.append(dict(self.headers))
            fault = service.faults.pop(0) if service.faults else None
        if callable(fault):
            fault = fault(self, lambda: usual(body))
        self._send(*(fault or usual(body)))

    def _answer_turn(self) -> None:
        service = self.service
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if question.get("is_traced"):
            service.confirmed.append(question["key"])
        if question["can_be_traced"]:
            assert question["confirms"]
            service.turns.append(question["key"])
        time.sleep(service.turn_seconds)
        if service.wants_traces:
            self._send(200, {}, {"is_wanted": question["can_be_traced"]})
        else:
            self._send(*problem(404, "no such call", "not-found"))

    def _send(self, status: int | str, headers: dict[str, str], answer: dict[str, Any]) -> None:
        service = self.service
        if status == "cut":
            service.requests.append((self.command, self.path, status))
            self.close_connection = True
            return
        content = json.dumps(answer).encode()
        if "/traces/" not in self.path:
            service.requests.append((self.command, self.path, status))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with contextlib.suppress(BrokenPipeError):  # the hook gave up, as it should
            self.wfile.write(content)
            self.wfile.flush()

    def _missing(self, body: bytes) -> Answer:
        wanted = json.loads(gzip.decompress(body))["sha256"]
        answer: dict[str, Any] = {
            "missing": [digest for digest in wanted if digest not in self.service.blobs]
        }
        if self.service.batch_bytes:
            answer["batch_bytes"] = self.service.batch_bytes
        return 200, {}, answer

    def _batch(self, body: bytes) -> Answer:
        head, _, content = body.partition(b"\n")
        results = []
        for digest, length, _ in json.loads(head):
            status = self._keep(digest, content[:length])[0]
            results.append({"sha256": digest, "status": status})
            content = content[length:]
        return 200, {}, {"results": results}

    def _blob(self, body: bytes) -> Answer:
        return self._keep(self.path.rsplit("/", 1)[1], body)

    def _keep(self, digest: str, body: bytes) -> Answer:
        if hashlib.sha256(body).hexdigest() != digest:
            return problem(422, "digest differs", "digest-mismatch")
        if self.service.secret and self.service.secret in body:
            return problem(422, "rule 7", "secret-found")
        with self.service.lock:
            is_new = digest not in self.service.blobs
            self.service.blobs[digest] = body
        return 201 if is_new else 200, {}, {"sha256": digest}

    def _job(self, body: bytes) -> Answer:
        job_id = self.path.rsplit("/", 1)[1]
        record = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
        with self.service.lock:
            old = self.service.records.get(job_id)
            provisional = old is None or json.loads(old)["state"] == "running"
            if not provisional and old != record:
                return problem(409, "differs", "conflict")
            self.service.records[job_id] = record
        gaps = self.service.gaps
        return (
            201 if old is None else 200,
            {},
            {"job_id": job_id, "grade": "L2", "gaps": gaps, "missing_blobs": []},
        )


def problem(status: int, detail: str, kind: str = "refused", **more: Any) -> Answer:
    """Return an error as jobprov itself tells it; a proxy's has no such members."""
    return status, {}, {"type": f"/problems/{kind}", "status": status, "detail": detail, **more}


def answers_after_giving_up(seconds: float) -> Callable[..., Answer]:
    """Take the request in, but answer only after some seconds."""

    def fault(_handler: BaseHTTPRequestHandler, usual: Callable[[], Answer]) -> Answer:
        answer = usual()
        time.sleep(seconds)
        return answer

    return fault


def takes_then_cuts(_handler: BaseHTTPRequestHandler, usual: Callable[[], Answer]) -> Answer:
    """Take the request in, then cut the line without an answer."""
    usual()
    return "cut", {}, {}
