"""Standard output and error of a job: passed on untouched, kept as a log, whole or its two ends.

Where a stream goes to a regular file, as under a batch system, the job writes there itself and the
file is read afterwards. Else a thread passes bytes on as they come. Two streams that are one
(`2>&1`) stay one, in their order.
"""

import errno
import os
import select
import stat
import subprocess
import threading
import time
from typing import Dict, List, Optional, Tuple, Union

HEAD_BYTES, TAIL_BYTES = 256 * 1024, 768 * 1024
_SLACK_BYTES = 128 * 1024  # by how much the tail grows before it is cut
_READ_BYTES = 64 * 1024
_LOOK_SECONDS = 0.5
_OUTPUT, _ERROR = 1, 2
_NAMES = {_OUTPUT: "stdout", _ERROR: "stderr"}


class Buffer:
    """Keeps the first and last bytes of a stream, and counts all."""

    def __init__(self) -> None:
        self.head, self.tail, self.total = bytearray(), bytearray(), 0
        self._lock = threading.Lock()

    def add(self, chunk: bytes) -> None:
        """Take more bytes of the stream."""
        with self._lock:
            self._add(chunk)

    def peek(self, position: int, most: int) -> Tuple[int, bytes]:
        """Return (position, bytes): what came from a position on, the last ones up to a number."""
        with self._lock:
            is_cut = self.total > len(self.head) + len(self.tail)
            kept = self.tail if is_cut else self.head + self.tail
            count = max(0, min(self.total - position, most, len(kept)))
            return self.total - count, bytes(kept[len(kept) - count :])

    def skip(self, count: int) -> None:
        """Count bytes that are not kept."""
        self.total += count

    def _add(self, chunk: bytes) -> None:
        self.total += len(chunk)
        room = HEAD_BYTES - len(self.head)
        if room > 0:
            self.head += chunk[:room]
            chunk = chunk[room:]
        self.tail += chunk
        if len(self.tail) > TAIL_BYTES + _SLACK_BYTES:
            del self.tail[:-TAIL_BYTES]

    def content(self) -> Tuple[bytes, bool]:
        """Return (bytes kept, whether something is missing in the middle); a line says how much."""
        del self.tail[:-TAIL_BYTES]
        missing = self.total - len(self.head) - len(self.tail)
        if missing <= 0:
            return b"".join([self.head, self.tail]), False
        line = "\n[jobprov: {} bytes left out here]\n".format(missing).encode()
        return b"".join([self.head, line, self.tail]), True


class Stream:
    """One output stream of a job.

    Attributes:
        target: the descriptor that the job gets for it; None where the job inherits ours.
    """

    target: Optional[int] = None

    def begin(self) -> None:
        """Called once the job holds its end."""

    def peek(self, position: int, most: int) -> Tuple[int, bytes]:
        """Return what `Buffer.peek` does."""
        raise NotImplementedError

    def finish(self, seconds: float) -> Buffer:
        """Return the buffer; wait at most some seconds for children that still hold the stream."""
        raise NotImplementedError

    def forget(self) -> None:
        """Drop what is kept: somebody has taken it."""

    def is_held(self) -> bool:
        """Tell whether a process left behind holds the stream open: it is to be passed on."""
        return False

    def relay(self) -> None:
        """Pass on what is still to come until the last holder closes the stream.

        Nothing is kept.
        """


class FileStream(Stream):
    """A stream that already goes to a regular file.

    Read there, from where the job began to write.
    """

    def __init__(self, number: int) -> None:
        self._path = "/proc/self/fd/{}".format(number)
        with open(self._path, "rb"):
            pass
        is_appended = _flags(number) & os.O_APPEND
        self._start = os.fstat(number).st_size if is_appended else os.lseek(number, 0, os.SEEK_CUR)

    def peek(self, position: int, most: int) -> Tuple[int, bytes]:
        """Return what `Buffer.peek` does."""
        with open(self._path, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size - self._start
            begin = max(position, size - most)
            stream.seek(self._start + begin)
            return begin, stream.read(max(0, min(most, size - begin)))

    def finish(self, seconds: float) -> Buffer:  # noqa: ARG002 - the job writes by itself
        """Return the buffer with what was written since."""
        buffer = Buffer()
        with open(self._path, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            stream.seek(self._start)
            buffer.add(stream.read(min(HEAD_BYTES, max(0, size - self._start))))
            rest = max(stream.tell(), size - TAIL_BYTES)
            buffer.skip(rest - stream.tell())
            stream.seek(rest)
            buffer.add(stream.read(TAIL_BYTES))
        return buffer


class PipeStream(Stream):
    """A stream passed on by a thread."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._reader, self._writer = os.pipe()
        self.target = self._writer
        self.buffer = Buffer()
        self._is_stopped = False
        self._rest: Union[bytes, memoryview] = b""  # what was read and is still to be passed on
        self._thread = threading.Thread(target=self._pass_on)
        self._thread.daemon = True
        try:
            # before the command: where no thread is to be had, it must get its own streams
            self._thread.start()
        except RuntimeError as error:
            os.close(self._reader)
            os.close(self._writer)
            raise OSError(errno.EAGAIN, str(error)) from error

    def begin(self) -> None:
        """Leave the other end to the job alone, once it holds it."""
        os.close(self._writer)

    def peek(self, position: int, most: int) -> Tuple[int, bytes]:
        """Return what `Buffer.peek` does."""
        return self.buffer.peek(position, most)

    def finish(self, seconds: float) -> Buffer:
        """Return the buffer; wait at most some seconds for children that still hold the stream."""
        self._thread.join(seconds)
        if self._thread.is_alive():
            self._is_stopped = True
            self._thread.join(2 * _LOOK_SECONDS)
        return self.buffer

    def forget(self) -> None:
        """Drop what is kept: somebody has taken it."""
        self.buffer = Buffer()

    def is_held(self) -> bool:
        """Tell whether a process left behind still holds the stream open."""
        return self._is_stopped

    def relay(self) -> None:
        """Pass on what is still to come until the last holder closes the stream.

        Nothing is kept.
        """
        if self._is_stopped:
            self._is_stopped = False
            self._pass_on()

    def _pass_on(self) -> None:
        """Pass on until the end, or until told to stop.

        It never waits in a write: what a reader is slow to take would be lost with us.
        """
        # Select itself knows no descriptor above 1023
        source, target = (
            select.poll(),
            select.poll(),
        )
        source.register(self._reader, select.POLLIN)
        target.register(self._number, select.POLLOUT)
        while not self._is_stopped:
            poll = target if self._rest else source
            if not poll.poll(_LOOK_SECONDS * 1000):
                continue
            try:
                if not self._pass_piece():
                    break
            except BlockingIOError:
                continue  # whoever gave us the stream wants it like that, or others write there too
            except OSError:
                break  # nobody reads on: closing our end tells the job in the usual way
        else:
            return
        os.close(self._reader)

    def _pass_piece(self) -> bool:
        """Read, or write as much as surely fits; tell whether there may be more."""
        if self._rest:
            self._rest = self._rest[os.write(self._number, self._rest[: select.PIPE_BUF]) :]
            return True
        chunk = os.read(self._reader, _READ_BYTES)
        self.buffer.add(chunk)
        self._rest = memoryview(chunk)
        return bool(chunk)


def occupy_closed() -> None:
    """Open something on descriptors 0 to 2 that were closed, so that no file of ours lands there.

    The job sees none of it.
    """
    while True:
        number = os.open(os.devnull, os.O_RDWR)
        if number > _ERROR:
            os.close(number)
            return


def open_streams() -> Dict[int, Stream]:
    """Return the streams for a job's output and error: {1: stream, 2.

    Stream}, the same one twice where they are one.

    Raises OSError where they cannot be had; the job then writes by itself, and no log is kept.
    """
    streams: Dict[int, Stream] = {}
    try:
        for number in (_OUTPUT, _ERROR):
            if not os.get_inheritable(number):
                continue  # it was closed: the job gets it closed as well
            if number == _ERROR and _OUTPUT in streams and _is_same(_OUTPUT, _ERROR):
                streams[_ERROR] = streams[_OUTPUT]
            else:
                streams[number] = _open(number)
    except OSError:
        for stream in streams.values():
            stream.begin()
        raise
    return streams


def named(streams: Dict[int, Stream]) -> List[Tuple[str, Stream]]:
    """Return [(log name, stream)], a stream once, by the first of its names."""
    found: List[Tuple[str, Stream]] = []
    for number in sorted(streams):
        stream = streams[number]
        if all(stream is not other for _, other in found):
            found.append((_NAMES[number], stream))
    return found


def targets(streams: Dict[int, Stream]) -> Tuple[Optional[int], Optional[int]]:
    """Return what subprocess takes for stdout and stderr; None lets the job inherit."""
    inherited = Stream()
    out, err = streams.get(_OUTPUT, inherited), streams.get(_ERROR, inherited)
    if out is err and out.target is not None:
        return out.target, subprocess.STDOUT
    return out.target, err.target


def collect(streams: Dict[int, Stream], seconds: float) -> List[Tuple[str, bytes, bool]]:
    """Return [(log name, content, whether cut)] of all streams that hold something."""
    logs, end = [], time.monotonic() + seconds
    for name, stream in named(streams):
        content, is_cut = stream.finish(max(0.0, end - time.monotonic())).content()
        stream.forget()  # the content is enough
        if content:
            logs.append((name, content, is_cut))
    return logs


def is_standard(path: str) -> bool:
    """Tell whether a file is where our own output or errors go, and so the job's."""
    try:
        status = os.stat(path)
        return any(os.path.samestat(status, os.fstat(number)) for number in (_OUTPUT, _ERROR))
    except OSError:
        return False


def read_log(path: str) -> Tuple[bytes, bool]:
    """Return (content, whether cut) of a log file; raises OSError."""
    buffer = Buffer()
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError(0, "it is no regular file")  # a pipe would keep us waiting
    with open(path, "rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        buffer.add(stream.read(HEAD_BYTES))
        if size > HEAD_BYTES + TAIL_BYTES:
            buffer.skip(size - TAIL_BYTES - stream.tell())
            stream.seek(size - TAIL_BYTES)
        buffer.add(stream.read(TAIL_BYTES))
    return buffer.content()


def _open(number: int) -> Stream:
    if stat.S_ISREG(os.fstat(number).st_mode):
        try:
            return FileStream(number)
        except OSError:
            pass  # not readable by this user, or no /proc
    return PipeStream(number)


def _is_same(one: int, two: int) -> bool:
    first, second = os.fstat(one), os.fstat(two)
    return (first.st_dev, first.st_ino, first.st_rdev) == (
        second.st_dev,
        second.st_ino,
        second.st_rdev,
    )


def _flags(number: int) -> int:
    import fcntl  # noqa: PLC0415 - not everywhere, and only files need it

    return fcntl.fcntl(number, fcntl.F_GETFL)
