"""HTTP servers that speak as SAM and MetaCat do, over a shelf of files.

From the sources of their public clients: paths, parameters, request and answer shapes of every call
here, status codes, plain lists, dimensions (grammar of SAM's parser), json-seq answers (RFC 7464).
Assumed: the keys `process_id`, `node` and `description` of the processes in a project's summary (no
public client reads them there).
"""

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import unquote, unquote_plus

from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response


@dataclass
class ShelfFile:
    """A file; `metadata` has a catalog's own names."""

    name: str
    size_bytes: int = 1
    checksums: dict[str, str] = field(default_factory=dict)
    parents: list[str] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    process_id: int | None = None
    is_retired: bool = False
    number: int = 0
    folders: list[str] = field(default_factory=list)
    """Where it is, as SAM has it: `enstore:/pnfs/nova/raw(12@tape)`."""


@dataclass
class ShelfProcess:
    """A process of a project: what it was given, with the status of each file."""

    number: int
    description: str
    node: str
    status: str
    files: dict[str, str]


class ShelfProject(NamedTuple):
    """A project: the number of its snapshot, and its processes."""

    snapshot: int
    processes: list[ShelfProcess]


class Shelf:
    """Files, lists of names, and projects."""

    def __init__(self) -> None:
        self.files: dict[str, ShelfFile] = {}
        self.lists: dict[str, list[str]] = {}
        self.snapshots: dict[int, list[str]] = {}
        self.projects: dict[str, ShelfProject] = {}

    def add(self, name: str, **more: Any) -> ShelfFile:
        """Put a file on the shelf."""
        file = ShelfFile(name, **more, number=len(self.files) + 1)
        self.files[name] = file
        return file

    def children(self, names: set[str]) -> set[str]:
        """Return the files that one of these is a parent of."""
        return {file.name for file in self.there() if names & {*file.parents}}

    def parents(self, names: set[str]) -> set[str]:
        """Return the files that are parents of one of these."""
        return {parent for name in names for parent in self.files[name].parents}

    def there(self) -> list[ShelfFile]:
        """Return the files that are not retired."""
        return [file for file in self.files.values() if not file.is_retired]

    def processes(self) -> list[ShelfProcess]:
        """Return the processes of all projects."""
        processes: list[ShelfProcess] = []
        for project in self.projects.values():
            processes += project.processes
        return processes


class _Quiet(WSGIRequestHandler):
    def log(self, *_: Any) -> None:
        """Say nothing."""


class CatalogServer:
    """A server of one kind on a free port of loopback.

    Attributes:
        faults: statuses to answer with before it behaves again; `slow` waits twenty seconds, `broken`
            sends half a list; `well` is none.
        asked: method and path of each call.
        token: what a caller must bring; None for nothing.
    """

    prefix = ""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.faults: list[int | str] = []
        self.asked: list[str] = []
        self.token: str | None = None
        self._server = make_server(
            "127.0.0.1", 0, Request.application(self._serve), threaded=True, request_handler=_Quiet
        )
        self.url = f"http://127.0.0.1:{self._server.server_port}{self.prefix}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, request: Request) -> Response:
        self.asked.append(f"{request.method} {request.path}")
        fault = self.faults.pop(0) if self.faults else None
        if fault == "slow":
            time.sleep(20)
        elif fault == "broken":
            return Response("half of a", headers={"Content-Length": "100"})
        elif fault is not None and fault != "well":
            return Response(
                "out of order",
                int(fault),
                headers={"Retry-After": "0", "Location": "http://127.0.0.1:1/"},
            )
        if self.token is not None and not self.is_allowed(request):
            return Response("no valid credential", 401)
        path = unquote(request.path)[len(self.prefix) :]
        for pattern, answer in self.routes().items():
            if found := re.fullmatch(pattern, f"{request.method} {path}"):
                return answer(request, *found.groups())
        return Response("no such call", 404)

    def is_allowed(self, request: Request) -> bool:
        """Return whether the caller brought the token."""
        raise NotImplementedError

    def routes(self) -> dict[str, Callable[..., Response]]:
        """Return what answers, by method and path."""
        raise NotImplementedError


def _json(found: Any, status: int = 200) -> Response:
    return Response(json.dumps(found), status, mimetype="application/json")


class SamServer(CatalogServer):
    """SAM, as far as jobprov asks it."""

    prefix = "/sam/nova/api"

    def is_allowed(self, request: Request) -> bool:
        """A bearer token; a certificate would be the server's TLS to check."""
        return request.headers.get("Authorization") == f"Bearer {self.token}"

    def routes(self) -> dict[str, Callable[..., Response]]:
        """Return SAM's calls."""
        return {
            "GET /": lambda _request: _json({"server": "SAM"}),
            "(GET|POST) /files/list": self._list,
            "GET /files/name/([^/]+)/metadata": self._one,
            "POST /files/metadata": self._many,
            (
                "GET /files/name/([^/]+)/lineage/(parents|children|ancestors|descendants)"
            ): self._lineage,
            "GET /files/name/([^/]+)/locations(/url)?": self._locations,
            "GET /projects/name/([^/]+)/summary": self._summary,
        }

    def _list(self, request: Request, _method: str) -> Response:
        try:
            names = sorted(Dimensions(self.shelf, request.values["dims"]).names())
        except (ValueError, KeyError) as problem:
            return Response(f"DimensionError: {problem}", 400)
        return Response("".join(f"{name}\n" for name in names), mimetype="text/plain")

    def _one(self, _request: Request, name: str) -> Response:
        file = self.shelf.files.get(name)
        return _json(self._metadata(file)) if file else Response(f"FileNotFound: {name}", 404)

    def _many(self, request: Request) -> Response:
        names = request.form.getlist("file_name")
        return _json(
            [self._metadata(self.shelf.files[name]) for name in names if name in self.shelf.files]
        )

    def _metadata(self, file: ShelfFile) -> dict[str, Any]:
        return {
            "file_name": file.name,
            "file_id": file.number,
            "file_size": file.size_bytes,
            "checksum": [f"{kind}:{value}" for kind, value in file.checksums.items()],
            "parents": [
                {"file_name": name, "file_id": self.shelf.files[name].number}
                for name in file.parents
            ],
            **({"process_id": file.process_id} if file.process_id else {}),
            **({"retired_date": "2026-01-01T00:00:00"} if file.is_retired else {}),
            **file.metadata,
        }

    def _lineage(self, _request: Request, name: str, direction: str) -> Response:
        if name not in self.shelf.files:
            return Response(f"FileNotFound: {name}", 404)
        step = self.shelf.parents if direction in ("parents", "ancestors") else self.shelf.children
        key = "parents" if direction in ("parents", "ancestors") else "children"

        def nested(of: str) -> list[dict[str, Any]]:
            more = direction in ("ancestors", "descendants")
            return [
                {
                    "file_name": other,
                    "file_id": self.shelf.files[other].number,
                    **({key: nested(other)} if more else {}),
                }
                for other in sorted(step({of}))
            ]

        return _json(nested(name))

    def _locations(self, request: Request, name: str, url: str | None) -> Response:
        if name not in self.shelf.files:
            return Response(f"FileNotFound: {name}", 404)
        folders = self.shelf.files[name].folders
        if url is None:
            return _json([{"full_path": folder, "location_type": "disk"} for folder in folders])
        paths = [re.sub(r"^[^:]*:|\(.*", "", folder) for folder in folders]
        door = f"{request.args['schema']}://door.example.org:1094/"
        return _json([f"{door}{path}/{name}" for path in paths])

    def _summary(self, request: Request, project: str) -> Response:
        if project not in self.shelf.projects:
            return Response(f"ProjectNotFound: {project}", 404)
        snapshot, processes = self.shelf.projects[project]
        file_counts: Counter[str] = Counter()
        listed = []
        for process in processes:
            counts = Counter(process.files.values())
            file_counts += counts
            listed.append(
                {
                    "process_id": process.number,
                    "description": process.description,
                    "node": process.node,
                    "status": process.status,
                    "counts": counts,
                }
            )
        if request.args.get("process_limit") == "0":
            listed = []
        return _json(
            {
                "project_name": project,
                "dataset_def_name": "raw",
                "files_in_snapshot": len(self.shelf.snapshots[snapshot]),
                "file_counts": file_counts,
                "process_counts": {"completed": len(processes)},
                "processes": listed,
            }
        )


_OF_PROCESSES = (
    "project_name",
    "consumed_status",
    "consumer_process_id",
    "consumer_process_description",
)


class Dimensions:
    """SAM's dimensions, as far as jobprov says them.

    Predicates, lists, `and`, `or`, `minus`, one step of lineage.
    """

    def __init__(self, shelf: Shelf, text: str) -> None:
        self._shelf = shelf
        self._words: list[str] = re.findall(r"'[^']*'|[(),]|[^\s(),']+", text)

    def names(self) -> set[str]:
        """Return what is selected.

        It raises ValueError where the text says nothing that SAM would understand.
        """
        found = self._sets()
        if self._words:
            raise ValueError(f"not understood from {self._words[0]}")
        return found

    def _take(self) -> str:
        if not self._words:
            raise ValueError("ends too soon")
        return self._words.pop(0)

    def _sets(self) -> set[str]:
        found = self._conditions()
        while self._words and self._words[0] == "minus":
            self._take()
            found -= self._conditions()
        return found

    def _conditions(self) -> set[str]:
        found = self._one()
        while self._words and self._words[0] in ("and", "or"):
            word = self._take()
            found = found & self._one() if word == "and" else found | self._one()
        return found

    def _one(self) -> set[str]:
        name = self._take()
        if name == "(":
            found = self._sets()
            if self._take() != ")":
                raise ValueError("a parenthesis is open")
            return found
        if name in ("ischildof:", "isparentof:"):
            if self._take() != "(":
                raise ValueError(f"{name} needs a parenthesis")
            inner = self._sets()
            self._take()
            return (
                self._shelf.children(inner) if name == "ischildof:" else self._shelf.parents(inner)
            )
        if self._words[:1] == [">"]:
            self._take()
        values = [self._take().strip("'")]
        while self._words[:1] == [","]:
            self._take()
            values.append(self._take().strip("'"))
        return self._having(name, values)

    def _having(self, name: str, values: list[str]) -> set[str]:
        shelf, value = self._shelf, values[0]
        if name in _OF_PROCESSES:
            return self._given_out(value)
        if name == "defname:":
            return set(shelf.lists[value])
        if name == "snapshot_id":
            return set(shelf.snapshots[int(value)])
        if name == "snapshot_for_project_name":
            return set(shelf.snapshots[shelf.projects[value].snapshot])
        files = shelf.there()
        if name == "file_name":
            files = [file for file in files if file.name in values]
        elif name == "file_id":
            files = [file for file in files if file.number > int(value)]
        else:
            files = [file for file in files if str(file.metadata.get(name)) in values]
        return {file.name for file in files}

    def _given_out(self, value: str) -> set[str]:
        """Return the files that were given to a process, where one of its facts is this value.

        The facts are project, number, description and the status of the file, which may end in %.
        """
        names: set[str] = set()
        for project_name, project in self._shelf.projects.items():
            for process in project.processes:
                facts = (project_name, str(process.number), process.description)
                for file, status in process.files.items():
                    has_status = value.endswith("%") and status.startswith(value[:-1])
                    if value in (*facts, status) or has_status:
                        names.add(file)
        return names


class MetaCatServer(CatalogServer):
    """MetaCat as its server 4.1.4 answers, as far as jobprov asks it.

    Names have its alphabet, literals have types, a query is the body of a call, and what is
    selected may be datasets. File ids are the numbers of the shelf as text.
    """

    def is_allowed(self, request: Request) -> bool:
        """MetaCat's own header."""
        return request.headers.get("X-Authentication-Token") == self.token

    def routes(self) -> dict[str, Callable[..., Response]]:
        """Return MetaCat's calls."""
        return {
            "GET /data/version": lambda _request: Response("4.1.4", mimetype="text/plain"),
            "GET /data/file": self._one,
            "POST /data/files": self._many,
            "(GET|POST) /data/query": self._query,
        }

    def _file(self, file: ShelfFile, request: Request) -> dict[str, Any]:
        answer = {
            "fid": str(file.number),
            **_split(file.name),
            "creator": "dunepro",
            "created_timestamp": 1767225600.25,
            "retired": file.is_retired,
            "size": file.size_bytes,
            "checksums": file.checksums,
        }
        if "yes" in (request.args.get("with_metadata"), request.args.get("with_meta")):
            process = {"core.process_id": file.process_id} if file.process_id else {}
            answer["metadata"] = {**file.metadata, **process}
        if request.args.get("with_provenance") == "yes":
            children = [other for other in self.shelf.files.values() if file.name in other.parents]
            parents = [self.shelf.files[parent] for parent in file.parents]
            answer["parents"] = [{"fid": str(parent.number)} for parent in parents]
            answer["children"] = [{"fid": str(child.number)} for child in children]
        return answer

    def _one(self, request: Request) -> Response:
        said = request.args
        if "did" in said:
            namespace, name = said["did"].split(":", 1)
        else:
            namespace, name = said.get("namespace", ""), said["name"]
        if problem := _unsafe(namespace, name):
            return problem
        file = self.shelf.files.get(f"{namespace}:{name}")
        return _json(self._file(file, request)) if file else Response("File not found", 404)

    def _many(self, request: Request) -> Response:
        by_number = {str(file.number): file for file in self.shelf.files.values()}
        found = []
        for said in request.get_json():
            if "fid" in said:
                file = by_number.get(said["fid"])
            else:
                namespace, name = said["namespace"], said["name"]
                if not namespace or not name:
                    return Response("<html><body><h2>Application error</h2></body></html>", 500)
                if problem := _unsafe(namespace, name):
                    return problem
                file = self.shelf.files.get(f"{namespace}:{name}")
            found += [self._file(file, request)] if file else []
        return _json(found)

    def _query(self, request: Request, method: str) -> Response:
        text = request.get_data(as_text=True)
        if method == "GET":  # decoded once more than a client encodes it
            text = unquote_plus(request.args["query"])
        if datasets := re.fullmatch(r"datasets (\S+)", text):
            rows = [_split(datasets[1])] if datasets[1] in self.shelf.lists else []
        else:
            try:
                with_retired = request.args.get("include_retired_files") == "yes"
                names = Mql(self.shelf, text, with_retired=with_retired).names()
            except ValueError as problem:
                return Response(f"MQLSyntaxError: {problem}", 400)
            rows = [self._file(self.shelf.files[name], request) for name in sorted(names)]
        lines = ("\x1e" + json.dumps(row) + "\n" for row in rows)
        return Response(lines, mimetype="application/json-seq")


class Mql:
    """MetaCat's queries of files, as far as jobprov says them.

    Datasets, names, conditions with `and` and `or`, `parents`, `children`, `-`.
    """

    def __init__(self, shelf: Shelf, text: str, *, with_retired: bool = False) -> None:
        self._shelf, self._with_retired = shelf, with_retired
        self._words: list[str] = re.findall(r"'[^']*'|[(),=]|[^\s(),=']+", text)

    def names(self) -> set[str]:
        """Return what is selected.

        It raises ValueError where the text says nothing that MetaCat would understand.
        """
        found = self._files()
        if self._words:
            raise ValueError(f"not understood from {self._words[0]}")
        return found

    def _take(self, *expected: str) -> str:
        if not self._words or (expected and self._words[0] not in expected):
            raise ValueError(f"expected one of {expected} at {self._words[:3]}")
        return self._words.pop(0)

    def _next_is(self, *words: str) -> bool:
        return self._words[: len(words)] == [*words]

    def _files(self) -> set[str]:
        found = self._filtered()
        while self._next_is("-"):
            self._take()
            found = found - self._filtered()
        return found

    def _filtered(self) -> set[str]:
        found = self._term()
        if self._next_is("where"):
            self._take()
            is_like = self._any_of()
            found = {name for name in found if is_like(self._shelf.files[name])}
        return found

    def _term(self) -> set[str]:
        word = self._take("(", "parents", "children", "files", "file")
        if word == "(":
            found = self._files()
            self._take(")")
            return found
        if word in ("parents", "children"):
            self._take("(")
            inner = self._files()
            self._take(")")
            step = self._shelf.parents if word == "parents" else self._shelf.children
            return self._selectable(step(inner))
        if self._next_is("from"):
            self._take()
            return self._selectable(set(self._shelf.lists.get(self._take(), ())))
        if self._words and ":" in self._words[0]:
            return set(self._list()) & {*self._shelf.files}  # retired ones too, as they are named
        return self._selectable({*self._shelf.files})

    def _selectable(self, names: set[str]) -> set[str]:
        """Return these files without retired ones, unless the call includes them."""
        return {
            name for name in names if self._with_retired or not self._shelf.files[name].is_retired
        }

    def _list(self) -> list[str]:
        words = [self._take()]
        while self._next_is(","):
            self._take()
            words.append(self._take())
        return words

    def _any_of(self) -> Callable[[ShelfFile], bool]:
        conditions = [self._all_of()]
        while self._next_is("or"):
            self._take()
            conditions.append(self._all_of())
        return lambda file: any(is_like(file) for is_like in conditions)

    def _all_of(self) -> Callable[[ShelfFile], bool]:
        conditions = [self._condition()]
        while self._next_is("and"):
            self._take()
            conditions.append(self._condition())
        return lambda file: all(is_like(file) for is_like in conditions)

    def _condition(self) -> Callable[[ShelfFile], bool]:
        if self._next_is("("):
            self._take()
            inner = self._any_of()
            self._take(")")
            return inner
        key = self._take()
        if self._take("=", "in") == "in":
            self._take("(")
            wanted = [_literal(word) for word in self._list()]
            self._take(")")
        else:
            wanted = [_literal(self._take())]
        return lambda file: _attribute(file, key) in wanted


def _literal(word: str) -> Any:
    """Return the value that a literal of MQL stands for; the types 1 and true differ in Python."""
    if word.startswith("'"):
        return ("text", word.strip("'"))
    if word in ("true", "false"):
        return ("truth", word == "true")
    return ("number", float(word)) if re.fullmatch(r"-?\d+(\.\d+)?", word) else ("text", word)


def _attribute(file: ShelfFile, key: str) -> Any:
    value = _split(file.name)["name"] if key == "name" else file.metadata.get(key)
    if isinstance(value, bool):
        return ("truth", value)
    return ("number", float(value)) if isinstance(value, int | float) else ("text", value)


def _unsafe(namespace: str, name: str) -> Response | None:
    for kind, value in (("namespace", namespace), ("name", name)):
        if value and not re.fullmatch(r"[A-Za-z0-9_./-]+", value):
            message = f"Invalid value for {kind}: {value}"
            return _json({"message": message, "code": "400 Bad Request"}, 400)
    return None


def _split(name: str) -> dict[str, str]:
    namespace, _, bare = name.partition(":")
    return {"namespace": namespace, "name": bare}
