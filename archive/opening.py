"""From an archive address to a store: the only place that knows which backends there are."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from archive.backends.local import LocalStore
from archive.backends.memory import MemoryStore
from archive.errors import BadUrlError
from archive.store import Store


def open_store(url: str) -> Store:
    """The store at an address: `file:/absolute/folder` (made when it is not there) or `memory:` (a new, empty one).

    Raises:
        BadUrlError: the address is of neither form.
        ArchiveUnreachableError: the folder cannot be used.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise BadUrlError(url, str(error)) from error
    if parts.scheme == "file":
        return LocalStore(_folder(url))
    if url == "memory:":
        return MemoryStore()
    if parts.scheme == "s3":
        raise BadUrlError(url, "archives on S3 are not built yet; use file:/absolute/folder")
    raise BadUrlError(url, "write file:/absolute/folder or memory:")


def _folder(url: str) -> Path:
    parts = urlsplit(url)
    path = unquote(parts.path)
    if parts.netloc or parts.query or parts.fragment or not path.startswith("/") or "\0" in path:
        raise BadUrlError(url, "a file address is file: and an absolute path, with ? and # as %3F and %23")
    return Path(path)
