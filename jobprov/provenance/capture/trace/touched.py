"""Names as strace writes them, and what the kernel itself opens to run a file, which no line shows.

Sources: strace(1), `-y` and `-o`; System V ABI, "Program Header" (little-endian, 32 and 64 bits);
execve(2), "Interpreter scripts".
"""

import os
import re
import struct
from typing import Any, List, Optional

_CALL = re.compile(
    rb'^(?:\d+ +)?\w+\((?:(?:AT_FDCWD|\d+)<((?:[^>\\]|\\.)*)>, )?"((?:[^"\\]|\\.)*)"'
)
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|x[0-9a-fA-F]{2}|.)")
_HEX_LENGTH = 3  # of `xHH`
_LETTERS = {
    b"n": b"\n",
    b"t": b"\t",
    b"r": b"\r",
    b"v": b"\v",
    b"f": b"\f",
    b"a": b"\a",
    b"b": b"\b",
}
_LITTLE_ENDIAN = 1
_WIDE = 2  # ELFCLASS64
_PT_INTERP = 3
_HEAD_BYTES = 4096


def touched_path(line: bytes) -> Optional[str]:
    """Return the absolute path that a line of strace (`-y`) is about; None where there is none.

    `..` stays in it: behind a link it leads elsewhere than the text shows, and the folder before it
    must be there.
    """
    call = _CALL.match(line)
    if call is None:
        return None
    path = plain(call.group(2))
    if not path.startswith("/"):
        if not call.group(1):
            return None
        path = plain(call.group(1)) + "/" + path
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return "/" + "/".join(parts)


def plain(text: bytes) -> str:
    """Return a name as strace wrote it, without its escapes."""
    return os.fsdecode(_ESCAPE.sub(_unescape, text))


def _unescape(escape: Any) -> bytes:
    code: bytes = escape.group(1)
    if code[:1].isdigit():
        return bytes([int(code, 8) & 0xFF])
    if len(code) == _HEX_LENGTH:
        return bytes([int(code[1:], 16)])
    return _LETTERS.get(code, code)


def interpreters(path: str) -> List[str]:
    """Return what the kernel itself opens to run a file.

    The loader of an ELF program, the interpreter of a script.
    """
    if not os.path.isfile(path):  # a pipe would keep us waiting
        return []
    try:
        with open(path, "rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError:
        return []
    if head.startswith(b"#!"):
        words = head[2:].split(b"\n", 1)[0].split()
        return [os.fsdecode(words[0])] if words and words[0].startswith(b"/") else []
    loader = elf_interpreter(head)
    return [os.fsdecode(loader)] if loader else []


def elf_interpreter(head: bytes) -> Optional[bytes]:
    """Return the loader that a program names in its PT_INTERP header; None where it names none.

    `head` is the first bytes of its file.
    """
    # ValueError: a header whose entries have no size
    try:
        if head[:4] != b"\x7fELF" or head[5] != _LITTLE_ENDIAN:
            return None
        return _wide_interpreter(head) if head[4] == _WIDE else _narrow_interpreter(head)
    except (
        struct.error,
        IndexError,
        ValueError,
    ):
        return None


def _wide_interpreter(head: bytes) -> Optional[bytes]:
    (table,) = struct.unpack_from("<Q", head, 32)
    size, count = struct.unpack_from("<HH", head, 54)
    for place in range(table, table + size * count, size):
        if struct.unpack_from("<I", head, place)[0] == _PT_INTERP:
            (offset,) = struct.unpack_from("<Q", head, place + 8)
            return _word_at(head, offset)
    return None


def _narrow_interpreter(head: bytes) -> Optional[bytes]:
    (table,) = struct.unpack_from("<I", head, 28)
    size, count = struct.unpack_from("<HH", head, 42)
    for place in range(table, table + size * count, size):
        if struct.unpack_from("<I", head, place)[0] == _PT_INTERP:
            (offset,) = struct.unpack_from("<I", head, place + 4)
            return _word_at(head, offset)
    return None


def _word_at(head: bytes, offset: int) -> Optional[bytes]:
    return head[offset:].split(b"\0", 1)[0] or None
