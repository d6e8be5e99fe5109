"""Blobs that came in part: the bytes stay for a day, so that the sender goes on after a cut.

They are files in one folder for each experiment, whatever the process: an upload is named by the
digest that it shall have, so that two who send the same blob write the same bytes to the same
places, and no lock is needed. What was garbled shows in the digest and is dropped.
"""

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

KEPT_SECONDS = 86_400
EXPERIMENT_BYTES = 1 << 30
EXPERIMENT_FILES = 200
_NOBODY = "_"  # no experiment is named so


class HalfSent:
    """What was received of one blob for one experiment; None is a service without tokens."""

    def __init__(self, folder: Path, experiment: str | None, sha256: str) -> None:
        self._root = folder
        self._path = folder / (experiment or _NOBODY) / sha256

    def received(self) -> int:
        """Return how many bytes are here, from the first on."""
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return 0

    def take(self, start: int, chunks: Iterable[bytes]) -> int:
        """Keep bytes from `start` on, as they come, also where the sender breaks off.

        Return how many are here now.

        Bytes that would leave a hole are not read.
        """
        if start > self.received():
            return self.received()
        if start == 0:
            make_room(self._root)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        number = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(number, "wb", buffering=0) as stream:
            stream.seek(start)
            for chunk in chunks:
                stream.write(chunk)
        return self.received()

    def open(self) -> BinaryIO:
        """Return what is here, as a file."""
        return self._path.open("rb")

    def drop(self) -> None:
        """Forget it."""
        self._path.unlink(missing_ok=True)


def make_room(folder: Path, now: float | None = None) -> None:
    """Remove what nobody went on with for a day, and each experiment's oldest beyond its share."""
    moment = time.time() if now is None else now
    for experiment in _entries(folder):
        files_left, bytes_left = EXPERIMENT_FILES, EXPERIMENT_BYTES
        newest_first = sorted(_files(experiment.path), key=lambda file: -file[1].st_mtime)
        for entry, status in newest_first:
            files_left -= 1
            bytes_left -= status.st_size
            is_old = status.st_mtime < moment - KEPT_SECONDS
            if is_old or files_left < 0 or bytes_left < 0:
                Path(entry.path).unlink(missing_ok=True)


def _files(folder: str) -> Iterator[tuple["os.DirEntry[str]", os.stat_result]]:
    for entry in _entries(Path(folder)):
        try:
            yield entry, entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue  # just finished


def _entries(folder: Path) -> "list[os.DirEntry[str]]":
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
