"""Folds the capture modules into the one file `job-end-hook.pyz`.

The same bytes from the same sources, always.

A zip with a `#!` line in front, as the standard library's zipapp makes it, but with fixed times,
modes, order and deflate; a folder's listing, umask, locale, clock or zlib play no part. Only what a
job needs goes in. Source: APPNOTE.TXT 4.3.
"""

import ast
import hashlib
import io
import os
import struct
import tokenize
import zlib

from jobprov.provenance.capture.deflating import deflate

SHEBANG = b"#!/usr/bin/env python3\n"
# Should the hook itself be broken, or the Python too old for it, the command still runs, alone.
_MAIN = b"""import os
import signal
import sys


def give_back_locale():
    # In a C locale Python sets LC_CTYPE (PEP 538); the command is to find what we were given.
    if os.environ.get("LC_CTYPE") not in ("C.UTF-8", "C.utf8", "UTF-8"):
        return
    try:
        with open("/proc/self/environ", "rb") as stream:
            given = [item[9:] for item in stream.read().split(b"\\0") if item.startswith(b"LC_CTYPE=")]
    except OSError:
        return
    if not given:
        del os.environ["LC_CTYPE"]
    else:
        os.environb[b"LC_CTYPE"] = given[0]


def run_alone(words, error):
    sys.stderr.write("jobprov: not recorded: {}: {}\\n".format(type(error).__name__, error))
    if words[:1] not in (["run"], ["step"]) or "--" not in words[:-1]:
        sys.exit(0 if words[:1] in (["start"], ["condor-exit"]) else 1)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them
        signal.signal(number, signal.SIG_DFL)
    command = words[words.index("--") + 1 :]
    try:
        os.execvp(command[0], command)
    except OSError:
        sys.exit(127)


try:
    give_back_locale()
    from jobprov.provenance.capture.loading import install

    install()
    from jobprov.provenance.capture import execution
    from jobprov.provenance.capture.commands import main

    code = main(sys.argv[1:], dict(os.environ))
except Exception as error:
    if "execution" in globals() and execution.began:
        raise
    run_alone(sys.argv[1:], error)
sys.exit(code)
"""
_LEFT_OUT = frozenset(["packing.py", "deflating.py"])
_MEMBER, _LISTED, _END = 0x04034B50, 0x02014B50, 0x06054B50
_READER, _WRITER = 20, 3 << 8 | 20  # version 2.0, written on Unix
_FIRST_DAY = 1 << 5 | 1  # 1 January 1980, the first that a zip can tell


def build(target):
    """Write the hook to a path, executable, and return its SHA-256. Raises OSError."""
    content = packed(sources())
    temporary = "{}.{}.tmp".format(target, os.getpid())
    with open(temporary, "wb") as stream:
        stream.write(content)
    os.chmod(temporary, 0o755)  # noqa: S103 - a program, for everybody
    os.replace(temporary, target)
    return hashlib.sha256(content).hexdigest()


def sources():
    """Return {name in the hook: bytes} of everything that goes into it."""
    folder = os.path.dirname(os.path.abspath(__file__))
    found = {
        "__main__.py": _MAIN,
        "jobprov/__init__.py": b"",
        "jobprov/provenance/__init__.py": b"",
    }
    for name in os.listdir(folder):
        if name.endswith(".py") and name not in _LEFT_OUT:
            with open(os.path.join(folder, name), "rb") as stream:
                found["jobprov/provenance/capture/" + name] = bare(
                    stream.read().decode("utf-8")
                ).encode("utf-8")
    return found


def bare(source):
    """Return Python source without docstrings, comments and broad indents.

    Line numbers in tracebacks stay true.
    """
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
            and ast.get_docstring(node) is not None
        ):
            first, last = node.body[0].lineno - 1, node.body[0].end_lineno
            indent = lines[first][: len(lines[first]) - len(lines[first].lstrip())]
            lines[first:last] = [indent + '""' if len(node.body) == 1 else ""] + [""] * (
                last - first - 1
            )
    return _narrow("\n".join(lines) + "\n")


def _narrow(source):
    """Return source without comments, one blank a level of indentation and none where a line only goes on; strings stay."""
    lines, inside, starts = source.split("\n"), set(), {}
    level = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        (row, column), (last, _) = token.start, token.end
        if token.type == tokenize.COMMENT:
            lines[row - 1] = lines[row - 1][:column].rstrip()
        elif token.type in (tokenize.INDENT, tokenize.DEDENT):
            level += 1 if token.type == tokenize.INDENT else -1
        elif token.type == tokenize.NEWLINE:
            starts[-1] = None  # the next token begins a line
        elif token.type not in (tokenize.NL, tokenize.ENDMARKER):
            inside.update(range(row + 1, last + 1))
            if starts.pop(-1, 0) is None or row == 1:
                starts[row] = level
    return "\n".join(
        line if row in inside else " " * starts.get(row, 0) + line.lstrip()
        for row, line in enumerate(lines, 1)
    )


def packed(files):
    """Return the hook's bytes. What starts it is stored as it is.

    Without zlib the command still runs, alone.
    """
    content, listed = bytearray(SHEBANG), bytearray()
    for name in sorted(files):
        is_packed = name != "__main__.py"
        held = deflate(files[name]) if is_packed else files[name]
        sizes = (zlib.crc32(files[name]), len(held), len(files[name]), len(name), 0)
        shared = struct.pack(
            "<HHHHHIIIHH", _READER, 0, 8 if is_packed else 0, 0, _FIRST_DAY, *sizes
        )
        listed += struct.pack("<IH", _LISTED, _WRITER) + shared
        listed += struct.pack("<HHHII", 0, 0, 0, 0o644 << 16, len(content)) + name.encode()
        content += struct.pack("<I", _MEMBER) + shared + name.encode() + held
    end = struct.pack("<IHHHHIIH", _END, 0, 0, len(files), len(files), len(listed), len(content), 0)
    return bytes(content + listed + end)
