"""Loads a configuration: from a file, from text, or from the files of a record."""

import gc
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from jobprov.provenance.fhicl.configuration import Configuration
from jobprov.provenance.fhicl.identity import canonical_form, resolve_identifiers
from jobprov.provenance.fhicl.limits import DEFAULT_LIMITS, Limits
from jobprov.provenance.fhicl.reading.evaluator import evaluate
from jobprov.provenance.fhicl.reading.includer import Expansion, Includer, SourceMemory
from jobprov.provenance.fhicl.reading.lookup import (
    PERMISSIVE,
    DiskFiles,
    FileSource,
    FoundFile,
    GivenFiles,
)
from jobprov.provenance.fhicl.values import TableBody

SEARCH_PATH_VARIABLE = "FHICL_FILE_PATH"
TEXT_NAME = "-"

_MEMORY = SourceMemory()


def load(
    path: str | os.PathLike[str],
    search_path: Sequence[str | os.PathLike[str]] | None = None,
    *,
    policy: str = PERMISSIVE,
    limits: Limits = DEFAULT_LIMITS,
) -> Configuration:
    """Return the configuration in a file, read as art does.

    Args:
        path: the main file.
        search_path: folders for included files, in a list or separated by colons; None means
            FHICL_FILE_PATH, or the working folder if that is not set.
        policy: how names become paths, one of `lookup.POLICIES`.
        limits: when to stop.

    Raises:
        FhiclError: it cannot be read, included or evaluated; kind, file, line and column say what
            and where.
    """
    return load_from(_disk(search_path, policy, limits), os.fspath(path), limits=limits)


def loads(
    text: str | bytes,
    search_path: Sequence[str | os.PathLike[str]] = (),
    *,
    name: str = TEXT_NAME,
    limits: Limits = DEFAULT_LIMITS,
) -> Configuration:
    """Return the configuration in a text. Files that it includes are searched along the path.

    Args:
        text: the document; non-ASCII characters are refused.
        search_path: folders for included files.
        name: used as the name of the text in errors and origins.
        limits: when to stop.

    Raises:
        FhiclError: as `load`.
    """
    if isinstance(text, str):
        text = text.encode("utf-8", "surrogateescape")
    content = bytes(text)
    source = _TextFirst(FoundFile(name, name, content), _disk(search_path, PERMISSIVE, limits))
    return load_from(source, name, limits=limits)


def load_files(main: str, files: Iterable[FoundFile]) -> Configuration:
    """Return the configuration in recorded files. Nothing is read from disk.

    Args:
        main: name or path of the main file.
        files: the main file and everything that it includes, as recorded.

    Raises:
        FhiclError: as `load`; a file that the record lacks is `include_not_found`.
    """
    return load_from(GivenFiles(tuple(files)), main)


def load_from(source: FileSource, main: str, *, limits: Limits = DEFAULT_LIMITS) -> Configuration:
    """Return the configuration in a document whose files come from any `FileSource`.

    Raises:
        FhiclError: as `load`.
    """
    with _without_collecting():
        return _load_from(source, main, limits)


def _load_from(source: FileSource, main: str, limits: Limits) -> Configuration:
    expansion = expand_from(source, main, limits=limits)
    root = TableBody(evaluate(expansion, limits))
    canonical_form(root, limits)
    registry = None
    if any("@id::" in piece.segment.text for piece in expansion.pieces):
        root, registry = resolve_identifiers(root, limits)
    return Configuration(root, registry, expansion=expansion, limits=limits)


def expand(
    path: str | os.PathLike[str],
    search_path: Sequence[str | os.PathLike[str]] | None = None,
    *,
    policy: str = PERMISSIVE,
    limits: Limits = DEFAULT_LIMITS,
) -> Expansion:
    """Return a file with its includes, not evaluated.

    This serves `jobprov fhicl expand`, and documents that cannot be evaluated.

    Raises:
        FhiclError: a file is missing, unreadable or includes itself, or a directive is malformed.
    """
    return expand_from(_disk(search_path, policy, limits), os.fspath(path), limits=limits)


def expand_from(source: FileSource, main: str, *, limits: Limits = DEFAULT_LIMITS) -> Expansion:
    """Return a document with its includes, whose files come from any `FileSource`.

    Raises:
        FhiclError: as `expand`.
    """
    return Includer(source, _MEMORY, limits).expand(main)


def forget_sources() -> None:
    """Forget the files that were split and parsed. Only measurements need this."""
    _MEMORY.clear()


class _TextFirst:
    """A text as the main file, and files on disk for what it includes."""

    def __init__(self, main: FoundFile, rest: FileSource) -> None:
        self._main = main
        self._rest = rest

    def first(self, name: str) -> FoundFile | None:  # noqa: ARG002 - the protocol's
        return self._main

    def included(self, name: str) -> FoundFile | None:
        return self._rest.included(name)


def default_search_path() -> list[str]:
    """Return the folders of FHICL_FILE_PATH, or the working folder if that is not set."""
    variable = os.environ.get(SEARCH_PATH_VARIABLE)
    return ["."] if variable is None else variable.split(":")


def _disk(
    search_path: Sequence[str | os.PathLike[str]] | None, policy: str, limits: Limits
) -> DiskFiles:
    if search_path is None:
        search_path = default_search_path()
    if isinstance(search_path, str):
        search_path = search_path.split(":")
    return DiskFiles([os.fspath(folder) for folder in search_path], policy=policy, limits=limits)


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Collect no cycles meanwhile, in any thread.

    Of readings side by side, the first lets it go on.

    What is read has none, and the collector looks through all values again each time that there are
    a quarter more: of a document with a million values, that was three quarters of the time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
