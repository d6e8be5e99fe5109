"""Opens the store at an archive address; no other module knows all the backends."""

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from jobprov.archive.backends.local import LocalStore
from jobprov.archive.backends.memory import MemoryStore
from jobprov.archive.errors import BadUrlError
from jobprov.archive.store import Store, is_document_name

if TYPE_CHECKING:
    from jobprov.archive.backends.s3.bucket import Bucket

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)
"""Source: Amazon S3 User Guide, "Bucket naming rules"."""


def open_store(url: str) -> Store:
    """The store at an address.

    Args:
        url: `file:/absolute/folder` (made if missing), `s3://bucket/prefix` (the bucket must
            exist), or `memory:` (a new, empty store).

    Raises:
        BadUrlError: the address has another form, or the package for S3 is not installed.
        ArchiveUnreachableError: the folder or the bucket cannot be used.
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
        return _open_s3(url)
    raise BadUrlError(url, "write file:/absolute/folder, s3://bucket/prefix or memory:")


def is_kept_in(store: Store, folder: Path) -> bool:
    """Whether a store keeps its files in this very folder."""
    return isinstance(store, LocalStore) and folder.exists() and store.root.samefile(folder)


def holds_archive(folder: Path) -> bool:
    """Whether a store of files was opened in this folder before."""
    return LocalStore.is_in(folder)


def folder_url(folder: Path) -> str:
    """The address of the archive in a folder."""
    path = str(folder.absolute())
    return "file:" + path.replace("%", "%25").replace("?", "%3F").replace("#", "%23")


def open_bucket(url: str) -> "Bucket":
    """The objects below `s3://bucket/prefix`, for what is kept beside archives.

    Raises:
        BadUrlError: the address has another form, or the package for S3 is not installed.
    """
    parts = urlsplit(url)
    prefix = parts.path.strip("/")
    if "@" in parts.netloc:
        raise BadUrlError(
            "s3://…", "keys do not belong into it; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    if (
        not _BUCKET.fullmatch(parts.netloc)
        or (prefix and not is_document_name(prefix))
        or parts.query
        or parts.fragment
    ):
        raise BadUrlError(
            url,
            "an S3 address is s3://bucket or s3://bucket/prefix, its parts of A-Z a-z 0-9 . _ -",
        )
    try:
        # Imported only here, because it needs an extra package
        from jobprov.archive.backends.s3.bucket import Bucket  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise BadUrlError(
            url, f"it needs the package {error.name}: pip install 'jobprov[s3]'"
        ) from error
    return Bucket(parts.netloc, prefix)


def _open_s3(url: str) -> Store:
    bucket = open_bucket(url)
    from jobprov.archive.backends.s3.store import S3Store  # noqa: PLC0415 - as above

    return S3Store(bucket)


def _folder(url: str) -> Path:
    parts = urlsplit(url)
    path = unquote(parts.path)
    if parts.netloc or parts.query or parts.fragment or not path.startswith("/") or "\0" in path:
        raise BadUrlError(
            url, "a file address is file: and an absolute path, with ? and # as %3F and %23"
        )
    return Path(path)
