"""What a line of strace is about, and what the kernel itself opens to run a file, which no line tells.

Sources: strace(1), `-y` and `-o`; System V ABI, "Program Header" (little-endian, 32 and 64 bits);
execve(2), "Interpreter scripts".
"""

import os
import re
import struct

_CALL = re.compile(
    rb'^(?:\d+ +)?\w+\((?:(?:AT_FDCWD|\d+)<((?:[^>\\]|\\.)*)>, )?"((?:[^"\\]|\\.)*)"'
)
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|x[0-9a-fA-F]{2}|.)")
_LETTERS = {
    b"n": b"\n",
    b"t": b"\t",
    b"r": b"\r",
    b"v": b"\v",
    b"f": b"\f",
    b"a": b"\a",
    b"b": b"\b",
}
_PT_INTERP = 3


def touched_path(line):
    """Return the absolute path that a line of strace (`-y`) is about; None where there is none."""
    found = _CALL.match(line)
    if found is None:
        return None
    path = _plain(found.group(2))
    if not path.startswith("/"):
        if not found.group(1):
            return None
        path = _plain(found.group(1)) + "/" + path
    return os.path.normpath(path) if "/../" not in path else os.path.abspath(path)


def _plain(text):
    def letter(found):
        code = found.group(1)
        if code[:1].isdigit():
            return bytes([int(code, 8) & 0xFF])
        return bytes([int(code[1:], 16)]) if len(code) == 3 else _LETTERS.get(code, code)  # noqa: PLR2004 - xHH

    return os.fsdecode(_ESCAPE.sub(letter, text))


def interpreters(path):
    """Return what the kernel itself opens to run a file.

    The loader of an ELF program, the interpreter of a script.
    """
    if not os.path.isfile(path):  # a pipe would keep us waiting
        return []
    try:
        with open(path, "rb") as stream:
            head = stream.read(4096)
    except OSError:
        return []
    if head.startswith(b"#!"):
        words = head[2:].split(b"\n", 1)[0].split()
        return [os.fsdecode(words[0])] if words and words[0].startswith(b"/") else []
    loader = elf_interpreter(head)
    return [os.fsdecode(loader)] if loader else []


def elf_interpreter(head):
    """Return the loader that a program names in its PT_INTERP header, from the first bytes of its file; None where it names none."""
    try:
        if head[:4] != b"\x7fELF" or head[5] != 1:
            return None
        is_wide = head[4] == 2  # noqa: PLR2004 - ELFCLASS64
        table = (
            struct.unpack_from("<Q", head, 32)[0]
            if is_wide
            else struct.unpack_from("<I", head, 28)[0]
        )
        size, count = struct.unpack_from("<HH", head, 54 if is_wide else 42)
        for place in range(table, table + size * count, size):
            if struct.unpack_from("<I", head, place)[0] == _PT_INTERP:
                offset = struct.unpack_from(
                    "<Q" if is_wide else "<I", head, place + (8 if is_wide else 4)
                )[0]
                return head[offset:].split(b"\0", 1)[0] or None
    except (
        struct.error,
        IndexError,
        ValueError,
    ):  # ValueError: a header whose entries have no size
        pass
    return None
