"""Folds the hook's modules into the one file `job-end-hook.pyz`.

The same bytes from the same sources, always.

A zip with a `#!` line in front, as the standard library's zipapp makes it, but with fixed times,
modes, order and deflate: a folder's listing, umask, locale, clock or zlib play no part. What only
readers need stays out: docstrings, comments, annotations and long local names. They would cost each
job the time to compile them, and `typing` the time to load it.

This module is not in the hook. Source: APPNOTE.TXT 4.3.
"""

import ast
import hashlib
import io
import os
import re
import struct
import tokenize
import zlib
from fractions import Fraction
from typing import TYPE_CHECKING, Dict, Iterator, List, Sequence, Set, Tuple, Union

from jobprov.provenance.capture.deflating import WINDOW, deflate
from jobprov.provenance.capture.shortening import shorten

if TYPE_CHECKING:
    from typing import TypeGuard  # Python 3.10

SHEBANG = b"#!/usr/bin/env python3\n"
# Should the hook itself be broken, or the Python too old for it, the command still runs, alone.
_MAIN = """import gc
import os
import sys

gc.disable()  # until the command runs: to look for garbage would delay it


def give_back_locale():
    # In a C locale Python sets LC_CTYPE (PEP 538); the command is to find what we were given.
    try:
        with open("/proc/self/environ", "rb") as stream:
            _, name, rest = (b"\\0" + stream.read()).partition(b"\\0LC_CTYPE=")
    except OSError:
        return
    del os.environ["LC_CTYPE"]
    if name:
        os.environb[b"LC_CTYPE"] = rest.partition(b"\\0")[0]


try:
    if os.environ.get("LC_CTYPE") in ("C.UTF-8", "C.utf8", "UTF-8"):
        give_back_locale()
    from jobprov.provenance.capture.running import execution
    from jobprov.provenance.capture.commands import main

    code = main(sys.argv[1:], dict(os.environ))
except Exception as error:
    if "execution" in globals() and execution.began:
        raise
    from jobprov_alone import run_alone

    run_alone(sys.argv[1:], error)
sys.exit(code)
"""
_ALONE = """import os
import signal
import sys


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
"""
_PACKAGE = __name__.rpartition(".")[0]
_LEFT_OUT = frozenset(["packing.py", "shortening.py", "deflating.py", "json_objects.py"])
_FOR_ANNOTATIONS = ("typing", _PACKAGE + ".record.json_objects")
_TOP = _PACKAGE.replace(".", "/")
# What Python's own importer loads: all but the loader is stored as it is, so that the command runs
# without zlib, too
_LOADER = _TOP + "/loading.py"
_STORED = ["__main__.py", "jobprov_alone.py", _TOP + "/__init__.py", _LOADER]
_STORED += ["jobprov/__init__.py", "jobprov/provenance/__init__.py"]
# What the hook's main module imports
_BEGINNINGS = (_PACKAGE + ".running.execution", _PACKAGE + ".commands")
_MEMBER, _LISTED, _END = 0x04034B50, 0x02014B50, 0x06054B50
_AS_IT_IS, _DEFLATED = 0, 8
_READER, _WRITER = 20, 3 << 8 | 20  # version 2.0, written on Unix
_PIECE = 11  # of 8 to 14 bytes, these give the shortest hook
_FIRST_DAY = 1 << 5 | 1  # 1 January 1980, the first that a zip can tell


def build(target: str) -> str:
    """Write the hook to a path, executable, and return its SHA-256. Raises OSError."""
    content = packed(sources())
    temporary = "{}.{}.tmp".format(target, os.getpid())
    with open(temporary, "wb") as stream:
        stream.write(content)
    os.chmod(temporary, 0o755)  # noqa: S103 - a program, for everybody
    os.replace(temporary, target)
    return hashlib.sha256(content).hexdigest()


def sources() -> Dict[str, bytes]:
    """Return {name in the hook: bytes} of everything that goes into it."""
    top = os.path.dirname(os.path.abspath(__file__))
    package = os.path.join(*__name__.split(".")[:-1])
    texts = {"__main__.py": _MAIN, "jobprov_alone.py": _ALONE}
    for parent in _parents(package):
        texts[parent + "/__init__.py"] = ""
    for folder, _, names in os.walk(top):
        for name in names:
            if name.endswith(".py") and name not in _LEFT_OUT:
                path = os.path.join(folder, name)
                inside = os.path.join(package, os.path.relpath(path, top))
                with open(path, encoding="utf-8") as stream:
                    texts[inside] = stream.read()
    return {name: bare(text).encode("utf-8") for name, text in texts.items()}


def _parents(folder: str) -> List[str]:
    """Return the folders above a relative one."""
    parents = []
    while os.path.dirname(folder):
        folder = os.path.dirname(folder)
        parents.append(folder)
    return parents


def folded(files: Dict[str, bytes]) -> Dict[str, bytes]:
    """Return what lies in the hook's file: what starts it, and all other sources in two parts.

    Packed together they take less. A job that waits for its command unpacks only what comes first.
    """
    members = {name: files[name] for name in _STORED}
    loaded = loaded_first(files)
    parts: Dict[str, Dict[str, bytes]] = {"first": {}, "later": {}}
    for name in sorted(files):
        part = "later"
        if name in loaded or name.endswith("__init__.py"):
            part = "first"
        if name not in _STORED:
            parts[part][name] = files[name]
    first_text = fold(parts["first"])
    members["first"] = deflate(first_text)
    members["later"] = deflate(fold(_alike_together(parts["later"], first_text)), first_text)
    return members


def _alike_together(sources: Dict[str, bytes], before: bytes) -> Dict[str, bytes]:
    """Return sources in an order in which each is much like what stands shortly before it.

    Deflate refers only to the last 32 kB. `before` is what stands before the first. How much is
    alike counts somewhat more than its share (to the fifth power, the length to the fourth): a long
    source that comes while much of it stands there saves more than a short one.
    """
    pieces = {name: _pieces(text) for name, text in sources.items()}
    ordered: Dict[str, bytes] = {}
    while len(ordered) < len(sources):
        lately = _pieces(before[-WINDOW:])
        most_alike, name_of_it = Fraction(-1), ""
        for name in sorted(pieces):
            alike = Fraction(len(pieces[name] & lately) ** 5, (len(pieces[name]) or 1) ** 4)
            if alike > most_alike:
                most_alike, name_of_it = alike, name
        del pieces[name_of_it]
        ordered[name_of_it] = sources[name_of_it]
        before += sources[name_of_it]
    return ordered


def _pieces(text: bytes) -> Set[bytes]:
    """Return all that stands in a text, in overlapping pieces."""
    return {text[at : at + _PIECE] for at in range(len(text) - _PIECE + 1)}


def fold(sources: Dict[str, bytes]) -> bytes:
    """Return sources as one: of each its name in the package's folder, in a line, and its text.

    They are apart by NUL, which no source has.
    """
    folder = _TOP + "/"
    named = [name[len(folder) :].encode() + b"\n" + text for name, text in sources.items()]
    return b"\0".join(named)


def loaded_first(files: Dict[str, bytes]) -> Set[str]:
    """Return the modules that are loaded before a command: imported outside of functions."""
    first: Set[str] = set()
    waiting = list(_BEGINNINGS)
    while waiting:
        module = waiting.pop()
        name = module.replace(".", "/") + ".py"
        if name in files and name not in first:
            first.add(name)
            for node in ast.parse(files[name]).body:
                if isinstance(node, ast.ImportFrom) and node.module:
                    waiting.append(node.module)
                    waiting += ["{}.{}".format(node.module, each.name) for each in node.names]
    return first


def packed(files: Dict[str, bytes]) -> bytes:
    """Return the hook's bytes: a zip of members that are stored as they are, but for the loader."""
    content, listed = bytearray(SHEBANG), bytearray()
    members = folded(files)
    for name, member in sorted(members.items()):
        method, kept = _AS_IT_IS, member
        if name == _LOADER:
            method, kept = _DEFLATED, deflate(member)
        encoded_name = name.encode()
        sizes = (zlib.crc32(member), len(kept), len(member), len(encoded_name), 0)
        # A zip says this twice: before the member, and in the list at the end
        shared = struct.pack("<HHHHHIIIHH", _READER, 0, method, 0, _FIRST_DAY, *sizes)
        listed += struct.pack("<IH", _LISTED, _WRITER) + shared
        listed += struct.pack("<HHHII", 0, 0, 0, 0o644 << 16, len(content)) + encoded_name
        content += struct.pack("<I", _MEMBER) + shared + encoded_name + kept
    count = len(members)
    end = struct.pack("<IHHHHIIH", _END, 0, 0, count, count, len(listed), len(content), 0)
    return bytes(content + listed + end)


def bare(source: str) -> str:
    """Return Python source without what only readers need; line numbers in tracebacks stay true.

    Left out are docstrings, comments, annotations, imports that only they need, blocks of `if
    TYPE_CHECKING:`, blanks, and commas behind the last of several; local names are short. Raises
    ValueError where an annotation outside of parentheses goes over several lines.
    """
    lines = _without_annotations(source).splitlines()
    for node in ast.walk(ast.parse("\n".join(lines))):
        if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            continue
        for docstring in filter(_is_text_alone, node.body):  # of a name as well
            first, last = docstring.lineno - 1, docstring.end_lineno or docstring.lineno
            instead = ""
            if len(node.body) == 1:
                indent = lines[first][: len(lines[first]) - len(lines[first].lstrip())]
                instead = indent + '""'
            lines[first:last] = [instead] + [""] * (last - first - 1)
    return shorten(_without_last_commas(_narrow("\n".join(lines) + "\n")))


def _is_text_alone(node: ast.stmt) -> bool:
    """Tell whether a statement is a docstring or the like."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _without_annotations(source: str) -> str:
    """Return source without annotations, and without the imports that only they need."""
    lines = source.encode("utf-8").split(b"\n")  # the columns of a syntax tree count bytes
    for first, first_column, last, last_column in sorted(_annotations(lines, source), reverse=True):
        rest = lines[last][last_column:]
        lines[first] = lines[first][:first_column].rstrip()
        for row in range(first + 1, last + 1):
            lines[row] = b""
        lines[last] += rest
    return b"\n".join(lines).decode("utf-8")


def _annotations(lines: Sequence[bytes], source: str) -> Iterator[Tuple[int, int, int, int]]:
    """Yield (first row, its column, last row, its column) of what is to be left out.

    Rows count from 0.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.arg) and node.annotation is not None:
            yield (node.lineno - 1, node.col_offset + len(node.arg), *_end(node))
        elif isinstance(node, ast.FunctionDef) and node.returns is not None:
            row = node.returns.lineno - 1
            arrow = lines[row].rindex(b"->", 0, node.returns.col_offset)
            yield (row, arrow, *_end_in_row(node.returns, row))
        elif isinstance(node, ast.AnnAssign):
            target_row, target_column = _end(node.target)
            if node.value is None:
                yield (target_row, node.col_offset, *_end_in_row(node, target_row))
            else:
                yield (target_row, target_column, *_end_in_row(node.annotation, target_row))
        elif _is_for_types(node):
            yield (node.lineno - 1, node.col_offset, *_end(node))


def _is_for_types(node: ast.AST) -> "TypeGuard[ast.stmt]":
    """Tell whether a statement only serves annotations.

    An import from `typing` or of our names for JSON objects, or `if TYPE_CHECKING:`.
    """
    if isinstance(node, ast.ImportFrom):
        return node.module in _FOR_ANNOTATIONS
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )


def _end(node: Union[ast.expr, ast.stmt, ast.arg]) -> Tuple[int, int]:
    return (node.end_lineno or node.lineno) - 1, node.end_col_offset or 0


def _end_in_row(node: Union[ast.expr, ast.stmt], row: int) -> Tuple[int, int]:
    # Without parentheses around it, empty lines in its place would end the statement
    if _end(node)[0] != row:
        raise ValueError("the annotation in line {} goes over several lines".format(row + 1))
    return _end(node)


def _narrow(source: str) -> str:
    """Return source without comments, and without blanks that Python does without.

    Each statement is indented by one blank a level. Strings stay as they are.
    """
    lines = [""] * (source.count("\n") + 1)
    level, begins_statement = 0, True
    last_row, last_column = 0, 0  # where the token before ends
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        row, column = token.start
        if token.type == tokenize.INDENT:
            level += 1
        elif token.type == tokenize.DEDENT:
            level -= 1
        elif token.type == tokenize.NEWLINE:
            begins_statement = True
        elif token.type not in (tokenize.COMMENT, tokenize.NL, tokenize.ENDMARKER):
            line = lines[row - 1]
            if begins_statement:
                lines[row - 1] = " " * level
                begins_statement = False
            elif (row, column) > (last_row, last_column) and _run_together(line, token.string):
                lines[row - 1] += " "
            for further, text in enumerate(token.string.split("\n"), row - 1):
                lines[further] += text
            last_row, last_column = token.end
    return "\n".join(lines)


def _without_last_commas(source: str) -> str:
    """Return source without commas at the end of lists that go over several lines.

    As it was where that would make another program of it: a tuple of one needs its comma.
    """
    shorter = re.sub(r",(\n+[)\]}])", r"\1", source)
    is_same = ast.dump(ast.parse(shorter)) == ast.dump(ast.parse(source))
    return shorter if is_same else source


def _run_together(line: str, word: str) -> bool:
    """Tell whether Python needs a blank between the end of a line and a word behind it."""
    return re.search(r"[\w\"']$", line) is not None and re.match(r"[\w\"']", word) is not None


# Deflate with fixed codes gives the same bytes on every machine, which no zlib promises of another;
# any zlib reads it.
