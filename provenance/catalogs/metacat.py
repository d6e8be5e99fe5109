"""MetaCat, read over HTTP.

Source: the calls and JSON keys of the public client (metacat.webapi), MQL as MetaCat's
documentation has it. Metadata keys are dotted; parents and children are file ids, which are asked
for by batch.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from jobprov.provenance.catalogs import answers
from jobprov.provenance.catalogs.catalog import MOST_NAMES, CatalogFile, Source
from jobprov.provenance.catalogs.http import Access, Transport
from jobprov.provenance.errors import BadInputError, LimitError, NotFoundError, UnreachableError

_AT_ONCE = 200
_TASK_KEYS = ("prov.task_id", "POMS.SUBMISSION_ID", "poms.submission_id")
_UNSAYABLE = frozenset("'\"\\\n")
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
        return f"{namespace}:{name}" if namespace else name

    def list_names(self, query: str) -> Iterator[str]:
        """Yield the names, `namespace:name`, that an MQL query selects."""
        what = f"the query {query[:200]!r}"
        more = {"with_meta": "no", "with_provenance": "no"}
        lines = self._transport.lines(
            "GET", "/data/query", what=what, params={"query": query, **more}
        )
        for count, file in enumerate(_records(lines), 1):
            if count > MOST_NAMES:
                raise LimitError(f"The query selects more than {MOST_NAMES} files.", MOST_NAMES)
            if not _has_name(file):
                raise UnreachableError(
                    f"MetaCat lists something that has no name of a file: {_name(file)[:100]!r}."
                )
            yield _name(file)

    def source_query(self, source: Source) -> str:
        """Return a source as MQL."""
        if source.dataset is not None:
            return f"files from {_did(source.dataset)}"
        if source.query is not None:
            return source.query
        raise BadInputError(
            "units: MetaCat has datasets and queries, no definitions or snapshots.",
            {"units": ["say dataset or query"]},
        )

    def task_query(self, task_id: str) -> str:
        """Return the MQL for the files whose metadata name a task."""
        return f"files where {_like({'prov.task_id': task_id})}"

    def unprocessed_query(self, source: str, outputs: Mapping[str, str]) -> str:
        """Return the MQL for the files without a child like this."""
        where = f" where {_like(outputs)}" if outputs else ""
        return f"({source}) - parents(files{where})"

    def read_files(self, names: Iterable[str]) -> list[CatalogFile]:
        """Return these files, 200 a call.

        `parents` are names, as far as they are among the files asked for.
        """
        raw = self._read([_lookup(name) for name in names])
        by_id = {file.get("fid"): _name(file) for file in raw}
        return [_file(file, by_id) for file in raw]

    def read_children(self, names: Sequence[str], outputs: Mapping[str, str]) -> list[CatalogFile]:
        """Return the children of these files that have these metadata."""
        parents = self._read([_lookup(name) for name in names])
        parent_names = {file.get("fid"): _name(file) for file in parents}
        child_ids: dict[str, None] = {}
        for file in parents:
            child_ids.update(dict.fromkeys(_ids(file.get("children"))))
        children = []
        for file in self._read([{"fid": fid} for fid in child_ids]):
            if _is_like(file, outputs):
                child = _file(file, parent_names)
                if not child.is_retired:
                    children.append(child)
        return children

    def locate(self, name: str) -> list[str]:  # noqa: ARG002 - as every catalog's
        """Return none: MetaCat keeps no places of files; Rucio, beside it, does."""
        return []

    def read_metadata(self, name: str) -> dict[str, Any]:
        """Return a file's metadata, by dotted keys."""
        body = self._transport.get(
            "/data/file", what=f"file {name}", name=name, with_metadata="yes"
        )
        file = _parsed(body.decode("utf-8", "replace"))
        if not isinstance(file, dict):
            raise NotFoundError(f"MetaCat does not know file {name}.")
        return answers.members(file.get("metadata"))

    def read_dataset(self, did: str) -> dict[str, Any]:
        """Return a dataset: `file_count`, `frozen`, `metadata` and more.

        Raises:
            NotFoundError: MetaCat does not know it.
        """
        body = self._transport.get("/data/dataset", what=f"dataset {did}", dataset=_did(did))
        dataset: Any = _parsed(body.decode("utf-8", "replace"))
        if not isinstance(dataset, dict):
            raise NotFoundError(f"MetaCat does not know dataset {did}.")
        return dataset

    def _read(self, lookups: Sequence[dict[str, str]]) -> list[dict[str, Any]]:
        files: list[dict[str, Any]] = []
        for start in range(0, len(lookups), _AT_ONCE):
            part = lookups[start : start + _AT_ONCE]
            path = "/data/files?with_metadata=yes&with_provenance=yes"
            body = self._transport.post(path, what=f"{len(part)} files", json=part)
            lines = body.decode("utf-8", "replace").split("\n")
            files += filter(_has_name, _records(iter(lines)))
        return files


def _records(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
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


def _name(file: dict[str, Any]) -> str:
    return f"{file.get('namespace')}:{file.get('name')}"


def _has_name(file: dict[str, Any]) -> bool:
    return None not in (answers.word(file.get("namespace")), answers.word(file.get("name")))


def _lookup(name: str) -> dict[str, str]:
    namespace, _, bare = name.partition(":")
    return {"namespace": namespace, "name": bare}


def _ids(relatives: Any) -> list[str]:
    """Return file ids: MetaCat gives them as text, older servers as `{"fid": …}`."""
    ids = []
    for relative in answers.entries(relatives):
        file_id = relative.get("fid") if isinstance(relative, dict) else relative
        if isinstance(file_id, str):
            ids.append(file_id)
    return ids


def _file(file: dict[str, Any], names: Mapping[Any, str]) -> CatalogFile:
    metadata = answers.members(file.get("metadata"))
    checksums = []
    for kind, value in answers.members(file.get("checksums")).items():
        if isinstance(value, str | int):
            checksums.append(f"{kind}:{value}")
    return CatalogFile(
        _name(file),
        answers.whole(file.get("size")),
        answers.checksums(checksums),
        tuple(names[fid] for fid in _ids(file.get("parents")) if fid in names),
        answers.whole(metadata.get("core.process_id")),
        _task_id(metadata),
        answers.word(metadata.get("prov.job_id")),
        answers.word(metadata.get("prov.output")),
        bool(file.get("retired")),
    )


def _task_id(metadata: Mapping[str, Any]) -> str | None:
    """Return the task that the metadata name, by the first key that has a value."""
    for key in _TASK_KEYS:
        if metadata.get(key) not in (None, ""):
            return answers.word(str(metadata[key]))
    return None


def _is_like(file: dict[str, Any], outputs: Mapping[str, str]) -> bool:
    metadata = answers.members(file.get("metadata"))
    return all(str(metadata.get(name)) == value for name, value in outputs.items())


def _like(outputs: Mapping[str, str]) -> str:
    for name, value in outputs.items():
        if "." not in name or _UNSAYABLE & {*name, *value}:
            message = f"{name} {value!r} cannot be said in MQL"
            raise BadInputError(
                f"{message}: it holds a quote or a backslash, or the name has no dot.",
                {name: [message]},
            )
    return " and ".join(f"{name} = '{value}'" for name, value in outputs.items())


def _did(name: str) -> str:
    namespace, _, bare = name.partition(":")
    if not namespace or not bare or _UNSAYABLE & {*name} or " " in name:
        raise BadInputError(
            f"{name!r} is no dataset: say namespace:name.", {"dataset": ["namespace:name"]}
        )
    return name
