"""Names as strace writes them, and what the kernel itself opens to run a file, which no line shows.

Sources: strace(1), `-y` and `-o`; System V ABI, "Program Header" (little-endian, 32 and 64 bits);
execve(2), "Interpreter scripts".
"""

import os
import re
import struct
from typing import Any, List, Optional

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
# By class, 32 or 64 bits: form of an address; where that of the program headers is, their size, and
# in each of them the place of its segment
_LAYOUTS = {1: ("<I", 28, 42, 4), 2: ("<Q", 32, 54, 8)}
_PT_INTERP = 3
_HEAD_BYTES = 4096


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
    head = head_of(path)
    if head.startswith(b"#!"):
        words = head[2:].split(b"\n", 1)[0].split()
        return [os.fsdecode(words[0])] if words and words[0].startswith(b"/") else []
    loader = elf_interpreter(head)
    return [os.fsdecode(loader)] if loader else []


def head_of(path: str) -> bytes:
    """Return how a file begins; nothing of what is no file, or cannot be read."""
    if not os.path.isfile(path):  # a pipe would keep us waiting
        return b""
    try:
        with open(path, "rb") as stream:
            return stream.read(_HEAD_BYTES)
    except OSError:
        return b""


def elf_interpreter(head: bytes) -> Optional[bytes]:
    """Return the loader that a program names in its PT_INTERP header; None where it names none.

    `head` is the first bytes of its file.
    """
    try:
        if head[:4] != b"\x7fELF" or head[5] != _LITTLE_ENDIAN:
            return None
        address, place_of_table, place_of_size, place_of_offset = _LAYOUTS[head[4]]
        (table,) = struct.unpack_from(address, head, place_of_table)
        size, count = struct.unpack_from("<HH", head, place_of_size)
        for place in range(table, table + size * count, size):
            if struct.unpack_from("<I", head, place)[0] == _PT_INTERP:
                (offset,) = struct.unpack_from(address, head, place + place_of_offset)
                return head[offset:].split(b"\0", 1)[0] or None
    except (struct.error, LookupError, ValueError):
        pass  # cut short, of another class, or with entries of no size
    return None
