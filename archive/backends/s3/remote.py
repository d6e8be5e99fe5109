"""Objects read by position like local files: some bytes at a time, or all into a local file."""

from pathlib import Path

from jobprov.archive.backends.copies import OpenFile
from jobprov.archive.backends.s3.bucket import PART_BYTES, Bucket
from jobprov.archive.errors import FrameDamagedError

FIRST_BYTES = 128 << 10
"""Fetched by the first request for an object, in which most blobs are whole."""

_WINDOW_BYTES = 16 << 10
"""Fetched by the first request into a pack. Much more would mostly be other blobs' frames."""


class RemoteFile:
    """An object that is read by position; not for two threads at once.

    It fetches more than it is asked for, and twice as much each time a read continues where the
    last one ended.

    Args:
        bucket: where it is.
        key: of the object.
        size_bytes: of the object.
        window: its first bytes, if they are known.
    """

    def __init__(self, bucket: Bucket, key: str, size_bytes: int, window: bytes = b"") -> None:
        self._bucket = bucket
        self._key = key
        self._size_bytes = size_bytes
        self._start = 0
        self._window = window
        self._ahead_bytes = _WINDOW_BYTES

    def size(self) -> int:
        """The length of the object in bytes."""
        return self._size_bytes

    def read_at(self, offset: int, length: int) -> bytes:
        """The bytes from an offset; fewer than asked for only where the object ends.

        Raises:
            FrameDamagedError: the object no longer exists.
            ArchiveUnreachableError: the server does not deliver them.
        """
        length = max(min(length, self._size_bytes - offset), 0)
        begin = offset - self._start
        if not 0 <= begin <= begin + length <= len(self._window):
            self._fetch(offset, length)
            begin = 0
        return self._window[begin : begin + length]

    def _fetch(self, offset: int, length: int) -> None:
        """Make the window hold so many bytes from there on, and more where the reader goes on."""
        end = self._start + len(self._window)
        known = b""
        if self._start <= offset < end:
            known = self._window[offset - self._start :]
        if self._start < offset <= end:
            self._ahead_bytes = min(2 * self._ahead_bytes, PART_BYTES)
        else:
            self._ahead_bytes = _WINDOW_BYTES
        left_bytes = self._size_bytes - offset
        window_bytes = min(max(length, self._ahead_bytes), left_bytes)
        fetched = self._bucket.read(self._key, offset + len(known), window_bytes - len(known))
        if fetched is None:
            raise FrameDamagedError("the object is gone")
        self._start = offset
        self._window = known + fetched


def download(bucket: Bucket, key: str, size_bytes: int, target: Path) -> OpenFile | None:
    """An object's bytes in a new local file, open for reading; None if there is no such object."""
    with target.open("xb") as file:
        for start in range(0, size_bytes, 4 * PART_BYTES):
            data = bucket.read(key, start, min(4 * PART_BYTES, size_bytes - start))
            if data is None:
                target.unlink()
                return None
            file.write(data)
    return OpenFile(target)
