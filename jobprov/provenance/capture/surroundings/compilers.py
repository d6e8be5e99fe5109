"""Which compilers a command used, and their versions.

A compiler is often over before anybody can look. So its name is searched in everything that may
show it: command line, processes that were seen, the trace, and text of scripts and makefiles. A
compiler that a text names, and that is not on PATH, is none.
"""

import os
import re
from typing import Iterable, List, Sequence, Set

from jobprov.provenance.capture.asking import ask
from jobprov.provenance.capture.command.arguments import which, without_prefix
from jobprov.provenance.capture.files.hashing import Clock

_NAME = (
    rb"(?:[\w.]+-)*(?:gcc|g\+\+|cc|c\+\+|clang(?:\+\+)?|gfortran|f77|f90|f95|flang|ifort|ifx|icc"
    rb"|icpc|icx|icpx|nvcc|nvc|nvc\+\+|nvfortran)(?:-\d[\d.]*)?"
)
_IS_COMPILER = re.compile(_NAME + rb"\Z")
_SOURCES = rb"(?=[ \t][^\n]{0,300}?(?: -\w|\.(?:c|cc|cpp|cxx|C|f|F|f90|F90|f95|cu|o)\b))"
_CALLED = re.compile(
    rb"(?:^|[\s;&|(`=@])((?:/[\w./+-]*/)?" + _NAME + rb")" + _SOURCES, re.MULTILINE
)
_ASSIGNED = re.compile(
    rb"\b(?:CC|CXX|CPP|FC|F77|F90|LD)\s*[:?+]?=\s*[\"']?((?:/[\w./+-]*/)?" + _NAME + rb")(?![\w+])"
)
_COMMENT = re.compile(rb"^[ \t]*#.*$", re.MULTILINE)
_STARTED = re.compile(rb'"argv": \["([^"]+)"')
_TOUCHED = re.compile(rb"^(/[^\t]*)\t(?:file|link)\t", re.MULTILINE)
_VERSION = re.compile(r"\d+\.\d+[.\d]*")
_MAKEFILES = ("GNUmakefile", "makefile", "Makefile")
_DEFAULTS = ("cc", "c++", "gfortran")
_LARGEST_MAKEFILE, _MOST, _SECONDS, _ALL_SECONDS = 1 << 20, 8, 2.0, 4.0


def list_compilers(
    argv: Sequence[str], texts: Iterable[bytes], processes: bytes, touched: bytes
) -> List[str]:
    """Return lines `compiler`, name, version and place, parted by tabs.

    `texts` are scripts, `processes` the list of those seen, `touched` the listing of a trace.
    """
    words = [os.fsencode(word) for word in without_prefix(argv)[:1]]
    words += _STARTED.findall(processes) + _TOUCHED.findall(touched)
    names = [word for word in words if _IS_COMPILER.match(word.rpartition(b"/")[2])]
    for text in [*texts, *_makefile(words)]:
        plain = _COMMENT.sub(b"", text)
        names += _CALLED.findall(plain) + _ASSIGNED.findall(plain)
    return _describe([os.fsdecode(name) for name in names])


def _makefile(words: Sequence[bytes]) -> List[bytes]:
    """Return the text of the makefile here, if the command is `make`."""
    if not words or words[0].rpartition(b"/")[2] not in (b"make", b"gmake"):
        return []
    for name in filter(os.path.isfile, _MAKEFILES):
        with open(name, "rb") as stream:
            text = stream.read(_LARGEST_MAKEFILE)
        # make's own rules name a compiler by $(CC), which nobody need set
        for variable, default in zip((b"CC", b"CXX", b"FC"), _DEFAULTS):  # noqa: B905 - 3.6
            if b"$(" + variable + b")" in text:
                text += b"\n" + variable + b"=" + default.encode() + b"\n"
        return [text]
    return []


def _describe(names: Sequence[str]) -> List[str]:
    lines: List[str] = []
    asked: Set[str] = set()
    clock = Clock(_ALL_SECONDS)
    # One compiler has many names (gcc, gcc-12, x86_64-linux-gnu-gcc-12): the short one counts
    for name in sorted(dict.fromkeys(names), key=lambda name: len(os.path.basename(name))):
        if len(lines) >= _MOST or not clock.left():
            break
        path = which(name)
        if path is None or os.path.realpath(path) in asked:
            continue
        asked.add(os.path.realpath(path))
        version = _VERSION.search(ask([path, "--version"], _SECONDS) or "")
        if version:
            lines.append("\t".join(("compiler", os.path.basename(name), version.group(), path)))
    return lines
