"""SAM, read over HTTP.

Source: the calls, parameters and JSON keys of the public clients (samweb_client, POMS, ifdhc); the
dimensions in `sam_dimensions.py`. Keys that no client reads are guesses, which a comment marks.
"""

import getpass
import os
import re
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from jobprov.provenance.catalogs import answers
from jobprov.provenance.catalogs.catalog import (
    MOST_NAMES,
    CatalogFile,
    Process,
    ProjectSummary,
)
from jobprov.provenance.catalogs.http import Access, Transport
from jobprov.provenance.catalogs.sam_dimensions import (
    check_sayable,
    dimension,
    files_dimension,
    is_sayable,
)
from jobprov.provenance.errors import BadInputError, LimitError, NotFoundError, UnreachableError
from jobprov.provenance.records.files.checksums import adler32_of_enstore
from jobprov.provenance.selections.catalog_source import CatalogSource

_LONGEST_QUERY = 1024
"""Characters of a dimension in an address; longer ones go in a form, as samweb_client does."""
_AT_ONCE = 200
_TASK_KEYS = ("prov.task_id", "POMS.SUBMISSION_ID", "poms.submission_id")
_LOCATION = re.compile(r"(?:[\w.-]+:)?(/[^()]*)(?:\([^()]*\))?")


class Sam:
    """A SAM catalog; the address of `access` ends in `/sam/<experiment>/api`."""

    kind = "sam"

    def __init__(self, access: Access) -> None:
        headers = {"Accept": "application/json", "From": _sender()}
        if access.token:
            headers["Authorization"] = f"Bearer {access.token}"
        self._transport = Transport(access, headers)

    def split(self, name: str) -> tuple[str, str]:
        """Return ('', the name).

        SAM has no namespaces, and a colon in a name is one of its characters.
        """
        return "", name

    def join(self, namespace: str, name: str) -> str:  # noqa: ARG002 - as every catalog's
        """Return the name."""
        return name

    def can_hold(self, name: str) -> bool:  # noqa: ARG002 - as every catalog's
        """Return whether SAM can have a file of this name: it does not say which it refuses."""
        return True

    def probe(self) -> None:
        """Ask SAM about itself, to see whether it answers."""
        self._transport.get("/", what="the server's own description")

    def list_names(self, query: str) -> Iterator[str]:
        """Yield the names that a dimension selects."""
        count = 0
        for line in self._listed(query):
            if line.strip():
                count += 1
                if count > MOST_NAMES:
                    raise LimitError(
                        f"The dimension selects more than {MOST_NAMES} files.", MOST_NAMES
                    )
                yield answers.file_name(line.strip())

    def source_query(self, source: CatalogSource) -> str:
        """Return a source as a dimension."""
        if source.definition is not None:
            return dimension("defname:", source.definition)
        if source.snapshot_id is not None:
            return f"snapshot_id {source.snapshot_id}"
        if source.query is not None:
            return source.query
        raise BadInputError(
            "units: SAM has definitions, snapshots and dimensions (`query`), no datasets.",
            {"units.dataset": ["SAM has none"]},
        )

    def task_query(self, task_id: str) -> str:
        """Return the dimension of the files whose metadata name a task."""
        return dimension("prov.task_id", task_id)

    def unprocessed_query(self, source: str, outputs: Mapping[str, str]) -> str:
        """Return the dimension of the files without a child like this: the draining list."""
        return f"( {source} ) minus isparentof: ( {_like(outputs)} )"

    def read_files(self, names: Iterable[str]) -> list[CatalogFile]:
        """Return these files, 200 a call; SAM leaves out those that it does not know."""
        return [_file(metadata) for metadata in self._all_metadata(names)]

    def find_files(self, names: Iterable[str]) -> list[CatalogFile]:
        """Return these files; SAM has no namespaces."""
        return self.read_files(names)

    def read_children(self, names: Sequence[str], outputs: Mapping[str, str]) -> list[CatalogFile]:
        """Return the children of these files that have these metadata."""
        children: dict[str, CatalogFile] = {}
        for child in self._children(names, outputs):
            earlier = children.get(child.name)
            parents = earlier.parents if earlier else set(child.parents) & set(names)
            children[child.name] = child._replace(parents=tuple(sorted(parents)))
        return list(children.values())

    def read_children_of_retired(self, names: Sequence[str]) -> list[CatalogFile]:
        """Return the children of these files, each by its lineage: dimensions leave retired out."""
        children: dict[str, CatalogFile] = {}
        for name in names:
            for child in self._children_by_lineage(name, {}):
                children[child.name] = child
        return list(children.values())

    def read_children_of(
        self,
        source: str,  # noqa: ARG002 - as every catalog's
        outputs: Mapping[str, str],  # noqa: ARG002
    ) -> Iterator[tuple[list[str], list[CatalogFile]]]:
        """Yield nothing: SAM is asked by lists of names."""
        return iter(())

    def _children(self, names: Sequence[str], outputs: Mapping[str, str]) -> Iterator[CatalogFile]:
        """Yield children, some more than once."""
        for part in _parts(name for name in names if is_sayable(name)):
            query = f"ischildof: ( {files_dimension(part)} )"
            if outputs:
                query += f" and {_like(outputs)}"
            yield from self.read_files(self.list_names(query))
        for name in names:
            if not is_sayable(name):
                yield from self._children_by_lineage(name, outputs)

    def _children_by_lineage(self, name: str, outputs: Mapping[str, str]) -> Iterator[CatalogFile]:
        """Yield the children of a file whose name no dimension can hold."""
        path = f"/files/name/{quote(name, safe='')}/lineage/children"
        try:
            body = self._transport.get(path, what=f"the lineage of {name}")
        except NotFoundError:
            return
        children = dict.fromkeys(_nested(answers.parsed(body, "SAM", name)))
        for metadata in self._all_metadata(children):
            if _is_like(metadata, outputs):
                file = _file(metadata)
                if not file.is_retired:
                    yield file

    def locate(self, name: str) -> list[str]:
        """Return the addresses by which xrootd reads a file, then the paths of its locations.

        Source: samweb's `get-file-access-url --schema=root` and `locate-file`; a location is a
        folder, with the storage before a colon and a tape behind it in parentheses.
        """
        base = f"/files/name/{quote(name, safe='')}/locations"
        places: list[str] = []
        try:
            body = self._transport.get(f"{base}/url", what=f"file {name}", schema="root")
            urls = answers.entries(answers.parsed(body, "SAM", name))
            places += [url for url in map(answers.word, urls) if url is not None]
            body = self._transport.get(base, what=f"file {name}", format="json")
        except NotFoundError:
            return places
        for entry in answers.entries(answers.parsed(body, "SAM", name)):
            location = answers.word(answers.members(entry).get("full_path"))
            folder = _LOCATION.fullmatch(location or "")
            if folder is not None:
                path = folder.group(1).rstrip("/")
                if not path.endswith(f"/{name}"):
                    path = f"{path}/{name}"
                places.append(path)
        return list(dict.fromkeys(places))

    def read_metadata(self, name: str) -> dict[str, object]:
        """Return a file's metadata, parameters among the fields as SAM has them."""
        path = f"/files/name/{quote(name, safe='')}/metadata"
        return _object(
            self._transport.get(path, what=f"file {name}", format="json"), f"file {name}"
        )

    def read_project(self, project: str) -> ProjectSummary:
        """Return a project with all its processes."""
        path, what = f"/projects/name/{quote(project, safe='')}/summary", f"project {project}"
        # without process_limit, which POMS sets to 0 where it wants the counts alone
        summary = _object(self._transport.get(path, what=what), what)
        counts = answers.members(summary.get("file_counts"))
        processes = [_process(process) for process in answers.entries(summary.get("processes"))]
        return ProjectSummary(
            answers.word(summary.get("dataset_def_name")),
            {name: count for name, count in counts.items() if isinstance(count, int)},
            tuple(process for process in processes if process is not None),
        )

    def read_inputs(self, process_id: int) -> list[str]:
        """Return the names that a process was given."""
        return list(self.list_names(f"consumer_process_id {process_id}"))

    def _listed(self, query: str) -> Iterator[str]:
        """Yield the lines in which SAM lists the files that a dimension selects."""
        check_sayable(query)
        path, what = "/files/list", f"the dimension {query[:200]!r}"
        params, dims = {"format": "plain"}, {"dims": query}
        if len(query) > _LONGEST_QUERY:
            return self._transport.lines("POST", path, what=what, params=params, data=dims)
        return self._transport.lines("GET", path, what=what, params={**dims, **params})

    def _metadata(self, names: Sequence[str]) -> list[dict[str, object]]:
        form = [("file_name", name) for name in names]
        body = self._transport.post(
            "/files/metadata", what=f"the metadata of {len(names)} files", data=form
        )
        answer = answers.parsed(body, "SAM", "files")
        if not isinstance(answer, list):
            raise UnreachableError("SAM answers with something that is no list of metadata.")
        files = [entry for entry in answer if isinstance(entry, dict)]
        return [metadata for metadata in files if answers.word(metadata.get("file_name"))]

    def _all_metadata(self, names: Iterable[str]) -> Iterator[dict[str, object]]:
        for part in _parts(names):
            yield from self._metadata(part)


def _sender() -> str:
    """Return who asks, as the official client says it; a container may know no name of the user."""
    try:
        user = os.environ.get("GRID_USER") or getpass.getuser()
    except (KeyError, OSError):  # by the version of Python
        user = "unknown"
    sender = f"{user}@{socket.gethostname()}"
    return sender if sender.isascii() and sender.isprintable() else "unknown"


def _parts(names: Iterable[str]) -> Iterator[list[str]]:
    part: list[str] = []
    for name in names:
        part.append(name)
        if len(part) == _AT_ONCE:
            yield part
            part = []
    if part:
        yield part


def _like(outputs: Mapping[str, str]) -> str:
    """Return the dimension of files with these metadata; that of all files for none."""
    return " and ".join(dimension(name, value) for name, value in outputs.items()) or "file_id > 0"


def _is_like(metadata: Mapping[str, Any], outputs: Mapping[str, str]) -> bool:
    """Return whether metadata are what a dimension of `outputs` selects."""
    application = answers.members(metadata.get("application"))
    flat = {f"application.{name}": value for name, value in application.items()}
    flat |= dict(metadata)
    return all(str(flat.get(name)) == value for name, value in outputs.items())


def _file(metadata: Mapping[str, Any]) -> CatalogFile:
    parents = []
    for entry in answers.entries(metadata.get("parents")):
        name = answers.word(answers.members(entry).get("file_name"))
        if name is not None:
            parents.append(name)
    tasks = [metadata[key] for key in _TASK_KEYS if metadata.get(key) not in (None, "")]
    return CatalogFile(
        metadata["file_name"],
        answers.whole(metadata.get("file_size")),
        _checksums(metadata),
        tuple(parents),
        answers.whole(metadata.get("process_id")),
        answers.word(str(tasks[0])) if tasks else None,
        answers.word(metadata.get("prov.job_id")),
        answers.word(metadata.get("prov.output")),
        _is_retired(metadata),
        metadata,
    )


def _is_retired(metadata: Mapping[str, Any]) -> bool:
    """Return whether SAM retired a file, or whoever looked into it calls it bad."""
    is_bad = metadata.get("content_status") == "bad"
    return is_bad or bool(metadata.get("retired_date") or metadata.get("retired"))


def _checksums(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a file's checksums; where SAM has Enstore's alone, also the adler32 that it means."""
    checksums = answers.entries(metadata.get("checksum"))
    # the older form; "adler 32 crc type" is enstore's sum, which starts at 0
    crc = answers.members(metadata.get("crc"))
    if crc.get("crc_type") == "adler 32 crc type" and crc.get("crc_value") is not None:
        checksums = [*checksums, f"enstore:{crc['crc_value']}"]
    known = set(answers.checksums(checksums))
    size_bytes = answers.whole(metadata.get("file_size"))
    if size_bytes is not None and not any(text.startswith("adler32:") for text in known):
        meant = [adler32_of_enstore(checksum, size_bytes) for checksum in known]
        known.update(checksum for checksum in meant if checksum is not None)
    return tuple(sorted(known))


def _process(entry: Any) -> Process | None:
    """Return a process of a summary."""
    # no public client reads its id, node and description there: these keys are guessed
    process = answers.members(entry)
    number = answers.whole(process.get("process_id", process.get("id")))
    if number is None:
        return None
    node = answers.word(process.get("node", process.get("node_name")))
    description, status = (
        answers.word(process.get("description")),
        answers.word(process.get("status")),
    )
    return Process(number, description, node, status)


def _nested(lineage: Any) -> Iterator[str]:
    """Yield the names in a lineage, whose entries hold `parents` or `children` in turn."""
    waiting = answers.entries(lineage)[::-1]
    while waiting:
        entry = waiting.pop()
        if isinstance(entry, dict):
            name = entry.get("file_name")
            if isinstance(name, str):
                yield name
            waiting += [
                *answers.entries(entry.get("parents")),
                *answers.entries(entry.get("children")),
            ]


def _object(body: bytes, what: str) -> dict[str, object]:
    answer = answers.parsed(body, "SAM", what)
    if not isinstance(answer, dict):
        raise UnreachableError(f"SAM answers with something that is no object: {what}.")
    return answer
