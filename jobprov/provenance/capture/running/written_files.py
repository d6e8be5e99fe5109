"""Handles of files that were written in a job's folders: a file is found again by them elsewhere.

The kernel's report has the handle although the file is gone before somebody reads it. A handle (for
most file systems inode and generation) means one file for ever; the number of an inode is used
again.

Source: fanotify(7), `FAN_REPORT_FID`; everybody may use it since Linux 5.13, on file systems that
have handles. Elsewhere nothing is reported. name_to_handle_at(2).
"""

import ctypes
import os
import struct
from typing import Dict, Iterator, List, Optional, Tuple

from jobprov.provenance.capture.files.names import is_within

_INIT = 0x1 | 0x2 | 0x200 | 0x400 | 0x800  # close on exec, no waiting; file, folder, and name
_ADD, _ONLY_FOLDERS = 0x1, 0x8
_CLOSED, _ON_FILES = 0x8, 0x08000000
_HERE = -100  # AT_FDCWD
_HEAD, _INFO, _HANDLE = struct.Struct("=IBBHQii"), struct.Struct("=BBH"), struct.Struct("=Ii")
_FSID = 8
_OF_FILE, _OF_FOLDER = 1, 2  # kinds of information in a report
_MOST_READ, _MOST_READS, _MOST_FILES = 1 << 16, 64, 20000
_LONGEST_HANDLE = 128

_LIBRARY = ctypes.CDLL(None, use_errno=True)


class WrittenFiles:
    """Follows folders; raises OSError or AttributeError where the system does not report handles.

    Attributes:
        paths: {key of a file: absolute path at which it was written last}; see `key_of`.
    """

    def __init__(self) -> None:
        self.paths: Dict[Tuple[int, bytes], str] = {}
        self._folders: Dict[bytes, Tuple[int, str]] = {}  # {handle: (device, path)}
        self._descriptor = _LIBRARY.fanotify_init(_INIT, os.O_RDONLY)
        if self._descriptor < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def follow(self, folder: str) -> None:
        """Follow a folder, if that can be."""
        key = key_of(folder)
        if key is None:
            return
        mask = ctypes.c_uint64(_CLOSED | _ON_FILES)
        flags, name = _ADD | _ONLY_FOLDERS, os.fsencode(folder)
        if _LIBRARY.fanotify_mark(self._descriptor, flags, mask, _HERE, name) == 0:
            self._folders[key[1]] = (key[0], folder)

    def forget(self, folder: str) -> None:
        """Follow a folder and those below it no more."""
        for handle, (_, path) in list(self._folders.items()):
            if is_within(path, folder):
                del self._folders[handle]

    def read(self) -> None:
        """Take in what was reported, without waiting."""
        for _ in range(_MOST_READS):
            try:
                content = os.read(self._descriptor, _MOST_READ)
            except OSError:  # nothing more
                return
            for handle, folder, name in _reports(content):
                if folder in self._folders and handle and len(self.paths) < _MOST_FILES:
                    device, path = self._folders[folder]
                    self.paths[device, handle] = os.path.join(path, os.fsdecode(name))

    def close(self) -> None:
        """Follow nothing more."""
        os.close(self._descriptor)


def key_of(path: str) -> Optional[Tuple[int, bytes]]:
    """Return what tells a file or folder from all others: device and handle.

    None where it has none.
    """
    room = ctypes.create_string_buffer(_HANDLE.size + _LONGEST_HANDLE)
    _HANDLE.pack_into(room, 0, _LONGEST_HANDLE, 0)
    try:
        if _LIBRARY.name_to_handle_at(
            _HERE, os.fsencode(path), room, ctypes.byref(ctypes.c_int()), 0
        ):
            return None
        length = _HANDLE.unpack_from(room)[0]
        return os.stat(path).st_dev, room.raw[4 : _HANDLE.size + length]
    except (OSError, ValueError, AttributeError):
        return None


def _reports(content: bytes) -> Iterator[Tuple[bytes, bytes, bytes]]:
    """Yield handle of the file, handle of its folder, and its name there."""
    place = 0
    while place + _HEAD.size <= len(content):
        length, _, _, head, _, _, _ = _HEAD.unpack_from(content, place)
        parts: List[bytes] = [b"", b"", b""]
        inner, place = place + head, place + length
        while inner + _INFO.size <= place:
            kind, _, size = _INFO.unpack_from(content, inner)
            begin = inner + _INFO.size + _FSID
            end = begin + _HANDLE.size + _HANDLE.unpack_from(content, begin)[0]
            if kind == _OF_FILE:
                parts[0] = content[begin + 4 : end]
            elif kind == _OF_FOLDER:
                parts[1], parts[2] = content[begin + 4 : end], content[end : inner + size]
            inner += size
        yield parts[0], parts[1], parts[2].split(b"\0")[0]
