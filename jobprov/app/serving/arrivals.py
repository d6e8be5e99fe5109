"""A request as it arrives: kept until all of it is there, so that no thread waits for a client.

Small requests are kept in memory, larger ones in a file; how many bytes all of them may take
together is bounded. Where a request ends is all that is read of it here: whether it is sound, the
server's own parser judges.
"""

import threading
from tempfile import SpooledTemporaryFile
from typing import Protocol

from gunicorn.http.unreader import Unreader

from jobprov.provenance.errors import LimitError, UnreachableError

MEMORY_BYTES = 1 << 16
"""Of one request or answer; what is more goes into a file."""
HEAD_BYTES = 1 << 16
_DISCARDED_BYTES = 64 << 20
"""Of a body that is too large, so that its client sees the answer instead of a broken line."""
_LONGEST_CHUNK_LINE = 8192
_DIGITS_OF_64_BITS = 20
_PIECE_BYTES = 1 << 16


class Room:
    """How many bytes may wait on disk, for all connections of a process together."""

    def __init__(self, most_bytes: int, folder: str | None = None) -> None:
        self.folder = folder
        self._left = most_bytes
        self._lock = threading.Lock()

    def take(self, count: int) -> bool:
        """Take so many bytes; return whether there was room for them."""
        with self._lock:
            if count > self._left:
                return False
            self._left -= count
            return True

    def give_back(self, count: int) -> None:
        """Give back what was taken."""
        with self._lock:
            self._left += count


class _End(Protocol):
    """Knows where a body ends.

    Attributes:
        is_reached: nothing more of it is read.
        is_cut: more of it may come, so that what follows is no request.
    """

    is_reached: bool
    is_cut: bool

    def measure(self, data: bytes) -> int:
        """Return how many of these bytes, which come next, belong to the body."""


class Arrival:
    """What came of one request.

    Args:
        room: what it may take on disk.
        most_bytes: length of the longest body that any call takes.

    Attributes:
        is_whole: nothing of it is missing.
        received: bytes so far.
    """

    def __init__(self, room: Room, most_bytes: int) -> None:
        self.is_whole = False
        self.received = 0
        self._room, self._most = room, most_bytes
        self._taken = 0
        self._head = bytearray()
        self._end: _End | None = None
        self._is_kept = True
        self._content: SpooledTemporaryFile[bytes] | None = None

    def take(self, data: bytes) -> bytes:
        """Take what came; return what belongs to the next request.

        Raises:
            HeadTooLongError: it has no end of its headers where they have to end.
            NoRoomError: too much waits on disk already, or the disk takes no more.
        """
        self.received += len(data)
        if self._end is None:
            searched = max(0, len(self._head) - 3)
            self._head += data
            end = self._head.find(b"\r\n\r\n", searched)
            if end < 0:
                if len(self._head) > HEAD_BYTES:
                    raise HeadTooLongError("The headers of the request are too long.", HEAD_BYTES)
                return b""
            data = bytes(self._head[end + 4 :])
            del self._head[end + 4 :]
            self._read_head()
        return self._take_body(data)

    def _take_body(self, data: bytes) -> bytes:
        assert self._end is not None  # noqa: S101 - the head was read
        own = self._end.measure(data)
        if own and self._is_kept:
            self._keep(data[:own])
        self.is_whole = self._end.is_reached
        return data[own:]

    def _keep(self, data: bytes) -> None:
        if self._content is None:
            # Closed with the request
            self._content = SpooledTemporaryFile(MEMORY_BYTES, dir=self._room.folder)  # noqa: SIM115
        if self._content.tell() + len(data) > MEMORY_BYTES:
            if not self._room.take(len(data)):
                raise NoRoomError("Too many requests arrive slowly; try again later.")
            self._taken += len(data)
        try:
            self._content.write(data)
        except OSError as problem:
            # Else it would be taken for the client's end, and half a body for all of it
            raise NoRoomError(
                f"The request cannot be kept until it is whole: {problem.strerror}."
            ) from None

    def _read_head(self) -> None:
        length = 0
        for line in bytes(self._head).split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            word = name.strip().lower()
            if word == b"transfer-encoding":
                self._end = _Chunks(self._most)
                return
            if word == b"content-length":
                length = _announced_length(value.strip())
        if length <= self._most:
            self._end = _Length(length)
            return
        self._is_kept = False
        self._end = _Length(min(length, _DISCARDED_BYTES), is_cut=length > _DISCARDED_BYTES)

    def wants_to_be_told(self) -> bool:
        """Return whether the client waits for `100 Continue` before it sends its body."""
        return b"\r\nexpect: 100-continue" in bytes(self._head).lower() and not self.is_whole

    @property
    def has_head(self) -> bool:
        """Whether the headers are there."""
        return self._end is not None

    @property
    def has_content(self) -> bool:
        """Whether something of a body is kept."""
        return self._content is not None

    def reader(self) -> "ArrivedReader":
        """Return where the parser reads the request from.

        After a body that was cut the connection ends: what is left of it must not be read as the
        next request, which a proxy may have sent for somebody else.
        """
        if self._content is not None:
            self._content.seek(0)
        head = bytes(self._head)
        if self._end is not None and self._end.is_cut:
            head = head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
        return ArrivedReader(head, self._content)

    def close(self) -> None:
        """Let go of what was kept."""
        if self._content is not None:
            self._content.close()
            self._content = None
        self._room.give_back(self._taken)
        self._taken = 0


def _announced_length(digits: bytes) -> int:
    """Return the length of a body; 0 where it is not one: the parser refuses that by itself."""
    if digits.isdigit() and len(digits) < _DIGITS_OF_64_BITS:
        return int(digits)
    return 0


class HeadTooLongError(LimitError):
    """The headers of a request are longer than any may be."""


class NoRoomError(UnreachableError):
    """There is no room on disk for a request that is still arriving."""


class ArrivedReader(Unreader):  # type: ignore[misc]  # the package has no types
    """What gunicorn's parser reads a request from that has arrived; it never waits."""

    def __init__(self, head: bytes, content: "SpooledTemporaryFile[bytes] | None") -> None:
        super().__init__()
        self._first = head
        self._content = content

    def chunk(self, size_hint: int | None = None) -> bytes:  # noqa: ARG002 - gunicorn's
        """Return what comes next, nothing at the end.

        Never more than a piece, though the parser may hint at the whole body: it keeps what is not
        asked for yet, and copies all of that at each read.
        """
        if self._first:
            first, self._first = self._first, b""
            return first
        if self._content is None or self._content.closed:
            return b""
        return self._content.read(_PIECE_BYTES)


class _Length:
    """The end of a body of known length."""

    def __init__(self, length: int, *, is_cut: bool = False) -> None:
        self._left = length
        self.is_reached = length == 0
        self.is_cut = is_cut

    def measure(self, data: bytes) -> int:
        own = min(self._left, len(data))
        self._left -= own
        self.is_reached = self._left == 0
        return own


class _Chunks:
    """The end of a body that comes in chunks. Source: RFC 9112, section 7.1."""

    def __init__(self, most_bytes: int) -> None:
        self.is_reached = self.is_cut = False
        self._left = 0
        self._line = bytearray()
        self._is_trailer = False
        self._bytes_allowed = most_bytes + _DISCARDED_BYTES

    def measure(self, data: bytes) -> int:
        place = 0
        while place < len(data) and not self.is_reached:
            if self._left:
                step = min(self._left, len(data) - place)
                self._left -= step
                place += step
                continue
            end = data.find(b"\n", place) + 1 or len(data)
            self._line += data[place:end]
            place = end
            if self._line.endswith(b"\n"):
                self._end_line(bytes(self._line).strip())
                self._line.clear()
            elif len(self._line) > _LONGEST_CHUNK_LINE:
                self._cut()  # the parser refuses it
        self._bytes_allowed -= place
        if self._bytes_allowed < 0:
            self._cut()  # and the call refuses what came until here
        return place

    def _cut(self) -> None:
        self.is_reached = self.is_cut = True

    def _end_line(self, line: bytes) -> None:
        if self._is_trailer:
            self.is_reached = not line
            return
        try:
            size = int(line.partition(b";")[0].strip(), 16)
        except ValueError:
            size = -1
        if size < 0:
            self._cut()  # the parser refuses it
        elif size == 0:
            self._is_trailer = True
        else:
            self._left = size + len(b"\r\n")
