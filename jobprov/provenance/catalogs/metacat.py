"""MetaCat, read over HTTP.

Source: the calls of MetaCat's server 4.1.4 and the JSON keys of its client (metacat.webapi); the
queries in `metacat_queries.py`. Parents and children are file ids, which are asked for by batch.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from jobprov.provenance.catalogs import answers
from jobprov.provenance.catalogs import metacat_queries as queries
from jobprov.provenance.catalogs.catalog import MOST_NAMES, CatalogFile
from jobprov.provenance.catalogs.http import Access, Transport
from jobprov.provenance.errors import BadInputError, LimitError, NotFoundError, UnreachableError
from jobprov.provenance.records.files.names import full_name
from jobprov.provenance.selections.catalog_source import CatalogSource

_AT_ONCE = 200
_OF_SOURCE = 1000
_TASK_KEYS = ("prov.task_id", "POMS.SUBMISSION_ID", "poms.submission_id")
_SEPARATOR = "\x1e"  # RFC 7464: how MetaCat separates the files of a long answer


class MetaCat:
    """A MetaCat server; the address of `access` is what its clients call METACAT_SERVER_URL."""

    kind = "metacat"

    def __init__(self, access: Access) -> None:
        headers = {"Accept": "application/json"}
        if access.token:
            headers["X-Authentication-Token"] = access.token
        self._transport = Transport(access, headers)

    def split(self, name: str) -> tuple[str, str]:
        """Return a namespace, which holds no colon, and the name in it."""
        namespace, _, bare = name.partition(":")
        return namespace, bare

    def join(self, namespace: str, name: str) -> str:
        """Return `namespace:name`, or the name as it is where no namespace is known.

        Such a name may hold a namespace.
        """
        return full_name(name, namespace)

    def can_hold(self, name: str) -> bool:
        """Return whether this is a `namespace:name` in MetaCat's alphabet.

        Another cannot be declared, and one such name spoils a call for all the others.
        """
        return all(queries.is_name(part) for part in self.split(name))

    def probe(self) -> None:
        """Ask for the server's version."""
        self._transport.get("/data/version", what="its version")

    def list_names(self, query: str) -> Iterator[str]:
        """Yield the names, `namespace:name`, that an MQL query selects."""
        for count, file in enumerate(self._query(query, "/data/query"), 1):
            if count > MOST_NAMES:
                raise LimitError(f"The query selects more than {MOST_NAMES} files.", MOST_NAMES)
            if not _has_name(file):
                raise UnreachableError(
                    f"MetaCat lists something that has no name of a file: {_name(file)[:100]!r}."
                )
            yield _name(file)

    def source_query(self, source: CatalogSource) -> str:
        """Return a source as MQL."""
        if source.dataset is not None:
            return queries.dataset_query(source.dataset)
        if source.query is not None:
            return source.query
        raise BadInputError(
            "units: MetaCat has datasets and queries, no definitions or snapshots.",
            {"units": ["say dataset or query"]},
        )

    def task_query(self, task_id: str) -> str:
        """Return the MQL for the files whose metadata name a task."""
        return f"files where {queries.condition({'prov.task_id': task_id})}"

    def unprocessed_query(self, source: str, outputs: Mapping[str, str]) -> str:
        """Return the MQL for the files without a child like this."""
        return queries.unprocessed_query(source, outputs)

    def read_files(self, names: Iterable[str]) -> list[CatalogFile]:
        """Return these files, 200 a call; `parents` are names, as far as they are among them."""
        raw = list(self._read(self._lookups(names)))
        by_id = {file.get("fid"): [_name(file)] for file in raw}
        return [_file(file, _names_of_parents(file, by_id)) for file in raw]

    def find_files(self, names: Iterable[str]) -> list[CatalogFile]:
        """Return the files with these names in whichever namespace."""
        sayable = [name for name in names if queries.is_name(name)]
        files: list[Mapping[str, Any]] = []
        for start in range(0, len(sayable), _AT_ONCE):
            query = queries.names_query(sayable[start : start + _AT_ONCE])
            files += self._query(query, "/data/query?with_meta=yes&include_retired_files=yes")
        return [_file(file, []) for file in files if _has_name(file)]

    def read_children(self, names: Sequence[str], outputs: Mapping[str, str]) -> list[CatalogFile]:
        """Return the children of these files that have these metadata."""
        return self._children_of(self._read(self._lookups(names), with_metadata="no"), outputs)

    def read_children_of_retired(self, names: Sequence[str]) -> list[CatalogFile]:
        """Return the children of these files; MetaCat gives them of retired files as of others."""
        return self.read_children(names, {})

    def read_children_of(
        self, source: str, outputs: Mapping[str, str]
    ) -> Iterator[tuple[list[str], list[CatalogFile]]]:
        """Yield the files that a query selects, a thousand at a time, and the children of these.

        MetaCat gives the relatives of many files in one query, but looks up those of each file
        asked for by its name: this takes a third of the time.
        """
        files = filter(_has_name, self._query(source, "/data/query?with_provenance=yes"))
        while part := list(islice(files, _OF_SOURCE)):
            yield [_name(file) for file in part], self._children_of(part, outputs)

    def _children_of(
        self, parents: Iterable[Mapping[str, Any]], outputs: Mapping[str, str]
    ) -> list[CatalogFile]:
        """Return the children that some files name and that have these metadata.

        The parents' lists of children tell who is whose, so that children need not name parents.
        """
        parents_by_id: dict[str, list[str]] = defaultdict(list)
        for parent in parents:
            for child_id in _ids(parent.get("children")):
                parents_by_id[child_id].append(_name(parent))

        children = []
        lookups = [{"fid": child_id} for child_id in parents_by_id]
        for file in self._read(lookups, with_provenance="no"):
            child = _file(file, parents_by_id.get(str(file.get("fid")), []))
            if not child.is_retired and queries.has_values(child.metadata, outputs):
                children.append(child)
        return children

    def locate(self, name: str) -> list[str]:  # noqa: ARG002 - as every catalog's
        """Return none: MetaCat keeps no places of files; Rucio, beside it, does."""
        return []

    def read_metadata(self, name: str) -> dict[str, object]:
        """Return a file's metadata, by dotted keys."""
        if not self.can_hold(name):
            message = f"{name!r} is no file of MetaCat: say namespace:name"
            raise BadInputError(f"{message}.", {"name": [message]})
        body = self._transport.get(
            "/data/file", what=f"file {name}", did=name, with_metadata="yes", with_provenance="no"
        )
        file = _parsed(body.decode("utf-8", "replace"))
        if not isinstance(file, dict):
            raise NotFoundError(f"MetaCat does not know file {name}.")
        return _metadata(file)

    def _lookups(self, names: Iterable[str]) -> list[dict[str, str]]:
        """Return the request for these files, without files that MetaCat cannot hold."""
        lookups = []
        for name in names:
            if self.can_hold(name):
                namespace, bare = self.split(name)
                lookups.append({"namespace": namespace, "name": bare})
        return lookups

    def _read(
        self,
        lookups: Sequence[dict[str, str]],
        *,
        with_metadata: str = "yes",
        with_provenance: str = "yes",
    ) -> Iterator[dict[str, object]]:
        """Yield the files that MetaCat knows of those asked for."""
        path = f"/data/files?with_metadata={with_metadata}&with_provenance={with_provenance}"
        for start in range(0, len(lookups), _AT_ONCE):
            part = lookups[start : start + _AT_ONCE]
            try:
                body = self._transport.post(path, what=f"{len(part)} files", json=part)
            except NotFoundError as problem:  # MetaCat leaves out files that it does not know
                message = f"{problem} A MetaCat would leave them out; is its address right?"
                raise UnreachableError(message) from None
            if not body.strip():  # what is cut before its first byte reads like this
                raise UnreachableError("MetaCat answers with nothing where files were asked for.")
            lines = body.decode("utf-8", "replace").split("\n")
            yield from filter(_has_name, _records(iter(lines)))

    def _query(self, query: str, path: str) -> Iterator[dict[str, object]]:
        """Yield the files that a query selects.

        It is the body of the call: in an address MetaCat would decode it twice.
        """
        what = f"the query {query[:200]!r}"
        lines = self._transport.lines(
            "POST", path, what=what, data=query.encode(), headers={"Content-Type": "text/plain"}
        )
        for row in _records(lines):
            if "fid" not in row:
                raise BadInputError(
                    f"MetaCat answers {what} with rows that are no files, such as datasets: "
                    "a query of files begins with `files`.",
                    {"query": ["selects no files, but something else"]},
                )
            yield row


def _records(lines: Iterator[str]) -> Iterator[dict[str, object]]:
    """Yield the files of an answer: one JSON list, or one record a line."""
    for line in lines:
        text = line.strip().strip(_SEPARATOR)
        if not text:
            continue
        is_list = text.startswith("[")
        files = _parsed("\n".join([text, *lines])) if is_list else [_parsed(text)]
        for file in files:
            if not isinstance(file, dict):
                raise UnreachableError("MetaCat answers with something that is no file.")
            yield file


def _parsed(text: str) -> Any:
    return answers.parsed(text, "MetaCat", "files")


def _name(file: Mapping[str, Any]) -> str:
    return f"{file.get('namespace')}:{file.get('name')}"


def _has_name(file: Mapping[str, Any]) -> bool:
    return None not in (answers.word(file.get("namespace")), answers.word(file.get("name")))


def _ids(relatives: Any) -> list[str]:
    """Return file ids: MetaCat gives them as `{"fid": …}`, older servers as text."""
    ids = []
    for relative in answers.entries(relatives):
        file_id = relative.get("fid") if isinstance(relative, dict) else relative
        if isinstance(file_id, str):
            ids.append(file_id)
    return ids


def _metadata(file: Mapping[str, Any]) -> dict[str, object]:
    return answers.members(file.get("metadata"))


def _names_of_parents(file: Mapping[str, Any], names: Mapping[Any, list[str]]) -> list[str]:
    parents = []
    for parent_id in _ids(file.get("parents")):
        parents += names.get(parent_id, [])
    return parents


def _file(file: Mapping[str, Any], parents: Sequence[str]) -> CatalogFile:
    metadata = _metadata(file)
    checksums = []
    for kind, value in answers.members(file.get("checksums")).items():
        if isinstance(value, str | int):
            checksums.append(f"{kind}:{value}")
    return CatalogFile(
        _name(file),
        answers.whole(file.get("size")),
        answers.checksums(checksums),
        tuple(parents),
        answers.whole(metadata.get("core.process_id")),
        _task_id(metadata),
        answers.word(metadata.get("prov.job_id")),
        answers.word(metadata.get("prov.output")),
        bool(file.get("retired")) or metadata.get("core.file_content_status") == "bad",
        metadata,
    )


def _task_id(metadata: Mapping[str, Any]) -> str | None:
    """Return the task that the metadata name, by the first key that has a value."""
    for key in _TASK_KEYS:
        if metadata.get(key) not in (None, ""):
            return answers.word(str(metadata[key]))
    return None
