"""Selected files: how many, how large, and their names, page after page."""

from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.answers.selections import FileReference
from jobprov.provenance.db.connections.time_limits import time_limit
from jobprov.provenance.db.queries.selections.files import (
    FileSize,
    FileSums,
    count_keys,
    fetch_keys,
    find_by_key,
    find_by_name,
    named,
    namespaces_of,
    sizes_of,
    sum_files,
)
from jobprov.provenance.db.queries.selections.statements import FileKeys, select_keys
from jobprov.provenance.db.writer.keys import chunks
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.selections.conditions import Selection
from jobprov.provenance.selections.mql import Did
from jobprov.provenance.services.experiments import find_experiment
from jobprov.provenance.services.selections.definitions import resolve

PAGE = 5000
"""Files whose names are read and sent at once; a list of a million holds no more of them."""
_SECONDS = 10
_ADVICE = "select fewer files: name a task, a data tier or the beginning of names"
_NO_SIZE = FileSize(None, None)
_LARGEST_KEY = 2**31 - 1


class ListedFile(NamedTuple):
    """A file of a list, with its size and events, None where they are unknown or not asked for."""

    file: FileReference
    size: FileSize


class FileNotFoundByNameError(NotFoundError):
    """No record and no catalog names the file."""


def count_files(connection: Connection, experiment: str, selection: Selection) -> int:
    """Return how many files are selected.

    Raises:
        NotFoundError: there is no such experiment or definition.
        SelectionError: a value does not fit its field.
        LimitError: it took too long.
    """
    with time_limit(connection, _ADVICE, seconds=_SECONDS):
        return count_keys(connection, _keys(connection, experiment, selection))


def summarize_files(connection: Connection, experiment: str, selection: Selection) -> FileSums:
    """Return how many files are selected, and their sums.

    Raises:
        NotFoundError, SelectionError, LimitError: see `count_files`.
    """
    with time_limit(connection, _ADVICE, seconds=_SECONDS):
        keys = _keys(connection, experiment, selection)
        return sum_files(connection, keys)


def select_files(connection: Connection, experiment: str, selection: Selection) -> "array[int]":
    """Return the keys of the selected files, in their order.

    Raises:
        NotFoundError, SelectionError, LimitError: see `count_files`.
    """
    with time_limit(connection, _ADVICE, seconds=_SECONDS):
        keys = _keys(connection, experiment, selection)
        return fetch_keys(connection, keys)


def expand_selection(connection: Connection, experiment: str, selection: Selection) -> Selection:
    """Return a selection with what its definitions select in their place.

    Raises:
        NotFoundError: the experiment or a definition is not known.
    """
    return resolve(connection, find_experiment(connection, experiment), selection)


def _keys(connection: Connection, experiment: str, selection: Selection) -> FileKeys:
    key = find_experiment(connection, experiment)
    resolved = expand_selection(connection, experiment, selection)
    return select_keys(resolved, experiment=key, dialect=connection.dialect.name)


def list_selected(
    reading: Callable[[], AbstractContextManager[Connection]],
    experiment: str,
    selection: Selection,
    *,
    with_sizes: bool,
) -> Iterator[list[ListedFile]]:
    """Yield the selected files in pages, in the order of their ids.

    What cannot be answered raises before the first page; nothing is held but keys and one page.

    Args:
        reading: opens the connection, which is held until the last page.
        with_sizes: whether sizes and events are wanted.

    Raises:
        NotFoundError, SelectionError, LimitError: see `count_files`.
    """
    with reading() as connection:
        keys = select_files(connection, experiment, selection)
        for keys_of_page in chunks(keys, PAGE):
            yield _page(connection, list(keys_of_page), with_sizes=with_sizes)


def _page(connection: Connection, keys: Sequence[int], *, with_sizes: bool) -> list[ListedFile]:
    with time_limit(connection, _ADVICE, seconds=_SECONDS):
        sizes = sizes_of(connection, keys) if with_sizes else {}
        files = named(connection, keys)
    return [ListedFile(file, sizes.get(file.key, _NO_SIZE)) for file in files]


def list_namespaces(connection: Connection, experiment: str) -> list[str]:
    """Return the namespaces of an experiment's files, and the one of its name, in order.

    Raises:
        NotFoundError, LimitError: see `count_files`.
    """
    with time_limit(connection, _ADVICE, seconds=_SECONDS):
        namespaces = namespaces_of(connection, find_experiment(connection, experiment))
    return sorted({experiment, *namespaces} - {""})


def find_catalog_file(connection: Connection, experiment: str, name: str) -> FileReference:
    """Return the file of a name, or of `namespace:name`.

    SAM has no namespaces: of several files of one name, the one without, else the first counts.

    Raises:
        FileNotFoundByNameError: there is none.
    """
    files = find_catalog_files(connection, experiment, [name])
    if name not in files:
        raise FileNotFoundByNameError(f"No file named {name} is recorded in {experiment}.")
    return files[name]


def find_catalog_files(
    connection: Connection, experiment: str, names: Sequence[str]
) -> dict[str, FileReference]:
    """Return the files of these names, by name; unknown ones are left out."""
    key = find_experiment(connection, experiment)
    bare = {name: name.rpartition(":")[2] for name in names}
    files = find_by_name(connection, key, sorted({*names, *bare.values()}))
    best: dict[str, FileReference] = {}
    for name in names:
        namespace = name.rpartition(":")[0]
        for file in files.get(name) or files.get(bare[name], []):
            if file.name == name or file.namespace == namespace:
                best[name] = file
                break
    return best


def find_files_by_did(
    connection: Connection, experiment: str, dids: Sequence[Did]
) -> dict[Did, FileReference]:
    """Return the files of these namespaces and names; unknown ones are left out.

    Files without a namespace count as being in the one of the experiment's name.
    """
    key = find_experiment(connection, experiment)
    by_name = find_by_name(connection, key, sorted({did.name for did in dids}))
    files: dict[Did, FileReference] = {}
    for did in dids:
        for file in by_name.get(did.name, []):
            if (file.namespace or experiment) == did.namespace:
                files[did] = file
    return files


def find_numbered_files(
    connection: Connection, experiment: str, keys: Sequence[int]
) -> dict[int, FileReference]:
    """Return the files of these ids, by id; unknown ones are left out."""
    possible = [key for key in keys if 0 < key <= _LARGEST_KEY]
    return find_by_key(connection, find_experiment(connection, experiment), possible)


def find_numbered_file(connection: Connection, experiment: str, key: int) -> FileReference:
    """Return the file of an id.

    Raises:
        FileNotFoundByNameError: there is none.
    """
    files = find_numbered_files(connection, experiment, [key])
    if key not in files:
        raise FileNotFoundByNameError(f"No file with id {key} is recorded in {experiment}.")
    return files[key]
