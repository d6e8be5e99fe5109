"""Which files a job only unpacked: an archive among its inputs holds them as they are."""

import functools
import hashlib
import os
import tarfile
import zipfile
import zlib
from typing import Any, Callable, Collection, Iterator, Set, Tuple

from jobprov.provenance.capture.files.hashing import SMALL_BYTES, Clock

_SECONDS = 5.0


def find_members(path: str, files: Collection[Tuple[str, str]]) -> Set[Tuple[str, str]]:
    """Return which of these (name, SHA-256) an archive holds, as far as there is time to look."""
    names = {name for name, _ in files}
    clock, found = Clock(_SECONDS), set()
    members = _zipped(path) if path.endswith(".zip") else _in_tar(path)
    try:
        for member, opened in members:
            name = os.path.basename(member)
            if not clock.left():
                break
            if name in names:  # of a larger file, the beginning has another digest
                found.add((name, hashlib.sha256(opened().read(SMALL_BYTES)).hexdigest()))
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, zlib.error, RuntimeError):
        pass  # the job could not unpack it either, or knew its password
    return found.intersection(files)


def _in_tar(path: str) -> Iterator[Tuple[str, Callable[[], Any]]]:
    """Yield (name, what opens it) of the files in a tar archive."""
    with tarfile.open(path) as archive:
        for member in filter(tarfile.TarInfo.isfile, archive):
            yield member.name, functools.partial(archive.extractfile, member)


def _zipped(path: str) -> Iterator[Tuple[str, Callable[[], Any]]]:
    """Yield the same of a zip archive."""
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            yield name, functools.partial(archive.open, name)
